"""The layer around all endpoints: who may come in, the request's id, the log line, the counters, safe headers."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import nullcontext

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .gate import Visit, client_of, owner_of
from .pool import log_failure
from .problems import CLIENT_GONE, Problem
from .service import Service

log = logging.getLogger("mobilesam.server")
PROTECTED = ("/v1/", "/metrics")
"""Paths that ask for a token, where there are tokens."""
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")
DRAINED = 64 * 1024
"""Bytes of a refused body that are received all the same, so that the connection can be used again."""
PIECE = 64 * 1024
"""Bytes of an answer that are sent at a time: the rest waits here, where it counts as a request under way."""
HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


class Front:
    """ASGI middleware around the endpoints."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        visit = Visit(secrets.token_hex(8), began + self._service.config.timeout)
        scope["mobilesam.visit"] = visit
        answer = _Answer(scope, receive, send, self._service.config.timeout)
        try:
            await self._enter(scope, answer.receive, answer.send, visit)
        except Problem as problem:
            await self._say(problem, scope, receive, answer)
        except ConnectionError:
            answer.status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001  # the last one who can answer
            log_failure(f"request {visit.id} failed", error)
            failure = Problem(500, "Internal", f"The server failed in an unforeseen way; its log names {visit.id}.")
            await self._say(failure, scope, receive, answer)
        finally:
            self._note(scope, answer, visit, time.monotonic() - began)
            self._service.gate.release(visit)

    async def _enter(self, scope: Scope, receive: Receive, send: Send, visit: Visit) -> None:
        request = Request(scope)
        self._check_host(request)
        if scope["path"].startswith(PROTECTED) and scope["method"] != "OPTIONS":
            visit.owner = owner_of(request, self._service.config)
        is_work = scope["method"] == "POST" and scope["path"].startswith("/v1/")
        gate = self._service.gate
        with gate.admitted(client_of(request, visit.owner)) if is_work else nullcontext():
            await self._app(scope, receive, send)

    def _check_host(self, request: Request) -> None:
        """A web page elsewhere can point a name of its own at this machine: such a name is refused."""
        known = self._service.config.hosts
        if known and _name_of(request.headers.get("host", "")) not in known:
            raise Problem(400, "BadRequest", "The Host header names another server than this one.")

    async def _say(self, problem: Problem, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if not answer.status:
            await problem.response()(scope, receive, answer.send)

    def _note(self, scope: Scope, answer: _Answer, visit: Visit, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        status = answer.status or CLIENT_GONE
        self._service.metrics.answered(method, route, status, seconds)
        fields = {"method": method, "route": route, "status": status, "ms": round(1000 * seconds, 1)}
        fields |= {"bytes_in": visit.held, "bytes_out": answer.size, "request": visit.id}
        log.info("request", extra={"fields": fields})


def _name_of(host: str) -> str:
    """A Host header without its port.

    >>> _name_of("localhost:8000"), _name_of("[::1]:8000")
    ('localhost', '::1')
    """
    host = host.lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


class _Answer:
    """Watches what is received and sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, patience: float) -> None:
        self._scope, self._receive, self._send, self._patience = scope, receive, send, patience
        self._read = False
        self.status = self.size = 0

    async def receive(self) -> Message:
        """Note the body's end."""
        message = await self._receive()
        self._read = self._read or (message["type"] == "http.request" and not message.get("more_body", False))
        return message

    async def send(self, message: Message) -> None:
        """Note status and size, add headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers().items():
                headers.setdefault(name, value)
        content = message.get("body", b"")
        self.size += len(content)
        for start in range(0, max(1, len(content)), PIECE):
            last = start + PIECE >= len(content)
            piece = {"body": content[start : start + PIECE], "more_body": not last or message.get("more_body", False)}
            await self._deliver({**message, **piece} if content else message)

    async def _deliver(self, message: Message) -> None:
        """Raises ConnectionError where the client doesn't take it: its place is needed."""
        try:
            await asyncio.wait_for(self._send(message), self._patience)
        except asyncio.TimeoutError as error:
            raise ConnectionAbortedError("the client doesn't read") from error

    def _headers(self) -> dict[str, str]:
        visit: Visit = self._scope["mobilesam.visit"]
        added = {**HEADERS, "x-request-id": visit.id}
        if self._scope["path"].startswith(PROTECTED):
            added["cache-control"] = "no-store"
        if not self._read and self._is_long():
            added["connection"] = "close"  # or the server would go on receiving what nobody wants
        return added

    def _is_long(self) -> bool:
        headers = Headers(scope=self._scope)
        length = headers.get("content-length", "0")
        return "transfer-encoding" in headers or not length.isdecimal() or int(length[:20]) > DRAINED
