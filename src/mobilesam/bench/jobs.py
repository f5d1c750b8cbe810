"""What is measured: one row each of the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PHOTO = Path(__file__).parents[1] / "export/coffee.jpg"
"""The photo that exports are tried on too."""


@dataclass(frozen=True)
class Job:
    """Slow ones are asked for in the first rounds only; `unit` is "s", "images/s" or "MB"."""

    name: str
    about: str
    unit: str = "s"
    is_slow: bool = False
    against: str | None = None
    """The job of a candidate without this one that ratios are to."""


JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job("cold start", "a new process: import, load with a warm model cache, encode, one click on 1800x1200"),
        Job("encode 1:1", "resize, normalise, image encoder; a photo of 1200x1200"),
        Job("encode 3:2", "the same, 1800x1200"),
        Job("encode 16:9", "the same, 1920x1080"),
        Job("click", "one point on an embedding to the full-size masks of its answer, 1800x1200"),
        Job("32 boxes", "32 boxes in one call to full-size masks, 1800x1200"),
        Job("32 calls", "the same boxes, a call each"),
        Job("everything exact", "all masks of 1800x1200 by Meta's procedure, a grid of 32x32", is_slow=True),
        Job("everything fast", "the same, our fast mode", is_slow=True, against="everything exact"),
        Job("images, 1 worker", "JPEG of 1800x1200 to one clicked mask; one process", "images/s"),
        Job("images, 2 workers", "the same, two processes", "images/s"),
        Job("peak memory", "of the process that did all this but the everything mode", "MB"),
    )
}
FILE_WH = (1800, 1200)
SIZES_WH = {"1:1": (1200, 1200), "3:2": FILE_WH, "16:9": (1920, 1080)}
IMAGES = 4
"""Photos of one throughput measurement and worker."""
BOXES = 32
