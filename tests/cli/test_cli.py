from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from conftest import COFFEE
from mobilesam import __version__
from mobilesam.cli import main as main_module
from mobilesam.cli.progress import download_bar, track, work_bar
from mobilesam.image import to_rgb
from mobilesam.masks import rle_decode


@pytest.fixture(autouse=True)
def _fake_model(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, fake_sam) -> None:
    """Most tests need no weights: discs around clicks, boxes as they are."""
    if "real_model" not in request.fixturenames:
        monkeypatch.setattr("mobilesam.model.SAM", lambda *a, **k: fake_sam)


@pytest.fixture
def real_model() -> None:
    """Asked for by a test that runs the bundled model."""


COMMANDS = ("predict", "everything", "batch", "export", "val", "bench", "app", "serve", "models", "info")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(run_cli, command) -> None:
    code, out, err = run_cli(command, "--help")
    assert code == 0
    assert "Examples:" in out
    assert f"mobilesam {command}" in out
    assert err == ""


def test_every_registered_command_is_tested_for_help() -> None:
    names = {command.name for command in main_module.app.registered_commands}
    assert names == set(COMMANDS)


def test_help_and_version(run_cli) -> None:
    assert "predict" in run_cli("--help")[1]
    assert run_cli("--version") == (0, f"mobilesam {__version__}\n", "")
    assert run_cli()[0] == 2  # no command is wrong use, and prints the help


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["predict"], ["predict", "x.png", "--nonsense"], ["predict", "x", "--threads", "0"]],
)
def test_wrong_use_is_2(run_cli, arguments) -> None:
    code, _, err = run_cli(*arguments)
    assert code == 2
    assert err


def test_the_readmes_first_command(run_cli, tmp_path, real_model) -> None:
    code, out, err = run_cli("predict", COFFEE, "--point", "300,200", "-o", tmp_path / "cup.png")
    assert (code, err) == (0, "")
    assert "coffee.png  mask 0  IoU 0.98" in out
    written, photo = to_rgb(tmp_path / "cup.png"), to_rgb(COFFEE)
    assert written.shape == photo.shape
    assert (written != photo).any()


def test_json_has_the_masks_of_the_box(run_cli) -> None:
    code, out, _ = run_cli("predict", COFFEE, "--box", "150,80,480,340", "--json")
    record = json.loads(out)
    assert code == 0
    mask = rle_decode(record["masks"][0]["rle"])
    assert mask[80:340, 150:480].mean() > 0.99
    assert mask.sum() == record["masks"][0]["area"] == pytest.approx(330 * 260, rel=0.03)


def test_each_point_is_an_object_and_groups_belong_together(run_cli) -> None:
    _, out, _ = run_cli("predict", COFFEE, "--point", "300,200", "--point", "100,100", "--json")
    assert [m["prompt"] for m in json.loads(out)["masks"]] == [0, 1]
    _, out, _ = run_cli("predict", COFFEE, "-p", "300,200 100,100", "-l", "1 0", "--json")
    assert [m["prompt"] for m in json.loads(out)["masks"]] == [0]


def test_multimask(run_cli) -> None:
    ious = {}
    for choice in ("no", "yes", "best"):
        _, out, _ = run_cli("predict", COFFEE, "-p", "300,200", "--multimask", choice, "--json")
        ious[choice] = [m["iou"] for m in json.loads(out)["masks"]]
    assert ious["no"] == pytest.approx([0.75])
    assert ious["yes"] == pytest.approx([0.7, 0.9, 0.8])
    assert ious["best"] == pytest.approx([0.9])


@pytest.mark.parametrize(("kind", "mode"), [("overlay", "RGB"), ("mask", "L"), ("cutout", "RGBA")])
def test_kinds(run_cli, tmp_path, kind, mode) -> None:
    code, *_ = run_cli("predict", COFFEE, "-b", "150,80,480,340", "-o", tmp_path / "o.png", "--kind", kind)
    with Image.open(tmp_path / "o.png") as image:
        assert (code, image.mode, image.size) == (0, mode, (600, 400))


def test_several_photos_go_on_after_a_bad_one(run_cli, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "other").mkdir()
    for path in ("in/a.png", "in/c.png", "other/a.png"):
        Image.new("RGB", (60, 40)).save(tmp_path / path)
    (tmp_path / "in/b.png").write_bytes(b"no image")
    code, _, err = run_cli(
        "predict",
        tmp_path / "in",
        tmp_path / "other/a.png",
        "-p",
        "30,20",
        "-o",
        tmp_path / "out",
        "--kind",
        "mask",
    )
    assert code == 1
    assert "b.png" in err
    assert "1 of 4 photos failed" in err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a-2.png", "a.png", "c.png"]


