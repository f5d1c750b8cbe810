"""What a person does with one photo, on real photos with real weights; every mask is compared with Python's."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browser_app import App, Desk, pixels
from conftest import ROOT
from mobilesam.masks import Polygon, iou, rasterize, rle_decode

pytestmark = pytest.mark.browser
LEAST = 0.99
JPEG = ROOT / "src/mobilesam/export/coffee.jpg"
Expected = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Case:
    """Places on a photo: on an object, on a part that doesn't belong, a box, and on a second object."""

    on: tuple[int, int]
    off: tuple[int, int]
    box: tuple[int, int, int, int]
    second: tuple[int, int]


CASES = {
    "astronaut": Case((220, 330), (222, 110), (60, 10, 400, 505), (440, 440)),
    "chelsea": Case((200, 200), (120, 40), (10, 20, 380, 290), (60, 200)),
    "rocket": Case((320, 150), (420, 330), (290, 60, 350, 380), (430, 300)),
    "coffee": Case((300, 200), (60, 40), (170, 15, 425, 310), (60, 40)),
}


def points_of(one: dict[str, Any]) -> dict[str, Any]:
    points = one["points"]
    return {"points": [[[x, y] for x, y, _ in points]], "labels": [[label for _, _, label in points]]}


@pytest.mark.parametrize("name", CASES)
def test_click_add_remove_undo_box(desk: Desk, photos: dict[str, Path], expected: Expected, name: str) -> None:
    case, photo = CASES[name], photos[name]
    desk.open(photo)
    desk.click(*case.on)
    desk.answered(1)
    first = desk.mask()
    (one,) = desk.objects()
    assert np.hypot(*(np.array(one["points"][0][:2]) - case.on)) <= 1
    assert iou(first, expected(photo, **points_of(one))) >= LEAST

    desk.click(*case.off, button="right")
    desk.answered(1)
    (one,) = desk.objects()
    assert [label for _, _, label in one["points"]] == [1, 0]
    corrected = desk.mask()
    assert iou(corrected, expected(photo, **points_of(one))) >= LEAST

    desk.page.keyboard.down("Shift")
    desk.click(5, 5)
    desk.page.keyboard.up("Shift")
    desk.answered(1)
    (one,) = desk.objects()
    assert [label for _, _, label in one["points"]] == [1, 0, 0]

    desk.press("z", "z")
    desk.answered(1)
    assert np.array_equal(desk.mask(), first)
    desk.press("Shift+Z")
    assert np.array_equal(desk.mask(), corrected)

    desk.press("Delete")
    desk.answered(0)
    desk.drag(*case.box)
    desk.answered(1)
    (one,) = desk.objects()
    assert np.abs(np.array(one["box"]) - case.box).max() <= 1
    assert iou(desk.mask(), expected(photo, bboxes=one["box"])) >= LEAST


@pytest.mark.parametrize("name", CASES)
def test_downloads_are_read_back(desk: Desk, photos: dict[str, Path], expected: Expected, name: str) -> None:
    case, photo = CASES[name], photos[name]
    desk.open(photo)
    for number, place in enumerate((case.on, case.second), start=1):
        desk.click(*place)
        desk.answered(number)
        desk.name(f"thing {number}")
        desk.press("n")
    masks = [expected(photo, **points_of(one)) for one in desk.objects()]
    whole = pixels(photo)
    size = whole.shape[:2]

    cut = pixels(desk.download("cutout")[1])
    assert iou(cut[..., 3] > 0, masks[0] | masks[1]) >= LEAST
    assert not (cut[..., 3] % 255).any()
    if name == "coffee":  # the others have colour profiles, and the browser brings them to sRGB
        assert np.array_equal(cut[cut[..., 3] == 255], whole[cut[..., 3] == 255])
    assert iou(desk.mask(), masks[0] | masks[1]) >= LEAST

    file_name, data = desk.download("coco")
    document = json.loads(data)
    assert file_name == f"{name}-coco.json"
    assert document["images"] == [{"id": 1, "file_name": photo.name, "height": size[0], "width": size[1]}]
    assert [one["name"] for one in document["categories"]] == ["thing 1", "thing 2"]
    assert [one["category_id"] for one in document["annotations"]] == [1, 2]
    for one, mask in zip(document["annotations"], masks, strict=True):
        assert iou(rle_decode(one["segmentation"]), mask) >= LEAST

    document = json.loads(desk.download("labelme")[1])
    assert (document["imagePath"], document["imageHeight"], document["imageWidth"]) == (photo.name, *size)
    for number, mask in enumerate(masks, start=1):
        rings = [np.array(shape["points"]) for shape in document["shapes"] if shape["label"] == f"thing {number}"]
        assert iou(rasterize([Polygon(ring) for ring in rings], size), mask) >= LEAST

    packed = zipfile.ZipFile(io.BytesIO(desk.download("yolo")[1]))
    assert sorted(packed.namelist()) == ["data.yaml", f"labels/{name}.txt"]
    assert '0: "thing 1"\n  1: "thing 2"' in packed.read("data.yaml").decode()
    lines = packed.read(f"labels/{name}.txt").decode().splitlines()
    for number, (line, mask) in enumerate(zip(lines, masks, strict=True)):
        label, *values = line.split()
        ring = np.array(values, np.float64).reshape(-1, 2) * size[::-1]
        assert label == str(number)
        assert iou(rasterize([Polygon(np.round(ring))], size), mask) >= LEAST


