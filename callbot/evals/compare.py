"""Compares two runs of the same scenarios, A and B, pair by pair: is B better, worse, or who knows?

The question is the share of attempts that pass, mean over scenarios. One test decides: the exact
McNemar test where every scenario was tried once, the paired sign-flip test where it was repeated. Without a
significant difference, "no difference" is said only if the interval leaves no room for one that
matters; else the runs were too small to say, and the comparison says what would settle it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial

from callbot.errors import CallbotError
from callbot.evals.bootstrap import Counts, interval, resampled
from callbot.evals.comparison import Comparison, Flip, Metric, Outcome, Settling, Side, Tests
from callbot.evals.gate import names_of
from callbot.evals.power import (
    ALPHA,
    Attempts,
    repeats_to_find,
    scenarios_to_exclude,
    scenarios_to_find,
    smallest_detectable,
)
from callbot.evals.rates import METRICS, Tally, added, tally
from callbot.evals.repeats import certain_attempts
from callbot.evals.report import INFRA_LIMIT, GateRule, Interval, Report, ScenarioReport
from callbot.evals.scenario import CRITICAL
from callbot.evals.statistics import mcnemar, paired_interval, sign_flip


class NothingToCompare(CallbotError):
    """Every scenario is infra on one side."""


MARGIN = 0.1
"""A difference in pass rate that matters: "no difference" means that the interval leaves none so large."""

Contents = Mapping[str, str | None]
"""Names of scenarios, with the fingerprint of each where it is known."""
_Pair = tuple[ScenarioReport, ScenarioReport]


def contents_of(report: Report) -> Contents:
    """Which scenarios a run was of."""
    return {scenario.name: scenario.sha256 for scenario in report.scenarios}


def refuse_different(a: Contents, b: Contents, *, a_is: str = "A", b_is: str = "B") -> None:
    """Raise CallbotError if these are not the same scenarios, saying which are not."""
    told = [
        f"only in {where}: {names_of(names)}"
        for where, names in ((a_is, [n for n in a if n not in b]), (b_is, [n for n in b if n not in a]))
        if names
    ]
    edited = [name for name in a if name in b and a[name] and b[name] and a[name] != b[name]]
    if edited:
        told.append(f"edited in between: {names_of(edited)}")
    if told:
        raise CallbotError(
            f"{a_is} and {b_is} are not of the same scenarios, so they cannot be compared; {'; '.join(told)}. "
            "Run both on the same files with the same -k, --tag and --business"
        )


def compare(a: Report, b: Report, *, a_is: str = "A", b_is: str = "B") -> Comparison:
    """The comparison of two runs. Raises CallbotError if they are of different scenarios."""
    refuse_different(contents_of(a), contents_of(b), a_is=a_is, b_is=b_is)
    others = {scenario.name: scenario for scenario in b.scenarios}
    pairs = [(scenario, others[scenario.name]) for scenario in a.scenarios]
    answered = [(one, other) for one, other in pairs if one.passed is not None and other.passed is not None]
    if not answered:
        raise NothingToCompare(f"no scenario was answered in both {a_is} and {b_is}: nothing can be compared")
    tried = [(_attempts(one), _attempts(other)) for one, other in answered]
    differences = [after.share - before.share for before, after in tried]
    tests = _tests(answered, tried, differences)
    mean = float(sum(differences)) / len(differences)
    low, high = paired_interval(differences)
    flips = [_flip(one, other) for one, other in answered]
    return Comparison(
        a=_side(a),
        b=_side(b),
        scenarios=len(answered),
        not_answered=[one.name for one, other in pairs if one.passed is None or other.passed is None],
        verdict=(verdict := _verdict(tests.p, mean, low, high)),
        difference=Interval(value=mean, low=low, high=high),
        tests=tests,
        lost=[flip for flip in flips if flip.held_in_a and not flip.held_in_b],
        gained=[flip for flip in flips if flip.held_in_b and not flip.held_in_a],
        metrics=_metrics(a, b, answered),
        tokens_a=a.summary.tokens,
        tokens_b=b.summary.tokens,
        cost_a=a.summary.cost,
        cost_b=b.summary.cost,
        settling=_settling(tried, differences) if verdict == "inconclusive" else None,
        smallest_detectable=smallest_detectable(len(answered)),
        notes=_notes(a, b),
    )


def rules_against(comparison: Comparison, name: str) -> list[GateRule]:
    """What a run (B) must not do to its baseline (A), as rules of its gate."""
    lost = comparison.critical_lost
    change = f"{100 * comparison.difference.value:+.1f} points, p = {comparison.tests.p:.3f}"
    return [
        GateRule(
            name=f"no critical scenario that passed in {name} fails", passed=not lost, detail=names_of(lost)
        ),
        GateRule(
            name=f"no significant loss against {name}", passed=comparison.verdict != "worse", detail=change
        ),
    ]


def _attempts(scenario: ScenarioReport) -> Attempts:
    answered = [run.passed for run in scenario.runs if run.verdict != "infra"]
    return Attempts(sum(answered), len(answered))


def _tests(
    pairs: Sequence[_Pair], tried: Sequence[tuple[Attempts, Attempts]], differences: Sequence[Fraction]
) -> Tests:
    lost = sum(bool(one.passed and not other.passed) for one, other in pairs)
    gained = sum(bool(other.passed and not one.passed) for one, other in pairs)
    of_majorities = mcnemar(lost, gained)
    if all(side.made == 1 for pair in tried for side in pair):
        return Tests(decides="mcnemar", p=of_majorities, lost=lost, gained=gained, mcnemar_p=of_majorities)
    flipped = sign_flip(differences)
    return Tests(
        decides="sign_flip",
        p=flipped.p,
        lost=lost,
        gained=gained,
        mcnemar_p=of_majorities,
        sign_flip_p=flipped.p,
        sign_flip_exact=flipped.exact,
    )


def _verdict(p: float, mean: float, low: float, high: float) -> Outcome:
    if p <= ALPHA and mean:
        return "better" if mean > 0 else "worse"
    return "no_difference" if low >= -MARGIN and high <= MARGIN else "inconclusive"


def _settling(tried: Sequence[tuple[Attempts, Attempts]], differences: Sequence[Fraction]) -> Settling:
    n = len(differences)
    mean, mean_square = float(sum(differences)) / n, float(sum(d * d for d in differences)) / n
    to_find = scenarios_to_find(mean, mean_square)
    return Settling(
        scenarios_if_as_seen=None if to_find is None else max(n + 1, to_find),
        scenarios_if_none=max(n + 1, scenarios_to_exclude(MARGIN, mean_square)),
        attempts_if_as_seen=repeats_to_find(tried),
    )


def _flip(one: ScenarioReport, other: ScenarioReport) -> Flip:
    before, after = _attempts(one), _attempts(other)
    critical = CRITICAL in one.tags or CRITICAL in other.tags
    return Flip(
        name=one.name,
        business=one.business,
        tags=other.tags,
        critical=critical,
        held_in_a=_held(one, critical=critical),
        held_in_b=_held(other, critical=critical),
        passed_a=before.passed,
        made_a=before.made,
        passed_b=after.passed,
        made_b=after.made,
    )


def _held(scenario: ScenarioReport, *, critical: bool) -> bool:
    """Passed by majority, and if critical without one premature attempt: what the gate asks."""
    premature = critical and any(run.verdict == "premature" for run in scenario.runs)
    return scenario.passed is True and not premature


def _metrics(a: Report, b: Report, pairs: Sequence[_Pair]) -> list[Metric]:
    """Every metric of the scenarios that both answered, and its change with a 95% interval."""
    both = [(tally(one, _counted(a)), tally(other, _counted(b))) for one, other in pairs]
    sums = resampled([(*one, *other) for one, other in both])
    total_a, total_b = added([one for one, _ in both]), added([other for _, other in both])
    rows = []
    for name in sorted(METRICS, key=lambda name: name != "pass_rate"):
        metric = METRICS[name]
        before, after = metric.of(total_a), metric.of(total_b)
        if before is None and after is None:
            continue
        bounds: tuple[float, float] | None
        if name == "pass_rate":
            bounds = paired_interval([Fraction(int(other.passed - one.passed)) for one, other in both])
        else:
            bounds = interval(sums, partial(_change, metric.of))
            if bounds is not None and bounds[0] == bounds[1]:  # all are alike: no spread to resample
                counted = sum(metric.counted(one) + metric.counted(other) > 0 for one, other in both)
                bounds = paired_interval([Fraction(bounds[0])] * counted)
        change = None if before is None or after is None else after - before
        low, high = bounds if bounds and change is not None else (None, None)
        rows.append(Metric(name=name, a=before, b=after, difference=change, low=low, high=high))
    return rows


def _change(of: Callable[[Tally], float | None], counts: Counts) -> float | None:
    width = len(Tally._fields)
    before, after = of(Tally(*counts[:width])), of(Tally(*counts[width:]))
    return None if before is None or after is None else after - before


def _counted(report: Report) -> int | None:
    """How many attempts at each scenario count for rates; None: all."""
    return certain_attempts(report.run.repeat) if report.run.stop_early else None


def _side(report: Report) -> Side:
    run = report.run
    return Side(
        id=run.id,
        started_at=run.started_at,
        model=run.model,
        prompts=run.prompts,
        repeat=run.repeat,
        stop_early=run.stop_early,
        seed=run.seed,
        infra=report.summary.infra,
    )


def _notes(a: Report, b: Report) -> list[str]:
    """What a reader should know: how the runs differ beyond what is on trial."""
    notes = []
    if a.run.model != b.run.model:
        notes.append(f"the models differ: {a.run.model} and {b.run.model}")
    notes.append(_prompts_that_differ(a, b))
    if (a.run.repeat, a.run.stop_early) != (b.run.repeat, b.run.stop_early):
        notes.append(
            f"A made {_repeats(a)} at each scenario, B {_repeats(b)}; the tests assume that both made as many"
        )
    for name, report in (("A", a), ("B", b)):
        if report.summary.infra > INFRA_LIMIT * report.summary.runs:
            notes.append(
                f"the provider failed in {report.summary.infra} of {report.summary.runs} runs of {name}: "
                "what is left may not be like the rest"
            )
        if report.run.interrupted or report.run.stopped_by:
            notes.append(f"{name} was stopped before everything had run")
    if any(scenario.sha256 is None for report in (a, b) for scenario in report.scenarios):
        notes.append("an older report does not say what its scenarios held: they are matched by name alone")
    if a.run.id == b.run.id and a.run.started_at == b.run.started_at:
        notes.append("A and B are the same run")
    return notes


def _repeats(report: Report) -> str:
    made = f"{report.run.repeat} attempt{'s' * (report.run.repeat != 1)}"
    return f"up to {made}" if report.run.stop_early else made


def _prompts_that_differ(a: Report, b: Report) -> str:
    before = {prompt.business: prompt.sha256 for prompt in a.run.prompts}
    differ = [p.business for p in b.run.prompts if before.get(p.business) != p.sha256]
    return f"prompts that differ: {', '.join(differ)}" if differ else "both runs used the same prompts"
