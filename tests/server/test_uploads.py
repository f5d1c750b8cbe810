"""Pictures that are sent: which ways, which limits, which tricks."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from servers import Server, click, connect, embed, picture, problem, running, until

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")


@pytest.mark.parametrize("kind", FORMATS)
def test_bytes_and_forms_are_the_same(http: httpx.Client, kind: str) -> None:
    data = picture(kind=kind)
    ways = [
        http.post("/v1/embeddings", files={"image": ("photo", data)}),
        http.post("/v1/embeddings", content=data, headers={"content-type": f"image/{kind.lower()}"}),
        http.post("/v1/embeddings", content=data, headers={"content-type": "application/octet-stream"}),
    ]
    for answer in ways:
        assert answer.status_code == 201
        made = answer.json()
        assert made | {"id": ""} == {"id": "", "size": [40, 60], "model": "fake-0", "expires_in": 3600}
        assert len(made["id"]) == 43  # 256 bits in base64
        assert answer.headers["cache-control"] == "no-store"
    assert len({answer.json()["id"] for answer in ways}) == 3


def test_a_picture_is_turned_upright(http: httpx.Client) -> None:
    exif = Image.Exif()
    exif[274] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(buffer, "JPEG", exif=exif)
    answer = http.post("/v1/embeddings", content=buffer.getvalue(), headers={"content-type": "image/jpeg"})
    assert answer.json()["size"] == [60, 40]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large, in a few bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


PNG = picture(value=7)
NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)


def noisy(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, kind)
    return buffer.getvalue()


HOSTILE = {
    "nothing": b"",
    "text": b"this is no picture",
    "html": b"<html><script>alert(1)</script></html>",
    "a PNG's signature alone": PNG[:8],
    "eps, for Ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
    "svg with a file": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "zip": b"PK\x03\x04" + bytes(200),
    "truncated png": noisy("PNG")[:3000],
    "truncated jpeg": noisy("JPEG")[:600],
    "truncated webp": noisy("WEBP")[:500],
    "truncated tiff": noisy("TIFF")[:500],
    "truncated gif": noisy("GIF")[:500],
    "png without pixels": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)),
    "png of no size": bomb(0, 0),
    "png with a wrong checksum": noisy("PNG").replace(b"IDAT", b"IDAT", 1)[:-30] + bytes(30),
    "tiff pointing nowhere": b"II*\x00\xff\xff\xff\x7f",
    "tiff pointing at itself": struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 256, 3, 1, 0xFFFF, 8),
    "ppm with letters": b"P6\nab cd\n255\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", [False, True])
def test_what_is_no_picture_is_422(http: httpx.Client, name: str, form: bool) -> None:
    data = HOSTILE[name]
    if form:
        answer = http.post("/v1/embeddings", files={"image": ("photo.png", data)})
    else:
        answer = http.post("/v1/embeddings", content=data, headers={"content-type": "image/png"})
    assert problem(answer) == (422, "ImageError")


@pytest.mark.parametrize("size", [(1001, 1000), (50_000, 50_000), (2**31 - 1, 2**31 - 1), (1_000_001, 1)])
def test_bombs_are_refused_by_their_header(http: httpx.Client, size: tuple[int, int]) -> None:
    answer = http.post("/v1/embeddings", content=bomb(*size), headers={"content-type": "image/png"})
    assert problem(answer) == (413, "TooLarge")


def test_a_polyglot_is_a_picture_and_comes_back_as_none(http: httpx.Client) -> None:
    name = embed(http, picture() + b"<script>alert(document.cookie)</script>" + b"PK\x05\x06" + bytes(18))
    answer = http.post("/v1/masks", json=click(name))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"script" not in answer.content


@pytest.mark.parametrize("seed", range(40))
def test_damaged_pictures_are_never_a_servers_error(http: httpx.Client, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = np.frombuffer(noisy(FORMATS[seed % len(FORMATS)]), np.uint8).copy()
    places = random.integers(0, min(len(data), 400), 12)
    data[places] = random.integers(0, 256, 12)
    answer = http.post("/v1/embeddings", content=data.tobytes(), headers={"content-type": "image/x"})
    assert answer.status_code in (201, 413, 422), answer.text


def test_a_body_over_the_limit_is_refused_by_its_length(http: httpx.Client) -> None:
    data = bytes(200_001)
    assert problem(http.post("/v1/embeddings", content=data, headers={"content-type": "image/png"})) == (
        413,
        "TooLarge",
    )
    form = http.post("/v1/embeddings", files={"image": ("a", data)})
    assert problem(form) == (413, "TooLarge")


def test_a_body_without_a_length_is_refused_while_it_comes(server: Server) -> None:
    sent = 0

    def endless() -> object:
        nonlocal sent
        while sent < 10**9:
            sent += 10_000
            yield bytes(10_000)

    with connect(server) as http:
        answer = http.post("/v1/embeddings", content=endless(), headers={"content-type": "image/png"})  # type: ignore[arg-type]
        assert problem(answer) == (413, "TooLarge")
    assert sent < 20_000_000  # what the sockets' buffers took, not all of it
    until(lambda: server.service.gate.bytes == 0)


def test_uploads_together_have_a_limit() -> None:
    with running(max_bytes=1000) as server, connect(server) as http:
        server.service.gate.bytes = server.service.config.buffered
        assert problem(http.post("/v1/embeddings", content=b"x", headers={"content-type": "image/png"})) == (
            503,
            "Busy",
        )


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "", "text/html", "application/x-www-form-urlencoded", "multipart/mixed", "video/mp4", "image"],
)
def test_types_that_are_not_read(http: httpx.Client, kind: str) -> None:
    for path in ("/v1/embeddings", "/v1/masks", "/v1/everything"):
        answer = http.post(path, content=b"{}", headers={"content-type": kind})
        assert problem(answer) == (415, "UnsupportedMediaType")


def test_a_packed_body_is_not_unpacked(http: httpx.Client) -> None:
    headers = {"content-type": "image/png", "content-encoding": "gzip"}
    assert problem(http.post("/v1/embeddings", content=b"x", headers=headers)) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"nothing of the kind"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x\r\n"),
        ("multipart/form-data; boundary=x; charset=utf-99", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + 10_000 * b"A: b\r\n" + b"\r\n\r\n--x--\r\n"),
    ],
)
def test_forms_that_are_none(http: httpx.Client, kind: str, content: bytes) -> None:
    assert problem(http.post("/v1/embeddings", content=content, headers={"content-type": kind}))[0] in (400, 422)


def test_fields_that_do_not_belong(http: httpx.Client) -> None:
    two = [("image", ("a", picture())), ("image", ("b", picture()))]
    assert problem(http.post("/v1/embeddings", files=two))[0] == 422
    assert problem(http.post("/v1/embeddings", files={"photo": ("a", picture())}))[0] == 422
    assert problem(http.post("/v1/embeddings", files={"request": (None, "{}")}))[0] == 422
    assert problem(http.post("/v1/embeddings", files=[("image", (str(i), b"x")) for i in range(500)]))[0] == 400
    assert problem(http.post("/v1/masks", files={"image": ("a", picture()), "request": (None, "{}")}))[0] == 422
    both = {"image": ("a", picture()), "request": (None, '{"embedding": "x", "prompts": [{"points": [[1, 1]]}]}')}
    assert problem(http.post("/v1/masks", files=both))[0] == 422


@pytest.mark.parametrize("name", ["../../../etc/passwd", "C:\\x\\..\\y.png", "a\x00b", "/etc/shadow", "💥" * 300, ".."])
def test_names_lead_nowhere(http: httpx.Client, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert http.post("/v1/embeddings", files={"image": (name, picture())}).status_code == 201
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "x" * 5000, "", "*", "%F0%9F%92%A5"]
)
def test_ids_lead_nowhere(http: httpx.Client, path: str) -> None:
    assert problem(http.delete(f"/v1/embeddings/{path}"))[0] in (404, 405)
    assert problem(http.post("/v1/masks", json=click(path[:200])))[0] == 404


def test_nothing_is_written_to_disk(http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger than what Starlette would keep in memory."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    with running(max_bytes=5_000_000) as server, connect(server) as client:
        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (800, 900, 3)).astype(np.uint8)).save(buffer, "BMP")
        assert len(buffer.getvalue()) > 2_000_000
        assert embed(client, buffer.getvalue())
