"""Videos for tests: real ones of a few frames, and a camera that is not there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_video(path: Path, count: int, *, hw: tuple[int, int] = (48, 64)) -> Path:
    """`count` frames, the i-th (from 0) of the colour RGB (200 - 40 i, 0, 40 i)."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, hw[::-1])
    for i in range(count):
        writer.write(np.full((*hw, 3), (40 * i, 0, 200 - 40 * i), np.uint8))
    writer.release()
    return path


class FakeCapture:
    """cv2.VideoCapture's part that is used: frames of BGR (1, 2, 3)."""

    def __init__(self, count: int, *, opened: bool = True, hw: tuple[int, int] = (4, 6)) -> None:
        self.left, self.opened, self.hw, self.released = count, opened, hw, False

    def isOpened(self) -> bool:
        return self.opened

    def get(self, prop: int) -> float:
        return float({cv2.CAP_PROP_FRAME_WIDTH: self.hw[1], cv2.CAP_PROP_FRAME_HEIGHT: self.hw[0]}[prop])

    def grab(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.full((*self.hw, 3), (1, 2, 3), np.uint8)

    def release(self) -> None:
        self.released = True
