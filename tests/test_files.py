from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mobilesam import OutputError
from mobilesam.files import atomic_path, write_bytes, write_text


def test_written_whole_with_the_suffix_kept(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "new/folder/a.png") as part:
        assert part.suffix == ".png"
        assert part.parent == tmp_path / "new/folder"
        part.write_bytes(b"data")
    assert (tmp_path / "new/folder/a.png").read_bytes() == b"data"
    assert [p.name for p in (tmp_path / "new/folder").iterdir()] == ["a.png"]


def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old ü")
    with pytest.raises(KeyError), atomic_path(target) as part:
        part.write_text("half")
        raise KeyError
    assert target.read_text(encoding="utf-8") == "old ü"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), atomic_path(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cant_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file/a.txt", tmp_path):
        with pytest.raises(OutputError, match="writable folder"):
            write_bytes(path, b"")


def test_an_output_error_inside_stays_itself(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="^mine$"), atomic_path(tmp_path / "a"):
        raise OutputError("mine")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "x")
    (tmp_path / "b.txt").write_text("x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")]
    assert modes[0] == modes[1]
