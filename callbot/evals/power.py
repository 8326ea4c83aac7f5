"""How many scenarios or attempts a comparison needs, and what the ones it has could have shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, comb, sqrt
from statistics import NormalDist

from callbot.evals.statistics import Z95, mcnemar

ALPHA = 0.05
"""Two-sided level of every test."""
POWER = 0.8
"""The chance of finding a difference that is there, for which sizes are given."""
_Z_POWER = NormalDist().inv_cdf(POWER)

FEWEST_FLIPS = next(flips for flips in range(1, 100) if mcnemar(flips, 0) <= ALPHA)
"""Fewer scenarios than this that change, all one way, are never significant (6 at the level of 5%)."""


def smallest_detectable(scenarios: int) -> float | None:
    """The smallest share of scenarios lost, none gained, that is found with 80% power; None if none is.

    The number lost is binomial and significant from ``FEWEST_FLIPS`` on.
    """
    if scenarios < FEWEST_FLIPS:
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        share = (low + high) / 2
        found = 1 - sum(
            comb(scenarios, k) * share**k * (1 - share) ** (scenarios - k) for k in range(FEWEST_FLIPS)
        )
        low, high = (low, share) if found >= POWER else (share, high)
    return high


def scenarios_to_find(difference: float, mean_square: float) -> int | None:
    """Scenarios needed to find a mean paired difference with 80% power; None for no difference.

    ``mean_square``: mean of the squared differences (for majority verdicts the share that flipped).
    R. J. Connor, "Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43 (1987), 207-211; never fewer than the exact test can find at all.
    """
    if not difference:
        return None
    variance = max(0.0, mean_square - difference**2)
    size = (Z95 * sqrt(mean_square) + _Z_POWER * sqrt(variance)) ** 2 / difference**2
    return max(FEWEST_FLIPS, ceil(size - 1e-9))


def scenarios_to_exclude(margin: float, mean_square: float) -> int:
    """Scenarios at which the interval around no difference (``paired_interval``) lies within the margin.

    ``mean_square``: as seen, mean of the squared differences. Solves
    z^2 (n mean_square + 2) / (n + 2)^2 <= margin^2 for n.
    """
    ratio = (Z95 / margin) ** 2
    half = (4 - ratio * mean_square) / 2
    return max(1, ceil(-half + sqrt(max(0.0, half**2 - (4 - 2 * ratio))) - 1e-9))


@dataclass(frozen=True, slots=True)
class Attempts:
    """One scenario's answered attempts in one run: how many, and how many passed."""

    passed: int
    made: int

    @property
    def share(self) -> Fraction:
        """Share that passed."""
        return Fraction(self.passed, self.made)

    def chance_variance(self) -> float:
        """Variance of the share by chance alone, without bias: p (1 - p) / (made - 1)."""
        return float(self.share * (1 - self.share)) / (self.made - 1)


def repeats_to_find(pairs: Sequence[tuple[Attempts, Attempts]]) -> int | None:
    """Attempts each that would show the difference seen with the scenarios there are, or None.

    The variance of the paired differences is what scenarios differ in plus what chance adds in each,
    and attempts lessen only the second: E. Miller, "Adding error bars to evals: a statistical approach
    to language model evaluations", arXiv 2411.00640 (2024), on resampling and on power.
    None: no number of attempts would, or one attempt each does not tell the two apart.
    """
    if not pairs or any(side.made < 2 for pair in pairs for side in pair):
        return None
    n = len(pairs)
    differences = [float(b.share - a.share) for a, b in pairs]
    mean = sum(differences) / n
    if not mean:
        return None
    variance = sum((difference - mean) ** 2 for difference in differences) / max(1, n - 1)
    chance = sum(a.chance_variance() + b.chance_variance() for a, b in pairs) / n
    between = max(0.0, variance - chance)
    allowed = n * mean**2 / (Z95 + _Z_POWER) ** 2
    if allowed <= between:
        return None
    made = max(side.made for pair in pairs for side in pair)
    return max(made, ceil(made * chance / (allowed - between) - 1e-9))
