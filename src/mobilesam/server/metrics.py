"""Counters for Prometheus, in a registry of their own: two services in one process don't meet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

if TYPE_CHECKING:
    from .gate import Gate
    from .pool import Pool
    from .store import EmbeddingStore

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """What /metrics tells."""

    def __init__(self, store: EmbeddingStore, pool: Pool, gate: Gate) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        labels = ("method", "route", "status")
        self._requests = Counter("mobilesam_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "mobilesam_request_seconds", "Seconds to answer.", ("route",), buckets=SECONDS, registry=self._registry
        )
        self._gauge("mobilesam_requests_open", "Requests under way.", lambda: gate.open)
        self._gauge("mobilesam_upload_bytes", "Bytes of uploads in memory.", lambda: gate.bytes)
        self._gauge("mobilesam_embeddings", "Embeddings kept.", lambda: len(store))
        self._gauge("mobilesam_embedding_bytes", "Bytes of the embeddings kept.", lambda: store.bytes)
        jobs = Gauge("mobilesam_jobs", "Jobs running or waiting.", ("lane",), registry=self._registry)
        for lane in pool.lanes:
            jobs.labels(lane.name).set_function(partial(getattr, lane, "open"))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One more request; `method` and `route` must be of a closed set."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        Gauge(name, what, registry=self._registry).set_function(value)
