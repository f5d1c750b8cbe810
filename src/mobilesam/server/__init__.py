"""The REST service: `create_app` makes an ASGI application of a SAM.

docs/server.md describes it, `mobilesam serve` runs it; routes may be added to what `create_app` returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._optional import require
from .config import ServerConfig

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..model import SAM

__all__ = ["ServerConfig", "create_app"]


def create_app(sam: SAM, config: ServerConfig | None = None) -> FastAPI:
    """The ASGI application; its `state.service` holds what the endpoints share.

    Nothing runs before the application is started (its lifespan), which loads what the model needs for a first answer.
    Raises MissingDependencyError.
    """
    for module in ("fastapi", "python_multipart", "prometheus_client"):
        require(module, "serve", "The server")
    from .app import build

    return build(sam, config or ServerConfig())
