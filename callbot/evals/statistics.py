"""Small statistics over runs. Every formula names its source."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, comb, lcm, sqrt

Z95 = 1.959963984540054
"""Two-sided 95% quantile of the standard normal distribution."""


def wilson(value: float, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a rate ``value`` seen in ``n`` trials.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927), 209-212.
    """
    if n == 0:
        return 0.0, 1.0
    centre = value + z * z / (2 * n)
    spread = z * sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def pass_hat_k(passed: int, attempts: int, k: int) -> float:
    """Chance that ``k`` attempts drawn without replacement all pass: C(c, k) / C(n, k).

    S. Yao, N. Shinn, P. Razavi, K. Narasimhan, "tau-bench: a benchmark for tool-agent-user interaction
    in real-world domains", arXiv 2406.12045 (2024): the estimator of pass^k. Needs ``k <= attempts``.
    """
    return comb(passed, k) / comb(attempts, k)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile (``share`` in 0..1), or None without values.

    The inverse of the empirical distribution function: definition 1 of R. J. Hyndman, Y. Fan, "Sample
    quantiles in statistical packages", The American Statistician 50 (1996), 361-365.
    """
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def f1(precision: float | None, recall: float | None) -> float | None:
    """Harmonic mean of precision and recall, where both exist.

    C. J. van Rijsbergen, Information Retrieval, 2nd ed. (1979), chapter 7: 1 - E with equal weights.
    """
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided p-value of the exact McNemar test: pairs that changed one way against those the other.

    Under the hypothesis of no difference each changed pair is a fair coin: twice the binomial tail.
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947), 153-157; exact form: A. Agresti, Categorical Data Analysis,
    3rd ed. (2013), section 11.1.
    """
    changed = lost + gained
    tail = ways = 1
    for k in range(min(lost, gained)):
        ways = ways * (changed - k) // (k + 1)  # the next binomial coefficient
        tail += ways
    return min(1.0, float(2 * tail / 2**changed))


@dataclass(frozen=True, slots=True)
class SignFlip:
    """A p-value, and whether every assignment of signs was counted or a sample drawn."""

    p: float
    exact: bool


MONTE_CARLO = 10_000
"""Assignments drawn where there are too many sums to count."""
_COUNTABLE = 5_000_000
"""Additions, about a second of them."""


def sign_flip(differences: Sequence[Fraction], *, seed: int = 0) -> SignFlip:
    """Two-sided paired permutation test of differences B - A, one a scenario.

    If A and B are alike, each difference is as likely with the other sign; the p-value is the share of
    all assignments of signs whose sum is at least as far from 0. R. A. Fisher, The Design of
    Experiments (1935), section 21. Counted exactly by adding one difference at a time to the
    distribution of the sum (M. Pagano, D. Tritchler, "On obtaining permutation distributions in
    polynomial time", Journal of the American Statistical Association 78 (1983), 435-440); where that is
    too much, drawn with ``seed`` and (1 + hits) / (1 + draws), which keeps the level (B. Phipson,
    G. K. Smyth, "Permutation p-values should never be zero", Statistical Applications in Genetics and
    Molecular Biology 9 (2010), article 39). With differences of -1, 0 and 1 it is the exact McNemar test.
    """
    unit = lcm(*(difference.denominator for difference in differences))
    sizes = [abs(int(difference * unit)) for difference in differences if difference]
    total, observed = sum(sizes), abs(int(sum(differences) * unit))
    if len(sizes) * total > _COUNTABLE:
        return SignFlip(_drawn(sizes, total, observed, seed), exact=False)
    ways = [1]  # ways[s]: how many choices of positive differences add up to s; the sum of all is 2s - total
    for size in sizes:
        shifted = [0] * size
        ways = [a + b for a, b in zip(ways + shifted, shifted + ways, strict=True)]
    extreme = sum(count for s, count in enumerate(ways) if abs(2 * s - total) >= observed)
    return SignFlip(extreme / 2 ** len(sizes), exact=True)


def _drawn(sizes: Sequence[int], total: int, observed: int, seed: int) -> float:
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    hits = 0
    for _ in range(MONTE_CARLO):
        positive = draw.getrandbits(len(sizes))
        chosen = sum(size for index, size in enumerate(sizes) if positive >> index & 1)
        hits += abs(2 * chosen - total) >= observed
    return (1 + hits) / (1 + MONTE_CARLO)


def paired_interval(differences: Sequence[Fraction], z: float = Z95) -> tuple[float, float]:
    """Interval of the mean of paired differences in -1..1, honest where few or none differ.

    One difference of +1 and one of -1 are added before the normal interval is taken; for differences
    of -1, 0 and 1 that is D. G. Bonett, R. M. Price, "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data", Journal of Educational and Behavioral Statistics 37
    (2012), 479-488, which M. W. Fagerland, S. Lydersen, P. Laake, "Recommended tests and confidence
    intervals for paired binomial proportions", Statistics in Medicine 33 (2014), 2850-2875, recommend.
    """
    n = len(differences) + 2
    mean = float(sum(differences)) / n
    mean_square = (float(sum(difference**2 for difference in differences)) + 2) / n
    spread = z * sqrt((mean_square - mean**2) / n)
    return max(-1.0, mean - spread), min(1.0, mean + spread)
