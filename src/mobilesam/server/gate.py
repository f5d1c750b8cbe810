"""Who may come in: how many requests at a time, of all clients and of each, and how many bytes they may hold."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request

from .config import ServerConfig
from .problems import RETRY, Problem, busy


@dataclass
class Visit:
    """One request on its way through the service."""

    id: str
    deadline: float
    """When it should be answered (time.monotonic)."""
    owner: str = ""
    """Whose embeddings it sees."""
    held: int = 0
    """Bytes of its body in memory."""


def visit_of(request: Request) -> Visit:
    """What the outermost layer noted about a request."""
    visit: Visit = request.scope["mobilesam.visit"]
    return visit


class Gate:
    """Counts of what is under way. Only the event loop uses it."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._open: Counter[str] = Counter()
        self.bytes = 0
        """What uploads hold at the moment."""

    @property
    def open(self) -> int:
        """Requests that are being answered."""
        return self._open.total()

    @contextmanager
    def admitted(self, client: str) -> Iterator[None]:
        """For the time of a request. Raises Problem: 429 for one client's too many, 503 for all's."""
        if self._open[client] >= self._config.per_client:
            message = f"You have {self._config.per_client} requests under way; wait for their answers."
            raise Problem(429, "TooManyRequests", message, RETRY)
        if self.open >= self._config.queue:
            raise busy(f"{self._config.queue} requests are under way already")
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            self._open += Counter()  # forgets clients with none

    def hold(self, visit: Visit, size: int) -> None:
        """More bytes of a body came in. Raises Problem (503) where all uploads together are too many."""
        if self.bytes + size > self._config.buffered:
            raise busy("Too many uploads at once")
        self.bytes += size
        visit.held += size

    def release(self, visit: Visit) -> None:
        """The body is no longer needed."""
        self.bytes -= visit.held
        visit.held = 0


def owner_of(connection: HTTPConnection, config: ServerConfig) -> str:
    """Whose embeddings a request sees: its token's. Raises Problem (401).

    Without tokens all share one name, and the id alone, which nobody can guess, opens an embedding.
    """
    if not config.tokens:
        return ""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    fits = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in config.tokens]
    if scheme.lower() != "bearer" or not any(fits):
        message = "Send a valid token: Authorization: Bearer <token>."
        raise Problem(401, "Unauthorized", message, {"www-authenticate": "Bearer"})
    return hashlib.sha256(config.tokens[fits.index(True)].encode()).hexdigest()


def client_of(connection: HTTPConnection, owner: str) -> str:
    """Whose requests are counted together."""
    return owner or (connection.client.host if connection.client else "unknown")
