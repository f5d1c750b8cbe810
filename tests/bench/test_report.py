from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilesam.bench import NotInterleavedError, Report, ratio
from mobilesam.bench.chart import BASE, OURS, draw
from mobilesam.bench.paper import _readme, parameters
from mobilesam.bench.report import GFLOP, Value
from mobilesam.errors import InputError


@pytest.fixture
def report() -> Report:
    return Report(
        run="a",
        machine="A processor; 2 cores",
        started="2026-11-26 03:00",
        rounds=3,
        slow_rounds=1,
        matmul_gflops=723.0,
        values={
            "encode 1:1": {"eager": [1.0, 1.2, 0.8], "ours": [0.2, 0.25, 0.2]},
            "everything exact": {"eager": [120.0]},
            "everything fast": {"ours": [2.0]},
            "images, 1 worker": {"eager": [0.5, 0.5, 0.5], "ours": [2.0, 2.0, 2.0]},
            "peak memory": {"eager": [900.0], "ours": [300.0]},
        },
    )


def test_ratios_are_of_medians_to_the_first(report: Report) -> None:
    assert report.candidates == ["eager", "ours"]
    assert report.speed_up("encode 1:1", "ours") == pytest.approx(5)
    assert report.speed_up("images, 1 worker", "ours") == pytest.approx(4)  # more is better
    assert report.speed_up("click", "ours") is None


def test_the_fast_mode_is_measured_against_metas_procedure(report: Report) -> None:
    assert report.speed_up("everything fast", "ours") == pytest.approx(60)
    assert report.speed_up("everything fast", "eager") is None


def test_no_ratio_between_runs_or_of_other_rounds() -> None:
    with pytest.raises(NotInterleavedError, match="one run"):
        ratio(Value("a", [1.0]), Value("b", [1.0]))
    with pytest.raises(NotInterleavedError):
        ratio(Value("a", [1.0]), Value("a", [1.0, 1.0]))


def test_the_share_of_the_machines_rate(report: Report) -> None:
    assert report.share_of_peak("ours") == pytest.approx(GFLOP / 0.2 / 723)


def test_the_table_says_where_and_how(report: Report) -> None:
    lines = report.markdown().splitlines()
    assert lines[0] == "> A processor; 2 cores"
    assert "| encode 1:1 | 1 s (0.8–1.2) | 200 ms (200–250), 5.0x |" in lines
    assert "| everything exact | 120 s (120–120) | – |" in lines
    assert "| peak memory | 900 MB (900–900) | 300 MB (300–300) |" in lines
    assert "| encode 1:1, share of 723 GFLOP/s | 10% | 50% |" in lines


def test_it_is_read_as_it_was_saved(report: Report, tmp_path: Path) -> None:
    assert Report.load(report.save(tmp_path / "report.json")) == report
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(InputError, match="no report"):
        Report.load(tmp_path / "other.json")


def test_bars_are_as_long_as_the_ratios(report: Report, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(draw(report, tmp_path / "chart.png")).convert("RGB"))

    def longest(colour: tuple[int, int, int]) -> int:
        return int((pixels == colour).all(axis=2).sum(axis=1).max())

    # The fastest of each block is as long as there is room; the longest of the first candidate's is a quarter of that.
    assert longest(OURS) / longest(BASE) == pytest.approx(4, rel=0.02)


def test_parameters_are_counted_from_the_checkpoints_shapes() -> None:
    assert parameters("sam_vit_h") == {"encoder": 637_026_048, "decoder": 4_064_816, "whole": 641_090_864}
    assert parameters("mobile_sam")["whole"] == 9_808_708


def test_quoted_figures_stand_beside_ours() -> None:
    table = _readme({("mobile_sam", "encoder"): 0.5, ("mobile_sam", "decoder"): 0.02})
    assert "| MobileSAM | encoder | 5.74M | 5M (paper: 5.78M) | 500 ms | 8 ms |" in table
    assert "| MobileSAM | whole | 9.81M | 9.66M | 520 ms | 12 ms |" in table
