from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mobilesam import bench
from mobilesam.bench import Report, machine, paper
from mobilesam.cli.main import app, main
from mobilesam.errors import InputError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What `bench.run` is asked, which measures nothing here."""
    calls: list[dict[str, object]] = []

    def run(candidates, photo, **options) -> Report:
        calls.append({"names": [c.name for c in candidates], "photo": photo, **options})
        options["say"]("round 1 of 1")
        values = {"click": {"eager": [0.1], "openvino auto": [0.02]}}
        return Report("a", "A machine", "2026-11-26", 1, 1, 100.0, values)

    monkeypatch.setattr(bench, "run", run)
    return calls


def test_the_table_and_what_is_written(asked, tmp_path: Path) -> None:
    arguments = ["bench", "--peer", "eager", "--runtime", "openvino", "--rounds", "3", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "| click | 100 ms (100–100) | 20 ms (20–20), 5.0x |" in result.output
    assert asked[0]["names"] == ["eager", "openvino auto", "openvino fp32"]
    assert asked[0]["rounds"] == 3
    assert not any(name.startswith("everything") for name in asked[0]["jobs"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.md", "report.json", "chart.png"}
    again = CliRunner().invoke(app, ["bench", "--everything", "1", "--compare", str(tmp_path / "out/report.json")])
    assert "not interleaved with this one, so no ratios" in again.output
    assert "everything exact" in asked[1]["jobs"]
    assert json.loads((tmp_path / "out/report.json").read_text())["run"] == "a"


def test_names_are_listed_and_checked(asked, capsys: pytest.CaptureFixture[str]) -> None:
    listed = CliRunner().invoke(app, ["bench", "--list"]).output
    assert "mobile_sam" in listed
    assert "encode 16:9" in listed
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "--job", "clik"])
    assert stopped.value.code == 2
    assert "No job 'clik'; there are: cold start" in capsys.readouterr().err
    assert asked == []
    assert issubclass(bench.NotInterleavedError, InputError)


def test_the_papers_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    jobs = {("mobile_sam", part): lambda part=part: done.append(part) for part in ("encoder", "decoder")}
    monkeypatch.setattr(paper, "_jobs", lambda torch, say: jobs)
    result = CliRunner().invoke(app, ["bench", "--paper", "--rounds", "1"])
    assert done == ["encoder", "decoder"] * 2  # one round of warm-up
    assert "| MobileSAM | encoder | 5.74M | 5M (paper: 5.78M) |" in result.output
    assert "5 times faster (64 ms to 12 ms)" in result.output


def test_the_rate_of_a_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SIDE", 64)
    monkeypatch.setattr(machine, "_PRODUCT", [])
    assert 0 < machine.matmul_rate() < 100_000
