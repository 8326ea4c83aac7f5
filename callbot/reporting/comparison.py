"""What every report says of a comparison, before it is laid out: verdict, numbers, flips, in plain words.

Terminal, Markdown and HTML draw these; none of them judges again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from callbot.evals.comparison import Comparison, Flip, Metric
from callbot.evals.report import Report, RunReport, ScenarioReport
from callbot.reporting import view
from callbot.reporting.view import TurnView

STATES = {
    "better": "BETTER",
    "worse": "WORSE",
    "no_difference": "NO DIFFERENCE",
    "inconclusive": "INCONCLUSIVE",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison with the two runs whose transcripts it is told by."""

    comparison: Comparison
    a: Report
    b: Report


@dataclass(frozen=True, slots=True)
class Call:
    """One side of a flip: the attempt that tells why it counts as it does."""

    scenario: ScenarioReport
    run: RunReport | None
    passed: str
    """How many attempts passed: ``2 of 3 passed``."""

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        return view.verdict_of(self.scenario, self.run) if self.run else "did not run"

    @property
    def did(self) -> str:
        """What the model wanted and what the call did, in words."""
        if self.run is None:
            return ""
        did = "; ".join(part for part in (view.did(self.run), view.call_did(self.run)) if part)
        failed = "; ".join(view.failed_checks(self.run))
        return f"{did}; {failed}" if failed else did


@dataclass(frozen=True, slots=True)
class TurnPair:
    """The same turn on both sides; None where there was none."""

    n: int
    a: TurnView | None
    b: TurnView | None
    over_a: bool
    """The first turn after the last of A's call."""
    over_b: bool


@dataclass(frozen=True, slots=True)
class FlipView:
    """A scenario that flipped, ready to be drawn."""

    flip: Flip
    a: Call
    b: Call
    turns: list[TurnPair]

    @property
    def scenario(self) -> ScenarioReport:
        """The scenario as the run on trial has it."""
        return self.b.scenario


def flips(compared: Compared) -> Iterator[tuple[str, list[FlipView]]]:
    """Titles with their flips: critical losses, other losses, gains; without titles that have none."""
    comparison = compared.comparison
    groups = (
        ("Lost, and critical", [flip for flip in comparison.lost if flip.critical]),
        ("Lost: passed in A, fails in B", [flip for flip in comparison.lost if not flip.critical]),
        ("Gained: failed in A, passes in B", comparison.gained),
    )
    before = {scenario.name: scenario for scenario in compared.a.scenarios}
    after = {scenario.name: scenario for scenario in compared.b.scenarios}
    for title, members in groups:
        if members:
            yield title, [_flip_view(flip, before[flip.name], after[flip.name]) for flip in members]


def _flip_view(flip: Flip, before: ScenarioReport, after: ScenarioReport) -> FlipView:
    a = Call(before, _telling(before, passed=flip.held_in_a), f"{flip.passed_a} of {flip.made_a} passed")
    b = Call(after, _telling(after, passed=flip.held_in_b), f"{flip.passed_b} of {flip.made_b} passed")
    of_a, of_b = (
        {turn.n: turn for turn in view.turn_views(call.scenario, call.run)} if call.run else {}
        for call in (a, b)
    )
    after_a, after_b = max(of_a, default=-1) + 1, max(of_b, default=-1) + 1
    turns = [
        TurnPair(n, of_a.get(n), of_b.get(n), over_a=n == after_a, over_b=n == after_b)
        for n in sorted({*of_a, *of_b})
    ]
    return FlipView(flip, a, b, turns)


def _telling(scenario: ScenarioReport, *, passed: bool) -> RunReport | None:
    """The first attempt that shows what the side counts as, else the one that reports show."""
    fitting = (run for run in scenario.runs if run.passed is passed and run.verdict != "infra")
    return next(fitting, None) or view.telling_run(scenario)


# --- words ---
OVER = "(the call is over)"
"""Said once, in the first turn that only the other side has."""


def points(share: float | None, *, signed: bool = True) -> str:
    """A difference of two rates, in percentage points."""
    if share is None:
        return view.NONE
    return f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"


