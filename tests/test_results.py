from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilesam import InputError, OutputError, Results
from mobilesam.geometry import Letterbox
from mobilesam.image import to_rgb
from mobilesam.masks import boxes_of, rasterize, rle_decode

HW = (60, 90)
IMAGE = np.random.default_rng(0).integers(0, 255, (*HW, 3), np.uint8)


def blob(x: float, y: float, radius: float) -> np.ndarray:
    """Logits of a disc; the photo's 60 x 90 pixels fill 171 x 256 cells."""
    cells = (np.arange(256) + 0.5) * 90 / 256
    return (radius - np.hypot(cells[None] - x, cells[:, None] - y)).astype(np.float32)


@pytest.fixture
def result() -> Results:
    low_res = np.stack([blob(30, 30, 12), blob(60, 30, 8), blob(45, 20, 5), blob(45, 20, -5)])
    return Results(
        low_res=low_res,
        iou=np.array([0.9, 0.5, 0.7, 0.1], np.float32),
        prompt_index=np.array([0, 0, 1, 1]),
        letterbox=Letterbox(HW),
        image=IMAGE,
        path=Path("photo.jpg"),
        name="photo.jpg",
    )


@pytest.fixture
def empty(result: Results) -> Results:
    return result[:0]


def test_masks_are_the_logits_above_zero(result: Results) -> None:
    for i in range(4):
        np.testing.assert_array_equal(result.masks[i], result.letterbox.upsample(result.low_res[i]) > 0)
        np.testing.assert_array_equal(result.masks[i], result.logits(i) > 0)
    assert (result.masks.shape, result.masks.dtype) == ((4, *HW), bool)
    assert result.areas.tolist() == [int(m.sum()) for m in result.masks]
    assert result.areas[0] == pytest.approx(np.pi * 144, rel=0.03)
    np.testing.assert_allclose(result.boxes[0], [18, 18, 42, 42], atol=1)
    assert result.boxes[3].tolist() == [0, 0, 0, 0]
    assert result.orig_shape == HW


def test_boxes_areas_and_run_lengths_need_no_full_size_array_of_all(result: Results) -> None:
    boxes, areas, rle, polygons = result.boxes, result.areas, result.rle(), result.polygons()
    assert "masks" not in vars(result)
    assert [len(regions) for regions in polygons] == [1, 1, 1, 0]
    np.testing.assert_array_equal(areas, result.masks.sum(axis=(1, 2)))
    np.testing.assert_array_equal(boxes, boxes_of(result.masks))
    np.testing.assert_array_equal(np.stack([rle_decode(one) for one in rle]), result.masks)
    assert [mask.tolist() for mask in result.iter_masks()] == result.masks.tolist()


def test_picking(result: Results) -> None:
    assert len(result) == 4
    assert [len(r) for r in result] == [1] * 4
    np.testing.assert_array_equal(result[1].masks[0], result.masks[1])
    np.testing.assert_array_equal(result[-1].iou, result.iou[3:])
    np.testing.assert_array_equal(result[1:3].masks, result.masks[1:3])
    np.testing.assert_array_equal(result[result.iou > 0.6].prompt_index, [0, 1])
    np.testing.assert_array_equal(result[np.array([2, 0])].iou, result.iou[[2, 0]])
    with pytest.raises(IndexError):
        result[4]


def test_best_takes_one_a_prompt_in_order(result: Results) -> None:
    assert result.best().iou.tolist() == pytest.approx([0.9, 0.7])
    shuffled = result[np.array([3, 1, 2, 0])]
    assert shuffled.best().prompt_index.tolist() == [0, 1]
    assert shuffled.best().iou.tolist() == pytest.approx([0.9, 0.7])


def test_polygons_and_rle_are_the_masks(result: Results) -> None:
    for mask, polygons, rle in zip(result.masks, result.polygons(), result.rle(), strict=True):
        np.testing.assert_array_equal(rasterize(polygons, HW), mask)
        np.testing.assert_array_equal(rle_decode(rle), mask)


