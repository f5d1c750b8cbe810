"""Request bodies, read with limits: never more in memory than allowed, and nothing on disk."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import anyio
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from .config import MIB
from .gate import visit_of
from .problems import Problem, client_gone, too_large

MAX_JSON = 4 * MIB
"""Bytes of a JSON request: a mask of a large picture as run lengths fits."""
ENVELOPE = 64 * 1024
"""Bytes that multipart/form-data adds around its parts, generously."""


@dataclass(frozen=True)
class Upload:
    """What a request brought."""

    image: bytes | None = None
    request: bytes | None = None
    """JSON."""


class _InMemory(MultiPartParser):
    """Starlette's parser without its temporary files; the stream it reads is limited."""

    spool_max_size = 2**62


async def read(request: Request, *, most_json: int = MAX_JSON) -> Upload:
    """The picture or the JSON of a request, whichever way they come; file names are never looked at.

    Raises Problem: 400 (malformed), 408 (too slow), 413, 415, 422 (fields), 503 (too many uploads at once).
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Problem(415, "UnsupportedMediaType", "Send the body as it is, without Content-Encoding.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        with anyio.fail_after(max(0.0, visit_of(request).deadline - time.monotonic())):
            return await _read(request, kind, most_json)
    except TimeoutError as error:
        raise Problem(408, "TooSlow", "The body came too slowly; send it again.") from error
    except ClientDisconnect as error:
        raise client_gone() from error


async def _read(request: Request, kind: str, most_json: int) -> Upload:
    most = request.app.state.service.config.max_bytes
    if kind == "application/json":
        return Upload(request=await _whole(request, most_json))
    if kind == "multipart/form-data":
        return await _form(request, most + MAX_JSON + ENVELOPE)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return Upload(image=await _whole(request, most))
    message = "Send multipart/form-data, a picture (image/... or application/octet-stream) or application/json."
    raise Problem(415, "UnsupportedMediaType", message)


async def _whole(request: Request, limit: int) -> bytes:
    return b"".join([chunk async for chunk in _limited(request, limit)])


async def _form(request: Request, limit: int) -> Upload:
    parser = _InMemory(request.headers, _limited(request, limit), max_files=2, max_fields=2, max_part_size=MAX_JSON)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, "BadRequest", f"The multipart body can't be read: {error.message}") from error
    parts: dict[str, bytes] = {}
    try:
        for name, value in form.multi_items():
            if name not in ("image", "request") or name in parts:
                message = "The form has the fields 'image' and 'request', each once; leave out all others."
                raise Problem(422, "InputError", message)
            parts[name] = await value.read() if isinstance(value, UploadFile) else value.encode()
    finally:
        await form.close()
    image, most = parts.get("image"), request.app.state.service.config.max_bytes
    if image is not None and len(image) > most:
        raise _too_many(most)
    if len(parts.get("request", b"")) > MAX_JSON:
        raise _too_many(MAX_JSON)
    return Upload(**parts)


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body's chunks while they come; a body that is too long is refused at once, before it is read."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_many(limit)
    gate, visit = request.app.state.service.gate, visit_of(request)
    async for chunk in request.stream():
        gate.hold(visit, len(chunk))
        if visit.held > limit:
            raise _too_many(limit)
        yield chunk


def _too_many(limit: int) -> Problem:
    return too_large(f"The body has more than {limit} bytes; send a smaller picture.")
