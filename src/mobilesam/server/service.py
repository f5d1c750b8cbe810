"""What the endpoints of one application share."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from ..model import SAM
from .config import ServerConfig
from .gate import Gate
from .metrics import Metrics
from .pool import Pool, log_failure
from .store import EmbeddingStore
from .work import Work


class Service:
    """A model, its limits, its threads, its embeddings, its counters."""

    def __init__(self, sam: SAM, config: ServerConfig) -> None:
        self.config = config
        self.info = sam.info
        self.work = Work(sam, config)
        self.store = EmbeddingStore(config.store_bytes, config.ttl)
        self.pool = Pool(config)
        self.gate = Gate(config)
        self.metrics = Metrics(self.store, self.pool, self.gate)
        self.ready = False
        """Whether the model has answered once, and the server isn't shutting down."""

    @property
    def stuck(self) -> bool:
        """Whether a thread has been at one job for far longer than anybody waits."""
        return any(lane.longest > 2 * self.config.timeout + 60 for lane in self.pool.lanes)

    async def warm_up(self) -> None:
        """Have the model answer once; where it can't, `ready` stays false and the log says why."""
        try:
            await asyncio.wrap_future(self.pool.encodes.submit(self.work.warm_up).future)
        except Exception as error:  # noqa: BLE001  # whatever it is, health checks tell it
            log_failure("the model doesn't answer", error)
        else:
            self.ready = True

    async def close(self) -> None:
        """Stop what still runs and forget all embeddings."""
        self.ready = False
        await asyncio.to_thread(self.pool.close)
        self.store.clear()


def service_of(request: Request) -> Service:
    """The service of a request's application."""
    service: Service = request.app.state.service
    return service
