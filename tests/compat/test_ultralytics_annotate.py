"""Labels from a detector's boxes."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import mobilesam
from mobilesam import InputError, OutputError, PromptError, SourceNotFoundError
from mobilesam.compat.ultralytics import auto_annotate
from mobilesam.compat.ultralytics.detections import detector_of, read
from mobilesam.testing import FakeBackend

BOXES = [[10, 5, 30, 25], [32, 8, 56, 32], [4, 26, 20, 38]]
CLASSES = [7, 2, 5]


@pytest.fixture
def sam() -> mobilesam.SAM:
    return mobilesam.SAM.from_backend(FakeBackend())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos of 60 x 40 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        Image.new("RGB", (60, 40), (9, 9, 9)).save(folder / name)
    return folder


def rows(file: Path) -> list[tuple[int, list[int]]]:
    """Class and box in pixels of each line."""
    found = []
    for line in file.read_text().splitlines():
        number, *outline = line.split()
        points = np.array(outline, float).reshape(-1, 2) * (60, 40)
        found.append((int(number), np.round([*points.min(axis=0), *points.max(axis=0)]).astype(int).tolist()))
    return found


WANTED = list(zip(CLASSES, BOXES, strict=True))


def test_a_line_a_box_with_its_class(sam: mobilesam.SAM, photos: Path) -> None:
    asked = []

    def detector(path: str) -> Any:
        asked.append(Path(path).name)
        return (BOXES, CLASSES) if path.endswith("a.png") else np.zeros((0, 4))

    folder = auto_annotate(photos, sam_model=sam, detector=detector)
    assert folder == photos.parent / "photos_auto_annotate_labels"
    assert asked == ["a.png", "b.jpg"]
    assert [p.name for p in folder.iterdir()] == ["a.txt"]
    assert rows(folder / "a.txt") == WANTED


def test_an_empty_mask_shifts_no_class(photos: Path) -> None:
    """Where a mask is dropped, Ultralytics gives the next one its class."""
    backend = FakeBackend()
    real = backend.decode

    def decode(*arguments: Any) -> Any:
        logits, scores = real(*arguments)
        logits[0] = -1
        return logits, scores

    backend.decode = decode  # type: ignore[method-assign]
    sam = mobilesam.SAM.from_backend(backend)
    folder = auto_annotate(photos / "a.png", sam_model=sam, detector=lambda _: (BOXES, CLASSES))
    assert rows(folder / "a.txt") == WANTED[1:]


def test_low_scores_classes_and_too_many_boxes(sam: mobilesam.SAM, photos: Path) -> None:
    def annotate(**options: Any) -> list[tuple[int, list[int]]]:
        folder = auto_annotate(
            photos / "a.png", sam_model=sam, detector=lambda _: (BOXES, CLASSES, [0.9, 0.1, 0.5]), **options
        )
        return rows(folder / "a.txt")

    assert annotate() == [WANTED[0], WANTED[2]]
    assert annotate(conf=0) == WANTED
    assert annotate(conf=0, classes=[2, 5]) == WANTED[1:]
    assert annotate(conf=0, max_det=2) == [WANTED[0], WANTED[2]]


def test_the_output_folder(sam: mobilesam.SAM, photos: Path, tmp_path: Path) -> None:
    folder = auto_annotate(
        str(photos), sam_model=sam, output_dir=tmp_path / "new/out", detector=lambda _: (BOXES, CLASSES)
    )
    assert sorted(p.name for p in (tmp_path / "new/out").iterdir()) == ["a.txt", "b.txt"]
    assert folder == tmp_path / "new/out"


def test_an_interrupted_run_leaves_whole_files(
    sam: mobilesam.SAM, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detector(path: str) -> Any:
        if path.endswith("b.jpg"):
            raise KeyboardInterrupt
        return BOXES, CLASSES

    with pytest.raises(KeyboardInterrupt):
        auto_annotate(photos, sam_model=sam, detector=detector)
    folder = photos.parent / "photos_auto_annotate_labels"
    assert [p.name for p in folder.iterdir()] == ["a.txt"]
    before = (folder / "a.txt").read_text()

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OutputError, match="disk full"):
        auto_annotate(photos, sam_model=sam, detector=lambda _: (BOXES[:1], CLASSES[:1]))
    assert [p.name for p in folder.iterdir()] == ["a.txt"]
    assert (folder / "a.txt").read_text() == before


def test_a_detector_is_needed(sam: mobilesam.SAM, photos: Path) -> None:
    with pytest.raises(InputError, match=r"det_model='yolo11n.pt' is of no use: pass detector="):
        auto_annotate(photos, "yolo11n.pt", sam)
    with pytest.raises(InputError, match="of no use"):
        auto_annotate(photos, "yolo11n.pt", sam, detector=lambda _: BOXES)
    with pytest.raises(InputError, match="got int"):
        auto_annotate(photos, sam_model=sam, detector=3)


def test_a_box_outside_names_its_photo(sam: mobilesam.SAM, photos: Path) -> None:
    with pytest.raises(PromptError, match=r"^a\.png: Box"):
        auto_annotate(photos, sam_model=sam, detector=lambda _: [[100, 100, 200, 200]])


Supervision = namedtuple("Supervision", "xyxy class_id confidence")
ULTRALYTICS = SimpleNamespace(
    boxes=SimpleNamespace(
        xyxy=torch.tensor(BOXES, dtype=torch.float32),
        cls=torch.tensor(CLASSES, dtype=torch.float32),
        conf=torch.tensor([0.5, 0.6, 0.7]),
    )
)


@pytest.mark.parametrize(
    ("answer", "classes", "conf"),
    [
        (BOXES, [0, 0, 0], [1, 1, 1]),
        (np.array(BOXES), [0, 0, 0], [1, 1, 1]),
        (torch.tensor(BOXES), [0, 0, 0], [1, 1, 1]),
        ((BOXES, CLASSES), CLASSES, [1, 1, 1]),
        ((np.array(BOXES), np.array(CLASSES), np.array([0.5, 0.6, 0.7])), CLASSES, [0.5, 0.6, 0.7]),
        (ULTRALYTICS, CLASSES, [0.5, 0.6, 0.7]),
        ([ULTRALYTICS], CLASSES, [0.5, 0.6, 0.7]),
        (Supervision(np.array(BOXES), np.array(CLASSES), np.array([0.5, 0.6, 0.7])), CLASSES, [0.5, 0.6, 0.7]),
        (Supervision(np.array(BOXES), None, None), [0, 0, 0], [1, 1, 1]),
    ],
)
def test_every_form_of_answer(answer: Any, classes: list[int], conf: list[float]) -> None:
    found = read(answer)
    assert found.boxes.tolist() == BOXES
    assert found.classes.tolist() == classes
    np.testing.assert_allclose(found.conf, conf)


def test_answers_without_boxes() -> None:
    for answer in ([], np.zeros((0, 4)), SimpleNamespace(boxes=None), ([], [])):
        assert len(read(answer).boxes) == 0


def test_answers_that_are_none() -> None:
    for answer in (None, [[1, 2, 3]], (BOXES, [1]), "boxes", [["a", 1, 2, 3]]):
        with pytest.raises(InputError):
            read(answer)


def boxes_of(detector: Any, name: str = "a.png") -> list[tuple[int, list[float]]]:
    found = detector_of(detector)(Path(name), (40, 60))
    return [(int(c), [round(v, 3) for v in box]) for c, box in zip(found.classes, found.boxes.tolist(), strict=True)]


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_of_rows(tmp_path: Path) -> None:
    file = write(
        tmp_path / "d.json", {"a.png": [[*BOXES[0], 7, 0.5], [*BOXES[1], 2, 0.1]], "b": [[*BOXES[2], 5]], "c": []}
    )
    assert boxes_of(file) == WANTED[:2]
    assert boxes_of(str(file), "b.jpg") == WANTED[2:]
    assert boxes_of(file, "c.jpg") == boxes_of(file, "d.jpg") == []
    np.testing.assert_allclose(detector_of(file)(Path("a.png"), (40, 60)).conf, [0.5, 0.1])


XYWH = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in BOXES]


def test_coco_instances(tmp_path: Path) -> None:
    """Category ids begin at 1 and have gaps, YOLO's classes don't."""
    categories = [{"id": i} for i in (90, 1, 3)]
    annotations = [
        {"image_id": 17, "bbox": box, "category_id": category} for box, category in zip(XYWH, (90, 1, 3), strict=True)
    ]
    images = [{"id": 17, "file_name": "train/a.png"}]
    file = write(tmp_path / "d.json", {"images": images, "annotations": annotations, "categories": categories})
    assert boxes_of(file) == list(zip((2, 0, 1), BOXES, strict=True))


def test_coco_detections(tmp_path: Path) -> None:
    content = [{"image_id": 139, "bbox": box, "category_id": 7, "score": 0.5} for box in XYWH]
    file = write(tmp_path / "d.json", content)
    assert boxes_of(file, "000000000139.jpg") == [(7, box) for box in BOXES]


def test_a_folder_of_yolo_boxes(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "7 0.333333 0.375 0.333333 0.5\n2 0.733333 0.5 0.4 0.6\n")
    write(tmp_path / "c.txt", "2 0.5 0.5 1 1 0.25\n")
    write(tmp_path / "empty.txt", "\n")
    assert boxes_of(tmp_path) == WANTED[:2]
    assert detector_of(tmp_path)(Path("c.png"), (40, 60)).conf.tolist() == [0.25]
    assert boxes_of(tmp_path, "no.png") == boxes_of(tmp_path, "empty.png") == []
    for text in ("7 0.1 0.1", "7 a b c d", "1 2 3 4 5\n1 2\n"):
        write(tmp_path / "a.txt", text)
        with pytest.raises(InputError, match=r"a\.txt"):
            boxes_of(tmp_path)


def test_files_that_are_no_detections(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="No detections"):
        detector_of(tmp_path / "no.json")
    for content in ("no json", "3", [{"image_id": 1}], {"a.png": [[1, 2, 3]]}, {"images": [], "annotations": [{}]}):
        with pytest.raises(InputError):
            detector_of(write(tmp_path / "d.json", content))


def test_a_file_about_other_photos(sam: mobilesam.SAM, photos: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "d.json", {"other.png": [[*BOXES[0], 7]]})
    with pytest.raises(InputError, match="file names fit"):
        auto_annotate(photos, sam_model=sam, detector=file)
    folder = auto_annotate(photos, sam_model=sam, detector=lambda _: [])
    assert not folder.exists()
