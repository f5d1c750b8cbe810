"""Client: the calls of a `mobilesam serve` elsewhere, answered with arrays.

>>> Client("http://127.0.0.1:8000")
Client('http://127.0.0.1:8000')
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from ._optional import require
from .errors import (
    EmbeddingLostError,
    ImageError,
    ImageTooLargeError,
    InputError,
    PromptError,
    ServiceBusyError,
    ServiceError,
    SourceNotFoundError,
)
from .files import png_bytes
from .geometry import Letterbox
from .image import to_rgb
from .masks import rle_decode, rle_encode
from .results import Results
from .types import F32, HW, AnyArray, Bool, Int, Multimask

if TYPE_CHECKING:
    import httpx

Picture: TypeAlias = "str | Path | bytes | AnyArray | Image.Image"
Progress = Callable[[int, int], None]
BUSY = (408, 429, 503, 504)
NAMED = {"ImageError": ImageError, "PromptError": PromptError}


@dataclass(frozen=True)
class RemoteEmbedding:
    """A picture that the server has encoded and knows by `id`, which is a secret: who has it may ask about it."""

    id: str
    image_hw: HW
    model: str
    expires_in: float | None
    """Seconds after its last use."""


@dataclass(frozen=True)
class Prompt:
    """One object: points (x, y) with labels (1 object, 0 not this), a box xyxy, a binary mask (H, W), or several."""

    points: Sequence[Sequence[float]] = ()
    labels: Sequence[int] | None = None
    box: Sequence[float] | None = None
    mask: Bool | None = None


@dataclass(frozen=True, eq=False)
class RemoteMasks:
    """N masks of one picture."""

    masks: Bool
    """(N, H, W)"""
    boxes: F32
    """(N, 4) xyxy pixel edges; zeros for an empty mask."""
    areas: Int
    """(N,) pixels."""
    iou: F32
    """(N,) predicted IoU."""
    prompt_index: Int
    """(N,) which prompt each answers; of everything mode its own number."""
    records: tuple[dict[str, Any], ...]
    """What the server sent, run lengths and all."""

    def __len__(self) -> int:
        return len(self.masks)


class Client:
    """A connection to a server; safe for threads, and a context manager that closes it.

    `token` is sent with every request; `timeout` are the seconds that an answer may take. `transport` is httpx's, for
    tests. Raises MissingDependencyError; every call raises ServiceError (with its subclasses), and InputError
    (ImageError, ImageTooLargeError, PromptError) for what the server can't use.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 90.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.address, self._httpx = address.rstrip("/"), require("httpx", "client", "The client")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # No proxy of the environment: pictures go to the address that was given, and nowhere else.
        self._http: httpx.Client = self._httpx.Client(
            base_url=self.address, headers=headers, timeout=timeout, transport=transport, trust_env=False
        )

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def models(self) -> list[dict[str, Any]]:
        """The models that answer."""
        models: list[dict[str, Any]] = self._json("GET", "/v1/models")["models"]
        return models

    def embed(self, picture: Picture) -> RemoteEmbedding:
        """Have a picture encoded, to ask about it any number of times: a path, bytes, an array (RGB) or a PIL image."""
        made = self._json("POST", "/v1/embeddings", files={"image": ("image", _bytes_of(picture))})
        height, width = made["size"]
        return RemoteEmbedding(made["id"], (height, width), made["model"], made["expires_in"])

    def delete(self, embedding: RemoteEmbedding) -> None:
        """Have an embedding forgotten."""
        self._send("DELETE", f"/v1/embeddings/{embedding.id}")

    def predict(
        self, source: RemoteEmbedding | Picture, prompts: Prompt | Iterable[Prompt], *, multimask: Multimask = False
    ) -> RemoteMasks:
        """The masks of prompts, one after another; `multimask` is that of SAM.predict."""
        found = self._json("POST", "/v1/masks", **_about(source, _asked(prompts, multimask)))
        return _masks(found["masks"], found["size"])

    def logits(
        self, source: RemoteEmbedding | Picture, prompts: Prompt | Iterable[Prompt], *, multimask: Multimask = False
    ) -> Results:
        """As `predict`, but a Results as SAM.predict returns it: with logits, without the photo."""
        headers = {"accept": "application/x-npy"}
        answer = self._send("POST", "/v1/masks", headers=headers, **_about(source, _asked(prompts, multimask)))
        low_res = np.load(io.BytesIO(answer.content), allow_pickle=False)
        height, width = (int(side) for side in answer.headers["x-image-size"].split(","))
        return Results(
            low_res=low_res,
            iou=np.array(answer.headers["x-predicted-iou"].split(","), np.float32),
            prompt_index=np.array(answer.headers["x-prompt"].split(","), np.int64),
            letterbox=Letterbox((height, width), int(answer.headers["x-model-size"])),
        )

    def everything(
        self, source: RemoteEmbedding | Picture, *, progress: Progress | None = None, **options: Any
    ) -> RemoteMasks:
        """All objects of a picture. `options` are those of SAM.everything that the server takes (docs/server.md)."""
        with self._stream("/v1/everything", **_about(source, {"options": options})) as answer:
            for text in answer.iter_lines():
                line = json.loads(text)
                if "error" in line:
                    raise _error(503, line)
                if "masks" in line:
                    return _masks(line["masks"], line["size"])
                if progress:
                    progress(*line["progress"])
        raise ServiceError(f"{self.address} closed the connection before the masks came; try again.")

    def _json(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        document: dict[str, Any] = self._send(method, path, **content).json()
        return document

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        with self._stream(path, method, **content) as answer:
            answer.read()
            return answer

    @contextmanager
    def _stream(self, path: str, method: str = "POST", **content: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, path, **content) as answer:
                if answer.is_error:
                    answer.read()
                    raise _error(answer.status_code, _document(answer))
                yield answer
        except self._httpx.TimeoutException as error:
            raise ServiceBusyError(f"{self.address} gave no answer in time ({type(error).__name__}).") from error
        except self._httpx.HTTPError as error:
            raise ServiceError(f"{self.address} can't be reached: {error}. Does `mobilesam serve` run?") from error


def _error(status: int, document: Mapping[str, Any]) -> Exception:
    """The error that a server's answer stands for."""
    told = document["error"]
    kind, message = str(told["type"]), str(told["message"])
    if kind == "TooLarge":
        return ImageTooLargeError(message)
    if kind == "NotFound":
        return EmbeddingLostError(message)
    if kind in NAMED or kind == "InputError":
        return NAMED.get(kind, InputError)(message)
    return (ServiceBusyError if status in BUSY else ServiceError)(f"{message} ({kind})")


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document: dict[str, Any] = answer.json()
        _ = document["error"]["type"], document["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"The server answered {answer.status_code} without saying why; is it mobilesam?"
        return {"error": {"type": "Unknown", "message": message}}
    return document


def _asked(prompts: Prompt | Iterable[Prompt], multimask: Multimask) -> dict[str, Any]:
    each = [prompts] if isinstance(prompts, Prompt) else list(prompts)
    return {"prompts": [_prompt(prompt) for prompt in each], "multimask": multimask}


def _prompt(prompt: Prompt) -> dict[str, Any]:
    made: dict[str, Any] = {"points": [[float(x), float(y)] for x, y in prompt.points]}
    if prompt.labels is not None:
        made["labels"] = [int(label) for label in prompt.labels]
    if prompt.box is not None:
        made["box"] = [float(edge) for edge in prompt.box]
    if prompt.mask is not None:
        made["mask"] = rle_encode(np.asarray(prompt.mask, bool))
    return made


def _about(source: RemoteEmbedding | Picture, asked: dict[str, Any]) -> dict[str, Any]:
    """The request's content, as httpx takes it."""
    if isinstance(source, RemoteEmbedding):
        return {"json": {"embedding": source.id, **asked}}
    return {"files": {"image": ("image", _bytes_of(source)), "request": (None, json.dumps(asked))}}


def _bytes_of(picture: Picture) -> bytes:
    """A file's bytes as they are; pixels as PNG."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, (str, Path)):
        try:
            return Path(picture).read_bytes()
        except OSError as error:
            raise SourceNotFoundError(f"{picture} can't be read: {error}. Check the path.") from error
    return png_bytes(to_rgb(picture), level=1)


def _masks(records: list[dict[str, Any]], size: Sequence[int]) -> RemoteMasks:
    height, width = size
    masks = np.zeros((len(records), height, width), bool)
    for mask, record in zip(masks, records, strict=True):
        mask[:] = rle_decode(record["rle"])
    return RemoteMasks(
        masks=masks,
        boxes=np.array([record["box"] for record in records], np.float32).reshape(-1, 4),
        areas=np.array([record["area"] for record in records], np.int64),
        iou=np.array([record["iou"] for record in records], np.float32),
        prompt_index=np.array([record.get("prompt", i) for i, record in enumerate(records)], np.int64),
        records=tuple(records),
    )
