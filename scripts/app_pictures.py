#!/usr/bin/env python3
"""Take the pictures of docs/app.md, one of each view of `mobilesam app`; run by `scripts/browser ci --pictures`."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser_app import BROWSER, QUIET, App, Desk, app  # noqa: E402  # after the path that has it

PHOTOS = ROOT / "tests/golden"
WIDE = {"viewport": {"width": 1200, "height": 780}}
PHONE = {"viewport": {"width": 390, "height": 780}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
QUALITY = 82


def main() -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as temporary:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        folder = Path(temporary) / "photos"
        folder.mkdir()
        for name in ("astronaut", "chelsea", "coffee_portrait", "rocket"):
            shutil.copy(PHOTOS / f"{name}.png", folder)
        shutil.copy(ROOT / "examples/coffee.png", folder)
        with app("--port", "0") as alone, app(folder, "--port", "0") as queue:
            for view in VIEWS:
                take(browser, view, queue if view in (queue_view, unsaved) else alone)


def take(browser: Any, view: Callable[[Desk, App], None], running: App) -> None:
    name = view.__name__.removesuffix("_view")
    options = PHONE if name == "phone" else WIDE
    context = browser.new_context(**options, color_scheme="dark" if name in ("dark", "phone") else "light")
    desk = Desk(context.new_page())
    desk.goto(running.address)
    view(desk, running)
    picture = Image.open(io.BytesIO(desk.page.screenshot())).convert("RGB")
    target = ROOT / f"docs/img/app-{name}.jpg"
    picture.save(target, quality=QUALITY, optimize=True)
    print(target.relative_to(ROOT), target.stat().st_size)
    context.close()


def start(desk: Desk, _: App) -> None:
    desk.page.wait_for_load_state("networkidle")


def light(desk: Desk, _: App) -> None:
    desk.open(PHOTOS / "astronaut.png")
    desk.press("b")
    for number, (name, box) in enumerate([("helmet", (275, 335, 495, 511)), ("rocket", (352, 0, 468, 290))], start=1):
        desk.drag(*box)
        desk.answered(number)
        desk.name(name)
    desk.press("c")
    objects(desk, [("person", (220, 330))])
    desk.click(222, 110)
    desk.answered(3)
    desk.page.mouse.move(5, 400)


def dark(desk: Desk, _: App) -> None:
    desk.open(PHOTOS / "chelsea.png")
    objects(desk, [("cat", (200, 200))])
    desk.press("p", "]", "]", "]")
    desk.move(90, 120)
    desk.page.mouse.down()
    desk.move(40, 200, steps=8)


def everything(desk: Desk, _: App) -> None:
    desk.open(ROOT / "examples/coffee.png")
    desk.press("e")
    desk.status("masks")
    desk.click(300, 130)
    desk.answered(1)
    desk.press("n")
    desk.move(350, 280)
    desk.page.wait_for_timeout(300)


def queue_view(desk: Desk, _: App) -> None:
    desk.is_open("astronaut.png")
    objects(desk, [("person", (220, 330))])
    desk.press("d", "PageDown")
    desk.is_open("chelsea.png")
    objects(desk, [("cat", (200, 200))])
    desk.page.locator("#stage").focus()
    desk.press("n")
    desk.move(330, 60)
    desk.page.wait_for_timeout(500)


def unsaved(desk: Desk, running: App) -> None:
    import resource

    desk.is_open("chelsea.png")
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    objects(desk, [("background", (420, 60))])
    desk.banner("Not saved")


def download(desk: Desk, _: App) -> None:
    desk.open(ROOT / "examples/coffee.png")
    objects(desk, [("cup", (300, 130)), ("spoon", (365, 290))])
    desk.page.click("#download summary")


def keys(desk: Desk, _: App) -> None:
    desk.open(ROOT / "examples/coffee.png")
    desk.press("?")


def phone(desk: Desk, _: App) -> None:
    desk.open(PHOTOS / "astronaut.png")
    for number, (name, place) in enumerate([("rocket", (400, 60)), ("person", (220, 330))], start=1):
        if number > 1:
            desk.page.tap("#new")
        desk.page.touchscreen.tap(*desk.at(*place))
        desk.answered(number)
        desk.name(name)


def objects(desk: Desk, places: list[tuple[str, tuple[int, int]]]) -> None:
    """Click on objects and name them; the last one stays chosen."""
    before = desk.page.locator(".object").count()
    for number, (name, place) in enumerate(places, start=before + 1):
        desk.press("n")
        desk.click(*place)
        desk.answered(number)
        desk.name(name)


VIEWS = (start, light, dark, everything, queue_view, unsaved, download, keys, phone)

if __name__ == "__main__":
    main()
