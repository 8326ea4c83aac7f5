"""The statistics against scipy and statsmodels, against each other, and against what they promise."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportion_confint

from callbot.evals.bootstrap import interval, resampled
from callbot.evals.power import (
    FEWEST_FLIPS,
    Attempts,
    repeats_to_find,
    scenarios_to_exclude,
    scenarios_to_find,
    smallest_detectable,
)
from callbot.evals.repeats import certain_attempts, decided
from callbot.evals.statistics import (
    f1,
    mcnemar,
    paired_interval,
    pass_hat_k,
    percentile,
    sign_flip,
    wilson,
)

few = st.integers(0, 40)
shares = st.builds(lambda k, n: Fraction(min(k, n), n), st.integers(0, 4), st.integers(1, 4))


# --- one rate ---
@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_is_statsmodels(passed: int, n: int) -> None:
    passed = min(passed, n)
    expected = proportion_confint(passed, n, method="wilson")
    assert wilson(passed / n, n) == pytest.approx(tuple(np.clip(expected, 0, 1)), abs=1e-9)


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n))))
def test_pass_hat_k_is_scipys_chance_of_drawing_passes_alone(counts: tuple[int, int, int]) -> None:
    passed, attempts, k = counts
    assert pass_hat_k(passed, attempts, k) == pytest.approx(stats.hypergeom(attempts, passed, k).pmf(k))


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.sampled_from([0.025, 0.5, 0.95, 0.975, 1.0])
)
def test_percentiles_are_numpys_inverted_distribution(values: list[float], share: float) -> None:
    assert percentile(values, share) == np.quantile(values, share, method="inverted_cdf")


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_f1_is_scipys_harmonic_mean(precision: float, recall: float) -> None:
    assert f1(precision, recall) == pytest.approx(stats.hmean([precision, recall]))


# --- paired tests ---
@given(few, few)
def test_mcnemar_is_statsmodels_and_the_binomial_test(lost: int, gained: int) -> None:
    table = [[10, lost], [gained, 10]]
    assert mcnemar(lost, gained) == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
    if lost + gained:
        assert mcnemar(lost, gained) == pytest.approx(stats.binomtest(lost, lost + gained).pvalue)


def test_mcnemar_of_thousands_of_flips_is_still_a_number() -> None:
    assert mcnemar(3000, 3000) == 1.0
    assert 0 <= mcnemar(0, 5000) < 1e-300


@given(few, few, st.integers(0, 10))
def test_sign_flips_of_single_attempts_are_mcnemars_test(lost: int, gained: int, same: int) -> None:
    differences = [*[Fraction(-1)] * lost, *[Fraction(1)] * gained, *[Fraction(0)] * same]
    found = sign_flip(differences)
    assert found.exact
    assert found.p == pytest.approx(mcnemar(lost, gained))


@given(st.lists(st.builds(Fraction.__sub__, shares, shares), min_size=2, max_size=9))
def test_sign_flips_are_scipys_permutation_test(differences: list[Fraction]) -> None:
    """scipy flips every sign too, when it is told that the samples are paired."""
    values = np.array([float(difference) for difference in differences])
    scaled = np.round(values * 12)  # whole numbers, so that ties are ties for scipy as well
    if not scaled.any():
        assert sign_flip(differences).p == 1.0
        return
    found = stats.permutation_test(
        (scaled,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(differences).p == pytest.approx(found.pvalue)


def test_sign_flips_by_hand() -> None:
    """Of 2/3, 1/3 and -1/3 six of the eight assignments are at least 2/3 away from 0."""
    differences = [Fraction(2, 3), Fraction(1, 3), Fraction(-1, 3)]
    sums = [
        sum(map(Fraction.__mul__, differences, map(Fraction, signs)))
        for signs in itertools.product((1, -1), repeat=3)
    ]
    assert sign_flip(differences).p == sum(abs(s) >= Fraction(2, 3) for s in sums) / 8 == 0.75


def test_where_there_are_too_many_sums_flips_are_drawn_with_a_seed() -> None:
    """Drawn p-values agree with scipy's normal approximation of the same thing, and repeat with the seed."""
    draw = random.Random(5)
    differences = [Fraction(draw.randint(-900, 1000), 1009) for _ in range(150)]
    found = sign_flip(differences, seed=1)
    assert not found.exact
    assert found == sign_flip(differences, seed=1)
    assert found != sign_flip(differences, seed=2)
    values = [float(difference) for difference in differences]
    z = sum(values) / sum(value**2 for value in values) ** 0.5
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.02)
    assert found.p > 0


