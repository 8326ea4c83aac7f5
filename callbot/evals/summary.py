"""Adds up runs: one row a scenario, the rates over scenarios, precision and recall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from callbot.evals.report import (
    CallScores,
    EndWindow,
    Interval,
    Latency,
    RunReport,
    ScenarioReport,
    Summary,
    Tokens,
    Verdict,
)
from callbot.evals.scenario import BEYOND_OFFLINE, Scenario
from callbot.evals.statistics import f1, pass_hat_k, percentile, wilson


def scenario_report(
    scenario: Scenario, runs: Sequence[RunReport], *, language: str, offline: bool
) -> ScenarioReport:
    """One scenario: passed by the majority of the attempts that the provider answered."""
    counted = [run for run in runs if run.verdict != "infra"]
    passed = 2 * sum(run.passed for run in counted) > len(counted) if counted else None
    end = scenario.expect.end
    window = (end.turns[0], end.turns[1]) if end else None
    return ScenarioReport(
        name=scenario.name,
        description=scenario.description,
        file=str(scenario.file),
        business=scenario.business,
        language=language,
        tags=list(scenario.tags),
        end=EndWindow(turns=window, reason=end.reason if end else []),
        passed=passed,
        excused=passed is False and offline and BEYOND_OFFLINE in scenario.tags,
        runs=sorted(runs, key=lambda run: run.attempt),
    )


def summarise(scenarios: Sequence[ScenarioReport], lead_fields: Mapping[str, Sequence[bool]]) -> Summary:
    """The whole run. ``lead_fields``: by scenario name, for each expected field of each run, right or not."""
    runs = [run for scenario in scenarios for run in scenario.runs]
    counts = Counter(run.verdict for run in runs)
    wanted = _scores(run.verdict for run in runs)
    did = _scores(run.call_verdict for run in runs if run.call_verdict is not None)
    fields = [right for rights in lead_fields.values() for right in rights]
    latencies = [ms for run in runs for ms in run.latencies_ms]
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
        premature_rate=_premature_rate(scenarios),
        call=did,
        pass_hat_k=_pass_hat_k(scenarios),
        lead_accuracy=sum(fields) / len(fields) if fields else None,
        latency_ms=Latency(p50=percentile(latencies, 0.5), p95=percentile(latencies, 0.95)),
        tokens=Tokens(
            input=sum(run.tokens.input for run in runs), output=sum(run.tokens.output for run in runs)
        ),
    )


def _scores(verdicts: Iterable[Verdict]) -> CallScores:
    """End precision and recall.

    A request in the window with an allowed reason is a true positive, refused by the guard or not;
    premature a false positive; late or never a false negative; a wrong reason both.
    """
    counts = Counter(verdicts)
    true_positives = counts["on_time"] + counts["refused"]
    asked = true_positives + counts["premature"] + counts["wrong_reason"]
    due = true_positives + counts["late"] + counts["never"] + counts["wrong_reason"]
    precision = true_positives / asked if asked else None
    recall = true_positives / due if due else None
    return CallScores(precision=precision, recall=recall, f1=f1(precision, recall))


def _premature_rate(scenarios: Sequence[ScenarioReport]) -> Interval:
    """Share of scenarios' attempts that asked to end too early, over scenarios; Wilson interval."""
    shares = []
    for scenario in scenarios:
        counted = [run for run in scenario.runs if run.verdict != "infra"]
        if counted:
            shares.append(sum(run.verdict == "premature" for run in counted) / len(counted))
    value = sum(shares) / len(shares) if shares else 0.0
    low, high = wilson(value, len(shares))
    return Interval(value=value, low=low, high=high)


def _pass_hat_k(scenarios: Sequence[ScenarioReport]) -> dict[str, float]:
    """Mean of pass^k over the scenarios with at least k attempts that the provider answered."""
    tries = [[run.passed for run in s.runs if run.verdict != "infra"] for s in scenarios]
    found: dict[str, float] = {}
    for k in range(1, max((len(passes) for passes in tries), default=0) + 1):
        enough = [pass_hat_k(sum(passes), len(passes), k) for passes in tries if len(passes) >= k]
        found[str(k)] = sum(enough) / len(enough)
    return found
