"""Endpoints for those who run the service."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from . import openapi
from .service import service_of

router = APIRouter()
POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def _answer(good: bool, word: str) -> JSONResponse:
    return JSONResponse({"status": "ok" if good else word}, 200 if good else 503)


@router.get("/healthz", responses={503: {"description": "A thread is stuck: start the server anew."}})
async def health(request: Request) -> JSONResponse:
    """Whether the process works."""
    return _answer(not service_of(request).stuck, "stuck")


@router.get("/readyz", responses={503: {"description": "The model isn't loaded yet, or the server is shutting down."}})
async def readiness(request: Request) -> JSONResponse:
    """Whether it can answer now."""
    service = service_of(request)
    return _answer(service.ready and not service.stuck, "not ready")


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}, **openapi.MODELS["responses"]})
async def metrics(request: Request) -> Response:
    """Counters in Prometheus' text format."""
    return Response(service_of(request).metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The OpenAPI description as a page."""
    return HTMLResponse(openapi.page(request.app.openapi()), headers=POLICY)
