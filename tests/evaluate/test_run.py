"""The run: one embedding a photo, resuming, bad data; figures, files, comparison; the command."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from mobilesam import SAM, InputError, SourceNotFoundError
from mobilesam.evaluate import PROTOCOLS, Report, datasets
from mobilesam.evaluate.cache import EmbeddingCache
from mobilesam.evaluate.protocols import Row
from mobilesam.evaluate.report import honesty_of
from mobilesam.masks import rle_encode
from mobilesam.testing import FakeBackend

SHAPES = ROOT / "tests/evaluate/data/shapes"
HW = (60, 80)


class Counting(FakeBackend):
    """Counts its encodes."""

    def __init__(self, radius: float = 128.0) -> None:
        super().__init__(radius)
        self.encodes = 0

    def encode(self, image_bchw: np.ndarray) -> np.ndarray:
        self.encodes += 1
        return super().encode(image_bchw)


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """A counting backend, with a cache of its own."""
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path / "cache"))
    return Counting()


@pytest.fixture
def sam(backend: Counting) -> SAM:
    return SAM.from_backend(backend)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Four photos with two rectangles each, as COCO's JSON."""
    root = tmp_path / "rectangles"
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, 5):
        pixels = np.full((*HW, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(root / f"images/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "height": HW[0], "width": HW[1]})
        for x1, y1, x2, y2 in ((8, 8, 40, 40), (48, 8, 72, 24 + number)):
            mask = np.zeros(HW, bool)
            mask[y1:y2, x1:x2] = True
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1],
                 "area": int(mask.sum()), "segmentation": rle_encode(mask)}
            )  # fmt: skip
    path = root / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1}]}))
    return path


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def values(report: Report) -> dict[tuple[str, str, str], float]:
    return {(f.protocol, f.score, f.size): f.value for f in report.figures}


def test_boxes_of_rectangles_are_found(sam: SAM, coco: Path) -> None:
    report = sam.val(coco, "box")
    figure = report.figure("box", "iou")
    assert figure.count == 8
    assert 0.97 < figure.low <= figure.value <= figure.high <= 1
    assert report.figure("box", "iou", "S").count == 4
    assert report.figure("box", "iou", "M").count == 4
    with pytest.raises(InputError, match="has no box 'dice' of size all; it has: box iou"):
        report.figure("box", "dice")


SLOW = {"everything", "everything-fast", "proposals", "covering"}
NEED = {"ap", "ap-single", "ap-sam"}


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - SLOW - NEED))
def test_every_protocol_gives_values_from_0_to_1_and_prompts(sam: SAM, coco: Path, name: str) -> None:
    report = sam.val(coco, name, reference=SAM.from_backend(FakeBackend(radius=100)))
    assert len(report.rows[name]) == 8
    assert report.titles[name]
    for row in report.rows[name]:
        assert row.prompt
        assert row.scores
        for score, value in row.scores.items():
            assert 0 <= value <= (20 if score.startswith("NoC") else 1), score


def test_clicks_by_hand(tmp_path: Path, backend: Counting) -> None:
    """The fake gives a disc about each positive click, of the three masks that of 128 model pixels the best score."""
    side = 128
    mask = np.zeros((side, side), np.uint8)
    rows, columns = np.ogrid[:side, :side]
    mask[(rows - 64) ** 2 + (columns - 64) ** 2 <= 16**2] = 255
    mask[(rows - 64) ** 2 + (columns - 110) ** 2 <= 8**2] = 255
    for folder, pixels in (("images", np.zeros((side, side, 3), np.uint8)), ("masks", mask)):
        (tmp_path / "two" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "two" / folder / "a.png")
    (row,) = SAM.from_backend(backend).val(tmp_path / "two", "clicks").rows["clicks"]
    assert row.prompt["clicks"][:2] == [[64, 64, 1], [110, 64, 1]]
    assert row.predicted == pytest.approx(0.9)
    assert row.scores["iou@1"] == pytest.approx(16**2 / (16**2 + 8**2), abs=0.05)
    assert row.scores["NoC@85"] == 20
    assert row.scores["failures@85"] == 1
    assert len(row.extra["ious"]) == 20


