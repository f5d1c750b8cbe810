"""A real server in a thread, with a model that needs no weights."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import uvicorn
from PIL import Image

from mobilesam import SAM
from mobilesam.server import ServerConfig, create_app
from mobilesam.server.run import address_of, configured, listen
from mobilesam.testing import FakeBackend


class Small(FakeBackend):
    """A fake of a quarter of the size, for speed."""

    def __init__(self) -> None:
        super().__init__(radius=32)
        self.info = replace(self.info, img_size=256)

    def encode(self, image_bchw: np.ndarray) -> np.ndarray:
        return super().encode(image_bchw)[:, :, :16, :16].copy()


class GatedBackend(Small):
    """A fake whose calls wait for a test while their gate is shut, and tell when they are there."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = {"encode": threading.Event(), "decode": threading.Event()}
        self.there = {"encode": threading.Semaphore(0), "decode": threading.Semaphore(0)}
        self.calls = {"encode": 0, "decode": 0}
        self.open()

    def open(self) -> None:
        for gate in self.gates.values():
            gate.set()

    def encode(self, image_bchw: np.ndarray) -> np.ndarray:
        self._pass("encode")
        return super().encode(image_bchw)

    def decode(self, *inputs: Any) -> Any:
        self._pass("decode")
        return super().decode(*inputs)

    def _pass(self, call: str) -> None:
        self.calls[call] += 1
        self.there[call].release()
        assert self.gates[call].wait(30)


class Server(uvicorn.Server):
    """uvicorn in a thread."""

    def __init__(self, app: Any) -> None:
        super().__init__(configured(app))
        self.app = app
        self.up = threading.Event()
        self.listener = listen("127.0.0.1", 0)
        self.address = address_of(self.listener)
        self.thread = threading.Thread(target=self.run, args=([self.listener],))

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @property
    def service(self) -> Any:
        return self.app.state.service


@contextmanager
def running(backend: Any = None, **limits: Any) -> Iterator[Server]:
    """A server with these limits, ready to answer."""
    with serving(create_app(SAM.from_backend(backend or Small()), ServerConfig(**limits))) as server:
        try:
            yield server
        finally:
            if isinstance(backend, GatedBackend):
                backend.open()


@contextmanager
def serving(app: Any) -> Iterator[Server]:
    """An application's server, ready to answer."""
    server = Server(app)
    server.thread.start()
    try:
        assert server.up.wait(30)
        yield server
    finally:
        server.should_exit = True
        server.thread.join()


def connect(server: Server, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=server.address, trust_env=False, timeout=30, headers=headers)


def picture(hw: tuple[int, int] = (40, 60), kind: str = "PNG", value: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((*hw, 3), value, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def embed(http: httpx.Client, data: bytes | None = None) -> str:
    answer = http.post("/v1/embeddings", files={"image": ("photo.png", data or picture())})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def click(name: str, x: float = 30, y: float = 20, **more: Any) -> dict[str, Any]:
    return {"embedding": name, "prompts": [{"points": [[x, y]]}], **more}


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and type of an error, which must have the form that all have."""
    assert answer.headers["content-type"] == "application/json", answer.text
    (error,) = answer.json().values()
    assert set(error) == {"type", "message"}
    assert error["message"]
    assert len(error["message"]) <= 500
    return answer.status_code, error["type"]


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do; gives up after some seconds."""
    again = threading.Event()
    for _ in range(1000):
        if holds():
            return
        again.wait(0.01)
    raise AssertionError("it never happened")
