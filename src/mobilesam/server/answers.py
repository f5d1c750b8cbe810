"""Masks in the form that a request's Accept asks for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import formats
from ..everything import Candidate
from ..files import png_bytes
from ..masks import stability_score
from ..results import Results
from ..scene import Scene
from ..types import HW
from .pool import Stop
from .problems import Problem
from .work import Watch

JSON, PNG, GEOJSON = "application/json", "image/png", "application/geo+json"
NPY, BYTES = "application/x-npy", "application/octet-stream"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Answer:
    """An answer's content, ready to be sent."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """Masks and what was measured while they were made."""

    results: Results
    ms: dict[str, float]
    stop: Stop

    def each(self) -> Iterator[Results]:
        """Mask by mask: full-size masks of many prompts on a large picture don't fit into memory together."""
        for one in self.results:
            self.stop.check()
            _ = one.masks  # made once: boxes, areas and run lengths would each make it anew
            yield one


def as_json(found: Found) -> Answer:
    """Run lengths, boxes, areas, predicted IoU."""
    watch = Watch()
    masks = [one.to_dicts()[0] for one in found.each()]
    watch.lap("render")
    document = {"size": list(found.results.orig_shape), "masks": masks, "ms": {**found.ms, **watch.ms}}
    return Answer(json.dumps(document).encode())


def as_png(found: Found) -> Answer:
    """The one mask as a grey picture, 0 and 255."""
    return Answer(png_bytes(found.results.masks[0] * np.uint8(255)), _measures(found.results))


def as_geojson(found: Found) -> Answer:
    """Exact polygons in the picture's pixels; a mask with no pixel is a feature with no polygon."""
    outlines = _Outlines([_candidate(one) for one in found.each()], found.results.orig_shape)
    document = formats.geojson(outlines)
    for feature, prompt in zip(document["features"], found.results.prompt_index.tolist(), strict=True):
        feature["properties"]["prompt"] = prompt
        del feature["properties"]["image"]
    return Answer(json.dumps(document).encode())


def as_npy(found: Found) -> Answer:
    """Low-resolution logits (N, S/4, S/4) float32, and in headers what brings them to the picture's size."""
    buffer = io.BytesIO()
    np.save(buffer, found.results.low_res, allow_pickle=False)
    return Answer(buffer.getvalue(), _measures(found.results))


FORMS: dict[str, Callable[[Found], Answer]] = {
    JSON: as_json,
    PNG: as_png,
    GEOJSON: as_geojson,
    NPY: as_npy,
    BYTES: as_npy,
}


def of_scene(scene: Scene) -> list[dict[str, Any]]:
    """The records of everything mode."""
    return [
        {
            "rle": formats.rle(candidate, scene.image_hw),
            "box": list(candidate.window),
            "area": candidate.area,
            "iou": round(candidate.predicted_iou, 6),
            "stability": round(candidate.stability_score, 6),
            "point": list(candidate.point),
            **({"parent": candidate.parent} if scene.overlap == "hierarchy" else {}),
        }
        for candidate in scene.candidates
    ]


def accepted(accept: str | None, offers: Sequence[str]) -> str:
    """The offer that an Accept header likes best; of equals the first. Raises Problem (406).

    >>> accepted("image/*;q=0.5, application/json;q=0.1", ["application/json", "image/png"])
    'image/png'
    """
    liked = {offer: _quality(accept or "*/*", offer) for offer in offers}
    best = max(liked, key=lambda offer: liked[offer])
    if liked[best] <= 0:
        raise Problem(406, "NotAcceptable", f"This is answered as {', '.join(offers)}; name one of them in Accept.")
    return best


def _quality(accept: str, offer: str) -> float:
    """How much an offer is liked, by the most exact range that names it."""
    exactness, quality, family = -1, 0.0, offer.partition("/")[0]
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        fits = {offer: 2, f"{family}/*": 1, "*/*": 0}.get(name, -1)
        if fits > exactness:
            exactness, quality = fits, _q(parameters)
    return quality


def _q(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _measures(results: Results) -> dict[str, str]:
    """Headers, each value a list with commas."""
    return {
        "x-image-size": ",".join(map(str, results.orig_shape)),
        "x-model-size": str(results.letterbox.size),
        "x-predicted-iou": ",".join(f"{value:.6f}" for value in results.iou),
        "x-prompt": ",".join(map(str, results.prompt_index.tolist())),
    }


@dataclass(frozen=True)
class _Outlines:
    """What formats.geojson reads."""

    candidates: list[Candidate]
    image_hw: HW
    name: str = ""


def _candidate(one: Results) -> Candidate:
    height, width = one.orig_shape
    stability = round(stability_score(one.low_res[0]), 6)
    empty = Candidate.empty((0, 0, width, height), round(float(one.iou[0]), 6), stability)
    return empty.covering(one.masks[0], (0, 0)) or empty
