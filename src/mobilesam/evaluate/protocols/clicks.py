"""G. Interactive clicks: NoC@85, NoC@90 and how many objects never get there.

RITM and SimpleClick (isegm/inference/evaluation.py): the clicker of clicker.py, from an empty prediction, until the
IoU reaches 0.90 or 20 clicks are made; NoC counts 20 where a target is never reached. The first click takes the best
of three masks by predicted IoU, as a lone click is ambiguous, later ones the single-mask output; the threshold is
SAM's logit 0. Earlier logits are not fed back ("clicks-feedback" does).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...types import F32, Bool
from ..clicker import Click, next_click
from ..datasets import Instance
from ..metrics import clicks_to, iou
from .base import Case, Protocol, Row, click_prompt, record

TARGETS = (0.85, 0.90)
SHOWN = (1, 2, 3, 5, 10, 20)
"""Clicks after which the IoU is a score of its own; it stays what it was once the target is reached."""


@dataclass
class User:
    """The clicks for one object, and what came of them."""

    instance: Instance
    mask: Bool
    clicks: list[Click]
    ious: list[float]
    predicted: list[float]
    logits: F32 | None = None

    def click(self) -> None:
        """Make the next click."""
        self.clicks.append(next_click(self.instance.mask, self.mask, self.instance.ignore, self.clicks))


@dataclass(frozen=True)
class Clicks(Protocol):
    """Clicks until the last target is reached."""

    name: str = "clicks"
    title: str = "simulated user until IoU 0.90, at most 20 clicks (SimpleClick)"
    feedback: bool = False
    first: bool = True
    """Whether the first click takes the best of three masks."""
    later: bool = False
    """As `first`, for the clicks after it."""
    most: int = 20
    until: float = TARGETS[-1]
    sums = tuple(f"failures@{round(100 * t)}" for t in TARGETS)

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows; the objects of a photo are clicked side by side."""
        users = [User(instance, np.zeros_like(instance.mask), [], [], []) for instance in case.objects]
        for number in range(1, self.most + 1):
            active = [user for user in users if not user.ious or user.ious[-1] < self.until]
            if not active:
                break
            self._turn(case, active, self.first if number == 1 else self.later)
        return [self._row(user) for user in users]

    def _turn(self, case: Case, users: list[User], of_three: bool) -> None:
        for user in users:
            user.click()
        prompts = [click_prompt(user.clicks, mask=user.logits if self.feedback else None) for user in users]
        results = case.predict(prompts, of_three)
        for i, user in enumerate(users):
            user.logits = results.low_res[i]
            user.mask = case.full(user.logits)
            user.ious.append(iou(user.instance.mask, user.mask, user.instance.ignore))
            user.predicted.append(float(results.iou[i]))

    def _row(self, user: User) -> Row:
        scores = {f"iou@{n}": user.ious[min(n, len(user.ious)) - 1] for n in SHOWN if n <= self.most}
        for target in TARGETS if self.until <= 1 else ():
            percent = round(100 * target)
            scores[f"NoC@{percent}"] = clicks_to(user.ious, target, self.most)
            scores[f"failures@{percent}"] = float(max(user.ious) < target)
        extra = {"ious": [round(value, 6) for value in user.ious]}
        return Row(
            user.instance.key,
            user.instance.area,
            scores,
            user.predicted[0],
            record(user.clicks, of_three=self.first),
            extra,
        )
