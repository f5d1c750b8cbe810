"""Two models on the same prompts: the mean difference of each score, paired object by object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from . import bootstrap
from .metrics import size_of
from .protocols import Figure, Row
from .protocols.base import SIZES


def differences(mine: Mapping[str, Sequence[Row]], theirs: Mapping[str, Sequence[Row]]) -> list[Figure]:
    """Mine less theirs by protocol, score and size, with the 95 % interval of the mean difference.

    Rows that only one of them has don't count. First clicks, boxes and noise are the same for both; where a protocol
    answers a model's mistakes (clicks, corrections), the later clicks are each model's own, by the same rule and seed.
    """
    return [figure for protocol, rows in mine.items() for figure in _of(protocol, rows, theirs.get(protocol, ()))]


def _of(protocol: str, mine: Sequence[Row], theirs: Sequence[Row]) -> Iterator[Figure]:
    others = {(row.data, row.photo, row.object): row for row in theirs}
    pairs = [(row, other) for row in mine if (other := others.get((row.data, row.photo, row.object)))]
    for data in dict.fromkeys(row.data for row, _ in pairs):
        here = [(row, other) for row, other in pairs if row.data == data]
        for score in dict.fromkeys(name for row, _ in here for name in row.scores):
            for size in SIZES:
                some = [
                    (row.scores[score] - other.scores[score], row.group)
                    for row, other in here
                    if score in row.scores and score in other.scores and size in ("all", size_of(row.area))
                ]
                if some:
                    values, groups = zip(*some, strict=True)
                    low, high = bootstrap.mean_interval(values, groups)
                    yield Figure(data, protocol, score, size, float(np.mean(values)), low, high, len(some))
