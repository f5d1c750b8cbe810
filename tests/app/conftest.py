"""One browser and one running app for all tests; each test has an empty profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser_app import BROWSER, QUIET, App, Desk, app
from conftest import ROOT
from mobilesam import SAM
from mobilesam.everything import Candidate


@pytest.fixture(scope="session")
def running() -> Iterator[App]:
    with app("--port", "0") as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert BROWSER, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Callable[..., Any]]:
    """Makes profiles whose pages may neither fail nor ask anybody but the app."""
    made: list[Any] = []
    errors: list[str] = []
    requests: list[str] = []

    def make(**options: Any) -> Any:
        opened = browser.new_context(viewport=options.pop("viewport", {"width": 1100, "height": 800}), **options)
        made.append(opened)

        def watch(page: Any) -> None:
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}"))

        opened.on("page", watch)
        return opened

    yield make
    for opened in made:
        opened.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))] == []


@pytest.fixture
def desk(context: Callable[..., Any], running: App) -> Desk:
    opened = Desk(context().new_page())
    opened.goto(running.address)
    return opened


@cache
def sam() -> SAM:
    return SAM()


@cache
def _embedding(path: Path) -> Any:
    return sam().embed(path)


@pytest.fixture(scope="session")
def expected() -> Callable[..., np.ndarray]:
    """Python's mask of a prompt."""

    def predict(path: Path, **prompt: Any) -> np.ndarray:
        return sam().predict(_embedding(path), **prompt, multimask="best")[0].masks[0]

    return predict


@pytest.fixture(scope="session")
def everything() -> Callable[[Path], list[Candidate]]:
    """Python's masks of all objects."""
    return cache(lambda path: sam().everything(_embedding(path)).candidates)


PHOTOS = {
    "astronaut": ROOT / "tests/golden/astronaut.png",
    "chelsea": ROOT / "tests/golden/chelsea.png",
    "rocket": ROOT / "tests/golden/rocket.png",
    "coffee": ROOT / "examples/coffee.png",
}


@pytest.fixture(scope="session")
def photos() -> dict[str, Path]:
    return PHOTOS
