"""Which mask? Ours: of the four masks that the decoder gives, which rule finds the best, for points and for boxes?

"single" is token 0; of the other three "predicted" has the highest predicted IoU, "largest" and "smallest" the most
and fewest pixels, "stability" the highest predicted IoU times stability score; "any" has the highest predicted IoU of
all four; "oracle" is the best of the three against the truth. "X>single" and "X>predicted" feed X's logits back once
with the same prompt. The answer stands in docs/decisions/0003-which-mask.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...masks import stability_score
from ...prompts import Prompt
from ...types import F32
from ..metrics import iou
from .base import Case, Protocol, Row, record
from .center import from_center
from .corrected import Start, from_box, prompts_of
from .random_point import from_random

KINDS: dict[str, Start] = {"center": from_center, "random": from_random, "box": from_box}
FED_BACK = ("single", "predicted")


@dataclass(frozen=True)
class Choice(Protocol):
    """Every rule's IoU for a centre point, a random point and a box."""

    name: str = "choice"
    title: str = "which of the four masks, and whether a second pass helps"

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        scores: list[dict[str, float]] = [{} for _ in case.objects]
        for kind, start in KINDS.items():
            prompts = prompts_of(case.objects, start, case.rng)
            for i, found in enumerate(self._measure(case, prompts)):
                scores[i] |= {f"{kind} {rule}": value for rule, value in found.items()}
        return [
            Row(instance.key, instance.area, scores[i], None, record(box=instance.box))
            for i, instance in enumerate(case.objects)
        ]

    def _measure(self, case: Case, prompts: list[Prompt]) -> list[dict[str, float]]:
        if not prompts:
            return []
        logits, predicted = case.candidates(prompts)
        chosen = [rules(four, guesses) for four, guesses in zip(logits, predicted, strict=True)]
        found: list[dict[str, float]] = []
        for instance, four, names in zip(case.objects, logits, chosen, strict=True):
            values = [iou(instance.mask, case.full(mask), instance.ignore) for mask in four]
            found.append({rule: values[m] for rule, m in names.items()} | {"oracle": max(values[1:])})
        for rule in FED_BACK:
            again = [replace(p, mask_hw=logits[i, chosen[i][rule]]) for i, p in enumerate(prompts)]
            for of_three in (False, True):
                name = f"{rule}>{'predicted' if of_three else 'single'}"
                low_res = case.predict(again, of_three).low_res
                for i, instance in enumerate(case.objects):
                    found[i][name] = case.iou(instance, low_res[i])
        return found


def rules(logits_4hw: F32, predicted_4: F32) -> dict[str, int]:
    """Which of the four masks each rule takes."""
    areas = [np.count_nonzero(mask > 0) for mask in logits_4hw[1:]]
    stable = [p * stability_score(mask) for mask, p in zip(logits_4hw[1:], predicted_4[1:], strict=True)]
    return {
        "single": 0,
        "predicted": 1 + int(np.argmax(predicted_4[1:])),
        "largest": 1 + int(np.argmax(areas)),
        "smallest": 1 + int(np.argmin(areas)),
        "stability": 1 + int(np.argmax(stable)),
        "any": int(np.argmax(predicted_4)),
    }
