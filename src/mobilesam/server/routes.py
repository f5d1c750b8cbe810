"""The endpoints under /v1."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..embedding import Embedding
from . import body, openapi, stream
from .answers import FORMS, NDJSON, PNG, Answer, Found, accepted
from .body import Upload
from .gate import visit_of
from .messages import EmbeddingMade, EverythingRequest, MasksMade, MasksRequest, parse
from .pool import Stop
from .problems import Problem
from .service import Service, service_of

router = APIRouter(prefix="/v1")


@router.post("/embeddings", status_code=201, response_model=EmbeddingMade, **openapi.EMBEDDINGS)
async def make_embedding(request: Request) -> Response:
    """Encode a picture, to answer any number of prompts from; the picture itself isn't kept."""
    service = service_of(request)
    accepted(request.headers.get("accept"), ["application/json"])
    data = _image(await body.read(request))
    embedding = await service.pool.encodes.submit(partial(service.work.embed, data)).result(request)
    name = service.store.put(embedding, visit_of(request).owner)
    made = {"id": name, "size": list(embedding.image_hw), "model": embedding.model_id, "expires_in": service.config.ttl}
    return Response(json.dumps(made), 201, media_type="application/json")


@router.delete("/embeddings/{name}", status_code=204, **openapi.DELETE)
async def delete_embedding(request: Request, name: str) -> Response:
    """Forget an embedding."""
    service_of(request).store.delete(name, visit_of(request).owner)
    return Response(status_code=204)


@router.post("/masks", response_model=MasksMade, **openapi.MASKS)
async def make_masks(request: Request) -> Response:
    """Masks of prompts about an embedding or a picture."""
    service = service_of(request)
    form = accepted(request.headers.get("accept"), list(FORMS))
    upload = await body.read(request)
    asked = parse(MasksRequest, upload.request)
    _check_masks(asked, service, form)
    source = _source(upload, asked.embedding, request)
    lane = service.pool.clicks if isinstance(source, Embedding) else service.pool.encodes

    def work(stop: Stop) -> Answer:
        return FORMS[form](Found(*service.work.masks(source, asked, stop), stop))

    answer = await lane.submit(work).result(request)
    return Response(answer.body, headers=answer.headers, media_type=form)


@router.post("/everything", **openapi.EVERYTHING)
async def find_everything(request: Request) -> Response:
    """All objects of an embedding or a picture: lines of JSON, progress first, the masks last."""
    accepted(request.headers.get("accept"), [NDJSON])
    upload = await body.read(request)
    asked = parse(EverythingRequest, upload.request or b"{}")
    needs_photo = asked.options.config().keys() & {"tiles", "crop_n_layers"}
    source = _source(upload, asked.embedding, request)
    if needs_photo and isinstance(source, Embedding):
        raise Problem(422, "InputError", f"{min(needs_photo)} needs the picture, which embeddings don't keep; send it.")
    return await stream.begin(request, source, asked)


@router.get("/models", **openapi.MODELS)
async def models(request: Request) -> dict[str, list[dict[str, Any]]]:
    """The model that answers."""
    info = service_of(request).info
    model = {"name": info.model_id, "runtime": info.runtime, "device": info.device, "precision": info.precision}
    return {"models": [{**model, "img_size": info.img_size}]}


def _check_masks(asked: MasksRequest, service: Service, form: str) -> None:
    config = service.config
    if len(asked.prompts) > config.max_prompts:
        message = f"{len(asked.prompts)} prompts are more than the {config.max_prompts} of one request; send several."
        raise Problem(422, "PromptError", message)
    if any(len(prompt.points) > config.max_points for prompt in asked.prompts):
        raise Problem(422, "PromptError", f"A prompt may have {config.max_points} points; leave some out.")
    if form == PNG and (len(asked.prompts) > 1 or asked.multimask is True):
        message = "A PNG holds one mask; ask for application/json, or for one prompt without multimask."
        raise Problem(406, "NotAcceptable", message)


def _source(upload: Upload, name: str | None, request: Request) -> Embedding | bytes:
    """The embedding or the picture that a request is about: one of them."""
    if (upload.image is None) == (name is None):
        message = "Send either JSON with 'embedding', or a form with 'image' and 'request'."
        raise Problem(422, "InputError", message)
    if upload.image is not None:
        return upload.image
    return service_of(request).store.get(name or "", visit_of(request).owner)


def _image(upload: Upload) -> bytes:
    if upload.image is None or upload.request is not None:
        raise Problem(422, "InputError", "Send one picture: a form with the field 'image' (a file), or its bytes.")
    return upload.image
