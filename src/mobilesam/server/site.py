"""The browser app: the REST service with a page, its queue and its downloads, for this machine alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from ..files import png_bytes
from ..model import SAM
from . import body, create_app
from .annotations import Annotated, ExportRequest, File, Work, plain_name, write
from .config import MIB, ServerConfig
from .guard import Guard
from .messages import parse
from .pictures import decode
from .problems import Problem
from .queue import Queue
from .service import service_of

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}
FILES = {str(path.relative_to(PAGE).as_posix()): path for path in PAGE.rglob("*") if path.suffix in TYPES}
FILES["examples/coffee.jpg"] = PAGE.parents[1] / "export/coffee.jpg"
MAX_WORK = 64 * MIB
"""Bytes of the work on one photo."""
CONFIG = ServerConfig(max_bytes=256 * MIB, max_pixels=2**31, timeout=300.0, ttl=24 * 3600.0)
"""One user, whose own machine it is; MOBILESAM_MAX_PIXELS still holds."""

router = APIRouter()


def create_site(sam: SAM, queue: Queue | None = None, config: ServerConfig = CONFIG) -> FastAPI:
    """The ASGI application of the browser app, with a folder's photos to annotate or without.

    Raises MissingDependencyError.
    """
    app = create_app(sam, config)
    app.state.queue = queue
    app.include_router(router)
    app.add_middleware(Guard)
    return app


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page."""
    return _file("index.html")


@router.get("/page/{name:path}", include_in_schema=False)
async def page_file(name: str) -> FileResponse:
    """What the page loads: names of `FILES`, never paths."""
    return _file(name)


def _file(name: str) -> FileResponse:
    if name not in FILES:
        raise Problem(404, "NotFound", "The page has no such file.")
    return FileResponse(FILES[name], media_type=TYPES[FILES[name].suffix], headers={"cache-control": "no-cache"})


@router.post("/app/picture")
async def convert(request: Request) -> Response:
    """A picture that browsers can't show, as PNG: the pixels that the model sees."""
    data = (await body.read(request)).image
    if data is None:
        raise Problem(422, "InputError", "Send the bytes of one picture.")
    pixels = service_of(request).config.pixels
    return Response(await anyio.to_thread.run_sync(partial(_png, data, pixels)), media_type="image/png")


def _png(data: bytes, max_pixels: int) -> bytes:
    return png_bytes(decode(data, max_pixels))


@router.post("/app/export")
async def export(request: Request) -> Response:
    """Masks of one photo as a file of another program."""
    asked = parse(ExportRequest, (await body.read(request, most_json=MAX_WORK)).request)

    def work() -> File:
        name = plain_name(asked.photo)
        photo = Annotated.of(name, asked.size, [(one.name, one.rle) for one in asked.objects])
        return write(asked.kind, [photo], Path(name).stem)

    return _download(await anyio.to_thread.run_sync(work))


@router.get("/app/queue")
async def list_photos(request: Request) -> JSONResponse:
    """The folder's photos; none where the app was started without a folder."""
    found: Queue | None = request.app.state.queue
    if found is None:
        return JSONResponse({"folder": None, "photos": []})
    photos = await anyio.to_thread.run_sync(found.listing)
    return JSONResponse({"folder": {"id": found.id, "name": found.folder.name}, "photos": photos})


@router.get("/app/queue/photos/{name}")
async def photo(request: Request, name: str) -> FileResponse:
    """A photo's file as it is."""
    return FileResponse(_queue(request).photo(name))


@router.get("/app/queue/work/{name}")
async def saved(request: Request, name: str) -> JSONResponse:
    """The saved work on a photo."""
    return JSONResponse(await anyio.to_thread.run_sync(_queue(request).read, name))


@router.put("/app/queue/work/{name}")
async def save(request: Request, name: str) -> dict[str, Any]:
    """Save the work on a photo."""
    found = _queue(request)
    work = parse(Work, (await body.read(request, most_json=MAX_WORK)).request)
    return {"revision": await anyio.to_thread.run_sync(found.save, name, work)}


@router.get("/app/queue/export/{kind}")
async def export_folder(request: Request, kind: str) -> Response:
    """All saved masks as files of another program."""
    found = _queue(request)
    name = plain_name(found.folder.name)
    return _download(await anyio.to_thread.run_sync(lambda: write(kind, found.annotated(), name)))


def _queue(request: Request) -> Queue:
    found: Queue | None = request.app.state.queue
    if found is None:
        raise Problem(404, "NotFound", "The app was started without a folder.")
    return found


def _download(file: File) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    return Response(file.data, media_type=file.media_type, headers={"content-disposition": disposition})