def test_json_says_everything(result: Results) -> None:
    document = json.loads(result.to_json(polygons=True))
    assert {k: document[k] for k in ("name", "path", "height", "width")} == {
        "name": "photo.jpg",
        "path": "photo.jpg",
        "height": 60,
        "width": 90,
    }
    for i, record in enumerate(document["masks"]):
        np.testing.assert_array_equal(rle_decode(record["rle"]), result.masks[i])
        assert record["area"] == result.areas[i]
        assert record["box"] == result.boxes[i].tolist()
        assert record["iou"] == pytest.approx(float(result.iou[i]), abs=1e-6)
        assert record["prompt"] == result.prompt_index[i]
    assert document["masks"][0]["polygons"][0]["exterior"] == result.polygons()[0][0].exterior.tolist()
    assert "polygons" not in json.loads(result.to_json())["masks"][0]


def test_cutout_is_clear_outside(result: Results) -> None:
    rgba, one = result.cutout(), result.cutout(1)
    union = result.masks.any(axis=0)
    np.testing.assert_array_equal(rgba[..., 3], union * 255)
    np.testing.assert_array_equal(rgba[union][:, :3], IMAGE[union])
    assert not rgba[~union].any()
    np.testing.assert_array_equal(one[..., 3] > 0, result.masks[1])
    x1, y1, x2, y2 = result.boxes[1].astype(int)
    np.testing.assert_array_equal(result.cutout(1, crop=True), one[y1:y2, x1:x2])


def test_plot_changes_the_masks_and_not_the_photo(result: Results) -> None:
    before = IMAGE.copy()
    picture = result.plot(boxes=True)
    np.testing.assert_array_equal(IMAGE, before)
    assert picture.shape == IMAGE.shape
    assert (picture[30, 30] != IMAGE[30, 30]).any()
    np.testing.assert_array_equal(picture[55, 85], IMAGE[55, 85])


@pytest.mark.parametrize("name", ["o.png", "o.jpg", "o.webp", "o.tif", "o.bmp", "deep/down/o.PNG"])
def test_overlays_in_every_format(result: Results, tmp_path: Path, name: str) -> None:
    saved = result.save(tmp_path / name)
    assert saved == tmp_path / name
    found = to_rgb(saved).astype(int)
    if name.endswith((".png", ".tif", ".bmp")):
        np.testing.assert_array_equal(found, result.plot())
    assert found.shape == IMAGE.shape
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_masks_cutouts_and_json_read_back(result: Results, tmp_path: Path) -> None:
    with Image.open(result.save(tmp_path / "m.png", kind="mask")) as mask:
        np.testing.assert_array_equal(np.asarray(mask), result.masks.any(axis=0) * 255)
    with Image.open(result.save(tmp_path / "c.png", kind="cutout")) as cutout:
        np.testing.assert_array_equal(np.asarray(cutout), result.cutout())
    assert json.loads(result.save(tmp_path / "r.json").read_text()) == json.loads(result.to_json())


def test_kinds_and_suffixes_that_dont_fit(result: Results, tmp_path: Path) -> None:
    for name, kind, message in (
        ("o.png", "poster", "Unknown kind"),
        ("o.xyz", None, "choose one of: .png"),
        ("o", None, "choose one of"),
        ("o.jpg", "cutout", "choose one of: .png, .webp"),
        ("o.png", "json", ".json"),
    ):
        with pytest.raises(InputError, match=message):
            result.save(tmp_path / name, kind=kind)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places(result: Results, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.png").mkdir()
    for name in ("file/o.png", "folder.png"):
        with pytest.raises(OutputError, match="Can't write") as caught:
            result.save(tmp_path / name)
        assert isinstance(caught.value, OSError)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.png"]


def test_no_masks_at_all(empty: Results, tmp_path: Path) -> None:
    assert len(empty) == 0
    assert empty.masks.shape == (0, *HW)
    assert (empty.boxes.shape, empty.areas.shape) == ((0, 4), (0,))
    np.testing.assert_array_equal(empty.plot(), IMAGE)
    assert not empty.cutout().any()
    assert json.loads(empty.to_json())["masks"] == []
    assert len(empty.best()) == 0
    assert to_rgb(empty.save(tmp_path / "m.png", kind="mask")).max() == 0


def test_repr_is_short(result: Results) -> None:
    assert repr(result) == "Results(name='photo.jpg', 4 masks of 60x90, iou=[0.90, 0.50, 0.70, 0.10])"
    many = result[np.zeros(20, int)]
    assert repr(many).endswith(", ...])")
