"""The annotation queue: nothing outside its folder, nothing half written, nothing overwritten unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobilesam import files
from mobilesam.errors import PromptError, SourceNotFoundError
from mobilesam.masks import rle_encode
from mobilesam.server.annotations import Work
from mobilesam.server.problems import Problem
from mobilesam.server.queue import SIDECAR, Queue

MASK = np.zeros((4, 6), bool)
MASK[1:3, 2:5] = True


def photo(path: Path) -> Path:
    Image.new("RGB", (6, 4)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    made.mkdir()
    for name in ("b.png", "a.jpg"):
        photo(made / name)
    (made / "notes.txt").write_text("no photo")
    return made


def work(revision: int = 0, *, name: str = "cup", done: bool = False, rle: Any = None) -> Work:
    one = {
        "id": 1,
        "name": name,
        "colour": "#0072b2",
        "hidden": False,
        "points": [[2.5, 1.5, 1]],
        "box": None,
        "base": None,
    }
    one |= {"origin": None, "strokes": [], "answer": {"key": "k", "rle": True, "iou": 0.9}, "iou": 0.9}
    one["rle"] = rle or rle_encode(MASK)
    return Work.model_validate_json(json.dumps({"size": [4, 6], "objects": [one], "done": done, "revision": revision}))


def test_work_is_saved_beside_the_photos_and_read_again(folder: Path) -> None:
    queue = Queue(folder)
    assert queue.names() == ["a.jpg", "b.png"]
    assert queue.read("b.png") == {"revision": 0, "size": None, "objects": [], "done": False}
    assert queue.save("b.png", work(done=True)) == 1
    again = Queue(folder)
    assert again.read("b.png") == work(1, done=True).model_dump(mode="json")
    assert again.listing() == [
        {"name": "a.jpg", "objects": 0, "done": False}, {"name": "b.png", "objects": 1, "done": True}
    ]  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == ["a.jpg", "b.png", SIDECAR, "notes.txt"]
    (one,) = again.annotated()
    assert (one.name, one.labels) == ("b.png", ["cup"])
    assert np.array_equal(one.candidates[0].mask((4, 6)), MASK)


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "..", ".", "", "/etc/passwd", "sub/c.png", ".hidden.png", "link.png", "notes.txt", "a.jpg\0",
     "A.JPG", "..\\secret.png", "sub", "gone.png", SIDECAR],
)  # fmt: skip
def test_names_that_are_no_listed_photo_are_refused(folder: Path, name: str) -> None:
    secret = photo(folder.parent / "secret.png")
    (folder / "link.png").symlink_to(secret)
    photo(folder / ".hidden.png")
    (folder / "sub").mkdir()
    photo(folder / "sub/c.png")
    queue = Queue(folder)
    before = sorted(folder.parent.rglob("*"))
    for call in (queue.photo, queue.read, lambda given: queue.save(given, work())):
        with pytest.raises(Problem) as refused:
            call(name)
        assert refused.value.status == 404
    assert sorted(folder.parent.rglob("*")) == before


def test_links_in_place_of_the_saved_work_are_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / SIDECAR).symlink_to(elsewhere)
    with pytest.raises(Problem, match="is a link") as refused:
        Queue(folder).save("a.jpg", work())
    assert refused.value.status == 507
    assert not list(elsewhere.iterdir())
    (folder / SIDECAR).unlink()
    (folder / SIDECAR).mkdir()
    (elsewhere / "x.json").write_text("{}")
    (folder / SIDECAR / "a.jpg.json").symlink_to(elsewhere / "x.json")
    with pytest.raises(Problem, match="is a link"):
        Queue(folder).read("a.jpg")


def test_a_full_disk_leaves_what_was_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(folder)
    queue.save("a.jpg", work(name="first"))
    whole = Path.write_bytes

    def half(self: Path, data: bytes) -> int:
        whole(self, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(files.Path, "write_bytes", half)
        with pytest.raises(Problem, match="No space left") as refused:
            queue.save("a.jpg", work(1, name="second"))
    assert refused.value.status == 507
    assert [path.name for path in (folder / SIDECAR).iterdir()] == ["a.jpg.json"]
    assert queue.read("a.jpg")["objects"][0]["name"] == "first"
    assert queue.save("a.jpg", work(1, name="second")) == 2


def test_older_work_does_not_replace_newer(folder: Path) -> None:
    queue = Queue(folder)
    queue.save("a.jpg", work(name="mine"))
    for revision in (0, 2):
        with pytest.raises(Problem, match="changed elsewhere") as refused:
            queue.save("a.jpg", work(revision, name="theirs"))
        assert refused.value.status == 409
    assert queue.read("a.jpg")["objects"][0]["name"] == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"size": [4, 6]}', "\ud800".encode("utf-8", "surrogatepass")])
def test_a_damaged_file_is_told_and_not_overwritten(folder: Path, text: str | bytes) -> None:
    queue = Queue(folder)
    queue.save("a.jpg", work())
    file = folder / SIDECAR / "a.jpg.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    for call in (lambda: queue.read("a.jpg"), lambda: queue.save("a.jpg", work()), queue.annotated):
        with pytest.raises(Problem, match="can't be read") as refused:
            call()
        assert refused.value.status == 500
    assert file.read_bytes() == (text if isinstance(text, bytes) else text.encode())
    assert queue.listing()[0] == {"name": "a.jpg", "objects": 0, "done": False}


@pytest.mark.parametrize("counts", ["", "6", "~~", "ZZZZZZZZZZ", rle_encode(np.ones((4, 7), bool))["counts"]])
def test_run_lengths_that_do_not_fill_the_photo_are_refused(folder: Path, counts: str) -> None:
    with pytest.raises(PromptError):
        Queue(folder).save("a.jpg", work(rle={"size": [4, 6], "counts": counts}))
    assert not (folder / SIDECAR).exists()


def test_folders_without_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="is no folder"):
        Queue(tmp_path / "nowhere")
    with pytest.raises(SourceNotFoundError, match="No photos"):
        Queue(tmp_path)
