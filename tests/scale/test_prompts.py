from __future__ import annotations

import json
from pathlib import Path

import pytest

from mobilesam import InputError
from mobilesam.scale.entries import Entry
from mobilesam.scale.prompts import matched, read_boxes


def entry(name: str) -> Entry:
    return Entry(name, name, Path("photos") / name, (1, 1))


def write(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_three_forms_say_the_same(tmp_path: Path) -> None:
    lines = '{"image": "a.jpg", "boxes": [[1, 2, 4, 6]]}\n\n{"image": "b.jpg", "boxes": [[0, 0, 1, 1], [2, 2, 3, 4]]}\n'
    xywh = [[1, 2, 3, 4], [0, 0, 1, 1], [2, 2, 1, 2]]
    detections = [{"image_id": i, "bbox": box, "score": 1} for i, box in zip((7, 8, 8), xywh, strict=True)]
    annotations = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "annotations": detections,
    }
    wanted = {"a.jpg": [(1, 2, 4, 6)], "b.jpg": [(0, 0, 1, 1), (2, 2, 3, 4)]}
    assert read_boxes(write(tmp_path / "l", lines)) == wanted
    assert read_boxes(write(tmp_path / "a", annotations)) == wanted
    assert read_boxes(write(tmp_path / "d", detections)) == {"7": wanted["a.jpg"], "8": wanted["b.jpg"]}
    assert read_boxes(write(tmp_path / "one", lines.splitlines()[0])) == {"a.jpg": [(1, 2, 4, 6)]}


@pytest.mark.parametrize(
    "document",
    [
        "no JSON",
        {"image": "a.jpg"},
        [{"image_id": 1}],
        {"images": [], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]},
        [{"image_id": 1, "bbox": [1, 2, 3]}],
        [{"image_id": 1, "bbox": ["x", 2, 3, 4]}],
        [3],
    ],
)
def test_other_files_are_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(InputError, match=r"boxes in .* can't be read .* Give COCO"):
        read_boxes(write(tmp_path / "b.json", document))


def test_names_numbers_and_stems(tmp_path: Path) -> None:
    entries = [entry("000000000139.jpg"), entry("s/x/1.png"), entry("cat.jpg"), entry("dog.jpg")]
    box = (0.0, 0.0, 1.0, 1.0)
    pairs, without = matched(
        {"cat": [box], "139": [box], "1.png": [box], "photos/cat.jpg": [box], "cow": [box]}, entries
    )
    assert [(found.name, len(boxes)) for found, boxes in pairs] == [
        ("000000000139.jpg", 1),
        ("s/x/1.png", 1),
        ("cat.jpg", 2),
    ]
    assert without == ["cow"]


def test_a_name_that_means_two_pictures_is_refused() -> None:
    entries = [entry("a/1.png"), entry("b/1.png")]
    with pytest.raises(InputError, match=r"'1.png' of the boxes means 2 pictures \(a/1.png, b/1.png\)"):
        matched({"1.png": [(0, 0, 1, 1)]}, entries)
    assert matched({"b/1.png": [(0, 0, 1, 1)]}, entries)[0][0][0].name == "b/1.png"
