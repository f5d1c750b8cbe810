"""The browser app's server: who may ask, what the page may do, what downloads hold."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from mobilesam import SAM
from mobilesam.masks import Polygon, rasterize, rle_decode, rle_encode
from mobilesam.server.annotations import WRITERS
from mobilesam.server.queue import SIDECAR, Queue
from mobilesam.server.site import FILES, PAGE, create_site
from servers import Small, connect, serving

MASKS = np.zeros((2, 40, 60), bool)
MASKS[0, 5:20, 10:30] = True
MASKS[0, 8:12, 14:20] = False  # a hole
MASKS[0, 30:33, 2:5] = True  # a second region
MASKS[1, 22:28, 40:59] = True
NAMES = ["cup", 'a "table":\n<b>']


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site") / "my photos"
    made.mkdir()
    for name in ("a.png", "b c#?.png"):
        Image.new("RGB", (60, 40), "red").save(made / name)
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with started(Queue(folder)) as opened:
        yield opened


@contextmanager
def started(queue: Queue | None = None) -> Iterator[httpx.Client]:
    """The app, running."""
    with serving(create_site(SAM.from_backend(Small()), queue)) as server, connect(server) as opened:
        yield opened


def request(kind: str, photo: str = "a.png") -> dict[str, Any]:
    objects = [{"name": name, "rle": rle_encode(mask)} for name, mask in zip(NAMES, MASKS, strict=True)]
    return {"kind": kind, "photo": photo, "size": [40, 60], "objects": objects}


def work(mask: np.ndarray, name: str, revision: int = 0) -> dict[str, Any]:
    one = {"id": 1, "name": name, "colour": "#0072b2", "hidden": False, "points": [], "box": None, "origin": None}
    one |= {"base": True, "strokes": [], "answer": None, "rle": rle_encode(mask), "iou": None}
    return {"size": [40, 60], "objects": [one], "done": True, "revision": revision}


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        ({}, True),
        ({"host": "localhost:7870"}, True),
        ({"host": "[::1]:7870"}, True),
        ({"host": "evil.example:7870"}, False),
        ({"host": "evil.example"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": "127.0.0.1:7870@evil.example"}, False),
        ({"host": ""}, False),
        ({"origin": "http://127.0.0.1:{port}"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://127.0.0.1:9999"}, False),
        ({"origin": "https://127.0.0.1:{port}"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, False),
    ],
)
def test_only_pages_of_this_machine_are_answered(client: httpx.Client, headers: dict[str, str], answered: bool) -> None:
    headers = {name: value.replace("{port}", str(client.base_url.port)) for name, value in headers.items()}
    calls = [("GET", "/app/queue"), ("GET", "/app/queue/photos/a.png"), ("GET", "/healthz"), ("GET", "/page/main.js")]
    for method, path in [*calls, ("PUT", "/app/queue/work/a.png"), ("POST", "/v1/embeddings")]:
        status = client.request(method, path, headers=headers).status_code
        assert (status != 403) == answered, (method, path, status)


def test_a_link_on_another_page_may_open_the_page(client: httpx.Client) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers={**link, "sec-fetch-dest": "iframe"}).status_code == 403
    assert client.post("/", headers=link).status_code == 403


def test_the_page_may_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/", "/page/main.js", "/app/queue", "/nowhere"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_every_file_of_the_page_is_served_and_none_other(client: httpx.Client) -> None:
    for name, path in FILES.items():
        answer = client.get(f"/page/{name}")
        assert answer.content == path.read_bytes()
    assert client.get("/page/main.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/").content == (PAGE / "index.html").read_bytes()
    for name in ("../site.py", "%2e%2e/site.py", "..%2fsite.py", "/etc/passwd", "", "examples", "nothing.js"):
        assert client.get(f"/page/{name}").status_code == 404


def test_what_the_page_refers_to_is_there() -> None:
    html = (PAGE / "index.html").read_text()
    assert set(re.findall(r'(?:src|href)="(/[^"]+)"', html)) <= {f"/page/{name}" for name in FILES}
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)
    ids = set(re.findall(r'\bid="([^"]+)"', html))
    for script in PAGE.glob("*.js"):
        text = script.read_text()
        assert set(re.findall(r'element\("([^"]+)"\)', text)) <= ids
        assert {f"./{name}" for name in FILES} >= set(re.findall(r'from "([^"]+)"', text))
        assert len(text.splitlines()) <= 400
        assert "innerHTML" not in text


def test_coco_is_read_back(client: httpx.Client) -> None:
    answer = client.post("/app/export", json=request("coco"))
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a-coco.json"
    document = answer.json()
    assert document["images"] == [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}]
    assert [one["name"] for one in document["categories"]] == NAMES
    for one, mask in zip(document["annotations"], MASKS, strict=True):
        assert np.array_equal(rle_decode(one["segmentation"]), mask)
        assert "predicted_iou" not in one


def test_labelme_is_read_back(client: httpx.Client) -> None:
    document = client.post("/app/export", json=request("labelme")).json()
    assert (document["imagePath"], document["imageHeight"], document["imageWidth"]) == ("a.png", 40, 60)
    for number, (name, mask) in enumerate(zip(NAMES, MASKS, strict=True), start=1):
        shapes = [shape for shape in document["shapes"] if shape["group_id"] == number]
        assert {shape["label"] for shape in shapes} == {name}
        rings = [Polygon(np.array(shape["points"])) for shape in shapes]
        assert np.array_equal(rasterize(rings, (40, 60)), mask)


def test_yolo_is_read_back(client: httpx.Client) -> None:
    packed = zipfile.ZipFile(io.BytesIO(client.post("/app/export", json=request("yolo")).content))
    assert packed.namelist() == ["labels/a.txt", "data.yaml"]
    for number, line in enumerate(packed.read("labels/a.txt").decode().splitlines()):
        label, *values = line.split()
        ring = np.round(np.array(values, np.float64).reshape(-1, 2) * (60, 40))
        assert label == str(number)
        assert np.array_equal(rasterize([Polygon(ring)], (40, 60)), MASKS[number])
    lines = packed.read("data.yaml").decode().splitlines()
    assert [json.loads(line.split(": ", 1)[1]) for line in lines[lines.index("names:") + 1 :]] == NAMES


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    "photo", ["../../etc/passwd", "..\\..\\x", "/", "a\r\nb: c.png", "..", "a" * 999, "\u2603.png"]
)
def test_no_name_leaves_its_place(client: httpx.Client, kind: str, photo: str) -> None:
    answer = client.post("/app/export", json=request(kind, photo))
    assert answer.status_code == 200
    name = answer.headers["content-disposition"].split("''")[1]
    assert "/" not in name
    assert "%2F" not in name.upper()
    if kind == "yolo":
        for inside in zipfile.ZipFile(io.BytesIO(answer.content)).namelist():
            assert ".." not in inside.split("/")
            assert inside.count("/") <= 1
            assert "\\" not in inside


@pytest.mark.parametrize(
    "change",
    [{"kind": "pickle"}, {"size": [40, 61]}, {"size": [0, 0]}, {"size": [-40, -60]}, {"objects": [{"name": "x"}]},
     {"more": 1}, {"objects": [{"name": "x", "rle": {"size": [40, 60], "counts": "zzzzzzzzzzzzzzz"}}]}],
)  # fmt: skip
def test_exports_of_nonsense_are_refused(client: httpx.Client, change: dict[str, Any]) -> None:
    answer = client.post("/app/export", json={**request("coco"), **change})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "change",
    [{"size": None}, {"objects": 3}, {"revision": -1}, {"more": True}, {"objects": [{"id": 1}]}],
)
def test_work_of_another_shape_is_not_saved(client: httpx.Client, folder: Path, change: dict[str, Any]) -> None:
    assert client.put("/app/queue/work/a.png", json={**work(MASKS[0], "x"), **change}).status_code == 422
    assert not (folder / SIDECAR).exists()


def test_the_queue_over_http(client: httpx.Client, folder: Path) -> None:
    listing = client.get("/app/queue").json()
    assert listing["folder"]["name"] == "my photos"
    assert listing["photos"] == [{"name": n, "objects": 0, "done": False} for n in ("a.png", "b c#?.png")]
    assert client.get("/app/queue/photos/b%20c%23%3F.png").content == (folder / "b c#?.png").read_bytes()
    for number, name in enumerate(("a.png", "b%20c%23%3F.png")):
        saved = client.put(f"/app/queue/work/{name}", json=work(MASKS[number], NAMES[number]))
        assert saved.json() == {"revision": 1}
        assert client.get(f"/app/queue/work/{name}").json() == work(MASKS[number], NAMES[number], revision=1)
    assert client.put("/app/queue/work/a.png", json=work(MASKS[0], "late")).status_code == 409
    for name in ("..%2fsecret.png", "%2e%2e%2fsecret.png", "nothing.png", "..%5csecret.png"):
        for method, kind in (("GET", "photos"), ("GET", "work"), ("PUT", "work")):
            answer = client.request(method, f"/app/queue/{kind}/{name}", json=work(MASKS[0], "x"))
            assert answer.status_code == 404
    document = client.get("/app/queue/export/coco").json()
    assert [image["file_name"] for image in document["images"]] == ["a.png", "b c#?.png"]
    assert [one["image_id"] for one in document["annotations"]] == [1, 2]
    for one, mask in zip(document["annotations"], MASKS, strict=True):
        assert np.array_equal(rle_decode(one["segmentation"]), mask)
    names = zipfile.ZipFile(io.BytesIO(client.get("/app/queue/export/labelme").content)).namelist()
    assert names == ["a.json", "b c#?.json"]
    names = zipfile.ZipFile(io.BytesIO(client.get("/app/queue/export/yolo").content)).namelist()
    assert names == ["labels/a.txt", "labels/b c#?.txt", "data.yaml"]
    assert sorted(path.name for path in (folder / SIDECAR).iterdir()) == ["a.png.json", "b c#?.png.json"]


def test_without_a_folder_there_is_no_queue() -> None:
    with started() as client:
        assert client.get("/app/queue").json() == {"folder": None, "photos": []}
        assert client.get("/app/queue/photos/a.png").status_code == 404
        assert client.get("/app/queue/export/coco").status_code == 404


def test_pictures_come_as_python_reads_them(client: httpx.Client) -> None:
    values = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 20
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    answer = client.post("/app/picture", content=buffer.getvalue(), headers={"content-type": "image/tiff"})
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    from mobilesam.image import to_rgb

    assert np.array_equal(shown, to_rgb(buffer.getvalue()))
    assert client.post("/app/picture", content=b"no", headers={"content-type": "image/png"}).status_code == 422
