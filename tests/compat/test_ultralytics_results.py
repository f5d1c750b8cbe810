"""What comes back, by values worked out by hand on a photo of 4 x 8 pixels with two masks."""

from __future__ import annotations

import csv
import io
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilesam import InputError, MissingDependencyError, OutputError
from mobilesam.compat.ultralytics import Boxes, Masks, Results
from mobilesam.compat.ultralytics.tensors import Array, tensor_of
from mobilesam.masks import Polygon, rasterize

PHOTO = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
MASKS = np.zeros((2, 4, 8), bool)
MASKS[0, 1:3, 2:6] = True
MASKS[1, 0, 0] = True
ROWS = np.array([[2, 1, 5, 2, 0.9, 0], [0, 0, 0, 0, 0.25, 3]], np.float32)


@pytest.fixture(params=["torch", "arrays"])
def result(request: pytest.FixtureRequest) -> Results:
    """With tensors, and with what stands for them where there is no torch."""
    make = tensor_of if request.param == "torch" else lambda array: array.view(Array)
    return Results(PHOTO, "photos/cup.jpg", {0: "0", 3: "3"}, make(ROWS), make(MASKS), {"inference": 1.0})


@pytest.fixture
def nothing() -> Results:
    return Results(PHOTO, "photos/cup.jpg", {0: "0"}, torch.zeros(0, 6), None)


