"""Cluster bootstrap: intervals of ratios of counts, where the attempts at one scenario belong together.

Scenarios are drawn with replacement, each with all its counts; runs within a scenario are not
independent, scenarios are. A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application
(1997), section 3.8; percentile interval: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap
(1993), chapter 13. Where scenarios of two runs are paired, a row holds the counts of both, so that a
drawn scenario brings its pair.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from operator import mul

from callbot.evals.statistics import percentile

Counts = tuple[float, ...]
"""What is counted of one scenario, in an order of the caller's."""
Statistic = Callable[[Counts], float | None]
"""A number from the counts added up over scenarios; None where there is nothing to count."""

DRAWS = 1000
"""What Efron and Tibshirani advise for percentile intervals."""


def resampled(rows: Sequence[Counts], *, seed: int = 0, draws: int = DRAWS) -> list[Counts]:
    """The sums of the rows of each drawn set of scenarios. No rows: no sums."""
    if not rows:
        return []
    kinds = list(dict.fromkeys(rows))  # most scenarios are alike: adding up kinds is far less work
    number = {kind: index for index, kind in enumerate(kinds)}
    population = [number[row] for row in rows]
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    columns = list(zip(*kinds, strict=True))
    sums: list[Counts] = []
    for _ in range(draws):
        chosen = Counter(draw.choices(population, k=len(population)))
        times = [chosen[index] for index in range(len(kinds))]
        sums.append(tuple(sum(map(mul, column, times)) for column in columns))
    return sums


def interval(sums: Sequence[Counts], statistic: Statistic) -> tuple[float, float] | None:
    """The 95% percentile interval of a statistic, or None where no draw says anything about it."""
    values = [value for each in sums if (value := statistic(each)) is not None]
    low, high = percentile(values, 0.025), percentile(values, 0.975)
    return None if low is None or high is None else (low, high)
