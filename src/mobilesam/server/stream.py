"""Everything mode while it works, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ..embedding import Embedding
from ..errors import MobileSAMError
from .answers import NDJSON, of_scene
from .gate import visit_of
from .messages import EverythingRequest
from .pool import Job, Stop, attended
from .problems import Problem, of, timed_out
from .service import service_of


async def begin(request: Request, source: Embedding | bytes, asked: EverythingRequest) -> StreamingResponse:
    """The streamed answer, once there is something to tell: what fails before that has a status of its own.

    Raises Problem, InputError.
    """
    service, news = service_of(request), _News(asyncio.get_running_loop())

    def work(stop: Stop) -> bytes:
        scene = service.work.everything(source, asked, news.progress, stop)
        return _line({"masks": of_scene(scene), "size": list(scene.image_hw)})

    job = service.pool.scenes.submit(work)
    job.future.add_done_callback(lambda _: news.close())
    try:
        await attended(news.wait(), request)
        if job.future.done():
            job.outcome()
    except BaseException:
        job.cancel()
        raise
    return _Lines(job, news, visit_of(request).deadline, service.config.timeout)


class _Lines(StreamingResponse):
    """Lines {"progress": [done, total]}, then {"masks": ..., "size": ...}, or {"error": ...} in its place."""

    def __init__(self, job: Job[bytes], news: _News, deadline: float, seconds: float) -> None:
        super().__init__(self._lines(job, news, deadline, seconds), media_type=NDJSON)
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # whoever stops listening leaves no work behind
            self._job.cancel()

    @staticmethod
    async def _lines(job: Job[bytes], news: _News, deadline: float, seconds: float) -> AsyncIterator[bytes]:
        try:
            while True:
                await asyncio.wait_for(news.wait(), max(0.0, deadline - time.monotonic()))
                if progress := news.take():
                    yield _line({"progress": progress})
                if job.future.done():
                    break
            yield job.outcome()
        except asyncio.TimeoutError:
            yield _line(timed_out(seconds).body())
        except Problem as problem:
            yield _line(problem.body())
        except MobileSAMError as error:
            yield _line(of(error).body())


class _News:
    """The newest progress, from a thread to the event loop: a slow reader misses some, and none pile up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._changed = loop, asyncio.Event()
        self._newest: tuple[int, int] | None = None

    def progress(self, done: int, total: int) -> None:
        """From any thread."""
        self._newest = done, total
        self.close()

    def close(self) -> None:
        """From any thread: there is something new, if only the end."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    async def wait(self) -> None:
        """Until there is news that wasn't taken."""
        await self._changed.wait()

    def take(self) -> tuple[int, int] | None:
        """The newest progress, once."""
        self._changed.clear()
        newest, self._newest = self._newest, None
        return newest


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"
