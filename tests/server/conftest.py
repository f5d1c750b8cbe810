"""Servers with a model that needs no weights."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mobilesam import SAM
from servers import GatedBackend, Server, Small, connect, running


@pytest.fixture
def model() -> SAM:
    """The model of these servers, asked directly."""
    return SAM.from_backend(Small())


@pytest.fixture
def gated() -> GatedBackend:
    return GatedBackend()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One with few limits lowered, for a module."""
    with running(max_bytes=200_000, max_pixels=1_000_000, max_prompts=8, max_points=4, timeout=30) as made:
        yield made


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with connect(server) as client:
        yield client