def test_both_tests_keep_their_level() -> None:
    """Alike sides differ significantly in at most 5 of 100 comparisons."""
    draw = random.Random(3)
    significant = 0
    for _ in range(400):
        differences = []
        for _ in range(25):
            p = draw.random()
            a, b = (sum(draw.random() < p for _ in range(3)) for _ in range(2))
            differences.append(Fraction(b - a, 3))
        significant += sign_flip(differences).p <= 0.05
    assert significant <= stats.binom.ppf(0.999, 400, 0.05)
    assert significant > 0, "a test that never rejects keeps any level"


# --- intervals of differences ---
@given(few, few, st.integers(0, 60))
def test_the_paired_interval_is_bonetts_and_prices(lost: int, gained: int, same: int) -> None:
    n = lost + gained + same
    if n == 0:
        return
    differences = [*[Fraction(-1)] * lost, *[Fraction(1)] * gained, *[Fraction(0)] * same]
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    spread = stats.norm.ppf(0.975) * ((p + q - (p - q) ** 2) / (n + 2)) ** 0.5
    assert paired_interval(differences) == pytest.approx((max(-1, p - q - spread), min(1, p - q + spread)))


def test_nothing_that_differs_is_no_proof_of_no_difference() -> None:
    low, high = paired_interval([Fraction(0)] * 10)
    assert low == -high
    assert high > 0.2
    assert paired_interval([Fraction(0)] * 1000)[1] < 0.003


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.8), (0.97, 0.97), (0.5, 0.7)])
def test_the_paired_interval_holds_what_it_promises(before: float, after: float) -> None:
    """Of many experiments about 95% have the true difference in their interval."""
    draw = random.Random(11)
    covered = 0
    for _ in range(600):
        sides = [[sum(draw.random() < p for _ in range(3)) for p in (before, after)] for _ in range(40)]
        low, high = paired_interval([Fraction(b - a, 3) for a, b in sides])
        covered += low <= after - before <= high
    assert covered / 600 >= 0.935


# --- the cluster bootstrap ---
def f1_of(sums: Sequence[float]) -> float | None:
    right, asked, due = sums
    return 2 * right / (asked + due) if asked + due else None


def test_the_bootstrap_is_scipys() -> None:
    """The interval of an F1 over scenarios, with their repeats, as scipy draws it."""
    draw = random.Random(2)
    rows = []
    for _ in range(80):
        hard = draw.random() < 0.3
        right = sum(draw.random() < (0.4 if hard else 0.98) for _ in range(3))
        rows.append((float(right), float(right + draw.randint(0, 3 - right)), 3.0))
    found = interval(resampled(rows, draws=4000), f1_of)
    assert found is not None
    data = np.array(rows)
    expected = stats.bootstrap(
        (np.arange(len(rows)),),
        lambda index: 2 * data[index, 0].sum() / (data[index, 1].sum() + data[index, 2].sum()),
        n_resamples=4000,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=0.012)


def test_repeats_of_a_scenario_are_not_more_scenarios() -> None:
    """Ten times the attempts, all alike within a scenario, leave the interval as wide as it was."""
    once = [(1.0, 1.0)] * 30 + [(0.0, 1.0)] * 10
    often = [(10.0, 10.0)] * 30 + [(0.0, 10.0)] * 10

    def rate(sums: Sequence[float]) -> float:
        return sums[0] / sums[1]

    assert interval(resampled(often), rate) == pytest.approx(interval(resampled(once), rate))


def test_a_bootstrap_repeats_with_its_seed_and_says_nothing_of_nothing() -> None:
    rows = [(1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 1.0)]
    assert resampled(rows, seed=4) == resampled(rows, seed=4)
    assert resampled(rows, seed=4) != resampled(rows, seed=5)
    assert resampled([]) == []
    assert interval([], f1_of) is None
    assert interval(resampled([(0.0, 0.0, 0.0)] * 4), f1_of) is None


# --- how many it takes ---
def power_of_mcnemar(n: int, lost: float, gained: float) -> float:
    """The exact power: over all numbers of flips and how they fall."""
    changed = lost + gained
    power = 0.0
    for flips in range(n + 1):
        ways = stats.binom.pmf(flips, n, changed)
        if ways < 1e-12:
            continue
        rejected = [k for k in range(flips + 1) if mcnemar(k, flips - k) <= 0.05]
        power += ways * sum(stats.binom.pmf(k, flips, lost / changed) for k in rejected)
    return power


