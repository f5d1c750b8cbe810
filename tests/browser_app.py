"""`mobilesam app` as a process of its own, and a hand on its page in headless Chromium."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from conftest import ROOT

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
WAIT = 60_000
READ = """key => new Promise((resolve, reject) => {
  const request = indexedDB.open("mobilesam", 1);
  request.onerror = () => reject(request.error);
  request.onsuccess = () => {
    const store = request.result.transaction("work").objectStore("work");
    const found = store.getAll(IDBKeyRange.bound(key, key + "\\uffff"));
    found.onsuccess = () => { request.result.close(); resolve(found.result); };
  };
})"""


class App:
    """The running command: its address, and a way to kill it."""

    def __init__(self, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "mobilesam", "app", "--no-browser", *map(str, arguments)]
        given = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=given)
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                self.address, self.port = found[0], found[1]
                return
        raise AssertionError("".join(said))

    def kill(self) -> None:
        """As a crash: no time to tidy up."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def stop(self) -> str:
        """As Ctrl+C; what it printed since the address."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[0]


@contextmanager
def app(*arguments: str | Path) -> Iterator[App]:
    running = App(*arguments)
    try:
        yield running
    finally:
        running.kill()


class Desk:
    """A person at the page. Places are pixels of the photo."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.stage = page.locator("#stage")

    def goto(self, address: str) -> None:
        self.page.goto(address)
        self.page.wait_for_selector("#stage[data-ready=true]", timeout=WAIT)

    def open(self, path: Path) -> None:
        self.page.set_input_files("#file", path)
        self.is_open(path.name)

    def is_open(self, name: str) -> None:
        from playwright.sync_api import expect

        expect(self.stage).to_have_attribute("data-photo", name, timeout=WAIT)

    def answered(self, count: int) -> None:
        """Wait until so many objects are listed and no mask is waited for."""
        from playwright.sync_api import expect

        expect(self.page.locator(".object")).to_have_count(count, timeout=WAIT)
        expect(self.stage).to_have_attribute("data-waiting", "false", timeout=WAIT)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the photo is in the window."""
        bounds = self.stage.bounding_box()
        scale, left, top = self.view()
        return bounds["x"] + left + x * scale, bounds["y"] + top + y * scale

    def move(self, x: float, y: float, **more: Any) -> None:
        self.page.mouse.move(*self.at(x, y), **more)

    def click(self, x: float, y: float, **more: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **more)

    def drag(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.move(x1, y1)
        self.page.mouse.down()
        self.move(x2, y2, steps=6)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def status(self, pattern: str) -> None:
        from playwright.sync_api import expect

        expect(self.page.locator("#status")).to_contain_text(re.compile(pattern), timeout=WAIT)

    def banner(self, text: str | None) -> None:
        """Wait for a warning with this text, or for there to be none."""
        from playwright.sync_api import expect

        if text is None:
            expect(self.page.locator("#banner")).to_be_hidden(timeout=WAIT)
        else:
            expect(self.page.locator("#banner")).to_contain_text(text, timeout=WAIT)

    def name(self, text: str) -> None:
        """Give the newest object a name."""
        field = self.page.locator(".object .name").last
        field.fill(text)
        field.press("Enter")

    def has_name(self, text: str) -> None:
        from playwright.sync_api import expect

        expect(self.page.locator(".object .name")).to_have_value(text, timeout=WAIT)

    def until(self, holds: Callable[[], Any]) -> None:
        """Wait for what no element shows."""
        deadline = time.monotonic() + WAIT / 1000
        while not holds():
            assert time.monotonic() < deadline, "this never came true"
            self.page.wait_for_timeout(30)

    def view(self) -> list[float]:
        """Scale, left and top of the photo on the stage."""
        return [float(value) for value in self.stage.get_attribute("data-view").split(",")]

    def drafts(self, key: str = "picture:") -> list[dict[str, Any]]:
        """What the browser keeps under keys that begin so."""
        found: list[dict[str, Any]] = self.page.evaluate(READ, key)
        return found

    def objects(self) -> list[dict[str, Any]]:
        """The objects of the one photo that was worked on."""
        (draft,) = self.drafts()
        made: list[dict[str, Any]] = draft["objects"]
        return made

    def download(self, kind: str, attribute: str = "kind") -> tuple[str, bytes]:
        """Name and bytes of a file from the download menu."""
        self.page.click("#download summary")
        with self.page.expect_download() as waiting:
            self.page.click(f"#download [data-{attribute}={kind}]")
        return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()

    def mask(self) -> np.ndarray:
        """The mask of all objects, as downloaded."""
        return pixels(self.download("mask")[1])[..., 0] > 127


def pixels(picture: bytes | Path) -> np.ndarray:
    """A picture's pixels (H, W, 4)."""
    with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as opened:
        return np.asarray(opened.convert("RGBA"))


def saved(folder: Path, name: str) -> dict[str, Any]:
    """The work on a photo of a queue as it lies in the folder."""
    found: dict[str, Any] = json.loads((folder / "mobilesam-annotations" / f"{name}.json").read_text())
    return found
