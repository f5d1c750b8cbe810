"""A real server around the application."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from .. import settings
from .._optional import require
from ..errors import InputError
from .config import ServerConfig
from .logs import to_stderr

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

LOCAL = ("localhost", "127.0.0.1", "::1")
GRACE = 5
"""Seconds beyond the time limit of a request that a shutdown waits for running ones."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str | None, port: int | None) -> tuple[str, int]:
    """Where to listen: what is given, else MOBILESAM_SERVE_HOST and _PORT, else 127.0.0.1:8000. Raises InputError."""
    if port is None:
        raw = settings.serve("port") or "8000"
        if not raw.isdecimal() or int(raw) > 65535:
            raise InputError(f"MOBILESAM_SERVE_PORT must be 0 to 65535, got {raw!r}.")
        port = int(raw)
    return host or settings.serve("host") or "127.0.0.1", port


def check_access(host: str, config: ServerConfig, *, allow_anyone: bool) -> None:
    """Raises InputError for a server that the network reaches and that asks for no token."""
    if not (is_loopback(host) or config.tokens or allow_anyone):
        raise InputError(
            f"--host {host} lets the network in, and there is no token: set MOBILESAM_SERVE_TOKENS or --token-file, "
            "or say --allow-anyone."
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can reach. Raises InputError where the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise InputError(
            f"Can't listen on {host}, port {port}: {error}. Choose others by --host and --port."
        ) from error
    # Connections have it from here; asyncio sets it only where it made the listener. Without, answers wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def address_of(listener: socket.socket) -> str:
    """Where a listening socket is reached, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT; running requests are finished first. Raises MissingDependencyError."""
    server = require("uvicorn", "serve", "The server").Server(configured(app))
    to_stderr()
    server.run(sockets=[listener])


def configured(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves the application."""
    config: ServerConfig = app.state.service.config
    return require("uvicorn", "serve", "The server").Config(  # type: ignore[no-any-return]
        app,
        access_log=False,  # front.py writes a line for each request
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(config.timeout) + GRACE,
        h11_max_incomplete_event_size=64 * 1024,
    )