FAILURES = {
    "missing file": (["predict", "no.png", "-p", "1,1"], 1, "no.png"),
    "not an image": (["predict", "text.png", "-p", "1,1"], 1, "text.png"),
    "no prompt": (["predict", str(COFFEE)], 2, "No prompt"),
    "outside": (["predict", str(COFFEE), "-p", "900,1"], 2, "outside the image"),
    "words for numbers": (["predict", str(COFFEE), "-p", "a,b"], 2, "numbers separated by commas"),
    "one coordinate": (["predict", str(COFFEE), "-p", "5"], 2, "must be 2 numbers"),
    "box of three": (["predict", str(COFFEE), "-b", "1,2,3"], 2, "must be 4 numbers"),
    "labels missing": (
        ["predict", str(COFFEE), "-p", "1,1", "-p", "2,2", "-l", "1"],
        2,
        "one --label for each",
    ),
    "kind without -o": (["predict", str(COFFEE), "-p", "1,1", "--kind", "mask"], 2, "say where with -o"),
    "unwritable": (["predict", str(COFFEE), "-p", "9,9", "-o", "text.png/x.png"], 1, "x.png"),
    "the photo itself": (["predict", "own.png", "-p", "9,9", "-o", "own.png"], 2, "is the photo itself"),
    "over the photos": (["predict", "own.png", "-p", "9,9", "-o", "."], 2, "would be overwritten"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), FAILURES.values(), ids=FAILURES.keys())
def test_failures_are_one_line_on_stderr(run_cli, tmp_path, monkeypatch, arguments, code, message) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.png").write_text("hello")
    Image.new("RGB", (60, 40)).save("own.png")
    before = sorted((p, p.read_bytes()) for p in tmp_path.iterdir())
    got, _, err = run_cli(*arguments)
    assert got == code
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert sorted((p, p.read_bytes()) for p in tmp_path.iterdir()) == before


def test_unknown_runtime_model_and_precision(run_cli, real_model) -> None:
    for option, message in (("--runtime", "openvino, onnx"), ("--precision", "fp32"), ("--model", "Known:")):
        code, _, err = run_cli("predict", COFFEE, "-p", "1,1", option, "nonsense")
        assert message in err
        assert code == (1 if option == "--model" else 2)


def test_debug_shows_the_traceback() -> None:
    from mobilesam import PromptError

    with pytest.raises(PromptError):
        main_module.main(["--debug", "predict", str(COFFEE)])


def test_interrupt_is_130(run_cli, monkeypatch) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mobilesam.sources.list_pictures", interrupt)
    assert run_cli("predict", COFFEE, "-p", "1,1")[0] == 130


def test_models_lists_bundled_and_downloads(run_cli) -> None:
    rows = {row["name"]: row for row in json.loads(run_cli("models", "--json")[1])}
    assert rows["mobilesam"]["where"] == "bundled"
    assert rows["mobile_sam.pt"]["where"] == "download"
    assert rows["mobile_sam.pt"]["bytes"] == 40_728_226
    table = run_cli("models")[1]
    assert "mobilesam" in table
    assert "bundled" in table


def test_info_tells_runtimes_and_cache(run_cli, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path))
    (tmp_path / "x").write_bytes(b"12345")
    facts = json.loads(run_cli("info", "--json")[1])
    assert facts["version"] == __version__
    assert {r["name"] for r in facts["runtimes"]} == {"openvino", "onnx", "pytorch"}
    assert all("cpu" in [d.split(":")[0] for d in r["devices"]] for r in facts["runtimes"])
    assert facts["default_runtime"] == "openvino"
    assert facts["cache"] == {"path": str(tmp_path), "files": 1, "bytes": 5}
    text = run_cli("info")[1]
    assert "default runtime: openvino" in text
    assert str(tmp_path) in text


