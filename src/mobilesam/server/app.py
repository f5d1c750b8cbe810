"""The ASGI application: endpoints, errors, start and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from .. import __version__
from ..errors import MobileSAMError
from ..model import SAM
from . import health, openapi, problems, routes
from .config import ServerConfig
from .front import Front
from .problems import Problem
from .service import Service


def build(sam: SAM, config: ServerConfig) -> FastAPI:
    """See `mobilesam.server.create_app`."""
    service = Service(sam, config)
    app = FastAPI(
        title="mobilesam",
        version=__version__,
        description="Masks from clicks and boxes.",
        lifespan=_lifespan,
        middleware=[*_cors(config), Middleware(Front, service=service)],
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it would send clients to wherever their Host header says
    )
    app.state.service = service
    app.openapi = partial(openapi.describe, app)  # type: ignore[method-assign]  # FastAPI's way to extend it
    app.include_router(routes.router)
    app.include_router(health.router)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(MobileSAMError, _error)
    app.add_exception_handler(HTTPException, _http)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    warming = asyncio.create_task(service.warm_up())
    yield
    await service.close()
    await warming


def _cors(config: ServerConfig) -> list[Middleware]:
    if not config.origins:
        return []
    headers = ["x-image-size", "x-model-size", "x-predicted-iou", "x-prompt", "x-request-id", "retry-after"]
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=config.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
            expose_headers=headers,
        )
    ]


async def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _error(_: Request, error: Exception) -> Response:
    assert isinstance(error, MobileSAMError)
    return problems.of(error).response()


async def _http(_: Request, error: Exception) -> Response:
    """Starlette's own: no such path (404), method (405)."""
    assert isinstance(error, HTTPException)
    kind = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "BadRequest")
    return Problem(error.status_code, kind, f"{error.detail}. GET /docs lists what there is.", error.headers).response()
