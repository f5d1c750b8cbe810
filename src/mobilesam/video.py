"""Frames of a video file or a camera, decoded one after another by OpenCV; no two are held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from . import settings
from .errors import ImageError, InputError, SourceNotFoundError
from .image import check_pixels
from .types import U8

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})


def is_video(path: str | Path) -> bool:
    """True for a name that ends as videos do."""
    return Path(path).suffix.lower() in SUFFIXES


def frames(source: Path | int, every: int = 1) -> Iterator[tuple[int, U8]]:
    """Every `every`-th frame of a video, or of a camera by its number: its number from 1, and RGB (H, W, 3) uint8.

    The pixel limit is the pictures', the byte limit isn't: a video is never in memory as a whole.
    Raises InputError, SourceNotFoundError (no such file or camera), ImageError (no video, no frame that can be
    decoded), ImageTooLargeError.
    """
    if every < 1:
        raise InputError(f"Every 1st, 2nd, 3rd, ... frame can be taken, got {every}; pass 1 for all.")
    with _opened(source) as capture:
        number = 0
        while capture.grab():
            number += 1
            if (number - 1) % every:
                continue
            decoded, frame_bgr = capture.retrieve()
            if not decoded:
                raise ImageError(f"Frame {number} of {_name(source)} can't be decoded: the file is damaged.")
            yield number, np.ascontiguousarray(frame_bgr[..., ::-1])
        if not number:
            raise ImageError(f"{_name(source)} has no frame that can be decoded: damaged, or of an unknown codec.")


@contextmanager
def _opened(source: Path | int) -> Iterator[cv2.VideoCapture]:
    """The capture, given back whatever happens."""
    if isinstance(source, Path) and not source.is_file():
        raise SourceNotFoundError(f"No file {str(source)!r}. Check the path.")
    capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
    try:
        if not capture.isOpened():
            raise _refusal(source)
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        check_pixels(height, width, settings.max_pixels(), f"A frame of {_name(source)}")
        yield capture
    finally:
        capture.release()


def _refusal(source: Path | int) -> SourceNotFoundError | ImageError:
    if isinstance(source, int):
        return SourceNotFoundError(f"{_name(source)} can't be opened: there is none, or another program has it.")
    return ImageError(f"{_name(source)} can't be opened as a video; convert it to MP4 (H.264), or pass its frames.")


def _name(source: Path | int) -> str:
    return f"Camera {source}" if isinstance(source, int) else str(source)
