"""Adds up runs: one row a scenario, the rates over scenarios, precision and recall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from callbot.evals.bootstrap import resampled
from callbot.evals.fingerprints import fingerprint
from callbot.evals.oracle import EndExpect
from callbot.evals.rates import Ends, added, intervals, tally
from callbot.evals.report import (
    CallScores,
    EndWindow,
    Interval,
    Latency,
    RunReport,
    ScenarioFacts,
    ScenarioReport,
    Summary,
    Tokens,
    Verdict,
)
from callbot.evals.scenario import BEYOND_OFFLINE, Scenario
from callbot.evals.statistics import pass_hat_k, percentile, wilson
from callbot.evals.totals import judged, totals_of


def scenario_report(
    scenario: Scenario, runs: Sequence[RunReport], *, language: str, offline: bool
) -> ScenarioReport:
    """One scenario: passed by the majority of the attempts that the provider answered."""
    return row_of(facts_of(scenario, language), runs, offline=offline)


def facts_of(scenario: Scenario, language: str) -> ScenarioFacts:
    """What reports say of a scenario, whatever becomes of it."""
    return ScenarioFacts(
        name=scenario.name,
        description=scenario.description,
        file=str(scenario.file),
        line=scenario.line,
        business=scenario.business,
        language=language,
        tags=list(scenario.tags),
        sha256=fingerprint(scenario),
        end=_end(scenario.expect.end),
    )


def row_of(facts: ScenarioFacts, runs: Sequence[RunReport], *, offline: bool) -> ScenarioReport:
    """A scenario with its attempts, as ``scenario_report``."""
    counted = [run for run in runs if run.verdict != "infra"]
    passed = 2 * sum(run.passed for run in counted) > len(counted) if counted else None
    right, due = (sum(run.lead_fields[which] for run in counted) for which in (0, 1))
    return ScenarioReport(
        **dict(facts),
        passed=passed,
        excused=passed is False and offline and BEYOND_OFFLINE in facts.tags,
        lead_fields=(right, due),
        runs=sorted(runs, key=lambda run: run.attempt),
    )


def _end(end: EndExpect | None) -> EndWindow:
    if end is None:
        return EndWindow(turns=None)
    return EndWindow(
        turns=(end.turns[0], end.turns[1]) if end.turns else None,
        after=end.after,
        within=end.within,
        before=end.before.captured if end.before else [],
        reason=end.reason,
    )


def summarise(scenarios: Sequence[ScenarioReport], *, attempts: int | None = None) -> Summary:
    """The whole run. ``attempts``: rates count only so many of each scenario; verdicts count all."""
    runs = [run for scenario in scenarios for run in scenario.runs]
    counts = Counter(run.verdict for run in runs)
    tallies = [tally(scenario, attempts) for scenario in scenarios]
    total = added(tallies)
    wanted = _scores(total.model)
    latencies = [ms for run in runs for ms in run.latencies_ms]
    bounds = intervals(tallies, resampled(tallies))
    nothing = wilson(0.0, 0)
    return Summary(
        scenarios=len(scenarios),
        runs=len(runs),
        passed=sum(scenario.passed is True for scenario in scenarios),
        failed=sum(scenario.passed is False for scenario in scenarios),
        infra=counts["infra"],
        excused=sum(scenario.excused for scenario in scenarios),
        broken_replies=sum(len(turn.broken) for run in runs for turn in run.turns),
        verdicts={verdict: counts[verdict] for verdict in get_args(Verdict) if verdict != "infra"},
        precision=wanted.precision,
        recall=wanted.recall,
        f1=wanted.f1,
        premature_rate=bounds.get("premature_rate", Interval(value=0.0, low=nothing[0], high=nothing[1])),
        intervals=bounds,
        call=_scores(total.call),
        pass_hat_k=_pass_hat_k(scenarios, attempts),
        lead_accuracy=total.lead_right / total.lead_due if total.lead_due else None,
        latency_ms=Latency(p50=percentile(latencies, 0.5), p95=percentile(latencies, 0.95)),
        tokens=Tokens(
            input=sum(run.tokens.input for run in runs),
            output=sum(run.tokens.output for run in runs),
            cached=sum(run.tokens.cached for run in runs),
        ),
        cost=_cost(runs),
        totals=totals_of(scenarios),
        judged=judged(scenarios),
    )


def _cost(runs: Sequence[RunReport]) -> float | None:
    costs = [run.cost for run in runs if run.verdict != "infra" or run.cost is not None]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None


def _scores(ends: Ends) -> CallScores:
    return CallScores(precision=ends.precision, recall=ends.recall, f1=ends.f1)


def _pass_hat_k(scenarios: Sequence[ScenarioReport], attempts: int | None) -> dict[str, float]:
    """Mean of pass^k over the scenarios with at least k attempts that the provider answered."""
    tries = [
        [
            run.passed
            for run in scenario.runs
            if run.verdict != "infra" and (attempts is None or run.attempt <= attempts)
        ]
        for scenario in scenarios
    ]
    found: dict[str, float] = {}
    for k in range(1, max((len(passes) for passes in tries), default=0) + 1):
        enough = [pass_hat_k(sum(passes), len(passes), k) for passes in tries if len(passes) >= k]
        found[str(k)] = sum(enough) / len(enough)
    return found
