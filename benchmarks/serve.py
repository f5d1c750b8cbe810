"""Load on `mobilesam serve`: clients that click, every answer compared with the mask that the model gives here.

    python benchmarks/serve.py [--clients 50] [--seconds 60] [--requests 2000] [--workers N]

Starts a server process on a free port of this machine. Prints how long clicks and encodes took (as the clients saw it,
who share the machine with the server), the server's memory over the requests, what it does with more than it may take
on, and how it ends. Exits with 1 where an answer was wrong or failed, memory grew, or an overload wasn't refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from mobilesam import SAM
from mobilesam.image import to_rgb

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = (ROOT / "examples/coffee.png", *sorted((ROOT / "tests/golden").glob("*.png")))
CLICKS = 6
"""Of each photo."""
UPLOADS = 4
"""Photos that are sent at a time before the clicking begins."""
EMBEDDING = 4_200_000
"""Bytes of one, rounded up: the server keeps those of all clients and a few more, which many requests soon fill."""
GROWTH = 24 * 2**20
"""Bytes that the server's memory may differ by between the first and the last quarter of many requests."""


class Server:
    """`mobilesam serve` as a process."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "mobilesam", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        self.lines: list[str] = []
        assert self.process.stderr
        first = self.process.stderr.readline()
        if "listens on" not in first:
            raise SystemExit(f"{' '.join(command)} said: {first}{self.process.stderr.read()}")
        self.address = first.split("listens on ")[1].split()[0]
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        self.lines += self.process.stderr

    def wait_until_ready(self) -> None:
        """Returns when /readyz says so."""
        for _ in range(600):
            if httpx.get(f"{self.address}/readyz", trust_env=False).is_success:
                return
            time.sleep(0.1)
        raise SystemExit("the server isn't ready after a minute")

    @property
    def memory(self) -> int:
        """Bytes of resident memory (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def stop(self, sent: int = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(sent)
        code = self.process.wait(90)
        self._reader.join()
        return code

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        if self.process.stderr:
            self.process.stderr.close()


@dataclass(frozen=True)
class Task:
    """A photo, and clicks with the masks that they should give."""

    data: bytes
    clicks: list[tuple[float, float]]
    expected: list[dict[str, Any]]


def tasks(photos: Sequence[Path] = PHOTOS, clicks: int = CLICKS) -> list[Task]:
    """What clients ask, with the right answers, computed here."""
    sam, random, made = SAM(), np.random.default_rng(0), []
    for path in photos:
        embedding = sam.embed(to_rgb(path))
        height, width = embedding.image_hw
        points = [(float(x), float(y)) for x, y in random.uniform(0.1, 0.9, (clicks, 2)) * (width, height)]
        answers = [sam.predict(embedding, points=point)[0].rle()[0] for point in points]
        made.append(Task(path.read_bytes(), points, answers))
    return made


@dataclass
class Tally:
    """What clients met."""

    clients: int = 0
    ready: int = 0
    """Clients that have sent their photo."""
    encodes: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    wrong: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    refusals: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Answers that aren't a mask or an id."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 201))


async def embed(http: httpx.AsyncClient, task: Task, tally: Tally) -> str | None:
    """The id of the photo's embedding."""
    start = time.perf_counter()
    answer = await http.post("/v1/embeddings", content=task.data, headers={"content-type": "image/png"})
    tally.statuses[answer.status_code] += 1
    if answer.status_code != 201:
        tally.refusals.append(time.perf_counter() - start)
        return None
    tally.encodes.append(time.perf_counter() - start)
    return str(answer.json()["id"])


async def click(http: httpx.AsyncClient, task: Task, name: str, which: int, tally: Tally) -> None:
    """One click, its answer compared."""
    body = {"embedding": name, "prompts": [{"points": [task.clicks[which]]}]}
    start = time.perf_counter()
    answer = await http.post("/v1/masks", json=body)
    took = time.perf_counter() - start
    tally.statuses[answer.status_code] += 1
    if answer.status_code != 200:
        tally.refusals.append(took)
        return
    tally.clicks.append(took)
    tally.wrong += answer.json()["masks"][0]["rle"] != task.expected[which]


async def session(
    address: str, task: Task, number: int, seconds: float, tally: Tally, pause: float, start: asyncio.Semaphore
) -> None:
    """A client: one photo, then clicks for a time, with a moment to look at each mask."""
    async with connection(address) as http:
        async with start:
            name = await embed(http, task, tally)
        tally.ready += 1
        while tally.ready < tally.clients:  # all click at the same time
            await asyncio.sleep(0.05)
        step, end = number, time.monotonic() + seconds
        await asyncio.sleep(pause * number / tally.clients)
        while name:
            await click(http, task, name, step % len(task.clicks), tally)
            step += 1
            if time.monotonic() > end:
                break
            await asyncio.sleep(pause)


def connection(address: str) -> httpx.AsyncClient:
    """One client's, which waits as long as it takes."""
    return httpx.AsyncClient(base_url=address, trust_env=False, timeout=120)


async def click_for(address: str, work: list[Task], clients: int, seconds: float, pause: float) -> Tally:
    """Many clients, who send their photos a few at a time, and then click all at once."""
    tally, start = Tally(clients=clients), asyncio.Semaphore(UPLOADS)
    each = (session(address, work[i % len(work)], i, seconds, tally, pause, start) for i in range(clients))
    await asyncio.gather(*each)
    return tally


async def many_requests(server: Server, work: list[Task], count: int, clients: int = 4) -> Tally:
    """`count` requests, a tenth of them encodes, and the server's memory after each hundredth part of them."""
    tally, numbers = Tally(), iter(range(count))

    async def run() -> None:
        async with connection(server.address) as http:
            name, task = None, work[0]
            for number in numbers:
                if name is None or number % 10 == 0:
                    task = work[number // 10 % len(work)]
                    name = await embed(http, task, tally)
                else:
                    await click(http, task, name, number % len(task.clicks), tally)
                if number % max(1, count // 100) == 0:
                    tally.memory.append(server.memory)

    await asyncio.gather(*(run() for _ in range(clients)))
    return tally


async def overload(address: str, work: list[Task], clients: int) -> Tally:
    """All clients send a photo at the same moment."""
    tally = Tally()
    connections = [connection(address) for _ in range(clients)]
    await asyncio.gather(*(embed(http, work[0], tally) for http in connections))
    for http in connections:
        await http.aclose()
    return tally


def growth(memory: Sequence[int]) -> int:
    """How much more memory the last quarter took than the second: in the first, caches and arenas fill."""
    quarter = len(memory) // 4
    return int(statistics.median(memory[-quarter:]) - statistics.median(memory[quarter : 2 * quarter]))


def milliseconds(seconds: Sequence[float]) -> str:
    """Median, 95th percentile, longest."""
    if not seconds:
        return "none"
    middle, high = np.percentile(seconds, (50, 95)) * 1000
    return f"{len(seconds)} requests, median {middle:.0f} ms, p95 {high:.0f} ms, longest {1000 * max(seconds):.0f} ms"


def load_test(options: argparse.Namespace, work: list[Task]) -> list[str]:
    """Clicks, then many requests on one server, which is told to end while it works; what went wrong."""
    wrong = []
    with Server("--store-bytes", str((options.clients + 4) * EMBEDDING), "--workers", str(options.workers)) as server:
        server.wait_until_ready()
        tally = asyncio.run(click_for(server.address, work, options.clients, options.seconds, options.pause))
        print(f"{options.clients} clients, {options.seconds:g} s, {options.pause:g} s between clicks")
        print(f"  clicks:  {milliseconds(tally.clicks)}; {len(tally.clicks) / options.seconds:.0f} a second")
        print(f"  encodes: {milliseconds(tally.encodes)}")
        print(f"  wrong {tally.wrong}, failed {tally.failed}")
        many = asyncio.run(many_requests(server, work, options.requests))
        mib, more = [size / 2**20 for size in many.memory], growth(many.memory)
        print(f"{options.requests} requests: memory {mib[0]:.0f} MiB, then {min(mib):.0f} to {max(mib):.0f}")
        print(f"  last quarter against second: {more / 2**20:+.1f} MiB; wrong {many.wrong}, failed {many.failed}")
        wrong += ["an answer was wrong"] * bool(tally.wrong + many.wrong)
        wrong += ["a request failed"] * bool(tally.failed + many.failed)
        wrong += ["memory grew"] * (more > GROWTH)
        wrong += ending(server, work)
    return wrong


def ending(server: Server, work: list[Task]) -> list[str]:
    """SIGTERM while it encodes: that request is answered, the process ends well."""

    async def last() -> tuple[Tally, int]:
        tally = Tally()
        async with connection(server.address) as http:
            running = asyncio.create_task(embed(http, work[0], tally))
            while 'mobilesam_jobs{lane="encodes"} 0.0' in (await http.get("/metrics")).text:
                await asyncio.sleep(0.005)
            code = asyncio.create_task(asyncio.to_thread(server.stop))
            await running
            return tally, await code

    tally, code = asyncio.run(last())
    print(f"SIGTERM during an encode: answered {dict(tally.statuses)}, exit code {code}")
    return ["a shutdown lost a request"] * (tally.statuses[201] != 1) + [f"exit code {code}"] * (code not in (0, -15))


def overload_test(options: argparse.Namespace, work: list[Task]) -> list[str]:
    """More than a server may take on."""
    wrong = []
    for limits, status in ((("--queue", "4"), 503), (("--per-client", "4"), 429)):
        with Server(*limits) as server:
            server.wait_until_ready()
            tally = asyncio.run(overload(server.address, work, options.clients))
            after = asyncio.run(click_for(server.address, work, 1, 1, options.pause))
            refused = tally.statuses[status]
            print(f"overload, {' '.join(limits)}: {dict(tally.statuses)}; refused in {milliseconds(tally.refusals)}")
            print(f"  afterwards: clicks {milliseconds(after.clicks)}")
            good = refused > 0 and refused + tally.statuses[201] == options.clients and tally.statuses[201] >= 4
            wrong += [] if good else [f"overload was answered {dict(tally.statuses)}"]
            wrong += ["no recovery"] * (after.failed + after.wrong > 0 or not after.clicks)
            server.stop()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=2000, help="of the look at memory")
    parser.add_argument(
        "--pause", type=float, default=1.0, help="seconds between a mask and the same client's next click"
    )
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write what went wrong here")
    options = parser.parse_args()
    print(f"load average at the start: {', '.join(f'{value:.2f}' for value in os.getloadavg())}")
    work = tasks()
    wrong = load_test(options, work) + overload_test(options, work)
    if options.json:
        options.json.write_text(json.dumps(wrong))
    print("all is well" if not wrong else f"NOT well: {'; '.join(wrong)}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
