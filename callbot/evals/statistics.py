"""Small statistics over runs. Every formula names its source."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, comb, sqrt

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

    S. Yao et al., "tau-bench: a benchmark for tool-agent-user interaction in real-world domains"
    (2024), the estimator of pass^k. Needs ``k <= attempts``.
    """
    return comb(passed, k) / comb(attempts, k)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile (``share`` in 0..1), or None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def f1(precision: float | None, recall: float | None) -> float | None:
    """Harmonic mean of precision and recall, where both exist."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