@pytest.mark.parametrize("name", ["rocket", "chelsea", "coffee"])
def test_everything_is_picked_from(desk: Desk, photos: dict[str, Path], everything: Any, name: str) -> None:
    photo = photos[name]
    found = everything(photo)
    desk.open(photo)
    desk.press("e")
    desk.status(f"^{len(found)} masks")
    largest = max(found, key=lambda candidate: candidate.area)
    shape = pixels(photo).shape[:2]
    free = largest.mask(shape)
    for other in found:
        if other is not largest:
            free &= ~other.mask(shape)
    y, x = np.argwhere(free)[len(np.argwhere(free)) // 2]
    desk.move(x + 0.5, y + 0.5)
    desk.click(x + 0.5, y + 0.5)
    desk.answered(1)
    assert iou(desk.mask(), largest.mask(shape)) >= LEAST
    desk.click(x + 0.5, y + 0.5)
    desk.answered(0)
    desk.press("z")
    desk.answered(1)
    assert iou(desk.mask(), largest.mask(shape)) >= LEAST


def test_the_brush_corrects(desk: Desk, photos: dict[str, Path]) -> None:
    desk.open(photos["coffee"])
    desk.click(300, 200)
    desk.answered(1)
    before = desk.mask()
    desk.press("p")
    desk.drag(20, 380, 80, 380)
    desk.press("x")
    desk.drag(290, 200, 310, 200)
    desk.answered(1)
    after = desk.mask()
    radius = desk.objects()[0]["strokes"][0]["radius"]
    y, x = np.indices(before.shape) + 0.5
    painted = np.hypot(x - np.clip(x, 20, 80), y - 380) <= radius
    erased = np.hypot(x - np.clip(x, 290, 310), y - 200) <= radius
    assert iou(after, (before | painted) & ~erased) >= LEAST
    desk.press("z", "z")
    assert np.array_equal(desk.mask(), before)


def test_a_reload_keeps_the_work(desk: Desk, photos: dict[str, Path], running: App) -> None:
    desk.open(photos["chelsea"])
    desk.click(*CASES["chelsea"].on)
    desk.answered(1)
    desk.name("cat")
    before = desk.mask()
    desk.goto(running.address)
    desk.is_open("chelsea.png")
    desk.answered(1)
    assert desk.page.locator(".object .name").input_value() == "cat"
    assert np.array_equal(desk.mask(), before)
    desk.page.locator(".object .name").click()
    desk.click(60, 200)
    desk.answered(1)
    assert len(desk.objects()[0]["points"]) == 2
    desk.open(photos["coffee"])
    desk.answered(0)
    desk.open(photos["chelsea"])
    desk.answered(1)


def test_a_forgotten_photo_is_sent_again(desk: Desk, photos: dict[str, Path], expected: Expected) -> None:
    sent: list[str] = []
    desk.page.on("request", lambda request: sent.append(request.url) if "embeddings" in request.url else None)
    stale = {"id": "forgotten", "size": [427, 640], "model": "any", "expires_in": 1}
    desk.page.route("**/v1/embeddings", lambda route: route.fulfill(status=201, json=stale), times=1)
    desk.open(photos["rocket"])
    desk.click(*CASES["rocket"].on)
    desk.answered(1)
    assert len(sent) == 2
    assert iou(desk.mask(), expected(photos["rocket"], **points_of(desk.objects()[0]))) >= LEAST


def test_the_live_mask_follows_the_cursor(desk: Desk, photos: dict[str, Path], capsys: Any) -> None:
    for name in ("astronaut", "coffee"):
        desk.open(photos[name])
        desk.page.evaluate("performance.clearMeasures()")
        for step in range(40):
            desk.move(150 + 6 * step, 150 + 4 * step)
            desk.page.wait_for_timeout(25)
        took = desk.page.evaluate("performance.getEntriesByName('hover').map(entry => entry.duration)")
        assert len(took) >= 20
        median, most = np.median(took), np.quantile(took, 0.9)
        with capsys.disabled():
            sys.stdout.write(f"\nlive mask, {name}: median {median:.0f} ms of {len(took)}, 90 % {most:.0f} ms\n")


def test_the_live_mask_is_what_a_click_gives(desk: Desk, photos: dict[str, Path], expected: Expected) -> None:
    desk.open(photos["coffee"])
    desk.move(300, 200)
    desk.until(lambda: desk.page.evaluate("performance.getEntriesByName('hover').length"))
    tinted = desk.page.evaluate(
        """() => {
          const canvas = document.getElementById("drawing");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const bits = Array.from(data.filter((_, i) => i % 4 === 3), (alpha) => (alpha ? 1 : 0));
          return [canvas.width, canvas.height, bits.join("")];
        }"""
    )
    width, height, text = tinted
    shown = np.frombuffer(text.encode(), np.uint8).reshape(height, width) == ord("1")
    scale, left, top = desk.view()
    y, x = np.indices((400, 600)) + 0.5
    seen = shown[(y * scale + top).astype(int), (x * scale + left).astype(int)]
    assert iou(seen, expected(photos["coffee"], points=[300, 200])) >= 0.98  # smoothed at the edge


def test_a_narrow_screen_with_touch(context: Any, running: App, photos: dict[str, Path], expected: Expected) -> None:
    options = {
        "viewport": {"width": 390, "height": 780},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    }
    page = context(**options).new_page()
    desk = Desk(page)
    desk.goto(running.address)
    desk.open(photos["astronaut"])
    page.touchscreen.tap(*desk.at(220, 330))
    desk.answered(1)
    assert iou(desk.mask(), expected(photos["astronaut"], **points_of(desk.objects()[0]))) >= LEAST
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", desk.at(222, 110))  # stays: a long press removes
    desk.until(lambda: len(desk.objects()[0]["points"]) == 2)
    touch("touchEnd")
    desk.answered(1)
    (one,) = desk.objects()
    assert [label for _, _, label in one["points"]] == [1, 0]
    assert iou(desk.mask(), expected(photos["astronaut"], **points_of(one))) >= LEAST

    before = desk.view()[0]
    (ax, ay), (bx, by) = desk.at(200, 250), desk.at(300, 250)
    touch("touchStart", (ax, ay))
    touch("touchStart", (ax, ay), (bx, by))
    for step in range(1, 6):
        touch("touchMove", (ax - 8 * step, ay), (bx + 8 * step, by))
    touch("touchEnd")
    desk.until(lambda: desk.view()[0] > 1.5 * before)
    assert len(desk.objects()[0]["points"]) == 2
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for button in page.locator("button:visible").all():
        bounds = button.bounding_box()
        assert bounds["x"] >= 0
        assert bounds["x"] + bounds["width"] <= 390
        assert min(bounds["width"], bounds["height"]) >= 36


def test_pasting_dropping_and_copying(context: Any, running: App, tmp_path: Path) -> None:
    small = tmp_path / "small.jpg"
    Image.new("RGB", (90, 60), "teal").save(small)
    opened = context(permissions=["clipboard-read", "clipboard-write"])
    desk = Desk(opened.new_page())
    desk.goto(running.address)
    give = """([values, kind]) => {
      const file = new File([new Uint8Array(values)], "given.png", { type: "image/png" });
      const data = new DataTransfer();
      data.items.add(file);
      const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
        : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.getElementById("stage").dispatchEvent(event);
    }"""
    desk.page.evaluate(give, [list(JPEG.read_bytes()), "drop"])
    desk.is_open("given.png")
    desk.click(300, 200)
    desk.answered(1)
    mask = desk.mask()
    desk.page.click("#download summary")
    desk.page.click("[data-kind=copy]")
    desk.status("clipboard")
    copied = desk.page.evaluate(
        """async () => {
          const [item] = await navigator.clipboard.read();
          return Array.from(new Uint8Array(await (await item.getType("image/png")).arrayBuffer()));
        }"""
    )
    assert np.array_equal(pixels(bytes(copied))[..., 3] > 0, mask)
    desk.page.evaluate(give, [list(small.read_bytes()), "paste"])
    desk.answered(0)


def test_a_tiff_of_16_bits_is_shown_as_python_reads_it(desk: Desk, tmp_path: Path, expected: Expected) -> None:
    y, x = np.indices((120, 160))
    deep = np.where(np.hypot(x - 80, y - 60) < 35, 60000, 2000).astype(np.uint16)
    path = tmp_path / "deep.tif"
    Image.fromarray(deep).save(path)
    desk.open(path)
    desk.click(80, 60)
    desk.answered(1)
    assert iou(desk.mask(), expected(path, **points_of(desk.objects()[0]))) >= LEAST


def test_by_keyboard_alone(desk: Desk, photos: dict[str, Path], expected: Expected) -> None:
    desk.open(photos["coffee"])
    desk.page.locator("#stage").focus()
    desk.press("k", "ArrowLeft", "ArrowDown", ".")
    desk.answered(1)
    (one,) = desk.objects()
    assert iou(desk.mask(), expected(photos["coffee"], **points_of(one))) >= LEAST
    desk.press("?")
    assert desk.page.locator("#keys").is_visible()
    desk.press("Escape")
    assert not desk.page.locator("#keys").is_visible()


def test_zooming_keeps_the_place_under_the_cursor(desk: Desk, photos: dict[str, Path]) -> None:
    desk.open(photos["chelsea"])
    before, scale = desk.at(100, 200), desk.view()[0]
    desk.page.mouse.move(*before)
    desk.page.mouse.wheel(0, -400)
    desk.until(lambda: desk.view()[0] > 1.5 * scale)
    assert np.hypot(*(np.array(desk.at(100, 200)) - before)) < 2
    desk.page.keyboard.down(" ")
    desk.page.mouse.down()
    desk.page.mouse.move(before[0] + 60, before[1] - 30)
    desk.page.mouse.up()
    desk.page.keyboard.up(" ")
    desk.page.evaluate("() => new Promise(requestAnimationFrame)")
    moved = np.array(desk.at(100, 200)) - before
    assert np.abs(moved - [60, -30]).max() < 2
    desk.answered(0)


def test_without_a_picture_keys_and_clicks_do_no_harm(desk: Desk) -> None:
    desk.press("z", "Shift+Z", "n", "Delete", "b", "p", "[", "]", "x", "h", "k", ".", "+", "0", "d", "l", "Escape")
    desk.page.mouse.click(30, 300)
    desk.page.mouse.wheel(0, 100)
    desk.press("e", "c")
    assert desk.page.locator("#welcome").is_visible()
    assert desk.page.locator("#formats button:enabled").count() == 0
    desk.page.click("[data-example='coffee.jpg']")
    desk.is_open("coffee.jpg")


def test_what_is_no_picture_is_told(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"this is no picture")
    desk.page.set_input_files("#file", path)
    desk.status("no picture")
    assert desk.page.locator("#welcome").is_visible()


def test_a_reload_right_after_a_change_keeps_it(desk: Desk, photos: dict[str, Path], running: App) -> None:
    desk.open(photos["coffee"])
    desk.click(300, 200)
    desk.answered(1)
    for number in range(5):
        desk.page.locator(".object .name").fill(f"name {number}")
        desk.page.evaluate("document.activeElement.blur(); location.reload()")  # in one task: nothing comes between
        desk.page.wait_for_selector("#stage[data-ready=true]")
        desk.has_name(f"name {number}")
