"""What a protocol is: from one photo at its turn to rows, from rows to figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...embedding import Embedding
from ...errors import InputError
from ...everything import Candidate, EverythingConfig, segment
from ...predictor import Predictor
from ...prompts import Prompt
from ...results import MASK_THRESHOLD, Results
from ...types import F32, AnyArray, Bool
from .. import bootstrap, metrics
from ..clicker import Click
from ..datasets import Dataset, Instance

SIZES = ("all", "S", "M", "L")


@dataclass(frozen=True)
class Row:
    """What was measured on one object, or on one photo (then `object` is empty)."""

    object: str
    area: float
    scores: dict[str, float]
    predicted: float | None = None
    """The model's own guess of its first score's IoU."""
    prompt: dict[str, Any] = field(default_factory=dict)
    """The clicks and boxes that were given; the first mask can be had again by it."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Masks as run lengths, where a protocol stores them."""
    photo: str = ""
    group: str = ""
    data: str = ""


@dataclass(frozen=True)
class Figure:
    """A mean, or other figure, with its 95 % interval."""

    data: str
    protocol: str
    score: str
    size: str
    value: float
    low: float
    high: float
    count: int
    """Objects (or photos) behind it."""


@dataclass(frozen=True, eq=False)
class Case:
    """One photo at its turn."""

    predictor: Predictor
    embedding: Embedding
    instances: list[Instance]
    rng: np.random.Generator
    """Seeded by the run's seed, the photo and the protocol, so that order and resuming change nothing."""
    photo: str = ""
    coco_id: int | None = None
    memo: dict[EverythingConfig, list[Candidate]] = field(default_factory=dict)
    """All masks of the photo, which several protocols of a run share."""

    def predict(self, prompts: Sequence[Prompt], of_three: bool = False) -> Results:
        """One mask a prompt; see `answers`."""
        return answers(self.predictor, self.embedding, prompts, of_three)

    def candidates(self, prompts: Sequence[Prompt]) -> tuple[F32, F32]:
        """All four masks of each prompt, as the decoder gives them: logits (N, 4, 256, 256), predicted IoU (N, 4)."""
        low = self.embedding.letterbox.size // 4
        logits = np.empty((len(prompts), 4, low, low), np.float32)
        predicted = np.empty((len(prompts), 4), np.float32)
        for index, (logits_bmhw, iou_bm) in self.predictor.decoded(self.embedding, prompts):
            logits[index], predicted[index] = logits_bmhw, iou_bm
        return logits, predicted

    def full(self, low_res_hw: F32) -> Bool:
        """Low-resolution logits as a mask (H, W)."""
        return np.asarray(self.embedding.letterbox.upsample(low_res_hw) > MASK_THRESHOLD)

    def iou(self, instance: Instance, low_res_hw: F32) -> float:
        """IoU of an object and low-resolution logits, at full size."""
        return metrics.iou(instance.mask, self.full(low_res_hw), instance.ignore)

    def everything(self, config: EverythingConfig) -> list[Candidate]:
        """All masks of the photo, best first; see everything.segment."""
        if config not in self.memo:
            self.memo[config] = segment(self.predictor, self.embedding, config)
        return self.memo[config]

    @cached_property
    def objects(self) -> list[Instance]:
        """The instances less crowds."""
        return [instance for instance in self.instances if not instance.crowd]


def answers(predictor: Predictor, embedding: Embedding, prompts: Sequence[Prompt], of_three: bool) -> Results:
    """One mask a prompt: the single-mask output, or of three the one with the highest predicted IoU.

    The second is what papers mean by the most confident mask, whatever this package's own multimask="best" takes.
    """
    results = predictor.predict(embedding, prompts, of_three)
    return results.best() if of_three else results


class Protocol:
    """A way to measure; sub-classes give `name`, `rows`, and where a mean isn't what is wanted, `figures`."""

    name: str
    title: str
    sums: tuple[str, ...] = ()
    """Scores that are added up instead of averaged: failures."""
    needs_objects: bool = True
    """False where photos without objects count too."""

    def rows(self, case: Case) -> list[Row]:
        """What this protocol measures on a photo."""
        raise NotImplementedError

    def check(self, dataset: Dataset) -> None:
        """Raises InputError where the protocol can't work on this data set."""

    def figures(self, rows: Sequence[Row], dataset: Dataset) -> list[Figure]:
        """Each score's mean over all objects, and over small, medium and large ones."""
        return list(self._means(rows, dataset.name))

    def _means(self, rows: Sequence[Row], data: str) -> Iterator[Figure]:
        for score in dict.fromkeys(name for row in rows for name in row.scores):
            having = [row for row in rows if score in row.scores]
            for size in SIZES:
                some = [row for row in having if size in ("all", metrics.size_of(row.area))]
                if some:
                    yield self._mean(some, data, score, size)

    def _mean(self, rows: list[Row], data: str, score: str, size: str) -> Figure:
        values = [row.scores[score] for row in rows]
        low, high = bootstrap.mean_interval(values, [row.group for row in rows])
        scale = len(rows) if score in self.sums else 1
        return Figure(
            data, self.name, score, size, float(np.mean(values)) * scale, low * scale, high * scale, len(rows)
        )


def click_prompt(clicks: Sequence[Click], *, box: F32 | None = None, mask: F32 | None = None) -> Prompt:
    """A prompt of clicks (x, y, label) in the photo's pixels, perhaps with a box and earlier logits."""
    array = np.array(clicks, np.float32).reshape(-1, 3)
    return Prompt(array[:, :2], array[:, 2], box, mask)


def box_prompt(box: F32) -> Prompt:
    """A prompt of one box (4,) xyxy."""
    return click_prompt([], box=np.asarray(box, np.float32))


def record(clicks: Iterable[Click] = (), box: AnyArray | None = None, of_three: bool = False) -> dict[str, Any]:
    """A prompt as JSON keeps it."""
    found: dict[str, Any] = {"clicks": [[float(x), float(y), int(label)] for x, y, label in clicks]}
    if box is not None:
        found["box"] = [float(value) for value in box]
    return {**found, "of_three": of_three}


def replay(saved: dict[str, Any]) -> tuple[Prompt, bool]:
    """The first prompt of a record, and whether three masks were asked for: what gave a row's first score."""
    box = saved.get("box")
    clicks = saved["clicks"] if box is not None else saved["clicks"][:1]
    if not clicks and box is None:
        raise InputError("The row has no prompt.")
    first = click_prompt(
        [] if box is not None else [tuple(c) for c in clicks], box=None if box is None else np.array(box)
    )
    return first, saved["of_three"]
