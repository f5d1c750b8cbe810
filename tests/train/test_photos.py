"""Photos in folders and tar shards."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilesam import ImageError, InputError, SourceNotFoundError
from mobilesam.train.photos import photos_of


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 6, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def shard(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def test_folders_and_shards_give_photos_in_a_fixed_order(tmp_path: Path) -> None:
    (tmp_path / "set/below").mkdir(parents=True)
    (tmp_path / "set/b.png").write_bytes(png(1))
    (tmp_path / "set/below/a.PNG").write_bytes(png(2))
    (tmp_path / "set/notes.txt").write_text("no photo")
    shard(tmp_path / "set/sa.tar", {"./x.png": png(3), "x.json": b"{}", "y.png": png(4)})
    photos = photos_of(tmp_path / "set")
    assert list(photos) == ["b.png", "below/a.PNG", "sa.tar/x.png", "sa.tar/y.png"]
    assert [int(photo.load()[0, 0, 0]) for photo in photos.values()] == [1, 2, 3, 4]
    assert photos["sa.tar/y.png"].load().shape == (4, 6, 3)


def test_of_several_roots_names_stay_apart(tmp_path: Path) -> None:
    for name in ("one/images", "two/images", "three"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").write_bytes(png(5))
    photos = photos_of([tmp_path / "one/images", tmp_path / "two/images", tmp_path / "three", tmp_path / "three/a.png"])
    assert len(photos) == 4
    assert "three/a.png" in photos
    assert "a.png" in photos


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="No photos in"):
        photos_of(tmp_path)
    with pytest.raises(SourceNotFoundError, match="No folder, shard or photo"):
        photos_of(tmp_path / "none")
    with pytest.raises(InputError, match="No photos were given"):
        photos_of([])
    (tmp_path / "damaged.tar").write_bytes(b"x" * 2000)
    with pytest.raises(InputError, match="can't be read as a tar file"):
        photos_of(tmp_path)
    (tmp_path / "damaged.tar").rename(tmp_path / "packed.tar.gz")
    with pytest.raises(InputError, match="is a packed tar"):
        photos_of(tmp_path)


def test_a_damaged_member_says_where_it_is(tmp_path: Path) -> None:
    path = shard(tmp_path / "sa.tar", {"x.png": b"no picture"})
    with pytest.raises(ImageError, match=r"x.png in .*sa.tar: .* isn't a picture"):
        photos_of(path)["sa.tar/x.png"].load()


def test_nothing_of_a_shard_is_unpacked_or_followed(tmp_path: Path) -> None:
    """A link or a path that leaves the folder is a name like any other, or nothing."""
    path = tmp_path / "sa.tar"
    with tarfile.open(path, "w") as file:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        file.addfile(link)
        data = png(6)
        info = tarfile.TarInfo("../../outside.png")
        info.size = len(data)
        file.addfile(info, io.BytesIO(data))
    photos = photos_of(path)
    assert list(photos) == ["sa.tar/../../outside.png"]
    assert photos["sa.tar/../../outside.png"].load()[0, 0, 0] == 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sa.tar"]
