"""Layouts: what is recognised, what the pixels mean, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobilesam.errors import ImageError, InputError, SourceNotFoundError
from mobilesam.evaluate import LAYOUTS, datasets
from mobilesam.evaluate.datasets import Values
from mobilesam.evaluate.datasets.davis345 import STARTS, video_of
from mobilesam.masks import rle_encode

SHAPES = Path(__file__).parent / "data/shapes"


def picture(path: Path, values: Any = 200, hw: tuple[int, int] = (30, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full((*hw, 3), values, np.uint8) if np.isscalar(values) else np.asarray(values)
    Image.fromarray(array).save(path)
    return path


def square(value: int = 255, hw: tuple[int, int] = (30, 40), dtype: type = np.uint8) -> np.ndarray:
    mask = np.zeros(hw, dtype)
    mask[5:15, 10:20] = value
    return mask


def coco_set(root: Path, **changes: Any) -> Path:
    """One photo with a polygon, a compressed and a plain run length, one a crowd."""
    for name in ("a.png", "b.png"):
        picture(root / "images" / name)
    plain = {"size": [30, 40], "counts": [305, 10, 885]}
    annotations = [
        {"id": 7, "image_id": 1, "category_id": 3, "bbox": [10, 5, 10, 10], "area": 90.5, "iscrowd": 0,
         "segmentation": [[10, 5, 20, 5, 20, 15, 10, 15]]},
        {"id": 8, "image_id": 1, "category_id": 3, "segmentation": rle_encode(square() > 0)},
        {"id": 9, "image_id": 2, "category_id": 3, "iscrowd": 1, "segmentation": plain},
    ]  # fmt: skip
    images = [{"id": i, "file_name": name, "height": 30, "width": 40} for i, name in ((1, "a.png"), (2, "b.png"))]
    data = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "cup"}], **changes}
    path = root / "instances.json"
    path.write_text(json.dumps(data))
    return path


def test_pairs_take_128_for_unsure_and_all_else_for_object() -> None:
    found = datasets.load(SHAPES)
    assert (found.name, found.layout, [p.key for p in found.photos]) == ("shapes", "pairs", ["block", "disc"])
    (block,), (disc,) = (photo.read() for photo in found.photos)
    assert block.box.tolist() == [40, 25, 110, 75]
    assert block.area == 70 * 50
    assert block.ignore is None
    assert disc.ignore is not None
    assert not (disc.ignore & disc.mask).any()
    (whole,) = datasets.load(SHAPES, values=Values(ignore=-1)).photos[1].read()
    assert whole.ignore is None
    assert whole.area == disc.area + disc.ignore.sum()


def test_background_may_be_another_value(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    picture(tmp_path / "masks/a.png", 255 - square())
    (found,) = datasets.load(tmp_path, "pairs", Values(background=255)).photos[0].read()
    assert found.box.tolist() == [10, 5, 20, 15]


@pytest.mark.parametrize(
    ("folder", "layout"), [("GrabCut", "grabcut"), ("berkeley", "berkeley"), ("DAVIS", "davis345")]
)
def test_the_interactive_sets_are_recognised(tmp_path: Path, folder: str, layout: str) -> None:
    images, masks = {"davis345": ("img", "gt"), "grabcut": ("data_GT", "boundary_GT")}.get(layout, ("images", "masks"))
    for stem in ("000", "010"):
        picture(tmp_path / folder / images / f"{stem}.jpg")
        picture(tmp_path / folder / masks / f"{stem}.png", square())
    if layout == "berkeley":
        picture(tmp_path / folder / masks / "010#2.png", square())
    found = datasets.load(tmp_path / folder)
    assert found.layout == layout
    groups = [photo.group for photo in found.photos]
    assert (
        groups
        == {
            "davis345": ["video00", "video01"],
            "berkeley": ["000", "010", "010"],
            "grabcut": ["000", "010"],
        }[layout]
    )


def test_davis_has_fifty_videos_in_order() -> None:
    assert len(STARTS) == 50
    assert list(STARTS) == sorted(set(STARTS))
    assert len({video_of(f"{i:03d}") for i in range(345)}) == 50


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_maps(tmp_path: Path, dtype: type) -> None:
    labels = square(3, dtype=dtype)
    labels[20:25, 30:35], labels[0, 0] = 2, 255
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "masks/a.png", labels)
    found = datasets.load(tmp_path)
    assert found.layout == "labels"
    instances = {instance.key: instance for instance in found.photos[0].read()}
    assert list(instances) == (["2", "3"] if dtype == np.uint8 else ["2", "3", "255"])  # 16 bits have no void
    assert instances["3"].box.tolist() == [10, 5, 20, 15]
    assert (instances["3"].ignore is not None) == (dtype == np.uint8)


def test_several_annotators_are_layers_of_one_photo(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    for k in (1, 2):
        picture(tmp_path / f"masks/a_{k}.png", square(2) + np.uint8(k))
    (photo,) = datasets.load(tmp_path).photos
    found = photo.read()
    assert {instance.layer for instance in found} == {"a_1", "a_2"}
    assert len({instance.key for instance in found}) == 4


def test_nuclei_in_kaggles_folders(tmp_path: Path) -> None:
    picture(tmp_path / "x1/images/x1.png")
    picture(tmp_path / "x1/masks/m0.png", square())
    picture(tmp_path / "x1/masks/m1.png", np.roll(square(), 15, axis=1))
    found = datasets.load(tmp_path)
    assert found.layout == "dsb2018"
    assert [i.box.tolist() for i in found.photos[0].read()] == [[10, 5, 20, 15], [25, 5, 35, 15]]


def test_coco_json_beside_and_by_its_own_path(tmp_path: Path) -> None:
    path = coco_set(tmp_path)
    for root in (tmp_path, path):
        found = datasets.load(root)
        assert (found.layout, [p.key for p in found.photos]) == ("coco", ["1", "2"])
        polygon, compressed = found.photos[0].read()
        (crowd,) = found.photos[1].read()
        assert polygon.area == 90.5
        assert polygon.category == 3
        np.testing.assert_array_equal(polygon.mask, square() > 0)
        np.testing.assert_array_equal(compressed.mask, square() > 0)
        assert compressed.area == 100
        assert crowd.crowd
        assert crowd.mask.sum() == 10
        assert crowd.mask[5:15, 10].all()


def test_lvis_json_finds_photos_by_their_address(tmp_path: Path) -> None:
    picture(tmp_path / "val2017/a.png")
    image = {
        "id": 1,
        "coco_url": "http://x/val2017/a.png",
        "height": 30,
        "width": 40,
        "neg_category_ids": [],
        "not_exhaustive_category_ids": [],
    }
    path = coco_set(tmp_path / "annotations", images=[image]).rename(tmp_path / "lvis_v1_val.json")
    (photo,) = datasets.load(path, "lvis", Values(images=tmp_path)).photos
    assert photo.picture.load().shape == (30, 40, 3)
    assert datasets.load(path, values=Values(images=tmp_path)).layout == "lvis"


def test_sa1b(tmp_path: Path) -> None:
    picture(tmp_path / "sa_1.jpg")
    record = {
        "image": {"height": 30, "width": 40},
        "annotations": [{"id": 5, "segmentation": rle_encode(square() > 0)}],
    }
    (tmp_path / "sa_1.json").write_text(json.dumps(record))
    found = datasets.load(tmp_path)
    assert found.layout == "sa1b"
    (instance,) = found.photos[0].read()
    assert (instance.key, instance.box.tolist()) == ("5", [10, 5, 20, 15])


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="No data set at"):
        datasets.load(tmp_path / "none")
    with pytest.raises(InputError, match="none of the layouts"):
        datasets.load(tmp_path)
    with pytest.raises(InputError, match=f"choose one of: {', '.join(LAYOUTS)}"):
        datasets.load(tmp_path, "voc")
    with pytest.raises(InputError, match="no folders images/ and masks/"):
        datasets.load(tmp_path, "pairs")


def test_masks_without_photos_and_masks_in_colour(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "masks/a.png", np.dstack([square(), square() // 2, square()]))
    with pytest.raises(ImageError, match="has colours"):
        datasets.load(tmp_path, "pairs").photos[0].read()
    picture(tmp_path / "masks/b.png", square())
    with pytest.raises(InputError, match="1 masks without a photo.*b.png"):
        datasets.load(tmp_path, "pairs")
    (tmp_path / "masks/b.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="b.png can't be read"):
        datasets.labels.read_mask(tmp_path / "masks/b.png")


def test_json_that_is_none_or_misses_its_photos(tmp_path: Path) -> None:
    path = coco_set(tmp_path)
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    with pytest.raises(SourceNotFoundError, match="lists 2 photos and none is there.*pass --images"):
        datasets.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="can't be read as JSON"):
        datasets.load(path)
    path.write_text("[1]")
    with pytest.raises(InputError, match="holds list"):
        datasets.load(path)
    coco_set(tmp_path, images=[{"id": 1, "height": 3}])
    with pytest.raises(InputError, match="isn't COCO's instance JSON: KeyError.'file_name'"):
        datasets.load(path)
    coco_set(tmp_path, annotations=[{"id": 4, "image_id": 1, "segmentation": 5}])
    with pytest.raises(InputError, match="annotation 4 has no usable segmentation"):
        datasets.load(path).photos[0].read()
    coco_set(tmp_path, annotations=[])
    with pytest.raises(InputError, match="no photo with masks"):
        datasets.load(path)
