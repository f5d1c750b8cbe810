"""One model in several precisions of a format, side by side: how good, how large, how fast, and which to take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..backends.base import Backend
from ..backends.exported import READERS, load_folder
from ..errors import InputError
from ..files import write_text
from . import bundle, parity
from .networks import POINTS
from .source import load_source
from .verify import PHOTO

GOOD = 0.99
"""Mean mask IoU to the model that a precision must reach to be recommended."""
SAME = 1.05
"""Times within this factor count as equal; the smaller files win."""
MOST_PHOTOS, ROUNDS = 8, 7


@dataclass(frozen=True)
class Variant:
    """One precision, measured."""

    precision: str
    megabytes: float
    embedding_error: float
    mean_iou: float
    min_iou: float
    encode_ms: float
    click_ms: float


def compare(
    model: str | Path,
    folder: str | Path,
    *,
    format: str,  # noqa: A002  # what everyone calls it
    precisions: Sequence[str],
    points: int = POINTS,
    photos: str | Path | None = None,
) -> list[Path]:
    """Export each precision into a folder of its name below `folder`, measure all, write report.md; returns all paths.

    Masks are compared with the model's over 64 prompts on the test photo and on up to eight of `photos`; times are
    medians of interleaved rounds. Raises as `export_format`, InputError for a format that doesn't run here.
    """
    chosen = {precision: bundle.check_options(format, precision, points, photos) for precision in precisions}
    if format not in READERS:
        raise InputError(f"{format} doesn't run here, so its precisions can't be compared; export them one by one.")
    root = Path(folder)
    sam, source = load_source(model)
    written = [
        path
        for precision, one in chosen.items()
        for path in bundle.write_format(sam, root / precision, one, precision, source, points=points, photos=photos)
    ]
    cases = parity.cases(sam, [PHOTO, *(bundle.pictures(Path(photos))[:MOST_PHOTOS] if photos is not None else [])])
    backends = {precision: load_folder(root / precision) for precision in precisions}
    times = {name: _interleaved({p: _job(b, name) for p, b in backends.items()}) for name in ("encode", "click")}
    variants = []
    for precision, backend in backends.items():
        measured = parity.measure(backend, cases)
        variants.append(
            Variant(
                precision,
                sum(p.stat().st_size for p in (root / precision).rglob("*") if p.is_file()) / 1e6,
                measured.embedding_error,
                measured.mean_iou,
                measured.min_iou,
                times["encode"][precision],
                times["click"][precision],
            )
        )
    write_text(root / "report.md", report(variants, f"{source['name']} as {format}", len(cases)))
    return [*written, root / "report.md"]


def best(variants: Sequence[Variant]) -> Variant | None:
    """The fastest of those good enough, or a smaller one about as fast; None where none is good enough."""
    good = [v for v in variants if v.mean_iou >= GOOD]
    if not good:
        return None
    fastest = min(v.encode_ms + v.click_ms for v in good)
    return min((v for v in good if v.encode_ms + v.click_ms <= fastest * SAME), key=lambda v: v.megabytes)


def report(variants: Sequence[Variant], title: str, photos: int) -> str:
    """The table and the choice, as Markdown."""
    intro = (
        f"mobilesam {__version__}. Masks compared with the model's over 64 prompts on each of {photos} photos; times "
        f"are medians of {ROUNDS} interleaved rounds on this machine."
    )
    head = (
        "| precision | MB | embedding error | mean mask IoU | lowest | encode ms | click ms |",
        "|---|---|---|---|---|---|---|",
    )
    rows = (
        f"| {v.precision} | {v.megabytes:.1f} | {v.embedding_error:.1e} | {v.mean_iou:.4f} | {v.min_iou:.3f} "
        f"| {v.encode_ms:.0f} | {v.click_ms:.1f} |"
        for v in variants
    )
    chosen = best(variants)
    verdict = (
        f"Take **{chosen.precision}**: of those whose masks agree to {GOOD} the fastest, or as fast within "
        f"{SAME - 1:.0%} and smaller."
        if chosen
        else f"None has masks that agree to {GOOD}; take fp32 or fp16."
    )
    return "\n".join([f"# {title}, by precision", "", intro, "", *head, *rows, "", verdict, ""])


def _job(backend: Backend, name: str) -> Callable[[], object]:
    image, click = parity.example(backend.info.img_size)
    if name == "encode":
        return lambda: backend.encode(image)
    features = backend.encode(image)
    return lambda: backend.decode(features, *click)


def _interleaved(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of each, one after the other in every round; the first round is warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(1 + ROUNDS):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) * 1000 for name, values in seconds.items()}
