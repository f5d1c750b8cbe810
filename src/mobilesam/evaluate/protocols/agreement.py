"""A. Agreement with another model, or with stored masks: MobileSAM's own measure (Zhang et al. 2023, tables 2 and 7).

The same prompts go to both, and the IoU is that of the two answers; true masks only say where objects are. The paper
gives neither photos nor points nor which output is compared. Here a point is a random pixel of each object, and its
partners in "pair@100" ... "pair@500" are background points so many pixels away in a random direction, where there is
room; the single-mask output is compared. Points are saved (points.json), and so are this model's answers: the output
folder of an earlier run can stand for the other model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, SourceNotFoundError
from ...masks import rle_decode, rle_encode
from ...prompts import Prompt
from ...types import Bool
from ..cache import EmbeddingCache
from ..clicker import Click, random_pixel
from ..datasets import Instance
from ..metrics import iou
from .base import Case, Protocol, Row, click_prompt, record

DISTANCES = (100, 200, 300, 400, 500)
TRIES = 32

Answers = Callable[[Case, "Sequence[Question]"], "list[Bool]"]
"""The other model's masks for questions."""


@dataclass(frozen=True, eq=False)
class Question:
    """A prompt for one object, by name."""

    instance: Instance
    name: str
    clicks: list[Click]

    @property
    def prompt(self) -> Prompt:
        """What the models get."""
        return click_prompt(self.clicks)


@dataclass(frozen=True)
class Agreement(Protocol):
    """IoU of this model's masks and the other's; without another the masks are only stored."""

    other: Answers | None = None
    name: str = "agreement"
    title: str = "agreement with another model on the same points (MobileSAM)"

    def rows(self, case: Case) -> list[Row]:
        """See Protocol.rows."""
        questions = [q for instance in case.objects for q in questions_of(instance, case.rng)]
        if not questions:
            return []
        results = case.predict([q.prompt for q in questions])
        mine = [case.full(logits) for logits in results.low_res]
        theirs = self.other(case, questions) if self.other else None
        found = []
        for instance in case.objects:
            places = [i for i, q in enumerate(questions) if q.instance is instance]
            scores = {questions[i].name: iou(mine[i], theirs[i]) for i in places} if theirs else {}
            masks = {questions[i].name: rle_encode(mine[i]) for i in places}
            clicks = [questions[i].clicks[-1] for i in places]
            found.append(Row(instance.key, instance.area, scores, None, record(clicks), {"masks": masks}))
        return found


def questions_of(instance: Instance, rng: np.random.Generator) -> list[Question]:
    """One point on the object, and that point with a background point at each distance that fits."""
    x, y = random_pixel(instance.mask, rng).tolist()
    found = [Question(instance, "point", [(x, y, 1)])]
    height, width = instance.mask.shape
    for distance in DISTANCES:
        for angle in rng.uniform(0, 2 * np.pi, TRIES):
            column, row = round(x + distance * np.cos(angle)), round(y + distance * np.sin(angle))
            if 0 <= column < width and 0 <= row < height and not instance.mask[row, column]:
                clicks: list[Click] = [(x, y, 1), (float(column), float(row), 0)]
                found.append(Question(instance, f"pair@{distance}", clicks))
                break
    return found


def stored(folder: Path) -> Answers:
    """The answers that an earlier run left in its output folder.

    Raises SourceNotFoundError where there are none; the answers raise InputError for an object that isn't among them.
    """
    path = folder / "masks.json" if folder.is_dir() else folder
    try:
        masks: dict[str, dict[str, dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceNotFoundError(f"{path} holds no stored masks ({error}); run --protocol agreement first.") from error

    def answer(case: Case, questions: Sequence[Question]) -> list[Bool]:
        try:
            return [rle_decode(masks[case.photo][q.instance.key][q.name]) for q in questions]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{path} has no mask of {case.photo}, object {error}; it is of another data set."
            ) from error

    return answer


def asked(cache: EmbeddingCache) -> Answers:
    """The answers of another model, whose embeddings `cache` keeps."""

    def answer(case: Case, questions: Sequence[Question]) -> list[Bool]:
        mine = case.embedding
        if mine.image is None:
            raise InputError("Agreement needs the photo, and this embedding was made without.")
        embedding = cache.embed(mine.image, name=mine.name, path=mine.path)
        results = cache.predictor.predict(embedding, [q.prompt for q in questions])
        return [case.full(logits) for logits in results.low_res]

    return answer