def test_ap_of_the_true_boxes_is_one(sam: SAM, coco: Path, tmp_path: Path) -> None:
    annotations = json.loads(coco.read_text())["annotations"]
    boxes = [{"score": 0.9, **{k: a[k] for k in ("image_id", "category_id", "bbox")}} for a in annotations]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(boxes))
    report = sam.val(coco, ["ap", "ap-sam"], boxes=path, output=tmp_path / "out", limit=3)
    for name in ("ap", "ap-sam"):
        assert report.figure(name, "AP50").value == pytest.approx(1)
        assert report.figure(name, "AP").value > 0.9
    stored = json.loads((tmp_path / "out/detections-ap.json").read_text())
    assert len(stored) == 6
    with pytest.raises(InputError, match="pass --boxes FILE"):
        sam.val(coco, "ap")
    with pytest.raises(InputError, match="needs COCO's or LVIS' JSON"):
        sam.val(SHAPES, "ap", boxes=path)
    path.write_text('[{"image_id": 1}]')
    with pytest.raises(InputError, match="isn't COCO results"):
        sam.val(coco, "ap", boxes=path)
    with pytest.raises(SourceNotFoundError, match="of boxes"):
        sam.val(coco, "ap", boxes=tmp_path / "none.json")
    path.write_text(json.dumps([{**boxes[0], "image_id": 99}]))
    with pytest.raises(InputError, match="of another data set"):
        sam.val(coco, "ap", boxes=path)


def test_photos_without_objects_count_for_ap_alone(sam: SAM, backend: Counting, coco: Path, tmp_path: Path) -> None:
    annotations = json.loads(coco.read_text())["annotations"]
    boxes = [
        {"score": 0.1 * a["image_id"], **{k: a[k] for k in ("image_id", "category_id", "bbox")}} for a in annotations
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(boxes))
    edit(coco, lambda data: data.update(annotations=[a for a in annotations if a["image_id"] < 4]))
    assert sam.val(coco, "box").figure("box", "iou").count == 6
    assert backend.encodes == 3
    figure = sam.val(coco, "ap", boxes=path).figure("ap", "AP50")
    assert figure.count == 4
    assert figure.value < 1


def test_absent_categories_matter_only_to_ap(sam: SAM, coco: Path, tmp_path: Path) -> None:
    edit(coco, lambda data: [a.pop("category_id") for a in data["annotations"]] and None)
    assert sam.val(coco, "box").figure("box", "iou").count == 8
    with pytest.raises(InputError, match="without category_id"):
        sam.val(coco, "ap", boxes=tmp_path / "boxes.json")


