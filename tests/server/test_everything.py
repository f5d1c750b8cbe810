"""Everything mode, streamed."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from mobilesam import SAM
from servers import GatedBackend, connect, embed, picture, problem, running, until

SMALL = {"points_per_side": 4}


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def expected(sam: SAM, **options: Any) -> list[dict[str, Any]]:
    scene = sam.everything(np.full((40, 60, 3), 90, np.uint8), output_mode="coco_rle", **options)
    return [
        {"rle": r["segmentation"], "area": r["area"], "iou": pytest.approx(r["predicted_iou"], abs=1e-6)} for r in scene
    ]


@pytest.mark.parametrize("options", [SMALL, {**SMALL, "quality": "exact"}, {**SMALL, "max_masks": 2}])
def test_masks_are_the_models(http: httpx.Client, model: SAM, options: dict[str, Any]) -> None:
    answer = http.post("/v1/everything", json={"embedding": embed(http), "options": options})
    *progress, last = lines(answer)
    assert last["size"] == [40, 60]
    assert [{k: mask[k] for k in ("rle", "area", "iou")} for mask in last["masks"]] == expected(model, **options)
    for mask in last["masks"]:
        x1, y1, x2, y2 = mask["box"]
        assert 0 <= x1 < x2 <= 60
        assert 0 <= y1 < y2 <= 40
        assert 0.95 <= mask["stability"] <= 1
    assert all(set(line) == {"progress"} and line["progress"][1] == 16 for line in progress)
    done = [line["progress"][0] for line in progress]
    assert done == sorted(done)


def test_a_picture_in_a_form(http: httpx.Client, model: SAM) -> None:
    for options in ({}, {"crop_n_layers": 1}, {"tiles": 256}):
        request = json.dumps({"options": SMALL | options})
        files = {"image": ("a.png", picture()), "request": (None, request)}
        (*_, last) = lines(http.post("/v1/everything", files=files))
        assert len(last["masks"]) == len(expected(model, **SMALL, **options))


def test_parents(http: httpx.Client) -> None:
    answer = http.post("/v1/everything", json={"embedding": embed(http), "options": {**SMALL, "overlap": "hierarchy"}})
    assert all("parent" in mask for mask in lines(answer)[-1]["masks"])


@pytest.mark.parametrize(
    "options",
    [
        {"points_per_side": 10**9},
        {"points_per_side": 0},
        {"points_per_side": 4.5},
        {"crop_n_layers": 60},
        {"crop_n_layers": 1},
        {"tiles": 256},
        {"tiles": 1},
        {"quality": "best"},
        {"point_grids": [[[0.5, 0.5]]]},
        {"nonsense": 1},
        {"max_masks": 0},
        {"stability_score_offset": -1},
        [],
    ],
)
def test_options_that_cannot_be_used(http: httpx.Client, options: Any) -> None:
    answer = http.post("/v1/everything", json={"embedding": embed(http), "options": options})
    assert problem(answer) == (422, "InputError")


def test_a_bad_picture_has_a_status_of_its_own(http: httpx.Client) -> None:
    answer = http.post("/v1/everything", files={"image": ("a.png", b"no picture")})
    assert problem(answer) == (422, "ImageError")
    assert problem(http.post("/v1/everything", json={"embedding": "unknown"})) == (404, "NotFound")
    assert problem(http.post("/v1/everything", json={}))[0] == 422


def test_what_fails_on_the_way_is_the_last_line(gated: GatedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(gated) as server, connect(server) as http:
        name, before = embed(http), gated.calls["decode"]
        real = gated.decode

        def decode(*inputs: Any) -> Any:
            if gated.calls["decode"] - before > 3:
                raise RuntimeError("secret of the backend")
            return real(*inputs)

        monkeypatch.setattr(gated, "decode", decode)
        options = {"quality": "exact", "points_per_side": 8}
        answer = http.post("/v1/everything", json={"embedding": name, "options": options})
        assert answer.status_code == 200
        first, last = lines(answer)[0], lines(answer)[-1]
        assert "progress" in first
        assert last["error"]["type"] == "WorkerFailed"
        assert "secret" not in answer.text


def test_a_client_that_hangs_up_ends_the_work(gated: GatedBackend) -> None:
    with running(gated) as server, connect(server) as http:
        body = {"embedding": embed(http), "options": {"quality": "exact", "points_per_side": 32}}
        before = gated.calls["decode"]
        with http.stream("POST", "/v1/everything", json=body) as answer:
            next(answer.iter_lines())
            gated.gates["decode"].clear()
        until(lambda: server.service.gate.open == 0)
        gated.open()
        until(lambda: server.service.pool.scenes.open == 0)
        assert gated.calls["decode"] - before < 1024 / 8  # not all batches


def test_no_more_scenes_than_allowed(gated: GatedBackend) -> None:
    with running(gated, scenes=1) as server, connect(server) as http, connect(server) as other:
        body = {"embedding": embed(http), "options": {"quality": "exact", "points_per_side": 16}}
        with http.stream("POST", "/v1/everything", json=body) as answer:
            read = answer.iter_lines()
            next(read)
            gated.gates["decode"].clear()
            refused = other.post("/v1/everything", json=body)
            assert problem(refused) == (503, "Busy")
            assert refused.headers["retry-after"] == "1"
            gated.open()
            assert "masks" in json.loads(list(read)[-1])
        assert other.post("/v1/everything", json=body).status_code == 200


def test_too_long_is_the_last_line(gated: GatedBackend) -> None:
    with running(gated, timeout=1) as server, connect(server) as http:
        body = {"embedding": embed(http), "options": {"quality": "exact", "points_per_side": 32}}
        with http.stream("POST", "/v1/everything", json=body) as answer:
            read = answer.iter_lines()
            next(read)
            gated.gates["decode"].clear()
            assert json.loads(list(read)[-1])["error"]["type"] == "TimedOut"
        gated.open()
        until(lambda: server.service.pool.scenes.open == 0)