def state(comparison: Comparison) -> str:
    """The verdict as a word or two; a critical loss is one whatever the average says."""
    if comparison.critical_lost and comparison.verdict != "worse":
        return "CRITICAL LOSS"
    return STATES[comparison.verdict]


def verdict_line(comparison: Comparison) -> str:
    """The verdict, explained."""
    difference = comparison.difference
    change = (
        f"{points(difference.value)} points passed (95%: {points(difference.low)} to {points(difference.high)}), "
        f"p = {comparison.tests.p:.3f}"
    )
    what = {
        "better": f"B passes more than A: {change}",
        "worse": f"B passes less than A: {change}",
        "no_difference": f"no difference detectable: {change}",
        "inconclusive": f"n too small to say: {change}",
    }[comparison.verdict]
    if comparison.critical_lost:
        lost = view.count(len(comparison.critical_lost), "critical scenario")
        return (
            f"{lost} that held in A {'fails' if len(comparison.critical_lost) == 1 else 'fail'} in B; {what}"
        )
    return what


def settling(comparison: Comparison) -> str:
    """What would settle an inconclusive comparison, in words; empty for others."""
    needed = comparison.settling
    if needed is None:
        return ""
    ways = []
    if needed.scenarios_if_as_seen is not None:
        ways.append(f"about {needed.scenarios_if_as_seen:,} scenarios if the difference is as large as seen")
    if needed.attempts_if_as_seen is not None:
        ways.append(f"or {needed.attempts_if_as_seen:,} attempts at each of these")
    ways.append(f"about {needed.scenarios_if_none:,} scenarios if there is none")
    return ", ".join(ways)


def sensitivity(comparison: Comparison) -> str:
    """What a comparison of this size could have found, in words."""
    size = view.count(comparison.scenarios, "scenario")
    if comparison.smallest_detectable is None:
        return f"{size}: even if all are lost, that is not significant; 6 are the fewest"
    return f"{size}: a loss of {points(comparison.smallest_detectable, signed=False)} points is found 4 times in 5"


def test_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """The tests with their p-values; the one that decides stands first."""
    tests = comparison.tests
    majorities = (
        "McNemar, exact",
        f"p = {tests.mcnemar_p:.3f} on majority verdicts: {tests.lost} lost, {tests.gained} gained",
    )
    if tests.sign_flip_p is None:
        return [majorities]
    how = "exact" if tests.sign_flip_exact else "10,000 drawn"
    return [(f"sign flips, {how}", f"p = {tests.sign_flip_p:.3f} on shares of attempts; decides"), majorities]


def metric_row(metric: Metric) -> tuple[str, str, str, str]:
    """Name, A, B, and the change in points with its interval."""
    if metric.difference is None:
        return metric.name, view.percent(metric.a), view.percent(metric.b), view.NONE
    change = f"{points(metric.difference)} ({points(metric.low)} to {points(metric.high)})"
    return metric.name, view.percent(metric.a), view.percent(metric.b), change


def spending(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    """Rows of tokens and, where both runs have one, cost: name, A, B, change in percent."""
    a, b = comparison.tokens_a, comparison.tokens_b
    rows = [
        ("tokens in", f"{a.input:,}", f"{b.input:,}", _relative(a.input, b.input)),
        ("tokens out", f"{a.output:,}", f"{b.output:,}", _relative(a.output, b.output)),
    ]
    if comparison.cost_a is not None and comparison.cost_b is not None:
        before, after = comparison.cost_a, comparison.cost_b
        rows.append(("cost", f"{before:.4f}", f"{after:.4f}", _relative(before, after)))
    return rows


def _relative(before: float, after: float) -> str:
    return f"{100 * (after / before - 1):+.1f}%" if before else view.NONE


def sides(comparison: Comparison) -> list[tuple[str, str]]:
    """``A`` and ``B`` with what each was."""
    return [
        (
            name,
            f"{side.id}  {side.model}, {'up to ' if side.stop_early else ''}{view.count(side.repeat, 'attempt')} each",
        )
        for name, side in (("A", comparison.a), ("B", comparison.b))
    ]
