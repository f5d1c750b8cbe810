"""Stage 0: the teacher's embeddings on disk; going on, bad photos, a full disk, another teacher."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilesam import ImageError, InputError, OutputError, SourceNotFoundError, backends
from mobilesam.testing import FakeBackend
from mobilesam.train.embedder import embed
from mobilesam.train.embeddings import Embeddings, read_index


class Teacher(FakeBackend):
    """An embedding is the photo's means over cells, and can be counted."""

    encodes = 0

    def encode(self, image_bchw: np.ndarray) -> np.ndarray:
        Teacher.encodes += 1
        cells = image_bchw[0].mean(0).reshape(64, 16, 64, 16).mean((1, 3))
        return np.broadcast_to(cells, (1, 8, 64, 64)).astype(np.float32)


@pytest.fixture(autouse=True)
def teacher(monkeypatch: pytest.MonkeyPatch) -> type[Teacher]:
    Teacher.encodes = 0
    monkeypatch.setattr(backends, "load", lambda *_, **__: Teacher())
    return Teacher


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(rng.integers(0, 255, (32, 48 + number, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def test_embeddings_come_back_by_photo_with_mirror_images(photos: Path, tmp_path: Path) -> None:
    said: list[str] = []
    seen: list[tuple[int, int]] = []
    index = embed(
        photos, tmp_path / "e", flips=True, shard_photos=2, say=said.append, progress=lambda *done: seen.append(done)
    )
    assert index.keys == [f"{n}.png" for n in range(5)]
    assert [len(shard.keys) for shard in index.shards] == [2, 2, 1]
    assert seen[-1] == (5, 5)
    (line,) = said
    assert line.startswith("5 photos x 2 = 0.00 GB")
    assert "photos/s" in line
    kept = Embeddings(tmp_path / "e", "fake-0")
    assert kept.size("3.png") == (32, 51)
    plain, mirrored = kept.read("3.png"), kept.read("3.png", flipped=True)
    assert plain.shape == (8, 64, 64)
    assert plain.dtype == np.float32
    np.testing.assert_allclose(plain[:, :40], mirrored[:, :40, ::-1], atol=0.02)
    assert np.abs(plain - mirrored).max() > 0.1
    assert "3.png" in kept
    assert "9.png" not in kept


def test_a_second_call_makes_only_what_is_missing_or_damaged(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "e"
    first = embed(photos, out, shard_photos=2)
    assert Teacher.encodes == 5
    embed(photos, out, shard_photos=2)
    assert Teacher.encodes == 5
    before = Embeddings(out).read("2.png")
    data = bytearray((out / "shard-00001.safetensors").read_bytes())
    data[-1] ^= 255
    (out / "shard-00001.safetensors").write_bytes(data)
    with pytest.raises(InputError, match="shard-00001.safetensors is missing or damaged"):
        Embeddings(out).read("2.png")
    again = embed(photos, out, shard_photos=2)
    assert Teacher.encodes == 7
    assert sorted(again.keys) == sorted(first.keys)
    np.testing.assert_array_equal(Embeddings(out).read("2.png"), before)


def test_a_photo_that_cant_be_read_is_left_out_and_listed(photos: Path, tmp_path: Path) -> None:
    (photos / "1.png").write_bytes(b"no picture")
    index = embed(photos, tmp_path / "e")
    assert list(index.skipped) == ["1.png"]
    assert "isn't a picture" in index.skipped["1.png"]
    assert json.loads((tmp_path / "e/index.json").read_text())["skipped"] == index.skipped
    assert len(index.keys) == 4
    for path in photos.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(ImageError, match="Not one of 5 photos can be read"):
        embed(photos, tmp_path / "none")


def test_no_photos_and_wrong_folders_are_refused(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFoundError, match="No photos in"):
        embed(tmp_path / "empty", tmp_path / "e")
    embed(photos, tmp_path / "e")
    with pytest.raises(InputError, match="holds embeddings by fake-0 without flips, asked for are fake-0 with flips"):
        embed(photos, tmp_path / "e", flips=True)
    with pytest.raises(InputError, match=r"were made by fake-0, the teacher is other"):
        Embeddings(tmp_path / "e", "other")
    with pytest.raises(SourceNotFoundError, match="mobilesam train embed"):
        read_index(tmp_path / "empty")
    (tmp_path / "e/index.json").write_text("{}")
    with pytest.raises(InputError, match="is no index of embeddings"):
        read_index(tmp_path / "e")


def test_a_full_disk_keeps_what_is_written_and_says_how_to_go_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def write(path: Path, data: bytes) -> int:
        """The disk is full at the second shard, whose temporary file is there then."""
        if path.suffix == ".safetensors" and (tmp_path / "e/shard-00000.safetensors").exists():
            real(path, data[:100])
            raise OSError(28, "No space left on device")
        return real(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write)
        with pytest.raises(
            OutputError, match=r"No space left.* 2 of 5 photos are embedded and kept.*same command again"
        ):
            embed(photos, tmp_path / "e", shard_photos=2)
    assert read_index(tmp_path / "e").keys == ["0.png", "1.png"]
    assert not list((tmp_path / "e").glob(".mobilesam-*"))
    encodes = Teacher.encodes
    assert len(embed(photos, tmp_path / "e", shard_photos=2).keys) == 5
    assert Teacher.encodes == encodes + 3


def test_values_beyond_float16_are_left_out(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wild(Teacher):
        def encode(self, image_bchw: np.ndarray) -> np.ndarray:
            found = super().encode(image_bchw).copy()
            found[0, 0, 0, 0] = np.nan if Teacher.encodes == 2 else 1
            return found

    monkeypatch.setattr(backends, "load", lambda *_, **__: Wild())
    index = embed(photos, tmp_path / "e")
    assert index.skipped == {"1.png": "the teacher's embedding has values that are no finite float16"}
