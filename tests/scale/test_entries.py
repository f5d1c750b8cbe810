from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batches import make_photos
from mobilesam import ImageError, ImageTooLargeError, InputError, SourceNotFoundError
from mobilesam.scale.entries import entries_of, loaded
from videos import write_video


def make_shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_folders_globs_and_files_together(tmp_path: Path) -> None:
    make_photos(tmp_path / "a", 2)
    make_photos(tmp_path / "b", 1)
    found = entries_of([tmp_path / "a", str(tmp_path / "b/*.png"), tmp_path / "a/001.png"])
    assert [entry.name for entry in found] == ["000.png", "001.png", "000.png", "001.png"]
    assert [entry.target for entry in found] == ["000", "001", "000-2", "001-2"]
    assert [int(pixels[0, 0, 0]) for _, pixels in loaded(found)] == [1, 2, 1, 2]
    assert pickle.loads(pickle.dumps(found)) == found


def test_targets_differ_where_case_does_not_count(tmp_path: Path) -> None:
    for name in ("a.png", "A.jpg", "a-2.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    targets = [entry.target for entry in entries_of([tmp_path])]
    assert len({target.casefold() for target in targets}) == 3


def test_shards_are_read_in_place(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "s.tar", {"x/1.png": png(10), "x/1.json": b"{}", "./2.png": png(20), "3.png": b"bad"})
    found = entries_of([shard])
    assert [(entry.name, entry.target) for entry in found] == [
        ("s/x/1.png", "s/x/1"),
        ("s/2.png", "s/2"),
        ("s/3.png", "s/3"),
    ]
    pixels = [pixels for _, pixels in loaded(found)]
    assert [int(one[0, 0, 0]) for one in pixels[:2]] == [10, 20]
    assert isinstance(pixels[2], ImageError)
    assert "s/3.png in" in str(pixels[2])


def test_a_shard_names_nothing_outside_the_folder(tmp_path: Path) -> None:
    names = ["../../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png"]
    for entry in entries_of([make_shard(tmp_path / "s.tar", {name: png(1) for name in names})]):
        assert (tmp_path / "out" / entry.target).resolve().is_relative_to((tmp_path / "out/s").resolve())


def test_limits_hold_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = entries_of([make_shard(tmp_path / "s.tar", {"1.png": png(1)})])
    monkeypatch.setenv("MOBILESAM_MAX_BYTES", "10")
    assert isinstance(next(loaded(found))[1], ImageTooLargeError)


def test_shards_that_cant_be_read(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(b"no tar" * 200)
    (tmp_path / "s.tar.gz").write_bytes(b"packed")
    with pytest.raises(InputError, match="can't be read as a tar"):
        entries_of([tmp_path / "s.tar"])
    with pytest.raises(InputError, match="packed tar"):
        entries_of([tmp_path / "s.tar.gz"])


def test_a_videos_frames_from_anywhere(tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.avi", 5)
    found = entries_of([video])
    assert [entry.name for entry in found] == [f"walk_{i:06d}.jpg" for i in range(1, 6)]
    for start in range(5):
        reds = [int(pixels[20, 20, 0]) for _, pixels in loaded(found[start:])]
        np.testing.assert_allclose(reds, [200 - 40 * i for i in range(start, 5)], atol=4)
    assert [entry.name[5:11] for entry in entries_of([video], every=2)] == ["000001", "000003", "000005"]
    reds = [int(pixels[20, 20, 0]) for _, pixels in loaded(found[1::2])]
    np.testing.assert_allclose(reds, [160, 80], atol=4)


def test_what_is_missing_is_noticed_when_its_turn_comes(tmp_path: Path) -> None:
    found = entries_of([tmp_path / "no.png"])
    assert found[0].stamp == (0, 0)
    assert isinstance(next(loaded(found))[1], SourceNotFoundError)
    with pytest.raises(SourceNotFoundError):
        entries_of([tmp_path / "no.mp4"])
