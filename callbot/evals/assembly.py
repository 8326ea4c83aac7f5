"""Puts a finished run together into one Report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from callbot import __version__
from callbot.evals.gate import Threshold, judge
from callbot.evals.repeats import certain_attempts
from callbot.evals.report import PromptUsed, Report, RunHeader, ScenarioReport
from callbot.evals.runner import Results
from callbot.evals.selection import Selection
from callbot.evals.summary import scenario_report, summarise

OFFLINE = "offline"
"""The model for which scenarios tagged ``beyond-offline`` are excused."""


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
    judge: str | None = None
    """The model that judged ``judge:`` lines; None if none did."""


def build_report(
    selection: Selection, results: Results, facts: RunFacts, thresholds: Sequence[Threshold]
) -> Report:
    """The Report of a run; scenarios that never ran are left out."""
    rows = [
        scenario_report(
            scenario,
            results.runs[scenario.name],
            language=selection.businesses[scenario.business].language,
            offline=facts.model == OFFLINE,
        )
        for scenario in selection.scenarios
        if scenario.name in results.runs
    ]
    report = put_together(rows, selection.prompts_used(), facts, thresholds)
    report.run.interrupted = results.interrupted
    report.run.stopped_by = str(results.stopped_by) if results.stopped_by else None
    return report


def put_together(
    rows: list[ScenarioReport],
    prompts: list[PromptUsed],
    facts: RunFacts,
    thresholds: Sequence[Threshold],
) -> Report:
    """The Report of these scenarios: their sum and the gate."""
    summary = summarise(rows, attempts=certain_attempts(facts.repeat) if facts.stop_early else None)
    header = RunHeader(
        id=facts.id,
        started_at=facts.started_at.isoformat(timespec="seconds"),
        model=facts.model,
        prompts=prompts,
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
        judge=facts.judge,
    )
    return Report(run=header, summary=summary, gate=judge(summary, rows, thresholds), scenarios=rows)
