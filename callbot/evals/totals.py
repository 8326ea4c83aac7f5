"""Adds up what was counted on the calls of a run: reasons, lateness, faults, and what bad ends cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from callbot.evals.report import (
    Counterfactual,
    EndWindow,
    Judged,
    RunReport,
    ScenarioReport,
    Tokens,
    Totals,
)

OPEN, ANY, NONE = "open", "any reason", "no request"


def totals_of(scenarios: Sequence[ScenarioReport]) -> Totals:
    """The sums over every answered run."""
    runs = [run for _, run in _answered(scenarios)]
    late = [run.measures.turns_late for run in runs if run.measures.turns_late is not None]
    return Totals(
        reasons=reason_confusion(scenarios),
        turns_late=sum(late) / len(late) if late else None,
        seconds_late=sum(run.measures.seconds_late or 0.0 for run in runs),
        drifts=sum(run.measures.drifts for run in runs),
        contract_faults=sum(run.measures.contract_faults for run in runs),
        guard_refusals=sum(run.measures.guard_refusals for run in runs),
        broken_invariants=sum(len(run.measures.broken_invariants) for run in runs),
        greeting_faults=sum(_failed(run, "greeting_once") for run in runs),
        farewell_faults=sum(_failed(run, "farewell_heard") for run in runs),
    )


def judged(scenarios: Sequence[ScenarioReport]) -> Judged | None:
    """What became of the ``judge:`` lines of every answered run; None if there are none."""
    runs = [run for _, run in _answered(scenarios)]
    opinions = [check.passed for run in runs for check in run.checks if check.judged_by is not None]
    none = [line for run in runs for line in run.not_judged]
    if not opinions and not none:
        return None
    costs = [run.judge_cost for run in runs if run.judge_cost is not None]
    return Judged(
        held=opinions.count(True),
        failed=opinions.count(False),
        not_judged=len(none),
        unanswered=sum(line.failed for line in none),
        tokens=Tokens(
            input=sum(run.judge_tokens.input for run in runs),
            output=sum(run.judge_tokens.output for run in runs),
            cached=sum(run.judge_tokens.cached for run in runs),
        ),
        cost=sum(costs) if costs else None,
    )


def reason_confusion(scenarios: Sequence[ScenarioReport]) -> dict[str, dict[str, int]]:
    """How often each reason was given, by the reason that was expected."""
    counts: dict[str, Counter[str]] = {}
    for scenario, run in _answered(scenarios):
        given = (run.wanted_reason or "no reason") if run.wanted_end is not None else NONE
        counts.setdefault(_expected(scenario.end), Counter())[given] += 1
    return {expected: dict(sorted(given.items())) for expected, given in sorted(counts.items())}


def counterfactual(
    scenarios: Sequence[ScenarioReport], *, value_of_lead: float | None, cost_per_minute: float | None
) -> Counterfactual:
    """What premature ends lost, on calls that ran on after them, and what late ones wasted."""
    runs = [run for _, run in _answered(scenarios)]
    leads = sum(run.measures.lead_lost for run in runs)
    seconds = sum(run.measures.seconds_late or 0.0 for run in runs)
    fields = Counter(name for run in runs for name in run.measures.lost_fields or ())
    return Counterfactual(
        runs=len(runs),
        leads_lost=leads,
        fields_lost=dict(fields.most_common()),
        seconds_wasted=seconds,
        value_lost=None if value_of_lead is None else leads * value_of_lead,
        cost_wasted=None if cost_per_minute is None else seconds / 60 * cost_per_minute,
    )


def _answered(scenarios: Sequence[ScenarioReport]) -> Iterator[tuple[ScenarioReport, RunReport]]:
    for scenario in scenarios:
        for run in scenario.runs:
            if run.verdict != "infra":
                yield scenario, run


def _expected(end: EndWindow) -> str:
    if end.turns is None and end.after is None:
        return OPEN
    return " or ".join(end.reason) or ANY


def _failed(run: RunReport, check: str) -> bool:
    return any(each.name == check and not each.passed for each in run.checks)
