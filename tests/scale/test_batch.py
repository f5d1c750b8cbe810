from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import batches
from batches import OPTIONS, bytes_of, load_fake, load_killed, make_photos
from conftest import ROOT
from mobilesam import InputError, OutputError, SourceNotFoundError
from mobilesam.masks import rle_decode
from mobilesam.scale import batch, local


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_photos(tmp_path / "photos", 9)


def run(photos: object, out: Path, **more: object):
    return batch(photos, out, **{"processes": 1, "loader": load_fake, **OPTIONS, **more})


def test_a_file_a_picture(photos: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    summary = run(photos, tmp_path / "out", progress=lambda *now: seen.append(now))
    assert seen == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    assert sorted(p.name for p in (tmp_path / "out").glob("*.json")) == [f"{i:03d}.json" for i in range(9)]
    record = json.loads((tmp_path / "out/003.json").read_text())
    assert (record["name"], record["height"], record["width"]) == ("003.png", 23, 30)
    assert summary.pictures == 9
    assert summary.masks == sum(len(json.loads(p.read_text())["masks"]) for p in (tmp_path / "out").glob("*.json")) >= 9
    assert (summary.errors, (tmp_path / "out/_errors.jsonl").read_text()) == ([], "")


def test_parquet_has_the_masks_of_the_files(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "out")
    run(photos, tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(list((tmp_path / "out.parquet").glob("part-*.parquet"))) == 5
    assert {row["image"] for row in rows} == {f"{i:03d}.png" for i in range(9)}
    for row in rows:
        record = json.loads((tmp_path / f"out/{row['image'][:3]}.json").read_text())["masks"][row["mask"]]
        assert row["counts"] == record["segmentation"]["counts"]
        mask = rle_decode({"size": [row["height"], row["width"]], "counts": row["counts"]})
        assert mask.sum() == row["area"] == record["area"]
        assert (row["predicted_iou"], row["stability_score"]) == (record["predicted_iou"], record["stability_score"])
        x1, y1, x2, y2 = map(int, row["box"])
        assert mask[y1:y2, x1:x2].sum() == row["area"]


def test_boxes_of_a_file(photos: Path, tmp_path: Path) -> None:
    lines = [
        {"image": "004.png", "boxes": [[2, 3, 12, 13], [5, 5, 25, 15]]},
        {"image": "nobody.png", "boxes": [[0, 0, 1, 1]]},
    ]
    (tmp_path / "boxes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    summary = run(photos, tmp_path / "b.parquet", task="boxes", prompts=tmp_path / "boxes.jsonl", config=None)
    assert (summary.pictures, summary.masks, summary.without) == (1, 2, ["nobody.png"])
    rows = pq.read_table(tmp_path / "b.parquet").to_pylist()
    assert [(row["image"], row["prompt"]) for row in rows] == [("004.png", 0), ("004.png", 1)]
    assert rows[0]["box"] == [2, 3, 12, 13]


def test_a_broken_picture_stops_nothing_unless_asked(photos: Path, tmp_path: Path) -> None:
    (photos / "002.png").write_bytes(b"no picture")
    summary = run(photos, tmp_path / "out")
    assert [(e["picture"], e["error"]) for e in summary.errors] == [("002.png", "ImageError")]
    lines = (tmp_path / "out/_errors.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == summary.errors
    assert "002.png" in summary.errors[0]["message"]
    assert len(list((tmp_path / "out").glob("*.json"))) == 8
    with pytest.raises(InputError, match=r"002\.png"):
        run(photos, tmp_path / "strict", strict=True)
    make_photos(photos, 9)  # mended: its chunk alone is done again
    assert run(photos, tmp_path / "out", resume=True).errors == []
    assert (tmp_path / "out/_errors.jsonl").read_text() == ""


def test_a_resumed_run_does_only_what_is_not_whole(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(photos, out)
    whole = bytes_of(out)
    assert run(photos, out, resume=True).resumed == 9
    (out / "003.json").write_text("half")
    (out / ".mobilesam-abc.json").write_text("half")
    seen: list[tuple[int, int]] = []
    assert run(photos, out, resume=True, progress=lambda *now: seen.append(now)).resumed == 7
    assert seen == [(9, 9)]
    assert bytes_of(out) == whole
    with pytest.raises(InputError, match="earlier run; go on by --resume"):
        run(photos, out)
    with pytest.raises(InputError, match="begun with kind 'json', now it is 'coco'"):
        run(photos, out, kind="coco", resume=True)


def test_another_machine_must_come_to_the_same_model(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(photos, out)
    (out / "000.json").unlink()
    path = out / ".batch/model.json"
    path.write_text(path.read_text().replace("fp32", "int8"))
    for processes in (1, 2):
        (out / "002.json").unlink(missing_ok=True)
        with pytest.raises(InputError, match="begun with precision 'int8', now it is 'fp32'; ask for the same"):
            run(photos, out, resume=True, processes=processes)


def test_parts_of_pictures_that_are_gone_are_removed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    run(photos, out)
    for i in range(3, 9):
        (photos / f"{i:03d}.png").unlink()
    assert run(photos, out, resume=True).resumed == 2  # the first chunk is as it was
    assert {row["image"] for row in pq.read_table(out).to_pylist()} == {"000.png", "001.png", "002.png"}
    run(photos, tmp_path / "fresh.parquet")
    assert bytes_of(out) == bytes_of(tmp_path / "fresh.parquet")


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize(("kind", "count"), [("json", 1), ("parquet", 1), ("json", 2)])
def test_killed_and_resumed_is_as_never_interrupted(photos: Path, tmp_path: Path, kind: str, count: int) -> None:
    (tmp_path / "deadly").touch()
    command = [sys.executable, str(ROOT / "tests/batches.py"), str(photos), str(tmp_path / "out"), kind, str(count)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    # With its output captured, run() comes back when the last process that holds it has ended: no worker stays behind.
    killed = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "deadly").exists()
    done = len(list((tmp_path / "out/.batch").glob("*.json"))) - 2  # run.json and model.json
    assert done == 3 if count == 1 else done < 5
    summary = run(photos, tmp_path / "out", kind=kind, resume=True)
    assert summary.pictures == 9
    assert summary.resumed in (2 * done, 2 * done - 1)  # the last chunk is one picture
    run(photos, tmp_path / "other", kind=kind)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "other")


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_process_costs_nothing(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "deadly").touch()
    summary = run(photos, tmp_path / "out", processes=2, loader=load_killed)
    assert not (tmp_path / "deadly").exists()
    assert (summary.pictures, summary.errors, summary.resumed) == (9, [], 0)
    run(photos, tmp_path / "other")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "other")


def test_processes_that_die_again_and_again_are_an_error(photos: Path, tmp_path: Path, monkeypatch) -> None:
    def broken(*_: object):
        raise local.BrokenProcessPool
        yield

    monkeypatch.setattr(local, "_pooled", broken)
    with pytest.raises(RuntimeError, match=r"died 3 times before a chunk was done, about .*000\.png"):
        run(photos, tmp_path / "out", processes=2)


def test_wrong_use(photos: Path, tmp_path: Path) -> None:
    for more, message in (
        ({"task": "boxes"}, "takes a file of boxes"),
        ({"prompts": "x.json"}, "takes a file of boxes"),
        ({"task": "nothing"}, "Unknown task 'nothing'"),
        ({"kind": "cutout"}, "can't be written as 'cutout'"),
        ({"config": {"nonsense": 1}}, "no argument 'nonsense'"),
        ({"every": 0}, "1 or more"),
        ({"config": {"points_per_side": 0}}, "points_per_side must be 1 or more"),
    ):
        with pytest.raises(InputError, match=message):
            run(photos, tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"000\.png would be overwritten"):
        run(photos, photos, kind="overlay")
    with pytest.raises(SourceNotFoundError):
        run(tmp_path / "empty*", tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        run(photos, tmp_path / "file")


def test_a_full_disk_ends_the_job(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out/004.json").mkdir(parents=True)  # a name that can't be written
    with pytest.raises(OutputError, match=r"004\.json"):
        run(photos, tmp_path / "out")


def test_the_command(photos: Path, tmp_path: Path, run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobilesam.scale.job.SAM", lambda *a, **k: batches.load_fake(None))
    (photos / "001.png").write_bytes(b"")
    arguments = ("batch", photos, "-o", tmp_path / "out", "--points-per-side", "2", "--processes", "1", "--chunk", "4")
    code, out, err = run_cli(*arguments)
    assert code == 1
    assert out.startswith("9 pictures  ")
    assert f"1 pictures failed: see {tmp_path / 'out/_errors.jsonl'}" in err
    code, out, err = run_cli(*arguments, "--resume")
    assert "resumed: 9 of 9 pictures were done" in err
    code, _, err = run_cli(*arguments)
    assert (code, "earlier run" in err) == (2, True)
