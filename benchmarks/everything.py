"""Time and memory of everything mode, as multiples of one image encode by the same backend.

    python benchmarks/everything.py [--rounds 5] [--large]

On a photo of 1800x1200 with a grid of 32x32: encode, quality="exact" and quality="fast" (both with their
encode), one after another in each round, medians over rounds; then where a run's time goes; then, in
processes of their own, the peak memory above the loaded model. `--large` adds a picture of 12000x9000 pixels in
tiles (minutes). Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobilesam import SAM, Scene
from mobilesam.bench import machine
from mobilesam.everything import clicks, procedure
from mobilesam.predictor import Predictor

ROOT = Path(__file__).parents[1]
COFFEE, GOLDEN = ROOT / "examples/coffee.png", ROOT / "tests/golden"
HW = (1200, 1800)
LARGE = (12000, 9000)
FORMATS = {"overlay": ".png", "labels": ".png", "coco": ".json", "geojson": ".json", "yolo": ".txt"}
MEASURE = """
import json, resource, sys
from mobilesam import SAM
path, arguments = sys.argv[1], json.loads(sys.argv[2])
sam = SAM()
sam.predict(sys.argv[3], points=[300, 200])
sam.everything(sys.argv[3], points_per_side=2)  # everything that is loaded on first use
def resident():
    fields = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Vm"))
    return int(fields["VmRSS"].split()[0]) / 1024
before = resident()
scene = sam.everything(path, **arguments)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"masks": len(scene), "above the loaded model, MB": round(peak - before)}))
"""


def photo() -> np.ndarray:
    return np.asarray(Image.open(COFFEE).convert("RGB").resize(HW[::-1], Image.Resampling.BICUBIC))


def rounds(sam: SAM, image: np.ndarray, count: int) -> dict[str, list[float]]:
    """Seconds of each job, interleaved; one round before is warm-up."""
    jobs: dict[str, Callable[[], object]] = {
        "encode": lambda: sam.embed(image),
        "exact": lambda: sam.everything(image, quality="exact"),
        "fast": lambda: sam.everything(image, quality="fast"),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for i in range(count + 1):
        for name, job in jobs.items():
            for _ in range(3 if name == "encode" else 1):
                start = time.perf_counter()
                job()
                if i:
                    times[name].append(time.perf_counter() - start)
    return times


class Split:
    """Wall time by what the calling thread is doing."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start

    def wrap(self, owner: Any, name: str, what: str) -> None:
        original = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.during(what):
                return original(*args, **kwargs)

        setattr(owner, name, timed)

    def wrap_iterator(self, owner: Any, name: str, what: str) -> None:
        original = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            items = original(*args, **kwargs)
            while True:
                with self.during(what):
                    item = next(items, None)
                if item is None:
                    return
                yield item

        setattr(owner, name, timed)


def split(sam: SAM, image: np.ndarray) -> dict[str, dict[str, float]]:
    """Seconds of one run of each quality, by part. "first look" holds its own decoding."""
    meter = Split()
    meter.wrap(Predictor, "embed", "encode")
    meter.wrap_iterator(Predictor, "clicked", "decode")
    meter.wrap(clicks.Clicks, "_judge", "filter")
    meter.wrap(clicks.Clicks, "finish", "full size")
    meter.wrap(procedure, "best_boxes", "suppression")
    meter.wrap(procedure, "promising", "first look")
    found = {}
    for quality in ("exact", "fast"):
        meter.seconds = {}
        scene: Scene = sam.everything(image, quality=quality)
        with tempfile.TemporaryDirectory() as folder, meter.during("formats"):
            for kind, suffix in FORMATS.items():
                scene.save(Path(folder) / f"scene{suffix}", kind)
        found[quality] = meter.seconds
    return found


def memory(path: Path, **arguments: Any) -> dict[str, Any]:
    """Masks and peak memory of one run in a process of its own."""
    command = [sys.executable, "-c", MEASURE, str(path), json.dumps(arguments), str(COFFEE)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout), "seconds with loading": round(time.perf_counter() - start, 1)}


def mosaic(path: Path) -> None:
    """Photos of the tests side by side, 1500x1500 each."""
    tiles = [Image.open(p).convert("RGB").resize((1500, 1500)) for p in sorted(GOLDEN.glob("*.png"))]
    picture = Image.new("RGB", LARGE)
    for i, (x, y) in enumerate((x, y) for y in range(0, LARGE[1], 1500) for x in range(0, LARGE[0], 1500)):
        picture.paste(tiles[i % len(tiles)], (x, y))
    picture.save(path, quality=92)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="also 12000x9000 in tiles")
    options = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as folder:
        image, path = photo(), Path(folder) / "photo.png"
        Image.fromarray(image).save(path)
        for quality in ("exact", "fast"):
            print(f"memory, 1800x1200, {quality}: {memory(path, quality=quality)}")
        if options.large:
            mosaic(Path(folder) / "large.jpg")
            print(f"memory, 12000x9000, tiles of 2048: {memory(Path(folder) / 'large.jpg', tiles=2048)}")
    sam = SAM()
    times = rounds(sam, image, options.rounds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{sam.info.runtime} {sam.info.precision}, {options.rounds} interleaved rounds after one of warm-up\n")
    print("| job | median | fastest to slowest | encodes |\n|---|---|---|---|")
    for name, values in times.items():
        spread = f"{min(values):.2f} to {max(values):.2f} s"
        print(f"| {name} | {medians[name]:.2f} s | {spread} | {medians[name] / medians['encode']:.1f} |")
    parts = split(sam, image)
    names = ("encode", "first look", "decode", "filter", "full size", "suppression", "formats")
    print(f"\n| seconds | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for quality, seconds in parts.items():
        print(f"| {quality} | {' | '.join(f'{seconds.get(name, 0):.2f}' for name in names)} |")


if __name__ == "__main__":
    main()
