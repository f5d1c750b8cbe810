"""A folder as annotation queue, and what must not lose its work: reloads, crashes, full disks, two pages at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser_app import App, Desk, app, saved
from conftest import ROOT
from mobilesam.masks import iou, rle_decode

pytestmark = pytest.mark.browser
LEAST = 0.99
ODD = "<img src=x onerror=alert(1)> 50%#?.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    made.mkdir()
    for name in ("astronaut.png", "chelsea.png", "rocket.png"):
        shutil.copy(ROOT / "tests/golden" / name, made)
    return made


@pytest.fixture
def queue(folder: Path) -> Iterator[App]:
    with app(folder, "--port", "0") as started:
        yield started


def is_saved(desk: Desk, folder: Path, name: str, objects: int) -> None:
    desk.until((folder / "mobilesam-annotations" / f"{name}.json").is_file)
    desk.until(lambda: len(saved(folder, name)["objects"]) == objects)
    desk.banner(None)


def test_photo_after_photo(context: Any, folder: Path, queue: App, expected: Callable[..., np.ndarray]) -> None:
    desk = Desk(context().new_page())
    desk.goto(queue.address)
    desk.is_open("astronaut.png")
    desk.click(220, 330)
    desk.answered(1)
    desk.name("person")
    desk.press("d", "PageDown")
    desk.is_open("chelsea.png")
    desk.answered(0)
    desk.click(200, 200)
    desk.answered(1)
    desk.name("cat")
    desk.press("ArrowLeft")
    desk.is_open("astronaut.png")
    desk.answered(1)
    assert desk.page.locator("#done").is_checked()
    assert "1 of 3 done" in desk.page.locator("#progress").inner_text()
    masks = []
    for name, label, done in (("astronaut.png", "person", True), ("chelsea.png", "cat", False)):
        is_saved(desk, folder, name, 1)
        work = saved(folder, name)
        (one,) = work["objects"]
        assert (one["name"], work["done"], work["photo"]) == (label, done, name)
        x, y, _ = one["points"][0]
        masks.append(expected(folder / name, points=[x, y]))
        assert iou(rle_decode(one["rle"]), masks[-1]) >= LEAST

    document = json.loads(desk.download("coco", "folder")[1])
    assert [image["file_name"] for image in document["images"]] == ["astronaut.png", "chelsea.png"]
    assert [one["name"] for one in document["categories"]] == ["person", "cat"]
    for one, mask in zip(document["annotations"], masks, strict=True):
        assert iou(rle_decode(one["segmentation"]), mask) >= LEAST
    assert sorted(path.name for path in folder.iterdir()) == [
        "astronaut.png", "chelsea.png", "mobilesam-annotations", "rocket.png"
    ]  # fmt: skip
    desk.goto(queue.address)
    desk.is_open("astronaut.png")
    desk.answered(1)


def test_a_crash_of_server_and_page_loses_nothing(context: Any, folder: Path) -> None:
    profile = context()
    with app(folder, "--port", "0") as first:
        desk = Desk(profile.new_page())
        desk.goto(first.address)
        desk.is_open("astronaut.png")
        desk.click(220, 330)
        desk.answered(1)
        is_saved(desk, folder, "astronaut.png", 1)
        first.kill()
        desk.name("made while the server was gone")
        desk.banner("kept in this browser")
        desk.until(lambda: desk.drafts("folder:")[0]["objects"][0]["name"].startswith("made"))
        desk.page.close(run_before_unload=False)
    assert saved(folder, "astronaut.png")["objects"][0]["name"] == "object"
    with app(folder, "--port", first.port) as second:
        desk = Desk(profile.new_page())
        desk.goto(second.address)
        desk.is_open("astronaut.png")
        desk.has_name("made while the server was gone")
        desk.until(lambda: saved(folder, "astronaut.png")["objects"][0]["name"].startswith("made"))
        desk.banner(None)


def test_work_on_another_photo_is_saved_after_a_crash_too(context: Any, folder: Path) -> None:
    profile = context()
    with app(folder, "--port", "0") as first:
        desk = Desk(profile.new_page())
        desk.goto(first.address)
        desk.is_open("astronaut.png")
        desk.press("PageDown")
        desk.is_open("chelsea.png")
        first.kill()
        desk.press("d")
        desk.until(lambda: any(draft["done"] for draft in desk.drafts("folder:")))
        desk.page.close()
    with app(folder, "--port", first.port) as second:
        desk = Desk(profile.new_page())  # another tab begins with the folder's first photo
        desk.goto(second.address)
        desk.is_open("astronaut.png")
        desk.until((folder / "mobilesam-annotations/chelsea.png.json").is_file)
        assert saved(folder, "chelsea.png")["done"]


def test_a_full_disk_is_told_and_the_work_survives(context: Any, folder: Path, queue: App) -> None:
    resource = pytest.importorskip("resource")
    desk = Desk(context().new_page())
    desk.goto(queue.address)
    desk.is_open("astronaut.png")
    desk.click(220, 330)
    desk.answered(1)
    is_saved(desk, folder, "astronaut.png", 1)
    before = (folder / "mobilesam-annotations/astronaut.png.json").read_bytes()
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(queue.process.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))  # no file may grow
    desk.press("n")
    desk.click(440, 440)
    desk.answered(2)
    desk.banner("Not saved")
    assert (folder / "mobilesam-annotations/astronaut.png.json").read_bytes() == before
    assert len(list((folder / "mobilesam-annotations").iterdir())) == 1
    desk.press("PageDown")
    desk.is_open("chelsea.png")
    desk.press("PageUp")
    desk.is_open("astronaut.png")
    desk.answered(2)
    desk.name("while the disk was full")
    desk.goto(queue.address)
    desk.is_open("astronaut.png")
    desk.answered(2)
    desk.banner("Not saved")
    desk.press("PageDown")
    desk.is_open("chelsea.png")
    desk.press("PageUp")
    desk.is_open("astronaut.png")
    resource.prlimit(queue.process.pid, resource.RLIMIT_FSIZE, unlimited)
    desk.page.click("#again")
    is_saved(desk, folder, "astronaut.png", 2)
    assert saved(folder, "astronaut.png")["objects"][1]["name"] == "while the disk was full"


def test_two_pages_do_not_overwrite_each_other(context: Any, folder: Path, queue: App) -> None:
    one, other = (Desk(context().new_page()) for _ in range(2))
    for desk in (one, other):
        desk.goto(queue.address)
        desk.is_open("astronaut.png")
    one.click(220, 330)
    one.answered(1)
    is_saved(one, folder, "astronaut.png", 1)
    other.click(440, 440)
    other.answered(1)
    other.name("from the second page")
    other.banner("changed elsewhere")
    assert saved(folder, "astronaut.png")["objects"][0]["name"] == "object"
    other.page.click("#mine")
    other.until(lambda: saved(folder, "astronaut.png")["objects"][0]["name"] == "from the second page")
    one.press("n")
    one.click(100, 100)
    one.answered(2)
    one.banner("changed elsewhere")
    one.page.click("#theirs")
    one.answered(1)
    one.has_name("from the second page")
    one.banner(None)


def test_names_are_text_and_nothing_else(context: Any, folder: Path) -> None:
    shutil.move(folder / "chelsea.png", folder / ODD)
    with app(folder, "--port", "0") as started:
        desk = Desk(context().new_page())
        desk.goto(started.address)
        desk.is_open(ODD)
        desk.click(200, 200)
        desk.answered(1)
        bad = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
        desk.name(bad)
        is_saved(desk, folder, ODD, 1)
        assert desk.page.locator("#photos button").first.inner_text().startswith(ODD)
        assert desk.page.locator("img[src=x]").count() == 0
        name, data = desk.download("labelme")
        assert name == "_img src=x onerror=alert(1)_ 50%#_.json"
        assert json.loads(data)["shapes"][0]["label"] == bad
        assert desk.page.locator("#names option").first.get_attribute("value") == bad
        desk.goto(started.address)
        desk.has_name(bad)
