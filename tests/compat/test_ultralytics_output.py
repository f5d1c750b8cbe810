"""Files of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mobilesam
from mobilesam import OutputError
from mobilesam.compat.ultralytics import SAM
from mobilesam.testing import FakeBackend
from videos import write_video

PHOTO = np.full((40, 60, 3), 90, np.uint8)
CLICK = {"points": [30, 20]}


@pytest.fixture
def sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SAM:
    """A quick model in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return SAM(mobilesam.SAM.from_backend(FakeBackend()))


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_nothing_is_written_unasked(sam: SAM) -> None:
    assert sam(PHOTO, **CLICK)[0].save_dir is None
    assert list(Path().iterdir()) == []


def test_each_run_has_its_folder(sam: SAM) -> None:
    runs = [sam(PHOTO, save=True, **CLICK)[0].save_dir for _ in range(3)]
    assert runs == ["runs/segment/predict", "runs/segment/predict2", "runs/segment/predict3"]
    assert files() == [f"{run}/image0.jpg" for run in runs]


def test_own_names_and_used_folders(sam: SAM) -> None:
    for _ in range(2):
        sam(PHOTO, save=True, project="out", name="cups", exist_ok=True, **CLICK)
    assert files() == ["out/cups/image0.jpg"]
    Path("file").touch()
    for name, exist_ok in (("file", True), ("file/below", False)):
        with pytest.raises(OutputError):
            sam(PHOTO, save=True, project=".", name=name, exist_ok=exist_ok, **CLICK)


def test_pictures_labels_and_crops(sam: SAM) -> None:
    Image.fromarray(PHOTO).save("cup.png")
    (result,) = sam("cup.png", save=True, save_txt=True, save_conf=True, save_crop=True, bboxes=[10, 5, 50, 35])
    run = "runs/segment/predict"
    assert files() == ["cup.png", f"{run}/crops/0/cup.png", f"{run}/cup.png", f"{run}/labels/cup.txt"]
    with Image.open(f"{run}/cup.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[..., ::-1], result.plot())
    with Image.open(f"{run}/crops/0/cup.png") as image:
        assert image.size == (40, 30)
    assert Path(f"{run}/labels/cup.txt").read_text().split()[0] == "0"
    assert Path(f"{run}/labels/cup.txt").read_text().split()[-1] == "0.750000"


def test_what_is_drawn(sam: SAM) -> None:
    Image.new("RGB", (200, 100), (9, 9, 9)).save("cup.png")
    wishes = {
        "boxes": {"show_boxes": False},
        "labels": {"show_labels": False},
        "conf": {"show_conf": False},
        "line_width": {"line_width": 5},
    }
    pictures = []
    for name, wish in wishes.items():
        (result,) = sam("cup.png", save=True, bboxes=[20, 40, 120, 90], **wish)
        with Image.open(f"{result.save_dir}/cup.png") as image:
            pictures.append(np.asarray(image)[..., ::-1])
        np.testing.assert_array_equal(pictures[-1], result.plot(**{name: next(iter(wish.values()))}))
    assert len({picture.tobytes() for picture in (*pictures, result.plot())}) == 5


def test_photos_of_one_name_do_not_overwrite_each_other(sam: SAM) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Image.fromarray(PHOTO).save(f"{folder}/cup.gif")
    sam(["a/cup.gif", "b/cup.gif"], save=True, save_txt=True, **CLICK)
    run = "runs/segment/predict"
    assert files()[2:] == [f"{run}/cup-2.jpg", f"{run}/cup.jpg", f"{run}/labels/cup-2.txt", f"{run}/labels/cup.txt"]


def test_a_video_gives_a_picture_a_frame(sam: SAM) -> None:
    write_video(Path("walk.avi"), 2)
    sam("walk.avi", save=True, stream=False, **CLICK)
    assert files()[:2] == [f"runs/segment/predict/walk_00000{i}.jpg" for i in (1, 2)]


def test_verbose_prints_a_line_a_photo(sam: SAM, capsys: pytest.CaptureFixture[str]) -> None:
    sam(PHOTO, **CLICK)
    assert capsys.readouterr().out == ""
    sam(PHOTO, verbose=True, **CLICK)
    line = capsys.readouterr().out
    assert line.startswith("image0.jpg: 40x60 1 mask, ")
    assert line.endswith("ms\n")


def test_show(sam: SAM, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("PIL.ImageShow.show", lambda image: bool(shown.append(image.size)) or True)
    sam(PHOTO, show=True, **CLICK)
    assert shown == [(60, 40)]
