"""How fast `mobilesam batch` is beside what the model's own times allow, and what a second process brings.

    python benchmarks/batch.py [--photos 200] [--scaling 48] [--rounds 2]

Photos are 640 x 480 crops of the repository's few, as JPEGs, each with two boxes. First, chunk by chunk in turns on one
model: the bare calls (encode and decode of photos already in memory) and the job's chunk, which reads files and writes
JSON besides. Then whole jobs, model loading and all, by one and by two processes of one thread, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from mobilesam import SAM
from mobilesam.image import to_rgb
from mobilesam.scale import batch
from mobilesam.scale.entries import entries_of
from mobilesam.scale.job import Chunk, Job, run_chunk
from mobilesam.scale.run import CHUNK

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = (ROOT / "examples/coffee.png", *sorted((ROOT / "tests/golden").glob("*.png")))
BOXES = [(80.0, 60.0, 480.0, 400.0), (200.0, 100.0, 420.0, 300.0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--scaling", type=int, default=48, help="photos of each job that compares processes")
    parser.add_argument("--rounds", type=int, default=2, help="of these jobs, in turns")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(f"cores {os.cpu_count()}, load average at the start {os.getloadavg()}")
    with tempfile.TemporaryDirectory() as work:
        folder = make_photos(Path(work) / "photos", max(options.photos, options.scaling))
        overlap(folder, Path(work) / "out", options.photos, options.threads)
        scaling(folder, Path(work), options.scaling, options.rounds)
    print(f"load average at the end {os.getloadavg()}")


def make_photos(folder: Path, count: int) -> Path:
    """Crops and mirrored crops of the free photos; the same for everybody."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    originals = [Image.fromarray(to_rgb(path)) for path in PHOTOS]
    for i in range(count):
        original = originals[i % len(originals)]
        share = rng.uniform(0.6, 1.0)
        width = int(share * min(original.width, original.height * 4 / 3))
        height = width * 3 // 4
        x, y = int(rng.integers(original.width - width + 1)), int(rng.integers(original.height - height + 1))
        photo = original.crop((x, y, x + width, y + height)).resize((640, 480), Image.Resampling.BICUBIC)
        photo.save(folder / f"{i:04d}.jpg", quality=90)
    return folder


def overlap(folder: Path, out: Path, count: int, threads: int) -> None:
    """The bare calls and the job on the same photos, chunk by chunk in turns."""
    job = Job(out, task="boxes", threads=threads)
    sam = job.loader(job)
    entries = entries_of([folder])[:count]
    chunks = [Chunk(i, entries[i : i + CHUNK], [BOXES] * CHUNK) for i in range(0, count, CHUNK)]
    run_chunk(sam, job, Chunk(0, entries[:2], [BOXES] * 2))  # warm
    read = encoded = decoded = whole = 0.0
    for number, chunk in enumerate(chunks):
        for turn in (("bare", "job"), ("job", "bare"))[number % 2]:
            if turn == "job":
                start = time.perf_counter()
                run_chunk(sam, job, chunk)
                whole += time.perf_counter() - start
            else:
                for spent in bare(sam, chunk):
                    read, encoded, decoded = (a + b for a, b in zip((read, encoded, decoded), spent, strict=True))
    allowed = encoded + decoded
    print(f"{count} photos, {threads} thread(s), a photo in ms:")
    print(f"  file decoding {1e3 * read / count:.1f}, encoder {1e3 * encoded / count:.1f}, ", end="")
    print(f"mask decoder {1e3 * decoded / count:.1f}; job {1e3 * whole / count:.1f}")
    print(f"  encoder and decoder allow {count / allowed:.3f} photos/s, the job does {count / whole:.3f}", end="")
    print(f" ({100 * allowed / whole:.1f} %); one after another, with reading: {count / (allowed + read):.3f}")


def bare(sam: SAM, chunk: Chunk) -> list[tuple[float, float, float]]:
    """Seconds to read, to encode and to decode each photo, nothing else."""
    found = []
    for entry in chunk.entries:
        times = [time.perf_counter()]
        image = to_rgb(entry.file)
        times.append(time.perf_counter())
        embedding = sam.predictor.embed(image)
        times.append(time.perf_counter())
        sam.predict(embedding, bboxes=BOXES)
        times.append(time.perf_counter())
        found.append((times[1] - times[0], times[2] - times[1], times[3] - times[2]))
    return found


def scaling(folder: Path, work: Path, count: int, rounds: int) -> None:
    """Whole jobs by one and two processes of one thread."""
    sources = sorted(folder.iterdir())[:count]
    prompts = work / "boxes.jsonl"
    prompts.write_text("".join(json.dumps({"image": path.name, "boxes": BOXES}) + "\n" for path in sources))
    rates: dict[int, list[float]] = {1: [], 2: []}
    spent: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for processes in ((1, 2), (2, 1))[number % 2]:
            start, before = time.perf_counter(), cpu_seconds()
            batch(
                sources,
                work / f"job-{number}-{processes}",
                task="boxes",
                prompts=prompts,
                processes=processes,
                threads=1,
                chunk=4,
            )
            rates[processes].append(count / (time.perf_counter() - start))
            spent[processes].append((cpu_seconds() - before) / count)
    print(
        f"whole jobs of {count} photos, photos/s: ",
        {p: [round(rate, 3) for rate in found] for p, found in rates.items()},
    )
    ratio = statistics.median(rates[2]) / statistics.median(rates[1])
    print(f"  two processes of one thread do {ratio:.2f} times what one does", end="")
    print(
        f"; CPU seconds a photo, loading and all: { ({p: [round(s, 3) for s in found] for p, found in spent.items()}) }"
    )


def cpu_seconds() -> float:
    """Of this process and the children that have ended: where others share the machine it tells more than the clock."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
