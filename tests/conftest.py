"""Shared fixtures: the reference outputs, and one loaded model per runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilesam import SAM, backends
from mobilesam.testing import FakeBackend

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests/golden"
COFFEE = ROOT / "examples/coffee.png"
GOLDEN_NAMES = sorted(path.stem for path in GOLDEN.glob("*.npz"))


@dataclass(frozen=True)
class Golden:
    """One image's reference outputs."""

    name: str
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def image(self) -> Path:
        return COFFEE if self.name == "coffee" else GOLDEN / f"{self.name}.png"


@cache
def read_golden(name: str) -> Golden:
    with np.load(GOLDEN / f"{name}.npz") as data:
        arrays = {key: data[key].astype(np.float32) for key in data.files}
    return Golden(name, json.loads((GOLDEN / f"{name}.json").read_text()), arrays)


@cache
def load_sam(runtime: str, precision: str = "fp32") -> SAM:
    """One model per runtime and precision for the whole run: loading is what takes time."""
    return SAM(runtime=runtime, precision=precision)  # type: ignore[arg-type]


@pytest.fixture(params=list(backends.RUNTIMES))
def sam(request: pytest.FixtureRequest) -> SAM:
    """The bundled model in fp32, on each runtime in turn."""
    return load_sam(request.param)


@pytest.fixture
def default_sam() -> SAM:
    """The bundled model in fp32 on the default runtime."""
    return load_sam("openvino")


@pytest.fixture
def fake_sam() -> SAM:
    """A model without weights: discs around points, boxes as they are."""
    return SAM.from_backend(FakeBackend())


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor write the user's cache; all tests of a run share one."""
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("MOBILESAM_OFFLINE", "MOBILESAM_RUNTIME", "MOBILESAM_MAX_PIXELS", "MOBILESAM_MAX_BYTES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def student_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved student of narrow widths for photos of 128 pixels, with BatchNorm statistics that are not neutral."""
    from mobilesam.train.checkpoint import save_model
    from students import make_student

    return save_model(tmp_path_factory.mktemp("student") / "student.safetensors", make_student(), {"made by": "a test"})


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in this process: exit code, stdout, stderr."""
    from mobilesam.cli.main import main

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        printed = capsys.readouterr()
        code = stop.value.code
        return (0 if code is None else int(code)), printed.out, printed.err

    return run
