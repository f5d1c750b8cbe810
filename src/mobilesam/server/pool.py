"""Threads that compute, so that the event loop never does: one lane a kind of work, each with a bound.

Clicks take milliseconds, encodes a fraction of a second, everything mode seconds: lanes of their own keep the quick
from waiting behind the slow.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from starlette.requests import Request

from ..errors import BackendError, MobileSAMError
from .config import ServerConfig
from .gate import visit_of
from .problems import Problem, busy, client_gone, timed_out, worker_failed

T = TypeVar("T")
log = logging.getLogger("mobilesam.server")


class Stopped(Exception):  # noqa: N818  # a decision, not an error
    """Raised inside a computation whose answer nobody waits for any more."""


class Stop:
    """Whether a computation should end early."""

    def __init__(self) -> None:
        self._wanted = threading.Event()

    def want(self) -> None:
        """From now on `check` raises."""
        self._wanted.set()

    def check(self) -> None:
        """Raises Stopped once it is wanted."""
        if self._wanted.is_set():
            raise Stopped


class Job(Generic[T]):
    """Work that was handed in."""

    def __init__(self, future: Future[T], stop: Stop) -> None:
        self.future, self._stop = future, stop

    def cancel(self) -> None:
        """Never start it, or have it end at its next step."""
        self._stop.want()
        self.future.cancel()

    async def result(self, request: Request) -> T:
        """The answer; where the client hangs up or the request's time is over, the work is cancelled.

        Raises Problem, and what the work raises.
        """
        try:
            await attended(asyncio.wrap_future(self.future), request)
            return self.outcome()
        finally:
            self.cancel()

    def outcome(self) -> T:
        """The answer of work that is done. Raises Problem, and what the work raises."""
        try:
            return self.future.result()
        except (Stopped, CancelledError) as error:
            raise busy("The server is shutting down") from error


async def attended(awaited: Awaitable[Any], request: Request) -> None:
    """Wait until it is done, however it ends. Raises Problem: the client has hung up, or its time is over (504)."""
    done, gone = asyncio.ensure_future(awaited), asyncio.ensure_future(hung_up(request))
    left = max(0.0, visit_of(request).deadline - time.monotonic())
    try:
        await asyncio.wait({done, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise client_gone() if gone.done() else timed_out(request.app.state.service.config.timeout)
        done.cancelled() or done.exception()  # asked for, so that asyncio doesn't report it as forgotten
    finally:
        gone.cancel()
        done.cancel()


async def hung_up(request: Request) -> None:
    """Returns when the client closes the connection; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Lane:
    """A few threads, and at most `limit` jobs that they work on or that wait."""

    def __init__(self, name: str, threads: int, limit: int) -> None:
        self.name = name
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"mobilesam-{name}")
        self._limit, self._lock = limit, threading.Lock()
        self._began: dict[Stop, float] = {}
        self._stops: set[Stop] = set()

    def submit(self, work: Callable[[Stop], T]) -> Job[T]:
        """Hand work in; it is called with a Stop to look at. Raises Problem (503) where the lane is full."""
        stop = Stop()
        with self._lock:
            if len(self._stops) >= self._limit:
                raise busy(f"{self._limit} requests for {self.name} are waiting already")
            self._stops.add(stop)
        try:
            future = self._threads.submit(self._run, work, stop)
        except RuntimeError as error:  # shut down
            self._stops.discard(stop)
            raise busy("The server is shutting down") from error
        future.add_done_callback(lambda _: self._stops.discard(stop))
        return Job(future, stop)

    @property
    def open(self) -> int:
        """Jobs that are worked on or wait."""
        return len(self._stops)

    @property
    def longest(self) -> float:
        """Seconds that the oldest running job has taken so far; 0 where none runs."""
        return time.monotonic() - min(list(self._began.values()), default=time.monotonic())

    def close(self) -> None:
        """Stop everything and wait for it."""
        for stop in list(self._stops):
            stop.want()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, work: Callable[[Stop], T], stop: Stop) -> T:
        self._began[stop] = time.monotonic()
        try:
            stop.check()
            return work(stop)
        except (Problem, Stopped):
            raise
        except Exception as error:
            if isinstance(error, MobileSAMError) and not isinstance(error, BackendError):
                raise
            log_failure(f"{self.name} failed", error)
            raise worker_failed() from None
        finally:
            del self._began[stop]


class Pool:
    """The lanes of a service."""

    def __init__(self, config: ServerConfig) -> None:
        self.clicks = Lane("clicks", config.threads, config.queue)
        # A runtime spreads an encode over the cores: more than a few at a time only slow the clicks down.
        self.encodes = Lane("encodes", max(1, config.threads // 4), config.queue)
        self.scenes = Lane("everything", 1, config.scenes)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All of them."""
        return self.clicks, self.encodes, self.scenes

    def close(self) -> None:
        """Stop all lanes and wait."""
        for lane in self.lanes:
            lane.close()


def log_failure(what: str, error: BaseException) -> None:
    """An unforeseen error in the log: its kind and place, not its message, which may hold what a client sent."""
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error(what, extra={"fields": {"error": type(error).__name__, "where": where[-8:]}})
