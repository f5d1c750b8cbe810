from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mobilesam import ImageError, ImageTooLargeError, InputError, SourceNotFoundError
from mobilesam.video import frames, is_video
from videos import FakeCapture, write_video


def test_frames_come_in_order_and_in_rgb(tmp_path: Path) -> None:
    found = list(frames(write_video(tmp_path / "a.avi", 4)))
    assert [number for number, _ in found] == [1, 2, 3, 4]
    for i, (_, frame) in enumerate(found):
        assert frame.shape == (48, 64, 3)
        assert frame.dtype == np.uint8
        np.testing.assert_allclose(frame[20, 20], (200 - 40 * i, 0, 40 * i), atol=4)


def test_some_frames_are_skipped(tmp_path: Path) -> None:
    assert [number for number, _ in frames(write_video(tmp_path / "a.avi", 5), 3)] == [1, 4]
    with pytest.raises(InputError, match="got 0; pass 1"):
        next(frames(tmp_path / "a.avi", 0))


def test_what_is_no_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceNotFoundError, match="No file"):
        next(frames(tmp_path / "no.mp4"))
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(ImageError, match=r"bad\.mp4 can't be opened as a video"):
        next(frames(tmp_path / "bad.mp4"))


def test_limits_and_empty_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = FakeCapture(0)
    monkeypatch.setattr("cv2.VideoCapture", lambda _: empty)
    with pytest.raises(ImageError, match="Camera 0 has no frame"):
        next(frames(0))
    assert empty.released
    large = FakeCapture(3, hw=(4, 1000))
    monkeypatch.setattr("cv2.VideoCapture", lambda _: large)
    monkeypatch.setenv("MOBILESAM_MAX_PIXELS", "3999")
    with pytest.raises(ImageTooLargeError, match="1000 x 4 pixels"):
        next(frames(0))
    assert large.released


def test_a_damaged_frame_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCapture(3)
    camera.retrieve = lambda: (False, None)  # type: ignore[method-assign]
    monkeypatch.setattr("cv2.VideoCapture", lambda _: camera)
    with pytest.raises(ImageError, match="Frame 1 of Camera 0"):
        next(frames(0))
    assert camera.released


def test_the_capture_is_given_back_to_whoever_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCapture(10)
    monkeypatch.setattr("cv2.VideoCapture", lambda _: camera)
    running = frames(0)
    next(running)
    running.close()
    assert camera.released


def test_names_of_videos() -> None:
    assert [is_video(name) for name in ("a.mp4", Path("b.MOV"), "c.png", "d")] == [True, True, False, False]
