"""Keeps other web pages out of a server on this machine.

A page elsewhere may send requests here from the user's own browser, and by a name of its own that it points at this
machine it may even read the answers. The first are told by Origin and Sec-Fetch-Site, the second by Host.
"""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
HERE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)


class Guard:
    """ASGI middleware around all else: who asks, and the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        stranger = None if scope["type"] == "http" else "Only plain HTTP is spoken here."
        stranger = stranger or refusal(Request(scope))
        if stranger is None:
            await self._app(scope, receive, answer)
        else:
            await Problem(403, "Forbidden", stranger).response()(scope, receive, answer)


def refusal(request: Request) -> str | None:
    """Why a request isn't answered; None where it is."""
    host = request.headers.get("host", "")
    if not HERE.fullmatch(host):
        return "This server is for pages of this machine: open it as http://127.0.0.1 with its port."
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "Another page's request is refused."
    site = request.headers.get("sec-fetch-site", "same-origin")
    follows_link = (
        request.method == "GET" and request.url.path == "/" and request.headers.get("sec-fetch-dest") == "document"
    )
    if site not in ("same-origin", "none") and not follows_link:
        return "Another page's request is refused."
    return None
