"""Intervals of means by the bootstrap over groups: photos, or videos, whose objects are alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..types import AnyArray

RESAMPLES = 2000
LEVEL = 0.95


def draws(groups: int, resamples: int = RESAMPLES, seed: int = 0) -> AnyArray:
    """How often each group is drawn in each resample: (resamples, groups), each row sums to `groups`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples)


def interval_of(values: AnyArray) -> tuple[float, float]:
    """The middle 95 % of values (percentile bootstrap)."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_interval(values: Sequence[float], groups: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean of `values`, whole groups drawn with replacement.

    With a single group nothing can be said: (-inf, inf) would be true and of no use, so it is the mean twice.

    >>> low, high = mean_interval([0.0, 1.0] * 50, [str(i) for i in range(100)])
    >>> 0.4 <= low < 0.45 and 0.55 < high <= 0.61
    True
    """
    _, place = np.unique(np.asarray(groups, str), return_inverse=True)
    sums = np.bincount(place, np.asarray(values, np.float64))
    counts = np.bincount(place)
    times = draws(len(sums), seed=seed)
    return interval_of((times @ sums) / (times @ counts))


def statistic_interval(
    groups: int, statistic: Callable[[AnyArray], float], resamples: int, seed: int = 0
) -> tuple[float, float]:
    """As `mean_interval` for a figure that is no mean: `statistic` takes the numbers of the groups drawn."""
    rng = np.random.default_rng(seed)
    values = [statistic(np.sort(rng.integers(groups, size=groups))) for _ in range(resamples)]
    return interval_of(np.array(values))
