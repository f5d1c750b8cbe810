"""The client against a server: as SAM answers, with the errors of the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from mobilesam import SAM, ImageError, ImageTooLargeError, InputError, PromptError, SourceNotFoundError
from mobilesam.client import Client, Prompt, RemoteEmbedding
from mobilesam.errors import EmbeddingLostError, ServiceBusyError, ServiceError
from servers import GatedBackend, Small, picture, running

PHOTO = np.full((40, 60, 3), 90, np.uint8)
PHOTO[:, 30:] = 200
DISC = np.hypot(np.arange(60) - 20, (np.arange(40) - 20)[:, None]) < 9
TOKEN = "a-token-of-some-length"


@pytest.fixture
def model() -> SAM:
    return SAM.from_backend(Small())


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with running(tokens=(TOKEN,), max_bytes=100_000) as server, Client(server.address, token=TOKEN) as made:
        yield made


def test_every_kind_of_picture(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture())
    for source in (path, str(path), picture(), PHOTO, Image.fromarray(PHOTO)):
        embedding = client.embed(source)
        assert embedding.image_hw == (40, 60)
        assert embedding.model == "fake-0"
        assert embedding.expires_in == 3600


def test_masks_are_those_of_sam(client: Client, model: SAM) -> None:
    prompts = [
        Prompt([(30, 20)]),
        Prompt([(5, 5), (30, 30)], labels=[1, 0]),
        Prompt(box=(3, 4, 30, 30)),
        Prompt(mask=DISC),
    ]
    given = [
        {"points": [30, 20]},
        {"points": [[[5, 5], [30, 30]]], "labels": [[1, 0]]},
        {"bboxes": [3, 4, 30, 30]},
        {"masks": DISC},
    ]
    for source in (client.embed(PHOTO), PHOTO):
        for multimask in (False, True, "best"):
            found = client.predict(source, prompts, multimask=multimask)  # type: ignore[arg-type]
            expected = [model.predict(PHOTO, **g, multimask=multimask)[0] for g in given]  # type: ignore[call-overload]
            assert np.array_equal(found.masks, np.concatenate([e.masks for e in expected]))
            assert np.array_equal(found.boxes, np.concatenate([e.boxes for e in expected]))
            assert np.array_equal(found.areas, found.masks.sum(axis=(1, 2)))
            assert found.iou == pytest.approx(np.concatenate([e.iou for e in expected]))
            assert found.prompt_index.tolist() == np.repeat(range(4), 3 if multimask is True else 1).tolist()


def test_logits_are_a_result(client: Client, model: SAM) -> None:
    found = client.logits(client.embed(PHOTO), [Prompt([(30, 20)]), Prompt([(8, 9)])], multimask=True)
    expected = model.predict(PHOTO, points=[[30, 20], [8, 9]], multimask=True)[0]
    assert np.array_equal(found.low_res, expected.low_res)
    assert np.array_equal(found.masks, expected.masks)
    assert found.prompt_index.tolist() == expected.prompt_index.tolist()
    assert found.iou == pytest.approx(expected.iou)


def test_everything(client: Client, model: SAM) -> None:
    progress: list[tuple[int, int]] = []
    found = client.everything(PHOTO, progress=lambda *now: progress.append(now), points_per_side=4, quality="exact")
    scene = model.everything(PHOTO, points_per_side=4, quality="exact")
    assert np.array_equal(found.masks, scene.masks)
    assert found.boxes.tolist() == scene.boxes.tolist()
    assert progress
    assert progress[-1][1] == 16


def test_no_mask_at_all(client: Client) -> None:
    found = client.everything(PHOTO, points_per_side=2, pred_iou_thresh=1)
    assert len(found) == 0
    assert found.masks.shape == (0, 40, 60)
    assert found.boxes.shape == (0, 4)


def test_models_and_deleting(client: Client) -> None:
    assert client.models()[0]["name"] == "fake-0"
    embedding = client.embed(PHOTO)
    client.delete(embedding)
    with pytest.raises(EmbeddingLostError, match="No such embedding"):
        client.predict(embedding, Prompt([(1, 1)]))


def test_errors_have_names(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no picture"):
        client.embed(b"nothing")
    with pytest.raises(ImageTooLargeError):
        client.embed(np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8))
    with pytest.raises(PromptError, match="outside"):
        client.predict(PHOTO, Prompt([(99, 1)]))
    with pytest.raises(InputError, match="nonsense"):
        client.everything(PHOTO, nonsense=1)
    with pytest.raises(SourceNotFoundError):
        client.embed(tmp_path / "nothing.png")
    with pytest.raises(ServiceError, match="Unauthorized"), Client(client.address, token="wrong") as stranger:
        stranger.models()


def test_a_busy_server(gated: GatedBackend) -> None:
    with running(gated, per_client=1, timeout=1) as server, Client(server.address) as client:
        embedding = client.embed(PHOTO)
        gated.gates["decode"].clear()
        with pytest.raises(ServiceBusyError, match="TimedOut"):
            client.predict(embedding, Prompt([(1, 1)]))
        with pytest.raises(ServiceBusyError, match="TimedOut"):
            client.everything(embedding)


@pytest.fixture
def gated() -> GatedBackend:
    return GatedBackend()


def answering(status: int, content: bytes) -> Client:
    return Client(transport=httpx.MockTransport(lambda _: httpx.Response(status, content=content)))


def test_servers_that_are_something_else() -> None:
    with pytest.raises(ServiceError, match="404 without saying why"), answering(404, b"<html>") as client:
        client.models()
    with pytest.raises(ServiceError, match="closed"), answering(200, b"") as client:
        client.everything(RemoteEmbedding("x", (1, 1), "m", None))
    with (
        pytest.raises(ServiceError, match="WorkerFailed"),
        answering(200, b'{"progress": [1, 2]}\n{"error": {"type": "WorkerFailed", "message": "no"}}\n') as client,
    ):
        client.everything(RemoteEmbedding("x", (1, 1), "m", None))
    with pytest.raises(ServiceError, match="can't be reached"), Client("http://127.0.0.1:9") as client:
        client.models()


def test_a_slow_server() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    with pytest.raises(ServiceBusyError, match="in time"), Client(transport=httpx.MockTransport(slow)) as client:
        client.models()
