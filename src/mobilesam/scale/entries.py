"""The pictures of a job: where each is, and the name that its results get. Nothing is decoded."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from .. import clips, shards, video
from ..errors import MobileSAMError
from ..files import apart
from ..image import to_rgb
from ..sources import files_of
from ..types import U8


@dataclass(frozen=True)
class Entry:
    """A picture at its place, small enough to be sent to another process."""

    name: str
    """What records call it: the file's name, "SHARD/MEMBER", or "VIDEO_000001.jpg" for a frame."""
    target: str
    """A path without suffix, of its own among all entries, that files of results are named by."""
    file: Path
    """The photo, shard or video."""
    stamp: tuple[int, int]
    """The file's size and time of change, by which a file that became another is noticed; zeros where there is none."""
    member: tuple[int, int] | None = None
    """Of a shard: where in it, and how many bytes."""
    time: int | None = None
    """Of a video: when, see `clips.Clock`."""


def entries_of(sources: Sequence[str | Path], every: int = 1) -> list[Entry]:
    """All pictures of folders, globs, tar shards, videos (every `every`-th frame) and single files, in a fixed order.

    Raises SourceNotFoundError (a folder or glob without pictures, no such video), InputError (a packed or damaged
    shard), ImageError (a damaged video), MissingDependencyError (videos need PyAV). A photo that can't be read is
    noticed when its turn comes.
    """
    found = [entry for source in sources for file in files_of(source) for entry in _of_file(file, every)]
    targets = apart(entry.target for entry in found)
    return [replace(entry, target=target) for entry, target in zip(found, targets, strict=True)]


def _of_file(file: Path, every: int) -> Iterator[Entry]:
    stamp = _stamp(file)
    if shards.is_shard(file):
        for member in shards.members_of(file):
            name = f"{file.stem}/{_inside(member.name)}"
            yield Entry(name, _without_suffix(name), file, stamp, member=(member.offset, member.size))
    elif video.is_video(file):
        for number, time in list(enumerate(clips.clock_of(file).times, start=1))[::every]:
            name = f"{file.stem}_{number:06d}"
            yield Entry(f"{name}.jpg", f"{file.stem}/{name}", file, stamp, time=time)
    else:
        yield Entry(file.name, file.stem, file, stamp)


def loaded(entries: Iterable[Entry]) -> Generator[tuple[Entry, U8 | MobileSAMError], None, None]:
    """Each entry's pixels, or why there are none; neighbours in one video are decoded in one go."""
    for (file, is_video), group in groupby(entries, lambda entry: (entry.file, entry.time is not None)):
        if is_video:
            yield from _frames(file, list(group))
        else:
            for entry in group:
                yield entry, _pixels(entry)


def _pixels(entry: Entry) -> U8 | MobileSAMError:
    try:
        if entry.member is not None:
            return shards.Member(entry.file, entry.name, *entry.member).load()
        return to_rgb(entry.file)
    except MobileSAMError as error:
        return error


def _frames(file: Path, entries: list[Entry]) -> Iterator[tuple[Entry, U8 | MobileSAMError]]:
    """After a frame that can't be decoded, those that follow count as damaged too."""
    done = 0
    try:
        for frame in clips.frames_at(file, [entry.time for entry in entries if entry.time is not None]):
            yield entries[done], frame
            done += 1
    except MobileSAMError as error:
        for entry in entries[done:]:
            yield entry, error


def _inside(member: str) -> str:
    """A shard's name for a picture as a path that stays below a folder, whatever the shard says."""
    parts = PurePosixPath(member.replace("\\", "/").replace(":", "_")).parts
    return "/".join(part for part in parts if part not in ("/", "..", "."))


def _without_suffix(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
