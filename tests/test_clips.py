from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mobilesam import ImageError, ImageTooLargeError, MissingDependencyError, SourceNotFoundError, clips
from mobilesam.video import frames
from videos import write_video


def write(path: Path, count: int, hw: tuple[int, int] = (48, 64)) -> Path:
    """An H.264 video with B-frames and few key frames, the i-th frame of the grey 10 i, at uneven times."""
    clock = clips.Clock([100 + 60 * i + 7 * (i % 3) for i in range(count)], Fraction(1, 600), Fraction(10))
    with clips.Writer(path, clock) as writer:
        for i, time in enumerate(clock.times):
            writer.write(np.full((*hw, 3), 10 * i, np.uint8), time)
    return path


def test_a_frame_is_the_same_from_wherever_reading_begins(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 24)
    times = clips.clock_of(path).times
    assert len(times) == 24
    seconds = [float(time * clips.clock_of(path).base) for time in times]
    np.testing.assert_allclose(seconds, [(60 * i + 7 * (i % 3)) / 600 for i in range(24)], atol=1e-4)
    whole = list(clips.frames_at(path, times))
    np.testing.assert_allclose([frame.mean() for frame in whole], [10 * i for i in range(24)], atol=3)
    for start in (1, 7, 13, 23):
        for a, b in zip(clips.frames_at(path, times[start::3]), whole[start::3], strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(list(frames(path))) == 24  # OpenCV reads what is written, and as many


def test_odd_sizes_are_made_even(tmp_path: Path) -> None:
    (_, frame), *_ = frames(write(tmp_path / "a.mp4", 2, (31, 45)))
    assert frame.shape == (32, 46, 3)


def test_what_is_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceNotFoundError, match="No file"):
        clips.clock_of(tmp_path / "no.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(ImageError, match=r"bad\.mp4 can't be read as a video"):
        clips.clock_of(tmp_path / "bad.mp4")
    path = write_video(tmp_path / "a.avi", 3)
    times = clips.clock_of(path).times
    with pytest.raises(ImageError, match="can't be decoded"):
        list(clips.frames_at(path, [*times, times[-1] + 5]))
    monkeypatch.setenv("MOBILESAM_MAX_PIXELS", "100")
    with pytest.raises(ImageTooLargeError, match="64 x 48 pixels"):
        clips.clock_of(path)


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mobilesam\[video\]'"):
        clips.clock_of(tmp_path / "a.mp4")