@pytest.mark.parametrize(("lost", "gained"), [(0.1, 0.02), (0.3, 0.1), (0.08, 0.0), (0.25, 0.05)])
def test_the_scenarios_that_would_find_a_difference_do_so_four_times_in_five(
    lost: float, gained: float
) -> None:
    """Connor's size, judged by the exact test, which is a little less powerful than his."""
    size = scenarios_to_find(gained - lost, lost + gained)
    assert size is not None
    assert 0.72 <= power_of_mcnemar(size, lost, gained) <= 0.88


def test_the_smallest_detectable_loss_is_found_four_times_in_five() -> None:
    for n in (6, 13, 40, 150):
        share = smallest_detectable(n)
        assert share is not None
        assert stats.binom.sf(FEWEST_FLIPS - 1, n, share) == pytest.approx(0.8, abs=1e-3)
    assert smallest_detectable(FEWEST_FLIPS - 1) is None
    assert FEWEST_FLIPS == 6
    assert mcnemar(6, 0) <= 0.05 < mcnemar(5, 0)


@given(st.sampled_from([0.02, 0.05, 0.1, 0.3]), st.integers(0, 20))
def test_the_scenarios_that_would_exclude_a_margin_are_the_fewest(margin: float, twentieths: int) -> None:
    size = scenarios_to_exclude(margin, twentieths / 20)

    def spread(n: int) -> float:
        return 1.959963984540054 * ((n * twentieths / 20 + 2) / (n + 2) ** 2) ** 0.5

    assert spread(size) <= margin + 1e-9
    assert size == 1 or spread(size - 1) > margin - 1e-9


def test_attempts_help_against_chance_and_not_against_scenarios_that_differ() -> None:
    wobbly = [
        (Attempts(2, 3), Attempts(1, 3)),
        (Attempts(1, 3), Attempts(2, 3)),
        (Attempts(3, 3), Attempts(2, 3)),
    ] * 4
    needed = repeats_to_find(wobbly)
    assert needed is not None
    assert needed > 3
    steady = [
        (Attempts(3, 3), Attempts(0, 3)),
        (Attempts(0, 3), Attempts(3, 3)),
        (Attempts(3, 3), Attempts(0, 3)),
    ]
    assert repeats_to_find(steady) is None, "every attempt says the same: more of them say nothing new"
    assert repeats_to_find([(Attempts(1, 1), Attempts(0, 1))] * 5) is None, "one attempt shows no chance"
    assert repeats_to_find([]) is None


# --- stopping early ---
@given(st.integers(1, 7).flatmap(lambda n: st.lists(st.booleans(), min_size=n, max_size=n)))
def test_what_is_decided_stays_decided_and_nothing_else_is(outcomes: list[bool]) -> None:
    """For every prefix of every row of attempts: decided exactly if all ways to go on have one majority."""
    n = len(outcomes)
    for made in range(n + 1):
        passes = sum(outcomes[:made])
        majorities = {2 * (passes + more) > n for more in range(n - made + 1)}
        assert decided(passes, made - passes, n - made) is (len(majorities) == 1)


def test_the_attempts_that_every_scenario_makes() -> None:
    for repeat in range(1, 12):
        certain = certain_attempts(repeat)
        assert any(decided(p, certain - p, repeat - certain) for p in (0, certain))
        fewer = certain - 1
        assert not any(decided(p, fewer - p, repeat - fewer) for p in range(fewer + 1))


@pytest.mark.parametrize("repeat", [3, 5, 7])
def test_rates_of_early_stopped_attempts_are_without_bias(repeat: int) -> None:
    """The first attempts that everybody makes have the mean of all; those that were made do not."""
    p, certain = 0.8, certain_attempts(repeat)
    mean_of_made = mean_of_certain = 0.0
    for outcomes in itertools.product((True, False), repeat=repeat):
        chance = p ** sum(outcomes) * (1 - p) ** (repeat - sum(outcomes))
        made = next(
            k
            for k in range(certain, repeat + 1)
            if decided(sum(outcomes[:k]), k - sum(outcomes[:k]), repeat - k)
        )
        mean_of_made += chance * sum(outcomes[:made]) / made
        mean_of_certain += chance * sum(outcomes[:certain]) / certain
    assert mean_of_certain == pytest.approx(p)
    assert mean_of_made > p + 0.01


def test_comb_is_exact_where_floats_are_not() -> None:
    """The tails are counted in whole numbers, so that 1,100 flips do not overflow."""
    assert comb(1100, 550) > 1e300
    assert 0.9 < mcnemar(549, 551) <= 1.0
