"""What the service may use and whom it answers: every limit, each also a flag and an environment variable."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

from .. import settings
from ..errors import InputError

MIB = 2**20


@dataclass(frozen=True)
class ServerConfig:
    """Limits and access of one service. Raises InputError for a limit below its least.

    >>> ServerConfig(max_prompts=8).max_prompts
    8
    """

    tokens: tuple[str, ...] = ()
    """Bearer tokens; without any, everybody who reaches the port may use the service."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may call it (CORS); none by default."""
    hosts: tuple[str, ...] = ()
    """Names under which it answers (the Host header, without port); any where it is empty."""
    max_bytes: int = 32 * MIB
    """Bytes of one upload."""
    max_pixels: int = 50_000_000
    """Pixels of one picture; MOBILESAM_MAX_PIXELS holds too, where it is lower."""
    max_prompts: int = 64
    """Prompts of one request."""
    max_points: int = 256
    """Points of one prompt."""
    queue: int = 128
    """Requests that are answered or wait, of all clients together."""
    per_client: int = 64
    """The same of one client: a token, or without tokens an address."""
    scenes: int = 8
    """Requests for everything that are worked on or wait."""
    timeout: float = 60.0
    """Seconds from a request's first byte to its answer."""
    store_bytes: int = 512 * MIB
    """Bytes of all embeddings that are kept; the longest unused goes first."""
    ttl: float = 3600.0
    """Seconds that an embedding is kept after its last use."""
    workers: int = 0
    """Threads that answer clicks; 0 for as many as there are cores, at least 2."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not value >= (0 if field.name == "workers" else 1):
                raise InputError(f"{field.name} must be 1 or more, got {value}.")
        if any(not token.isascii() or not token.strip() or len(token) < 16 for token in self.tokens):
            raise InputError(
                "A token must be 16 or more ASCII characters; make one with: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )

    @classmethod
    def of(cls, **given: Any) -> ServerConfig:
        """What is given, else what the environment says (MOBILESAM_SERVE_...), else the defaults; None is not given."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = given.get(field.name)
            if value is None:
                value = _from_environment(field.name, type(field.default))
            if value is not None:
                values[field.name] = value
        return cls(**values)

    @property
    def threads(self) -> int:
        """Threads that answer clicks."""
        return self.workers or max(2, os.cpu_count() or 1)

    @property
    def pixels(self) -> int:
        """Pixels of one picture, by both limits."""
        return min(self.max_pixels, settings.max_pixels())

    @property
    def buffered(self) -> int:
        """Bytes of all uploads that are held at a time."""
        return 8 * self.max_bytes


def _from_environment(name: str, kind: type) -> Any:
    raw = settings.serve(name)
    if raw is None:
        return None
    if kind is tuple:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    try:
        return kind(raw)
    except ValueError as error:
        raise InputError(f"MOBILESAM_SERVE_{name.upper()} must be a number, got {raw!r}.") from error
