"""The reference outputs' prompts, asked of any model."""

from __future__ import annotations

from typing import Any

from conftest import Golden
from mobilesam import SAM, Embedding, Results


def keywords(entry: dict[str, Any]) -> dict[str, Any]:
    """A reference entry as arguments of `SAM.predict`."""
    given: dict[str, Any] = {"multimask": entry["multimask_output"]}
    if "points" in entry:
        given |= {"points": [entry["points"]], "labels": [entry["labels"]]}
    if "box" in entry:
        given["bboxes"] = entry["box"]
    return given


def predict(sam: SAM, embedding: Embedding, golden: Golden, key: str) -> Results:
    entry = golden.facts["prompts"][key]
    given = keywords(entry)
    if "mask_input" in entry:  # the best of the three masks of an earlier entry, fed back
        earlier = predict(sam, embedding, golden, entry["mask_input"].split()[0])
        given["masks"] = earlier.low_res[earlier.iou.argmax()]
    return sam.predict(embedding, **given)[0]
