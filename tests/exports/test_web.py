"""The web export in a real browser, and its modules in Node: a click on a photo gives Python's mask."""

from __future__ import annotations

import functools
import http.server
import io
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from mobilesam import SAM
from mobilesam.export.verify import PHOTO
from mobilesam.masks import iou

pytestmark = pytest.mark.exports
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
LEAST = 0.99


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("web") / "page"
    SAM().export(made, format="web", precision="fp16")
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def page(address: str):
    from playwright.sync_api import expect, sync_playwright

    assert BROWSER, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        context = browser.new_context(viewport={"width": 1000, "height": 900})
        opened = context.new_page()
        requests: list[str] = []
        errors: list[str] = []
        opened.on("request", lambda request: requests.append(request.url))
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto(address)
        expect(opened.locator("#status")).to_have_text(re.compile("^Ready"), timeout=180_000)
        yield opened
        assert errors == []
        assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
        browser.close()


def _expected(**prompt: object) -> np.ndarray:
    sam = SAM(precision="fp32")
    return sam.predict(PHOTO, **prompt, multimask="best")[0].masks[0]


def _click(page, x: float, y: float, **options: object) -> None:
    """At (x, y) of the photo."""
    bounds = page.locator("#overlay").bounding_box()
    width = page.evaluate("document.getElementById('overlay').width")
    scale = bounds["width"] / width
    page.mouse.move(bounds["x"] + x * scale, bounds["y"] + y * scale)
    page.mouse.down(**options)
    page.mouse.up(**options)


def _cut_out(page) -> np.ndarray:
    """The saved picture's mask."""
    with page.expect_download() as download:
        page.click("#save")
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    return np.asarray(picture)[..., 3] > 0


def _answered(page, number: int) -> None:
    """Wait until the page has shown the mask of its prompt of this number."""
    from playwright.sync_api import expect

    expect(page.locator("#overlay")).to_have_attribute("data-answered", str(number), timeout=120_000)
    expect(page.locator("#status")).to_have_text(re.compile("^Predicted quality"))


def test_a_click_in_the_browser_gives_pythons_mask(page) -> None:
    from playwright.sync_api import expect

    _click(page, 300, 200)
    _answered(page, 1)
    found = _cut_out(page)
    expected = _expected(points=[300, 200])
    assert found.shape == expected.shape
    assert iou(found, expected) >= LEAST
    page.keyboard.down("Shift")
    _click(page, 60, 40)
    page.keyboard.up("Shift")
    _answered(page, 2)
    assert iou(_cut_out(page), _expected(points=[[[300, 200], [60, 40]]], labels=[[1, 0]])) >= LEAST
    page.click("#undo")
    _answered(page, 3)
    assert iou(_cut_out(page), expected) >= LEAST
    page.click("#clear")
    expect(page.locator("#save")).to_be_disabled()


def test_a_box_dragged_in_the_browser_gives_pythons_mask(page) -> None:
    bounds = page.locator("#overlay").bounding_box()
    scale = bounds["width"] / page.evaluate("document.getElementById('overlay').width")
    page.mouse.move(bounds["x"] + 170 * scale, bounds["y"] + 15 * scale)
    page.mouse.down()
    page.mouse.move(bounds["x"] + 425 * scale, bounds["y"] + 310 * scale, steps=4)
    page.mouse.up()
    _answered(page, 1)
    assert iou(_cut_out(page), _expected(bboxes=[170, 15, 425, 310])) >= LEAST


def test_the_node_example_gives_pythons_mask(folder: Path, tmp_path: Path) -> None:
    example = tmp_path / "node"
    shutil.copytree(ROOT / "examples/node", example)
    subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--no-audit"], cwd=example, check=True)
    image = tmp_path / "photo.png"
    Image.open(PHOTO).save(image)
    command = ["node", "segment.mjs", folder, image, "300,200", tmp_path / "mask.png"]
    done = subprocess.run([str(part) for part in command], cwd=example, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0.5 < json.loads(done.stdout)["iou"] <= 1.1
    found = np.asarray(Image.open(tmp_path / "mask.png").convert("L")) > 127
    expected = SAM(precision="fp32").predict(image, points=[300, 200], multimask="best")[0].masks[0]
    assert iou(found, expected) >= LEAST