def test_everything_protocols(sam: SAM, coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mobilesam.evaluate.protocols.covering import Covering
    from mobilesam.evaluate.protocols.everything import Everything
    from mobilesam.evaluate.protocols.proposals import Proposals

    grid = {"points_per_side": 6}
    for name, protocol in (("everything", Everything), ("proposals", Proposals), ("covering", Covering)):
        monkeypatch.setitem(PROTOCOLS, name, lambda _, made=protocol: made(**grid))
    report = sam.val(coco, "everything,proposals,covering", limit=2)
    assert 0.3 < report.figure("everything", "iou").value <= 1
    assert report.figure("proposals", "AR@1000").value >= report.figure("proposals", "AR@10").value
    assert len(report.rows["covering"]) == 2  # one a label map
    assert 0.3 < report.figure("covering", "covering").value <= 1


def test_agreement_with_itself_and_with_a_stored_run(sam: SAM, coco: Path, tmp_path: Path) -> None:
    report = sam.val(coco, "agreement", reference=sam)
    assert report.figure("agreement", "point").value == 1
    sam.val(coco, "agreement", output=tmp_path / "a")
    again = sam.val(coco, "agreement", reference=tmp_path / "a")
    assert again.figure("agreement", "point").value == 1
    other = SAM.from_backend(FakeBackend(radius=90)).val(coco, "agreement", reference=tmp_path / "a")
    assert other.figure("agreement", "point").value < 0.7
    assert [r.prompt for r in other.rows["agreement"]] == [r.prompt for r in again.rows["agreement"]]
    with pytest.raises(InputError, match="of another data set"):
        sam.val(SHAPES, "agreement", reference=tmp_path / "a")
    with pytest.raises(SourceNotFoundError, match="no stored masks"):
        sam.val(coco, "agreement", reference=tmp_path)


def test_a_second_protocol_costs_only_clicks(sam: SAM, backend: Counting, coco: Path) -> None:
    sam.val(coco, "box,center")
    assert backend.encodes == 4
    sam.val(coco, "noise")
    assert backend.encodes == 4


def test_the_cache_keeps_its_budget_and_survives_damage(sam: SAM, backend: Counting, tmp_path: Path) -> None:
    photos = [np.full((20, 30, 3), i, np.uint8) for i in range(3)]
    size = 256 * 64 * 64 * 4 + 128  # NumPy's header

    def embed(cache: EmbeddingCache, i: int) -> np.ndarray:
        return cache.embed(photos[i], name="a", path=None).features_bchw

    folder = tmp_path / "kept"
    first = EmbeddingCache(sam.predictor, folder, most_bytes=2 * size)
    embedded = [embed(first, i) for i in range(3)]
    assert len(list(folder.iterdir())) == 2  # full, and both are this run's
    second = EmbeddingCache(sam.predictor, folder, most_bytes=2 * size)
    np.testing.assert_array_equal(embed(second, 0), embedded[0])
    assert backend.encodes == 3
    embed(second, 2)  # takes the place of the one that this run hasn't used
    assert len(list(folder.iterdir())) == 2
    embed(second, 0)
    assert backend.encodes == 4
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(embed(EmbeddingCache(sam.predictor, folder), 0), embedded[0])
    assert backend.encodes == 5


def test_an_interrupted_run_resumes_and_loses_nothing(
    sam: SAM, backend: Counting, coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        sam.val(coco, "random,clicks", output=out, progress=stop)
    journal = out / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == 1 + 2 * 2
    journal.write_text(journal.read_text()[:-20])  # the last line is cut
    monkeypatch.setenv("MOBILESAM_CACHE", str(tmp_path / "another"))
    resumed = sam.val(coco, "random,clicks", output=out, resume=True)
    assert backend.encodes == 2 + 3 + 1  # the photo of the cut line again, and the first for the contact sheet
    assert values(resumed) == values(sam.val(coco, "random,clicks"))
    assert values(sam.val(coco, "box", output=out, resume=True)) == values(sam.val(coco, "box"))


def test_a_folder_is_resumed_only_for_the_same_run(sam: SAM, coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sam.val(coco, output=out)
    with pytest.raises(InputError, match="has an earlier run; go on with it by --resume"):
        sam.val(coco, output=out)
    with pytest.raises(InputError, match="was run with seed 0, now it is 1"):
        sam.val(coco, output=out, resume=True, seed=1)
    journal = out / "journal.jsonl"
    journal.write_text("{\n" + journal.read_text())
    with pytest.raises(InputError, match="is damaged"):
        sam.val(coco, output=out, resume=True)


def test_missing_photos_wrong_sizes_and_empty_masks_are_noted(sam: SAM, coco: Path) -> None:
    (coco.parent / "images/1.png").unlink()
    Image.fromarray(np.zeros((30, 80, 3), np.uint8)).save(coco.parent / "images/2.png")
    edit(coco, lambda data: data["annotations"][4].update(segmentation=[]))
    report = sam.val(coco, "box")
    assert report.figure("box", "iou").count == 3
    missing, size, empty = report.notes
    assert re.search(r"rectangles/1: No file .*1\.png", missing)
    assert "mask of object '3' is (60, 80), the photo (30, 80)" in size
    assert "1 empty masks left out" in empty
    for number in (2, 3, 4):
        (coco.parent / f"images/{number}.png").write_bytes(b"none")
    with pytest.raises(SourceNotFoundError, match="No file"):
        sam.val(coco, "box")


def test_wrong_arguments(sam: SAM, coco: Path) -> None:
    with pytest.raises(InputError, match="No protocol 'dice'; choose of: box, center"):
        sam.val(coco, "dice")
    with pytest.raises(InputError, match="limit must be 1 or more"):
        sam.val(coco, limit=0)
    with pytest.raises(InputError, match="same name"):
        sam.val([coco, coco])


def test_limits_take_the_same_objects_each_time(sam: SAM, coco: Path) -> None:
    one = sam.val(coco, "random", limit=2, max_objects=1)
    assert [row.photo for row in one.rows["random"]] == ["1", "4"]
    every = {(r.photo, r.object): r.scores for r in sam.val(coco, "random", max_objects=1).rows["random"]}
    assert all(every[row.photo, row.object] == row.scores for row in one.rows["random"])


def test_comparison_pairs_objects(sam: SAM, coco: Path, tmp_path: Path) -> None:
    same = sam.val(coco, "box,center", compare=sam)
    assert {f.value for f in same.differences} == {0.0}
    smaller = SAM.from_backend(FakeBackend(radius=64))
    report = sam.val(coco, "center", compare=smaller, output=tmp_path / "out")
    (found,) = [f for f in report.differences if (f.score, f.size) == ("iou", "all")]
    own, theirs = (s.val(coco, "center").figure("center", "iou").value for s in (sam, smaller))
    assert found.value == pytest.approx(own - theirs)
    assert found.low <= found.value <= found.high
    assert (tmp_path / "out/other/journal.jsonl").is_file()
    assert "Less the other" in (tmp_path / "out/report.html").read_text()


def test_every_file_is_written_and_says_the_same(sam: SAM, coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = sam.val([coco, SHAPES], "clicks,box", output=out)
    saved = json.loads((out / "report.json").read_text())
    assert {(f["data"], f["score"], f["size"]): f["value"] for f in saved["figures"] if f["protocol"] == "box"} == {
        (f.data, f.score, f.size): f.value for f in report.figures if f.protocol == "box"
    }
    with (out / "rows.csv").open() as handle:
        lines = [line for line in csv.DictReader(handle) if line["protocol"] == "box" and line["score"] == "iou"]
    assert len(lines) == 8 + 2
    ours = [float(line["value"]) for line in lines if line["data"] == "shapes"]
    assert np.mean(ours) == pytest.approx(report.figure("box", "iou", data="shapes").value)
    points = json.loads((out / "points.json").read_text())
    assert points["box"]["rectangles/1"]["1"]["box"] == [8, 8, 40, 40]
    assert points["clicks"]["shapes/disc"]["0"]["clicks"][0][2] == 1
    page = (out / "report.html").read_text()
    assert "http" not in page
    assert '<img src="data:image/png;base64,' in page
    assert page.count("<svg") == 2 + 1 + 2  # histograms, click curve, calibration
    with Image.open(out / "worst.png") as sheet:
        assert sheet.size == (5 * 308, 2 * 270)


def test_honesty_by_hand() -> None:
    rows = [Row("a", 1, {"iou": true}, guess, data="d") for true, guess in ((0.5, 0.72), (0.9, 0.96), (0.7, 0.78))]
    found = honesty_of("box", "d", rows)
    assert found is not None
    assert (found.count, found.predicted, found.true) == (3, pytest.approx(0.82), pytest.approx(0.7))
    assert found.mean_error == pytest.approx(0.12)
    assert found.correlation == pytest.approx(np.corrcoef([0.5, 0.9, 0.7], [0.72, 0.96, 0.78])[0, 1])
    assert [count for _, _, count in found.bins] == [2, 1]
    assert honesty_of("box", "other", rows) is None


def test_progress_counts_photos(sam: SAM, coco: Path) -> None:
    seen: list[tuple[int, int]] = []
    sam.val(coco, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_data_sets_can_be_values_too(sam: SAM) -> None:
    assert sam.val(datasets.load(SHAPES)).figure("box", "iou").count == 2


def test_bundled_weights_on_drawn_shapes(default_sam: SAM) -> None:
    report = default_sam.val(SHAPES, "box,clicks")
    assert report.figure("box", "iou").value > 0.93
    assert report.figure("clicks", "NoC@90").value <= 3


def test_the_command(run_cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, _ = run_cli("val", SHAPES, "-p", "box", "-o", out)
    assert code == 0
    assert "shapes, box" in printed
    assert (out / "report.html").is_file()
    code, printed, _ = run_cli("val", SHAPES, "--json", "--compare", "precision=fp32", "--limit", "1")
    assert json.loads(printed)["differences"][0]["value"] == pytest.approx(0, abs=0.05)


def test_the_command_refuses(run_cli: Any, tmp_path: Path) -> None:
    assert run_cli("val", SHAPES, "-p", "dice")[0] == 2
    assert run_cli("val", tmp_path / "none")[0] == 1
    assert run_cli("val", SHAPES, "--resume")[0] == 2
    code, _, error = run_cli("val", SHAPES, "--compare", "speed=1")
    assert code == 2
    assert "NAME one of model, runtime, device, precision" in error


def test_the_command_lists(run_cli: Any) -> None:
    code, printed, _ = run_cli("val", "--list")
    assert code == 0
    assert all(name in printed for name in [*PROTOCOLS, "layouts: lvis, coco"])