def test_info_where_nothing_is_installed(run_cli, monkeypatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", absent)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    out = run_cli("info")[1]
    assert "not installed: pip install 'mobilesam[torch]'" in out
    assert "default runtime: none" in out


def test_bars(capsys) -> None:
    assert list(track([1], "x")) == [1]
    assert list(track([1, 2, 3], "x")) == [1, 2, 3]
    with download_bar() as show:
        show(1, 10)
        show(10, 10)
    assert "weights" in capsys.readouterr().err
    with work_bar("photo.jpg") as show:
        show(1, 10)
    assert capsys.readouterr().err.strip() == ""  # not a terminal


def test_everything_writes_and_prints(run_cli, tmp_path) -> None:
    small = ["--points-per-side", "3", "--stability-score-thresh", "0.9"]
    code, out, _ = run_cli("everything", COFFEE, "-o", tmp_path / "labels.png", "--kind", "labels", *small)
    assert code == 0
    assert "coffee.png  9 masks" in out
    with Image.open(tmp_path / "labels.png") as labels:
        assert labels.getextrema() == (0, 9)
    code, out, _ = run_cli("everything", COFFEE, "--json", *small)
    assert [m["predicted_iou"] for m in json.loads(out)["masks"]] == pytest.approx([0.9] * 9)
    assert run_cli("everything", COFFEE, "--points-per-side", "0")[0] == 2


def test_everything_goes_on_after_a_bad_photo(run_cli, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"no image")
    code, _, err = run_cli("everything", tmp_path / "in", "-o", tmp_path / "out", "--kind", "json")
    assert code == 1
    assert "1 of 2 photos failed" in err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.json"]


def test_everything_in_every_kind(run_cli, tmp_path) -> None:
    for kind, suffix in (("coco", ".json"), ("yolo", ".txt"), ("labelme", ".json"), ("geojson", ".geojson")):
        code, _, err = run_cli(
            "everything", COFFEE, "-o", tmp_path / f"{kind}{suffix}", "--kind", kind,
            "--points-per-side", "3", "--stability-score-thresh", "0.5",
        )  # fmt: skip
        assert (code, err) == (0, ""), err
        assert (tmp_path / f"{kind}{suffix}").stat().st_size > 100
    for _ in range(2):  # a folder that is there already is the result's own name still
        assert (
            run_cli("everything", COFFEE, "-o", tmp_path / "masks", "--kind", "masks", "--points-per-side", "2")[0] == 0
        )
    assert all(p.suffix == ".png" for p in (tmp_path / "masks").iterdir())


def test_everything_takes_all_of_metas_arguments(run_cli, tmp_path) -> None:
    (tmp_path / "grid.json").write_text("[[[0.5, 0.5]]]")
    arguments = (
        "--point-grids", tmp_path / "grid.json", "--points-per-batch", "32", "--pred-iou-thresh", "0.5",
        "--stability-score-thresh", "0.5", "--stability-score-offset", "0.5", "--box-nms-thresh", "0.8",
        "--crop-n-layers", "0", "--crop-nms-thresh", "0.6", "--crop-overlap-ratio", "0.3",
        "--crop-n-points-downscale-factor", "2", "--min-mask-region-area", "9",
        "--quality", "exact", "--overlap", "hierarchy", "--max-masks", "2",
    )  # fmt: skip
    code, out, err = run_cli("everything", COFFEE, "--json", *arguments)
    assert (code, err) == (0, "")
    masks = json.loads(out)["masks"]
    assert len(masks) == 2
    assert {tuple(m["point_coords"][0]) for m in masks} == {(300.0, 200.0)}
    assert {m["id"]: m["parent_id"] for m in masks} in ({0: None, 1: 0}, {0: 1, 1: None})
    for text, message in (("nonsense", "can't be read"), ("{}", "holds dict")):
        (tmp_path / "grid.json").write_text(text)
        code, out, err = run_cli("everything", COFFEE, "--point-grids", tmp_path / "grid.json")
        assert code == 2
        assert message in err


def test_everything_by_tiles_with_an_overlay(run_cli, tmp_path) -> None:
    code, _, err = run_cli(
        "everything", COFFEE, "-o", tmp_path / "o.png", "--tiles", "300", "--points-per-side", "2",
        "--stability-score-thresh", "0.5",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert to_rgb(tmp_path / "o.png").shape == (400, 600, 3)


def test_resume_after_a_kill_loses_and_repeats_nothing(run_cli, tmp_path, real_model) -> None:
    for i in range(5):
        Image.new("RGB", (40, 30), (i * 50, 0, 99)).save(tmp_path / f"{i}.png")
    arguments = ["everything", str(tmp_path), "--kind", "json", "--points-per-side", "2", "--json", "-o"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run_cli(*arguments, whole)[0] == 0
    command = [sys.executable, "-m", "mobilesam", *arguments, str(parts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as process:
        process.stdout.readline()  # the second photo may be written by now, whole or not at all
        process.kill()
    before = {p: p.stat().st_mtime_ns for p in parts.glob("?.json")}
    assert before
    code, _, err = run_cli(*arguments, parts, "--resume")
    assert code == 0
    assert f"{len(before)} of 5 photos are done" in err
    assert sorted(p.name for p in parts.glob("?.json")) == [f"{i}.json" for i in range(5)]
    for file in parts.glob("?.json"):
        assert file.read_bytes() == (whole / file.name).read_bytes()
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_resume_needs_a_place(run_cli) -> None:
    code, _, err = run_cli("predict", COFFEE, "--point", "9,9", "--resume")
    assert code == 2
    assert "say where with -o" in err


def test_failures_are_listed_at_the_end(run_cli, tmp_path) -> None:
    for name in ("a.png", "c.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    (tmp_path / "b.png").write_text("broken")
    code, _, err = run_cli("everything", tmp_path, "-o", tmp_path / "out", "--kind", "yolo", "--points-per-side", "2")
    assert code == 1
    assert "1 of 3 photos failed: b.png" in err.splitlines()[-1]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.txt", "c.txt"]
