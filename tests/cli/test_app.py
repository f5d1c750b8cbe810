"""`mobilesam app` as a command."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mobilesam import SAM
from mobilesam.cli import app, photos
from mobilesam.testing import FakeBackend

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is opened in the browser and served: neither happens."""
    import webbrowser

    seen: list[Any] = []
    monkeypatch.setattr(photos, "load", lambda *_: SAM.from_backend(FakeBackend()))
    monkeypatch.setattr(webbrowser, "open", seen.append)
    monkeypatch.setattr(app, "_serve", lambda site, listener: seen.append((site, listener.getsockname())))
    return seen


def test_the_browser_is_opened_on_the_port_that_is_served(run_cli: Run, opened: list[Any]) -> None:
    code, out, _ = run_cli("app", "--port", "0")
    address, (site, (host, port)) = opened
    assert code == 0
    assert host == "127.0.0.1"
    assert address == f"http://127.0.0.1:{port}/"
    assert address in out
    assert site.state.queue is None


def test_a_folder_is_the_queue(run_cli: Run, opened: list[Any], tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    assert run_cli("app", tmp_path, "--port", "0", "--no-browser")[0] == 0
    ((site, _),) = opened
    assert site.state.queue.names() == ["a.png"]


def test_mistakes_are_told_before_the_model_is_loaded(
    run_cli: Run, opened: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "load", lambda *_: pytest.fail("loaded"))
    code, _, err = run_cli("app", tmp_path)
    assert code == 1
    assert "No photos" in err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, err = run_cli("app", "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert "--port" in err
    assert opened == []
