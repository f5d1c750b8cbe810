"""Frames of a video file by their number, and videos written with exact frame times: what needs PyAV.

`video.py` reads a video from its first frame to its last by OpenCV, which is in every install. A job that is cut into
pieces must begin anywhere, and OpenCV's seeking isn't exact; here a frame is found by its presentation time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from . import settings
from ._optional import require
from .errors import ImageError, SourceNotFoundError
from .image import check_pixels
from .types import U8


@dataclass(frozen=True)
class Clock:
    """When a video's frames are shown."""

    times: list[int]
    """Of each frame, in order, in units of `base`."""
    base: Fraction
    """Seconds."""
    rate: Fraction
    """Frames a second, on average."""


def clock_of(path: Path) -> Clock:
    """The times of a video's frames; nothing is decoded.

    Raises SourceNotFoundError, ImageError (no video, or frames without times), MissingDependencyError.
    """
    with _opened(path) as (container, stream):
        packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        times = [packet.pts for packet in packets]
        clock = Clock(sorted(time for time in times if time is not None), stream.time_base, stream.average_rate)
    if not times or None in times or len(set(times)) < len(times):
        raise ImageError(
            f"{path} has no frames, or frames without times of their own; write it anew as MP4 (H.264), "
            "or pass its frames as pictures."
        )
    return clock


def frames_at(path: Path, times: Sequence[int]) -> Iterator[U8]:
    """The frames of rising times from `clock_of`: RGB (H, W, 3) uint8; decoding starts at the key frame before.

    Raises as `clock_of`, and ImageTooLargeError; ImageError for a frame that can't be decoded.
    """
    wanted = list(times)
    with _opened(path) as (container, stream):
        container.seek(wanted[0], stream=stream, backward=True)
        for frame in container.decode(stream):
            if wanted and frame.pts == wanted[0]:
                del wanted[0]
                yield frame.to_ndarray(format="rgb24")
            if not wanted:
                return
            if frame.pts is not None and frame.pts > wanted[0]:
                break
    raise ImageError(f"A frame of {path} can't be decoded: the file is damaged.")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream; PyAV's errors as ours."""
    av: Any = require("av", "video", "Reading a video from anywhere")
    if not path.is_file():
        raise SourceNotFoundError(f"No file {str(path)!r}. Check the path.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError(f"{path} has no pictures: it is sound only.")
            stream = container.streams.video[0]
            check_pixels(stream.height, stream.width, settings.max_pixels(), f"A frame of {path}")
            yield container, stream
    except (av.error.FFmpegError, IndexError) as error:
        raise ImageError(f"{path} can't be read as a video ({error}); convert it to MP4 (H.264).") from error


class Writer:
    """An H.264 MP4 of RGB frames (H, W, 3) uint8 of one size, shown when `clock` says.

    An odd last row or column is repeated: the format's sides are even.

    A file appears under its name only by `files.atomic_path`, which gives the path. Use it as a context.
    Raises MissingDependencyError.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._av: Any = require("av", "video", "Writing a video")
        self._container = self._av.open(str(path), "w")
        self._clock = clock
        self._stream: Any = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def write(self, image_rgb: U8, time: int) -> None:
        """Add a frame that is shown at one of the clock's times."""
        height, width = image_rgb.shape[:2]
        even = np.pad(image_rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._clock.rate)
            self._stream.height, self._stream.width = even.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = self._clock.base
        frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
        frame.pts, frame.time_base = time - self._clock.times[0], self._clock.base
        self._container.mux(self._stream.encode(frame))
