"""A candidate's process: loads it, then answers one job a line. Started by `measure.Worker`."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .jobs import BOXES, IMAGES, SIZES_WH
from .runners import RUNNERS, Runner


class Jobs:
    """The jobs on one loaded candidate and photo; each returns seconds."""

    def __init__(self, runner: Runner, photo: Path) -> None:
        image = Image.open(photo).convert("RGB")
        self._runner, self._file = runner, photo
        self._photos = {name: np.asarray(image.resize(wh)) for name, wh in SIZES_WH.items()}
        width, height = SIZES_WH["3:2"]
        self._xy = (width / 2, height / 2)
        random = np.random.default_rng(0)
        corner = random.uniform(0, 0.6, (BOXES, 2))
        size = random.uniform(0.1, 0.4, (BOXES, 2))
        self._boxes = np.asarray(np.hstack([corner, corner + size]) * [width, height, width, height], np.float32)
        self._state: Any = None

    def prepare(self) -> None:
        """Everything once that a round does, so that what is made on first use is there."""
        for name in ("encode 1:1", "encode 16:9", "encode 3:2", "click", "32 boxes"):
            self.run(name)

    def run(self, name: str) -> float:
        """Seconds of one job."""
        kind, _, rest = name.partition(" ")
        work = {
            "encode": lambda: self._runner.encode(self._photos[rest]),
            "click": lambda: self._runner.click(self._state, self._xy),
            "32": lambda: self._boxed(together=rest == "boxes"),
            "everything": lambda: self._runner.everything(self._photos["3:2"], rest),
            "images": self._images,
        }[kind]
        start = time.perf_counter()
        found = work()
        seconds = time.perf_counter() - start
        if kind not in ("click", "32"):  # clicks are on the photo of 3:2, and some candidates keep one photo only
            self._state = found if rest == "3:2" else self._runner.encode(self._photos["3:2"])
        return seconds

    def _boxed(self, *, together: bool) -> None:
        for boxes in [self._boxes] if together else self._boxes[:, None]:
            self._runner.boxes(self._state, boxes)

    def _images(self) -> None:
        for _ in range(IMAGES):
            image = np.asarray(Image.open(self._file).convert("RGB"))
            self._runner.click(self._runner.encode(image), self._xy)


def main() -> None:
    """Answers stand on the stdout that we were given; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    spec = json.loads(sys.argv[1])
    runner = RUNNERS[spec["kind"]](spec["threads"], **spec["options"])
    if spec["cold"]:
        image = np.asarray(Image.open(spec["photo"]).convert("RGB"))
        runner.click(runner.encode(image), (image.shape[1] / 2, image.shape[0] / 2))
        return
    jobs = Jobs(runner, Path(spec["photo"]))
    jobs.prepare()
    print("ready", file=answers)
    for line in sys.stdin:
        name = line.strip()
        try:
            if name == "peak memory":
                value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            else:
                value = jobs.run(name)
        except NotImplementedError:
            value = None
        print(json.dumps(value), file=answers)


if __name__ == "__main__":
    main()
