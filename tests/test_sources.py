from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilesam import ImageError, InputError, SourceNotFoundError
from mobilesam.sources import is_endless, is_many, iter_pictures, list_pictures
from videos import FakeCapture, write_video


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


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_are_channels_first_rgb(dtype: torch.dtype) -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (3, 4, 5)).astype(np.uint8)
    tensor = torch.from_numpy(pixels).to(dtype) * (255 if dtype == torch.uint8 else 1)
    wanted = pixels.transpose(1, 2, 0) * 255
    (one,) = list_pictures(tensor)
    np.testing.assert_array_equal(one.load(), wanted)
    stack = list_pictures(torch.stack([tensor, tensor.flip(1)]))
    assert [p.name for p in stack] == ["image0", "image1"]
    np.testing.assert_array_equal(stack[1].load(), wanted[::-1])
    assert (is_many(tensor), is_many(tensor[None])) == (False, True)


def test_tensors_that_are_no_pictures() -> None:
    for tensor, message in (
        (torch.zeros(5, 4, 3), r"\(C, H, W\).*\(5, 4, 3\)"),
        (torch.full((3, 4, 5), 255.0), r"within 0..1, got 255..255"),
        (torch.full((3, 4, 5), -2.1), r"got -2.1..-2.1"),
        (torch.full((3, 4, 5), float("nan")), r"got nan"),
    ):
        (picture,) = list_pictures(tensor)
        with pytest.raises(ImageError, match=message):
            picture.load()


def test_a_tensor_on_its_way_through_a_graph() -> None:
    (picture,) = list_pictures(torch.ones(1, 3, 2, 2, requires_grad=True) * 1)
    assert picture.load().tolist() == [[[255] * 3] * 2] * 2


def test_arrays_of_other_libraries() -> None:
    class Other:
        def __init__(self, array: np.ndarray) -> None:
            self.array, self.ndim = array, array.ndim

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return self.array

        def __iter__(self):
            return map(Other, self.array)

    assert [p.load().shape for p in list_pictures(Other(np.zeros((4, 5, 3), np.uint8)))] == [(4, 5, 3)]
    assert [p.load().shape for p in list_pictures(Other(np.zeros((2, 4, 5, 3), np.uint8)))] == [(4, 5, 3)] * 2


def test_pictures_pass_through() -> None:
    (picture,) = list_pictures(np.zeros((2, 3, 3), np.uint8))
    assert list_pictures([picture, picture]) == [picture, picture]


def test_a_video_streams(tmp_path: Path) -> None:
    path = write_video(tmp_path / "walk.avi", 5)
    pictures = list(iter_pictures(path))
    assert [p.name for p in pictures] == [f"walk_{i:06d}.jpg" for i in range(1, 6)]
    assert {p.path for p in pictures} == {path}
    assert pictures[2].load().shape == (48, 64, 3)
    assert [p.name[5:11] for p in iter_pictures(str(path), every=2)] == ["000001", "000003", "000005"]
    assert len(list(iter_pictures([str(tmp_path / "*.avi"), path]))) == 10
    assert is_many(path)
    assert not is_many(tmp_path / "walk.png")


def test_a_folder_gives_its_pictures_not_its_videos(folder: Path) -> None:
    write_video(folder / "walk.avi", 1)
    assert names(folder) == ["a.JPG", "b.png", "c.webp"]


def test_a_list_of_frames_is_never_made(tmp_path: Path) -> None:
    for source in (write_video(tmp_path / "walk.avi", 1), 0):
        with pytest.raises(InputError, match="stream=True"):
            list_pictures(source)


def test_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCapture(3)
    monkeypatch.setattr("cv2.VideoCapture", lambda number: camera if number == 1 else FakeCapture(0, opened=False))
    pictures = iter_pictures(np.int64(1))
    first = next(pictures)
    assert (first.name, first.path, first.load()[0, 0].tolist()) == ("camera1_000001.jpg", None, [3, 2, 1])
    assert not camera.released
    pictures.close()
    assert camera.released
    with pytest.raises(SourceNotFoundError, match="Camera 7 can't be opened"):
        next(iter_pictures(7))
    assert [is_endless(s) for s in (0, [[1]], True, "0", np.zeros((2, 2, 3)))] == [True, True, False, False, False]
