from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import COFFEE, load_sam
from mobilesam.export import export as export_files

collect_ignore = ["drivers"]  # they import the programs, and run in processes of their own


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The bundled model in a layout, exported once a run."""

    @cache
    def export(layout: str) -> Path:
        folder = tmp_path_factory.mktemp(layout)
        export_files("mobilesam", folder, layout=layout)
        return folder

    return export


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled weights as upstream's file has them: 439 keys, float32, saved by PyTorch."""
    path = tmp_path_factory.mktemp("weights") / "mobile_sam.pt"
    state = load_sam("pytorch").predictor.backend.sam.state_dict()
    assert len(state) == 439
    torch.save(dict(state), path)
    return path


@pytest.fixture(scope="session")
def photo() -> Path:
    return COFFEE


@pytest.fixture(scope="session")
def everything(photo: Path) -> np.ndarray:
    """Our masks of the photo by Meta's procedure with 8 x 8 clicks."""
    return load_sam("pytorch").everything(photo, points_per_side=8, quality="exact").masks