def test_boxes(result: Results) -> None:
    boxes = result.boxes
    assert isinstance(boxes, Boxes)
    assert boxes.xyxy.tolist() == [[2, 1, 5, 2], [0, 0, 0, 0]]
    assert boxes.xywh.tolist() == [[3.5, 1.5, 3, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(boxes.xyxyn, [[0.25, 0.25, 0.625, 0.5], [0, 0, 0, 0]])
    np.testing.assert_allclose(boxes.xywhn, [[3.5 / 8, 1.5 / 4, 3 / 8, 1 / 4], [0, 0, 0, 0]])
    assert boxes.conf.tolist() == pytest.approx([0.9, 0.25])
    assert boxes.cls.tolist() == [0, 3]
    assert (boxes.id, boxes.is_track, boxes.shape, len(boxes), boxes.orig_shape) == (None, False, (2, 6), 2, (4, 8))
    assert {type(part) for part in (boxes.xyxy, boxes.xywh, boxes.xyxyn, boxes.xywhn)} == {type(boxes.data)}


def test_masks(result: Results) -> None:
    masks = result.masks
    assert isinstance(masks, Masks)
    assert masks.data.tolist() == MASKS.tolist()
    assert (masks.shape, masks.orig_shape, len(masks)) == ((2, 4, 8), (4, 8), 2)
    assert masks.xy[0].tolist() == [[2, 1], [2, 3], [6, 3], [6, 1]]
    assert masks.xy[0].dtype == np.float32
    np.testing.assert_allclose(masks.xyn[1], [[0, 0], [0, 0.25], [0.125, 0.25], [0.125, 0]])


def test_outlines_keep_regions_and_holes() -> None:
    """Ultralytics' contours fill holes."""
    mask = np.zeros((12, 20), bool)
    mask[1:9, 1:9] = True
    mask[3:6, 3:6] = False
    mask[4:8, 12:18] = True
    empty = np.zeros_like(mask)
    one, none = Masks(np.stack([mask, empty]), (12, 20)).xy
    np.testing.assert_array_equal(rasterize([Polygon(one)], (12, 20)), mask)
    assert none.shape == (0, 2)


def test_indexing_keeps_the_axes(result: Results) -> None:
    second = result[1]
    assert second.boxes.data.tolist() == [ROWS[1].tolist()]
    assert second.masks.data.tolist() == MASKS[1:].tolist()
    assert (second.path, second.names, second.speed) == (result.path, result.names, result.speed)
    assert result[-1].boxes.cls.tolist() == [3]
    assert result[:1].boxes.cls.tolist() == [0]
    assert result[result.boxes.conf > 0.5].boxes.cls.tolist() == [0]
    assert [len(r) for r in result] == [1, 1]
    assert [box.xyxy[0].tolist() for box in result.boxes] == [[2, 1, 5, 2], [0, 0, 0, 0]]
    assert [m.data.shape for m in result.masks] == [(1, 4, 8), (1, 4, 8)]
    with pytest.raises(IndexError):
        result[2]
    assert "Boxes(2 of 4x8)" in repr(result.boxes)
    assert "2 masks" in repr(result)


def test_moving(result: Results) -> None:
    for moved in (result.cpu(), result.numpy(), result.to("cpu"), result.numpy().cpu(), result.numpy().to("cpu")):
        np.testing.assert_array_equal(moved.masks.data, MASKS)
        np.testing.assert_array_equal(moved.boxes.data, ROWS)
    assert type(result.numpy().boxes.data) is np.ndarray
    assert type(result.numpy().boxes.xywhn) is np.ndarray
    if not torch.cuda.is_available():
        with pytest.raises((MissingDependencyError, RuntimeError, AssertionError)):
            result.cuda()


def test_moving_to_another_type() -> None:
    result = Results(PHOTO, "a.jpg", {0: "0", 3: "3"}, torch.from_numpy(ROWS), torch.from_numpy(MASKS))
    assert result.to(torch.float64).boxes.data.dtype == torch.float64


def test_what_has_no_mask(nothing: Results, tmp_path: Path) -> None:
    assert (len(nothing), nothing.masks, nothing.boxes.shape) == (0, None, (0, 6))
    assert nothing.boxes.xywh.shape == (0, 4)
    assert nothing.summary() == []
    assert json.loads(nothing.to_json()) == []
    assert nothing.cpu().masks is None
    np.testing.assert_array_equal(nothing.plot(), PHOTO)
    assert nothing.verbose() == "(no masks), "
    nothing.save_txt(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == ""
    nothing.save_crop(tmp_path / "crops")
    assert not (tmp_path / "crops").exists()


def test_what_sam_does_not_give(result: Results) -> None:
    assert result.obb is result.probs is result.keypoints is None


def test_summary(result: Results) -> None:
    first, second = result.summary()
    assert first == {
        "name": "0",
        "class": 0,
        "confidence": 0.9,
        "box": {"x1": 2.0, "y1": 1.0, "x2": 5.0, "y2": 2.0},
        "segments": {"x": [2.0, 2.0, 6.0, 6.0], "y": [1.0, 3.0, 3.0, 1.0]},
    }
    assert (second["name"], second["class"], second["confidence"]) == ("3", 3, 0.25)
    shares = result.summary(normalize=True, decimals=2)[0]
    assert shares["box"] == {"x1": 0.25, "y1": 0.25, "x2": 0.62, "y2": 0.5}
    assert shares["segments"]["x"] == [0.25, 0.25, 0.75, 0.75]
    assert json.loads(result.to_json()) == result.summary()
    without_masks = Results(PHOTO, "a.jpg", {0: "0", 3: "3"}, ROWS)
    assert "segments" not in without_masks.summary()[0]
    assert Results(PHOTO, "a.jpg", {}).summary() == []


def test_csv(result: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [row["class"] for row in rows] == ["0", "3"]
    assert json.loads(rows[0]["box"]) == result.summary()[0]["box"]


def test_data_frames(result: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install polars"):
        result.to_df()
    pandas = types.ModuleType("pandas")
    pandas.DataFrame = lambda rows: ("a frame", rows)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "pandas")
    assert result.to_df(decimals=1) == ("a frame", result.summary(decimals=1))


def large() -> Results:
    """A grey photo with one mask, large enough for lines and letters."""
    masks = np.zeros((1, 100, 200), bool)
    masks[0, 30:80, 50:150] = True
    boxes = np.array([[50, 30, 149, 79, 0.87, 0]], np.float32)
    return Results(np.full((100, 200, 3), (10, 20, 30), np.uint8), "cup.jpg", {0: "0"}, boxes, masks)


def test_plot_is_bgr() -> None:
    result = large()
    drawn = result.plot(boxes=False)
    # Half the photo (BGR 10, 20, 30), half the first colour (RGB 0, 114, 178).
    np.testing.assert_allclose(drawn[50, 100], (94, 67, 15), atol=1)
    assert drawn[5, 5].tolist() == [10, 20, 30]
    assert result.orig_img[50, 100].tolist() == [10, 20, 30]
    assert np.asarray(result.plot(boxes=False, pil=True))[50, 100].tolist() == drawn[50, 100, ::-1].tolist()


def test_plot_takes_parts() -> None:
    result = large()
    np.testing.assert_array_equal(result.plot(boxes=False, masks=False), result.orig_img)
    box = result.plot(masks=False, labels=False)
    assert box[30, 100].tolist() == [178, 114, 0]
    assert box[79, 149].tolist() == [178, 114, 0]
    assert box[82, 152].tolist() == [10, 20, 30]
    assert (result.plot(masks=False, labels=False, line_width=3) != box).any()
    assert result.plot(masks=False, boxes=False, img=np.zeros((100, 200, 3), np.uint8)).max() == 0


def test_plot_colours_by_prompt_or_by_mask() -> None:
    masks = np.zeros((2, 100, 200), bool)
    masks[0, 30:80, 20:80], masks[1, 30:80, 120:180] = True, True
    boxes = np.array([[20, 30, 79, 79, 0.9, 4], [120, 30, 179, 79, 0.9, 4]], np.float32)
    result = Results(np.zeros((100, 200, 3), np.uint8), "cup.jpg", {4: "4"}, boxes, masks)
    same, own = (result.plot(boxes=False, color_mode=mode) for mode in ("class", "instance"))
    assert same[50, 50].tolist() == same[50, 150].tolist()
    assert own[50, 50].tolist() != own[50, 150].tolist()


def test_plot_shows_saves_and_takes_what_it_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("PIL.ImageShow.show", lambda image: bool(shown.append(image.size)) or True)
    drawn = large().plot(show=True, save=True, filename=tmp_path / "a.png", font_size=12, kpt_radius=3)
    assert shown == [(200, 100)]
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[..., ::-1], drawn)
    with pytest.raises(InputError, match="no argument 'colour'"):
        large().plot(colour="red")


def test_plot_writes_labels_above_the_box() -> None:
    result = large()
    bare, name, score = (result.plot(masks=False, **o) for o in ({"labels": False}, {"conf": False}, {}))
    widths = [int((picture[24, :, 0] != 10).sum()) for picture in (bare, name, score)]
    assert widths[0] == 0 < widths[1] < widths[2]


def test_save(result: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert result.save() == "results_cup.jpg"
    assert Path("results_cup.jpg").is_file()
    name = result.save(tmp_path / "new/a.png", boxes=False)
    with Image.open(name) as image:
        np.testing.assert_array_equal(np.asarray(image)[..., ::-1], result.plot(boxes=False))
    with pytest.raises(OutputError):
        result.save(tmp_path / "a.nothing")


def test_save_txt(result: Results, tmp_path: Path) -> None:
    wanted = [
        "0 0.250000 0.250000 0.250000 0.750000 0.750000 0.750000 0.750000 0.250000",
        "3 0.000000 0.000000 0.000000 0.250000 0.125000 0.250000 0.125000 0.000000",
    ]
    path = tmp_path / "labels/a.txt"
    for _ in range(2):  # Ultralytics appends, and a second run doubles every line
        assert result.save_txt(path) == str(path)
        assert path.read_text().splitlines() == wanted
    result.save_txt(path, save_conf=True)
    assert path.read_text().splitlines() == [f"{wanted[0]} 0.900000", f"{wanted[1]} 0.250000"]


def test_empty_masks_have_no_line(tmp_path: Path) -> None:
    masks = MASKS.copy()
    masks[0] = False
    Results(PHOTO, "a.jpg", {0: "0", 3: "3"}, ROWS, masks).save_txt(tmp_path / "a.txt")
    assert [line[0] for line in (tmp_path / "a.txt").read_text().splitlines()] == ["3"]


def test_save_crop(result: Results, tmp_path: Path) -> None:
    result.save_crop(tmp_path, "cup.png")
    with Image.open(tmp_path / "0/cup.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[..., ::-1], PHOTO[1:3, 2:6])
    assert (tmp_path / "3/cup.png").is_file()
    twice = Results(PHOTO, "a.jpg", {0: "0"}, ROWS[[0, 0]] * (1, 1, 1, 1, 1, 0), MASKS[[0, 0]])
    twice.save_crop(tmp_path / "twice")
    assert sorted(p.name for p in (tmp_path / "twice/0").iterdir()) == ["im.jpg", "im2.jpg"]


def test_show(result: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr("PIL.ImageShow.show", lambda image: shown.append(image.size) or len(shown) == 1)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OutputError, match="no display"):
        result.show()
    monkeypatch.setenv("DISPLAY", ":0")
    result.show(boxes=False)
    assert shown == [(8, 4)]
    with pytest.raises(OutputError, match="No program"):
        result.show()


def test_verbose(result: Results) -> None:
    assert (result.verbose(), result[0].verbose()) == ("2 masks, ", "1 mask, ")
