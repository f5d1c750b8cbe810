"""What /v1/masks answers, in each form, against the model asked directly."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from shapely.geometry import shape

from mobilesam import SAM
from mobilesam.geometry import Letterbox
from mobilesam.masks import polygons_of, rasterize, rle_decode, rle_encode
from servers import click, embed, picture, problem

PIXELS = np.full((40, 60, 3), 90, np.uint8)
DISC = np.hypot(np.arange(60) - 20, (np.arange(40) - 20)[:, None]) < 9
PROMPTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"points": [[30, 20]]}, {"points": [[30, 20]]}),
    ({"points": [[30, 20], [8, 8]], "labels": [1, 0]}, {"points": [[[30, 20], [8, 8]]], "labels": [[1, 0]]}),
    ({"box": [3, 4, 40, 30]}, {"bboxes": [3, 4, 40, 30]}),
    ({"points": [[9.5, 9.5]], "box": [3, 4, 40, 30]}, {"points": [[[9.5, 9.5]]], "bboxes": [3, 4, 40, 30]}),
    ({"mask": rle_encode(DISC)}, {"masks": DISC}),
]


@pytest.mark.parametrize(("asked", "given"), PROMPTS)
@pytest.mark.parametrize("multimask", [False, True, "best"])
def test_json_is_what_the_model_says(
    http: httpx.Client, model: SAM, asked: dict[str, Any], given: dict[str, Any], multimask: Any
) -> None:
    expected = model.predict(PIXELS, **given, multimask=multimask)[0]
    answer = http.post("/v1/masks", json={"embedding": embed(http), "prompts": [asked], "multimask": multimask})
    found = answer.json()
    assert found["size"] == [40, 60]
    assert [mask["rle"] for mask in found["masks"]] == expected.rle()
    assert [mask["box"] for mask in found["masks"]] == expected.boxes.tolist()
    assert [mask["area"] for mask in found["masks"]] == expected.areas.tolist()
    assert [mask["iou"] for mask in found["masks"]] == pytest.approx(expected.iou.tolist())
    assert set(found["ms"]) == {"decode", "render"}


def test_a_batch_keeps_its_order(http: httpx.Client, model: SAM) -> None:
    prompts = [{"points": [[x, 20]]} if x % 2 else {"box": [x, 1, x + 5, 20]} for x in range(5, 13)]
    found = http.post("/v1/masks", json={"embedding": embed(http), "prompts": prompts}).json()["masks"]
    assert [mask["prompt"] for mask in found] == list(range(8))
    for prompt, mask in zip(prompts, found, strict=True):
        one = model.predict(PIXELS, points=prompt.get("points"), bboxes=prompt.get("box"))[0]
        assert mask["rle"] == one.rle()[0]


def test_a_picture_in_a_form_needs_no_embedding(http: httpx.Client) -> None:
    request = {"prompts": [{"box": [3, 4, 40, 30]}]}
    answer = http.post("/v1/masks", files={"image": ("a.png", picture()), "request": (None, json.dumps(request))})
    by_id = http.post("/v1/masks", json={**request, "embedding": embed(http)})
    assert answer.json()["masks"] == by_id.json()["masks"]
    assert set(answer.json()["ms"]) == {"encode", "decode", "render"}


def test_png_is_the_mask(http: httpx.Client, model: SAM) -> None:
    answer = http.post("/v1/masks", json=click(embed(http)), headers={"accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.mode == "L"
        found = np.asarray(image)
    assert np.array_equal(found, model.predict(PIXELS, points=[30, 20])[0].masks[0] * np.uint8(255))
    assert answer.headers["x-predicted-iou"] == "0.750000"


def test_png_of_several_masks_is_refused_before_the_work(http: httpx.Client) -> None:
    for more in ({"multimask": True}, {"prompts": 2 * click("")["prompts"]}):
        answer = http.post("/v1/masks", json={**click(embed(http)), **more}, headers={"accept": "image/png"})
        assert problem(answer) == (406, "NotAcceptable")


def test_geojson_draws_the_mask(http: httpx.Client, model: SAM) -> None:
    body = click(embed(http), multimask=True)
    document = http.post("/v1/masks", json=body, headers={"accept": "application/geo+json"}).json()
    expected = model.predict(PIXELS, points=[30, 20], multimask=True)[0]
    assert len(document["features"]) == 3
    for feature, mask in zip(document["features"], expected.masks, strict=True):
        assert shape(feature["geometry"]).area == mask.sum() == feature["properties"]["area"]
        assert feature["properties"]["prompt"] == 0
        assert np.array_equal(rasterize(polygons_of(mask), (40, 60)), mask)
        inside = shape(feature["geometry"]).bounds
        assert inside == (*np.argwhere(mask.any(0))[0], *np.argwhere(mask.any(1))[0],
                          *(np.argwhere(mask.any(0))[-1] + 1), *(np.argwhere(mask.any(1))[-1] + 1))  # fmt: skip


def test_geojson_of_an_empty_mask(http: httpx.Client) -> None:
    body = {"embedding": embed(http), "prompts": [{"points": [[30, 20]], "labels": [0]}]}
    (feature,) = http.post("/v1/masks", json=body, headers={"accept": "application/geo+json"}).json()["features"]
    assert feature["geometry"] == {"type": "MultiPolygon", "coordinates": []}


@pytest.mark.parametrize("accept", ["application/x-npy", "application/octet-stream"])
def test_logits_come_with_what_brings_them_to_full_size(http: httpx.Client, model: SAM, accept: str) -> None:
    answer = http.post("/v1/masks", json=click(embed(http), multimask=True), headers={"accept": accept})
    assert answer.headers["content-type"] == accept
    logits = np.load(io.BytesIO(answer.content), allow_pickle=False)
    expected = model.predict(PIXELS, points=[30, 20], multimask=True)[0]
    assert logits.dtype == np.float32
    assert np.array_equal(logits, expected.low_res)
    height, width = map(int, answer.headers["x-image-size"].split(","))
    letterbox = Letterbox((height, width), int(answer.headers["x-model-size"]))
    assert np.array_equal(letterbox.upsample(logits[0]) > 0, expected.masks[0])
    assert answer.headers["x-prompt"] == "0,0,0"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("image/*", "image/png"),
        ("text/html, application/json;q=0.1, image/png;q=0.5", "image/png"),
        ("application/json;q=0, */*", "image/png"),
        ("application/*", "application/json"),
        ("IMAGE/PNG", "image/png"),
        ("application/json;q=x, image/png;q=0.1", "image/png"),
    ],
)
def test_accept_is_weighed(http: httpx.Client, accept: str, kind: str) -> None:
    answer = http.post("/v1/masks", json=click(embed(http)), headers={"accept": accept})
    assert answer.headers["content-type"] == kind


def test_an_accept_that_nothing_fits(http: httpx.Client) -> None:
    for path in ("/v1/masks", "/v1/everything", "/v1/embeddings"):
        assert problem(http.post(path, json={}, headers={"accept": "text/html"})) == (406, "NotAcceptable")


@pytest.mark.parametrize(
    "body",
    [
        {"prompts": []},
        {"prompts": [{}]},
        {"prompts": [{"points": []}]},
        {"prompts": [{"points": [[30, 20]], "labels": [1, 1]}]},
        {"prompts": [{"points": [[30, 20]], "labels": [2]}]},
        {"prompts": [{"points": [], "labels": [1]}]},
        {"prompts": [{"points": [[30, 20, 1]]}]},
        {"prompts": [{"points": [[99, 20]]}]},
        {"prompts": [{"points": [["30", 20]]}]},
        {"prompts": [{"points": [[True, 20]]}]},
        {"prompts": [{"box": [40, 4, 3, 30]}]},
        {"prompts": [{"box": [3, 4, 40]}]},
        {"prompts": [{"points": [[30, 20]], "photo": "http://example.org/a.png"}]},
        {"prompts": [{"points": [[30, 20]]}], "multimask": "all"},
        {"prompts": [{"points": [[30, 20]]}], "image": "http://example.org/a.png"},
        {"prompts": [{"points": [[1, 1]] * 5}]},
        {"prompts": [{"points": [[1, 1]]}] * 9},
        {"prompts": [{"points": [[1, 1]]}] * 10_000},
        [],
        "prompts",
    ],
)
def test_prompts_that_cannot_be_used(http: httpx.Client, body: Any) -> None:
    asked = {"embedding": embed(http), **body} if isinstance(body, dict) else body
    status, kind = problem(http.post("/v1/masks", json=asked))
    assert status == 422
    assert kind in ("InputError", "PromptError")


@pytest.mark.parametrize("text", ["", "{", "nul", '{"prompts": NaN}', "[" * 50_000, '{"a":' * 50_000, "\x00\xff"])
def test_json_that_is_none(http: httpx.Client, text: str) -> None:
    headers = {"content-type": "application/json"}
    assert problem(http.post("/v1/masks", content=text.encode("latin-1"), headers=headers))[0] == 422


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1", "1" * 400])
def test_numbers_that_are_none_or_too_large(http: httpx.Client, number: str) -> None:
    text = json.dumps(click(embed(http), 12345)).replace("12345", number)
    answer = http.post("/v1/masks", content=text, headers={"content-type": "application/json"})
    assert problem(answer)[0] == 422


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ([40, 61], rle_encode(DISC)["counts"]),
        ([400_000, 600_000], "0"),
        ([40, 60], ""),
        ([40, 60], "0"),
        ([40, 60], "o" * 2400),
        ([40, 60], "____________"),
        ([40, 60], "äöü"),
        ([40, 60], rle_encode(DISC)["counts"][:-1]),
        ([40, 60], rle_encode(DISC)["counts"] + "5"),
    ],
)
def test_masks_that_lie(http: httpx.Client, size: list[int], counts: str) -> None:
    body = {"embedding": embed(http), "prompts": [{"mask": {"size": size, "counts": counts}}]}
    assert problem(http.post("/v1/masks", json=body)) == (422, "PromptError")


def test_answers_are_masks_of_the_pictures_size(http: httpx.Client) -> None:
    for hw in ((1, 1), (1, 900), (33, 2)):
        name = embed(http, picture(hw))
        (mask,) = http.post("/v1/masks", json=click(name, 0, 0)).json()["masks"]
        assert rle_decode(mask["rle"]).shape == hw
