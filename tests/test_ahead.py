from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilesam import SAM
from mobilesam.ahead import ahead, made_ahead
from mobilesam.sources import iter_decoded
from videos import FakeCapture, write_video


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mobilesam-ahead")]


def test_the_next_item_is_made_while_one_is_worked_on() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for i, event in enumerate(made):
            event.set()
            yield i

    running = made_ahead(items())
    assert next(running) == 0
    assert made[1].wait(10)  # although nobody asked for it yet
    assert list(running) == [1, 2]
    assert threads() == []


def test_no_more_than_one_is_made_ahead() -> None:
    count, third = [], threading.Event()

    def items() -> Iterator[int]:
        for i in range(5):
            count.append(i)
            if i == 2:
                third.set()
            yield i

    running = made_ahead(items())
    next(running)
    assert not third.is_set()
    assert next(running) == 1
    assert third.wait(10)
    assert len(count) <= 3
    assert list(running) == [2, 3, 4]


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third")

    running = made_ahead(items())
    assert [next(running), next(running)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(running)
    assert threads() == []


def test_whoever_stops_closes_the_source_and_leaves_no_thread() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(threads())

    running = made_ahead(items())
    assert next(running) == 0
    running.close()
    assert closed == [[]]  # the thread had ended when the source was closed


def test_work_behind_is_bounded_and_in_order() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(6):
            taken.append(i)
            yield i

    running = ahead(lambda i: i * 10, items(), most=2)
    assert next(running) == 0
    assert taken == [0, 1, 2]
    assert list(running) == [10, 20, 30, 40, 50]


def test_a_model_gets_pictures_ahead(fake_sam: SAM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        Image.new("RGB", (8, 6), (ord(name), 0, 0)).save(tmp_path / f"{name}.png")
    decoders: list[str] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda *a: decoders.append(threading.current_thread().name) or real(*a))
    calls = (
        lambda: fake_sam.predict(tmp_path, points=[2, 2]),
        lambda: list(fake_sam.predict(tmp_path, points=[2, 2], stream=True)),
        lambda: fake_sam.embed(tmp_path),
        lambda: fake_sam.everything(tmp_path, points_per_side=1),
    )
    for call in calls:
        decoders.clear()
        assert [result.name for result in call()] == ["a.png", "b.png", "c.png"]
        assert len(decoders) == 3
        assert all(name.startswith("mobilesam-ahead") for name in decoders)
    decoders.clear()
    fake_sam.predict(tmp_path / "a.png", points=[2, 2])
    assert decoders == [threading.current_thread().name]  # of a lone picture there is nothing to be ahead of
    assert threads() == []


def test_a_stream_that_is_left_gives_the_video_back(fake_sam: SAM, tmp_path: Path) -> None:
    stream = fake_sam.predict(write_video(tmp_path / "walk.avi", 4), points=[20, 20], stream=True)
    assert next(stream).name == "walk_000001.jpg"
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert threads() == []


def test_a_camera_is_not_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCapture(5)
    monkeypatch.setattr("cv2.VideoCapture", lambda _: camera)
    pictures = iter_decoded(0)
    next(pictures)
    assert (camera.left, threads()) == (4, [])
    assert np.array_equal(next(pictures).load()[0, 0], [3, 2, 1])
    assert camera.left == 3
    pictures.close()  # type: ignore[attr-defined]  # as above
