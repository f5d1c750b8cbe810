"""The C++ example, built and run on an exported pair: Python's mask."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import openvino
import pytest
from PIL import Image

from conftest import ROOT
from mobilesam import SAM
from mobilesam.export.verify import PHOTO
from mobilesam.masks import iou

pytestmark = pytest.mark.exports
XY = (300, 200)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("cpp")
    cmake = Path(openvino.__file__).parent / "cmake"
    _run("cmake", "-S", ROOT / "examples/cpp", "-B", build, f"-DOpenVINO_DIR={cmake}")
    _run("cmake", "--build", build)
    return build / "segment"


@pytest.mark.parametrize(("name", "suffix"), [("onnx", "onnx"), ("openvino", "xml")])
def test_the_cpp_program_gives_pythons_mask(program: Path, tmp_path: Path, name: str, suffix: str) -> None:
    SAM().export(tmp_path / "pair", format=name)
    photo = Image.open(PHOTO).convert("RGB")
    photo.save(tmp_path / "photo.ppm")
    parts = [tmp_path / f"pair/{part}.{suffix}" for part in ("encoder", "decoder")]
    said = _run(program, *parts, tmp_path / "photo.ppm", *XY, tmp_path / "mask.pgm")
    found = np.asarray(Image.open(tmp_path / "mask.pgm")) > 127
    three = SAM(precision="fp32").predict(np.asarray(photo), points=XY, multimask=True)[0]
    best = int(three.iou.argmax())
    assert said.startswith(f"mask {best + 1}, predicted IoU {three.iou[best]:.2f}")
    assert iou(found, three.masks[best]) >= 0.99


def test_the_cpp_program_says_what_is_wrong(program: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.ppm").write_bytes(b"P6\n10 10\n255\nshort")
    for arguments, code, message in (
        ((), 2, "usage"),
        (("a.onnx", "b.onnx", str(tmp_path / "photo.ppm"), "1", "1", "m.pgm"), 1, "shorter than its header says"),
    ):
        done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode, message in done.stderr) == (code, True)


def _run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
