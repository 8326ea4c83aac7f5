"""Puts a finished run together into one Report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from callbot import __version__
from callbot.evals.checks import matches_any
from callbot.evals.fingerprints import fingerprint
from callbot.evals.gate import Threshold, judge
from callbot.evals.repeats import certain_attempts
from callbot.evals.report import Report, RunHeader, ScenarioReport
from callbot.evals.runner import Results
from callbot.evals.scenario import Scenario
from callbot.evals.selection import Selection
from callbot.evals.summary import scenario_report, summarise


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run was, beside its results. ``seconds``: how long it took.

    ``currency``: of costs, None without a price; ``spent``: what the run's own requests cost.
    ``refusals``: requests refused because the provider takes no more for a while; ``waited``: seconds.
    """

    id: str
    started_at: dt.datetime
    seconds: float
    model: str
    repeat: int
    seed: int
    requests: int
    currency: str | None = None
    spent: float | None = None
    refusals: int = 0
    waited: float = 0.0
    stop_early: bool = False


def build_report(
    selection: Selection, results: Results, facts: RunFacts, thresholds: Sequence[Threshold]
) -> Report:
    """The Report of a run; scenarios that never ran are left out."""
    rows = [
        _row(scenario, selection, results, facts)
        for scenario in selection.scenarios
        if scenario.name in results.runs
    ]
    summary = summarise(rows, attempts=certain_attempts(facts.repeat) if facts.stop_early else None)
    header = RunHeader(
        id=facts.id,
        started_at=facts.started_at.isoformat(timespec="seconds"),
        model=facts.model,
        prompts=selection.prompts_used(),
        repeat=facts.repeat,
        seed=facts.seed,
        callbot=__version__,
        seconds=facts.seconds,
        requests=facts.requests,
        currency=facts.currency,
        spent=facts.spent,
        refusals=facts.refusals,
        waited_seconds=facts.waited,
        stop_early=facts.stop_early,
        interrupted=results.interrupted,
        stopped_by=str(results.stopped_by) if results.stopped_by else None,
    )
    return Report(run=header, summary=summary, gate=judge(summary, rows, thresholds), scenarios=rows)


def _row(scenario: Scenario, selection: Selection, results: Results, facts: RunFacts) -> ScenarioReport:
    row = scenario_report(
        scenario,
        results.runs[scenario.name],
        language=selection.businesses[scenario.business].language,
        offline=facts.model == "offline",
    )
    fields = [
        matches_any(run.lead.get(name), wanted)
        for run in row.runs
        if run.verdict != "infra"
        for name, wanted in scenario.expect.lead.items()
    ]
    return row.model_copy(update={"sha256": fingerprint(scenario), "lead_fields": (sum(fields), len(fields))})
