from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilesam import InputError, SourceNotFoundError
from mobilesam.sources import is_many, list_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, name in enumerate(("b.png", "a.JPG", "c.webp", "notes.txt", "sub/d.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name.endswith("txt"):
            (tmp_path / name).write_text("no picture")
        else:
            Image.new("RGB", (4 + i, 3)).save(tmp_path / name)
    (tmp_path / "looks_like.png").mkdir()
    return tmp_path


def names(source: object) -> list[str]:
    return [picture.name for picture in list_pictures(source)]


def test_folders_and_globs_are_sorted(folder: Path) -> None:
    assert names(folder) == ["a.JPG", "b.png", "c.webp"]
    assert names(str(folder / "*.png")) == ["b.png"]
    assert names(str(folder / "**/*.png")) == ["b.png", "d.png"]


def test_a_picture_is_decoded_when_asked(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    pictures = list_pictures([folder / "bad.png", folder / "b.png"])
    assert pictures[1].load().shape == (3, 4, 3)
    assert pictures[1].path == folder / "b.png"
    with pytest.raises(ValueError, match=r"bad\.png"):
        pictures[0].load()


def test_lists_are_flattened_and_unnamed_pictures_numbered(folder: Path) -> None:
    array = np.zeros((2, 3, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(array).save(data, "PNG")
    stack = np.zeros((2, 4, 5, 3), np.uint8)
    mixed = [array, [folder / "b.png", data.getvalue()], Image.fromarray(array), stack]
    pictures = list_pictures(mixed)
    assert [p.name for p in pictures] == ["image0", "b.png", "image2", "image3", "image4", "image5"]
    assert [p.load().shape[:2] for p in pictures] == [(2, 3), (3, 4), (2, 3), (2, 3), (4, 5), (4, 5)]


def test_nothing_to_find(folder: Path) -> None:
    (folder / "empty").mkdir()
    for source in (folder / "empty", str(folder / "*.bmp")):
        with pytest.raises(SourceNotFoundError, match="No pictures in"):
            list_pictures(source)


def test_a_file_whose_name_looks_like_a_pattern(folder: Path) -> None:
    odd = folder / "a[1].png"
    Image.new("RGB", (4, 3)).save(odd)
    assert names(str(odd)) == ["a[1].png"]
    assert not is_many(odd)


def test_many(folder: Path) -> None:
    assert [is_many(s) for s in (folder, str(folder / "*"), [1], (1,), np.zeros((1, 2, 2, 3)))] == [True] * 5
    assert [is_many(s) for s in (folder / "b.png", "no.png", b"", np.zeros((2, 2, 3)), io.BytesIO())] == [False] * 5


def test_addresses_are_fetched_only_when_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def read_url(url: str, max_bytes: int) -> bytes:
        fetched.append((url, max_bytes))
        return (folder / "b.png").read_bytes()

    monkeypatch.setattr("mobilesam.catalog.download.read_url", read_url)
    monkeypatch.setenv("MOBILESAM_MAX_BYTES", "5000")
    with pytest.raises(InputError, match="allow_urls=True"):
        list_pictures("https://example.org/cat.png")
    (picture,) = list_pictures("https://example.org/cat.png?size=1", allow_urls=True)
    assert (picture.name, picture.path, fetched) == ("cat.png", None, [])
    assert picture.load().shape == (3, 4, 3)
    assert fetched == [("https://example.org/cat.png?size=1", 5000)]
