"""Protocols: the field's ways to measure, a table of them by name; each file says its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from .agreement import Agreement, Answers
from .ap import AveragePrecision
from .base import Case, Figure, Protocol, Row
from .boundary import Boundary
from .box import BOX
from .center import CENTER
from .choice import Choice
from .clicks import Clicks
from .covering import Covering
from .efficientvit import BOX_EFFICIENTVIT, CLICKS_EFFICIENTVIT
from .everything import Everything
from .nanosam import NANOSAM
from .noise import Noise
from .points import Points
from .proposals import Proposals
from .random_point import RANDOM, RANDOM_BEST

__all__ = ["PROTOCOLS", "Case", "Figure", "Options", "Protocol", "Row", "chosen"]


@dataclass(frozen=True)
class Options:
    """What some protocols need besides the data."""

    boxes: Path | None = None
    """A detector's boxes, for AP."""
    other: Answers | None = None
    """The other model, for agreement."""


PROTOCOLS: dict[str, Callable[[Options], Protocol]] = {
    "box": lambda _: BOX,
    "center": lambda _: CENTER,
    "random": lambda _: RANDOM,
    "random-best": lambda _: RANDOM_BEST,
    "clicks": lambda _: Clicks(),
    "clicks-feedback": lambda _: Clicks("clicks-feedback", "as clicks, earlier logits fed back", feedback=True),
    "points": lambda _: Points(),
    "noise": lambda _: Noise(),
    "boundary": lambda _: Boundary(),
    "box-nanosam": lambda _: NANOSAM,
    "box-efficientvit": lambda _: BOX_EFFICIENTVIT,
    "clicks-efficientvit": lambda _: CLICKS_EFFICIENTVIT,
    "ap": lambda o: AveragePrecision("ap", "AP of a detector's boxes, best of three (TinySAM)", o.boxes),
    "ap-single": lambda o: AveragePrecision("ap-single", "AP of a detector's boxes (EdgeSAM)", o.boxes, of_three=False),
    "ap-sam": lambda o: AveragePrecision("ap-sam", "AP of a detector's boxes, refined (SAM)", o.boxes, refine=True),
    "everything": lambda _: Everything(),
    "everything-fast": lambda _: Everything("everything-fast", "as everything, quality=fast", "fast"),
    "proposals": lambda _: Proposals(),
    "covering": lambda _: Covering(),
    "agreement": lambda o: Agreement(o.other),
    "choice": lambda _: Choice(),
}


def chosen(names: Sequence[str], options: Options) -> list[Protocol]:
    """The protocols of these names, each once. Raises InputError for an unknown one, or none."""
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown or not names:
        got = repr(unknown[0]) if unknown else "none"
        raise InputError(f"No protocol {got}; choose of: {', '.join(PROTOCOLS)}.")
    return [PROTOCOLS[name](options) for name in dict.fromkeys(names)]
