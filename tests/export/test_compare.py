"""Precisions side by side: which is named, and the report of a real comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobilesam import InputError
from mobilesam.export import export
from mobilesam.export.compare import Variant, best, report


def _variant(precision: str, megabytes: float, mean_iou: float, encode_ms: float) -> Variant:
    return Variant(precision, megabytes, 0.0, mean_iou, mean_iou, encode_ms, 0.0)


def test_the_fastest_of_the_good_is_named() -> None:
    whole, small, rough = _variant("fp32", 40, 1, 100), _variant("int8", 12, 0.992, 60), _variant("int4", 6, 0.9, 30)
    assert best([whole, small, rough]) is small
    assert "Take **int8**" in report([whole, small, rough], "a model", 1)


def test_of_equally_fast_ones_the_smaller() -> None:
    whole, half = _variant("fp32", 40, 1, 100), _variant("fp16", 20, 1, 104)
    assert best([whole, half]) is half
    assert best([whole, _variant("fp16", 20, 1, 106)]) is whole


def test_none_may_be_good_enough() -> None:
    assert best([_variant("int8", 12, 0.98, 60)]) is None
    assert "None has masks" in report([_variant("int8", 12, 0.98, 60)], "a model", 1)


def test_every_precision_is_checked_before_the_first_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no precision 'int8'"):
        export("mobilesam", tmp_path / "out", format="torchscript", precision="fp32,int8")
    with pytest.raises(InputError, match="coreml doesn't run here"):
        export("mobilesam", tmp_path / "out", format="coreml", precision="fp32,fp16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.exports
def test_a_comparison_leaves_folders_and_a_report(student_file: Path, tmp_path: Path) -> None:
    written = export(student_file, tmp_path / "out", format="onnx", precision="fp32, fp16")
    assert written[-1] == tmp_path / "out/report.md"
    rows = [line.split("|")[1].strip() for line in written[-1].read_text().splitlines() if line.startswith("| fp")]
    assert rows == ["fp32", "fp16"]
    assert all((tmp_path / "out" / row / "manifest.json").is_file() for row in rows)
