"""What the OpenAPI description says beyond what FastAPI sees in the code, and a page of it that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from .. import __version__
from .messages import ErrorMade, EverythingRequest, MasksRequest

TEMPLATE = "#/components/schemas/{model}"
BINARY = {"schema": {"type": "string", "format": "binary"}}
STATUSES = {
    400: "The body or a header is malformed.",
    401: "The token is missing or wrong.",
    404: "No such embedding (any more).",
    406: "Accept names nothing that this can answer.",
    408: "The body came too slowly.",
    413: "Too many bytes or pixels.",
    415: "A Content-Type that isn't read here.",
    422: "A picture, prompt or option that can't be used.",
    429: "Too many requests of this client at once.",
    503: "The server is full, shutting down, or a computation failed.",
    504: "No answer in time.",
}


def _ref(model: type) -> dict[str, str]:
    return {"$ref": TEMPLATE.format(model=model.__name__)}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorMade, "description": STATUSES[status]} for status in statuses}


def _form(model: type | None, required: Sequence[str] = ("image",)) -> dict[str, Any]:
    """A form with an image, and with a request where there is one."""
    fields: dict[str, Any] = {"image": {"type": "string", "format": "binary"}}
    if model:
        fields["request"] = _ref(model)
    schema = {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}
    encoding = {"request": {"contentType": "application/json"}} if model else {}
    return {"multipart/form-data": {"schema": schema, "encoding": encoding}}


def _body(model: type, required: Sequence[str]) -> dict[str, Any]:
    """JSON about an embedding, or a form."""
    about = {"required": ["embedding"], "properties": {"embedding": {"type": "string"}}}
    content = {"application/json": {"schema": {"allOf": [_ref(model), about]}}, **_form(model, required)}
    return {"requestBody": {"required": True, "content": content}}


WORK = (400, 401, 404, 406, 408, 413, 415, 422, 429, 503, 504)
EMBEDDINGS: dict[str, Any] = {
    "responses": _errors(400, 401, 406, 408, 413, 415, 422, 429, 503, 504),
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {**_form(None), "image/*": BINARY, "application/octet-stream": BINARY},
        }
    },
}
DELETE: dict[str, Any] = {"responses": _errors(401, 404)}
MASKS: dict[str, Any] = {
    "responses": {
        200: {
            "content": {
                "image/png": BINARY,
                "application/geo+json": {"schema": {"type": "object"}},
                "application/x-npy": BINARY,
                "application/octet-stream": BINARY,
            }
        },
        **_errors(*WORK),
    },
    "openapi_extra": _body(MasksRequest, ("image", "request")),
}
EVERYTHING: dict[str, Any] = {
    "response_model": None,
    "responses": {
        200: {"description": "Lines of JSON.", "content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
        **_errors(*WORK),
    },
    "openapi_extra": _body(EverythingRequest, ("image",)),
}
MODELS: dict[str, Any] = {"responses": _errors(401)}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document."""
    if app.openapi_schema is None:
        document = get_openapi(title="mobilesam", version=__version__, routes=app.routes, description=app.description)
        kinds = [(model, "validation") for model in (MasksRequest, EverythingRequest, ErrorMade)]
        _, schemas = models_json_schema(kinds, ref_template=TEMPLATE)  # type: ignore[arg-type]
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(schemas["$defs"])
        if app.state.service.config.tokens:
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"bearer": []}]
        app.openapi_schema = document
    return app.openapi_schema


STYLE = (
    "body{font:16px/1.5 system-ui;max-width:50em;margin:2em auto;padding:0 1em}code{background:#8882;padding:.1em .3em}"
)


def page(document: dict[str, Any]) -> str:
    """The document as one HTML page without scripts."""
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>mobilesam</title><style>{STYLE}</style>"]
    parts.append(f"<h1>mobilesam {escape(document['info']['version'])}</h1>")
    parts.append('<p>The whole description, for programs: <a href="openapi.json">openapi.json</a>.')
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(operation.get('description', ''))}")
            parts += _bodies("Takes", operation.get("requestBody", {}).get("content", {}))
            rows = (f"<tr><td>{code}<td>{escape(what['description'])}" for code, what in operation["responses"].items())
            parts.append(f"<table>{''.join(rows)}</table>")
    return "\n".join(parts)


def _bodies(what: str, content: dict[str, Any]) -> list[str]:
    return [f"<p>{what}: {', '.join(f'<code>{escape(kind)}</code>' for kind in content)}"] if content else []
