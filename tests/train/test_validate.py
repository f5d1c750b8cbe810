"""Validation in training says what `SAM.val` says of the saved model."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT
from mobilesam import SAM
from mobilesam.train.config import Validation
from mobilesam.train.validate import validate
from students import make_student

SHAPES = ROOT / "tests/evaluate/data/shapes"


def test_the_score_is_that_of_the_saved_model(
    student_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path / "cache"))
    found = validate(make_student(), Validation(data=(str(SHAPES),), protocol="box"), step=3)
    assert not (tmp_path / "cache/embeddings").exists()
    report = SAM(student_file, runtime="pytorch", precision="fp32").val(SHAPES, "box")
    assert found == {"shapes box iou": pytest.approx(report.figure("box", "iou").value)}
