"""DAVIS-345: 345 frames of the 50 videos of DAVIS 2016 (Perazzi et al.), as RITM distributes them.

Frames of one video are alike, so intervals are by video. The files are numbered from 000 and don't say which video
they are of; the first frame of each was read off a contact sheet of every third frame, so a frame or two beside a
cut may be counted with the neighbour.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

from . import pairs
from .base import Dataset, Values

FOLDERS = (("img", "gt"), ("images", "masks"))
# fmt: off
STARTS = (
    0, 9, 18, 24, 33, 39, 48, 54, 57, 63, 69, 78, 87, 93, 99, 108, 114, 123, 129, 135, 141, 147, 156, 159, 168,
    174, 183, 189, 195, 201, 210, 213, 222, 231, 240, 246, 252, 261, 270, 276, 282, 285, 294, 300, 306, 309,
    315, 321, 333, 336,
)
# fmt: on


def matches(root: Path) -> bool:
    """True for a folder with this name, or with masks_instances/ beside images/ and masks/."""
    named = "davis" in root.name.lower() or (root / "masks_instances").is_dir()
    return named and pairs.folders_of(root, FOLDERS) is not None


def load(root: Path, values: Values) -> Dataset:
    """See `pairs.load`; a group is a video."""
    return pairs.load(root, values, layout="davis345", names=FOLDERS, group=video_of)


def video_of(stem: str) -> str:
    """The video of a frame.

    >>> video_of("010"), video_of("345_1")
    ('video01', 'video49')
    """
    digits = stem.split("_", maxsplit=1)[0]
    return f"video{bisect_right(STARTS, int(digits)) - 1:02d}" if digits.isdecimal() else stem
