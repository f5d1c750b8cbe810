from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mobilesam.export.onnx import export_onnx

collect_ignore = ["drivers"]  # they import the programs, and run in processes of their own


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The bundled model in a layout, exported once a run."""

    @cache
    def export(layout: str) -> Path:
        folder = tmp_path_factory.mktemp(layout)
        export_onnx("mobilesam", folder, layout=layout)
        return folder

    return export
