from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilesam import OutputError
from mobilesam.files import apart, atomic_folder, atomic_path, write_bytes, write_text


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


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    target = tmp_path / f"{'n' * 251}.png"
    write_bytes(target, b"data")
    assert target.read_bytes() == b"data"


def test_a_name_with_a_nul() -> None:
    with pytest.raises(OutputError, match="Can't write"):
        write_text("a\0b.txt", "x")


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "masks"
    with atomic_folder(target) as part:
        (part / "0.png").write_bytes(b"first")
    with pytest.raises(KeyError), atomic_folder(target) as part:
        (part / "1.png").write_bytes(b"half")
        raise KeyError
    assert [p.name for p in target.iterdir()] == ["0.png"]
    with atomic_folder(target) as part:
        (part / "2.png").write_bytes(b"second")
    assert [p.name for p in target.iterdir()] == ["2.png"]
    assert list(tmp_path.iterdir()) == [target]


def test_folders_that_cant_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/notes.txt").write_text("x")
    for name in ("file", "work", "file/below"):
        with pytest.raises(OutputError, match="Can't write"), atomic_folder(tmp_path / name):
            pass
    with pytest.raises(OutputError, match="my own"), atomic_folder(tmp_path / "new"):
        raise OutputError("my own")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "work"]


@given(st.lists(st.sampled_from(["a", "A", "a-2", "a-3", "b", "a-2-2"]), max_size=12))
def test_no_name_is_given_twice_whatever_the_names_are(stems: list[str]) -> None:
    """Numbered by how often it came alone, the third of a, a, a-2 would overwrite the second."""
    found = list(apart(stems))
    assert len({name.casefold() for name in found}) == len(stems)
    assert all(name == stem or name.startswith(f"{stem}-") for name, stem in zip(found, stems, strict=True))
