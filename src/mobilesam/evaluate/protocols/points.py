"""H. SAM's point protocol: the innermost point, then the innermost point of the error; 1, 2, 3, 5 and 9 points.

Kirillov et al. 2023, appendix D.1. The mask is the one with the highest predicted IoU of the three; "oracle" is the
best of the three against the truth. (The paper's headline is the mean of 23 sets' means; here each set has its own.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..metrics import iou
from .base import Case, Protocol, Row, click_prompt, record
from .clicks import User

COUNTS = (1, 2, 3, 5, 9)


@dataclass(frozen=True)
class Points(Protocol):
    """N points, each in the middle of what is still wrong."""

    name: str = "points"
    title: str = "1, 2, 3, 5, 9 points in the middle of the error (SAM)"

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        users = [User(instance, np.zeros_like(instance.mask), [], [], []) for instance in case.objects]
        scores: list[dict[str, float]] = [{} for _ in users]
        for number in range(1, COUNTS[-1] + 1) if users else ():
            for user in users:
                user.click()
            logits, predicted = case.candidates([click_prompt(user.clicks) for user in users])
            for i, user in enumerate(users):
                best = int(predicted[i, 1:].argmax())
                wanted = (0, 1, 2) if number in COUNTS else (best,)
                masks = {m: case.full(logits[i, 1 + m]) for m in wanted}
                user.mask = masks[best]
                user.predicted.append(float(predicted[i, 1 + best]))
                if number in COUNTS:
                    truth = {m: iou(user.instance.mask, mask, user.instance.ignore) for m, mask in masks.items()}
                    scores[i] |= {f"iou@{number}": truth[best], f"oracle@{number}": max(truth.values())}
        return [
            Row(
                user.instance.key,
                user.instance.area,
                scores[i],
                user.predicted[0],
                record(user.clicks, of_three=True),
            )
            for i, user in enumerate(users)
        ]
