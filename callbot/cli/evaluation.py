"""The work behind ``callbot eval``: run the selection, show it, write it, and give the exit code."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from callbot.cli.announcing import announce
from callbot.cli.baseline import held_against, read_baseline
from callbot.cli.company import Company, cassette_of, model_of
from callbot.cli.outputs import Outputs, new_folder, write_report
from callbot.cli.rehearsing import Aloud
from callbot.errors import CallbotError
from callbot.evals.assembly import RunFacts, build_report
from callbot.evals.budget import Budget
from callbot.evals.gate import Threshold, too_much_infra
from callbot.evals.pace import Pace
from callbot.evals.report import Report, RunReport
from callbot.evals.resume import Earlier, Plan, plan_of, rewrite_runs
from callbot.evals.rounds import run_until_decided
from callbot.evals.runner import Attempt, Results, Runs
from callbot.evals.scenario import Scenario
from callbot.evals.selection import Selection
from callbot.evals.totals import counterfactual
from callbot.models.base import Model
from callbot.prices import Price
from callbot.reporting.bidi import Bidi
from callbot.reporting.progress import LiveProgress, progress
from callbot.reporting.terminal import print_report

if TYPE_CHECKING:
    from callbot.cli.cluster import Cluster

PASSED, GATE_FAILED, TOO_MUCH_INFRA, INTERRUPTED = 0, 1, 3, 130
"""Exit codes; 2, bad usage or input, is what ``main`` makes of a CallbotError."""


@dataclass(frozen=True, slots=True)
class AfterEnds:
    """What is made of bad ends: whether calls run on after premature ones, and what leads and minutes cost."""

    run_on: bool = False
    value_of_lead: float | None = None
    cost_per_minute: float | None = None

    def __post_init__(self) -> None:
        """Leads can be counted as lost only on calls that ran on."""
        if self.value_of_lead is not None and not self.run_on:
            raise CallbotError(
                "--value-of-lead needs --continue: only a call that runs on shows what was lost"
            )

    def add_up(self, report: Report) -> None:
        """Put what bad ends cost into the report, if it was asked for."""
        if self.run_on or self.cost_per_minute is not None:
            report.summary.counterfactual = counterfactual(
                report.scenarios, value_of_lead=self.value_of_lead, cost_per_minute=self.cost_per_minute
            )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one ``callbot eval`` was asked for."""

    selection: Selection
    model_name: str | None
    repeat: int
    seed: int
    concurrency: int
    max_requests: int | None
    max_cost: float | None
    prices: Mapping[str, Price]
    currency: str
    cassette: str | None
    """``MODE:FILE``."""
    thresholds: Sequence[Threshold]
    changes_prompt: bool
    reports_dir: Path
    outputs: Outputs
    bidi: Bidi
    stop_early: bool = False
    """Make no more attempts at a scenario whose majority is decided."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What was given on the command line, to go on with the run later."""
    resumed: Earlier | None = None
    """The run to go on with."""
    caller_model: str | None = None
    """Plays persona callers; None: the model that is evaluated."""
    judge_model: str | None = None
    """Answers the ``judge:`` lines; None: nobody does."""
    baseline: Path | None = None
    """An earlier run that this one must not do worse than."""
    after_ends: AfterEnds = AfterEnds()
    cluster: Cluster | None = None
    """Where it runs, if not here."""
    aloud: Aloud | None = None
    """How calls are held if not in text."""


def list_scenarios(selection: Selection) -> None:
    """One scenario a line: name, business, tags, file."""
    console = Console(highlight=False, soft_wrap=True)
    for scenario in selection.scenarios:
        tags = f"  [{', '.join(scenario.tags)}]" if scenario.tags else ""
        console.print(
            f"{scenario.name}  {scenario.business}{tags}  {scenario.file}:{scenario.line}", markup=False
        )
    console.print(f"{len(selection.scenarios)} scenarios", markup=False)


def run_evaluation(evaluation: Evaluation) -> int:
    """Run it and return the exit code. Raises CallbotError for what cannot be run at all."""
    console = Console(highlight=False, emoji=False)  # openai:m: is a model's name
    cassette = cassette_of(evaluation)
    model = model_of(evaluation, cassette)
    evaluation.outputs.check()
    baseline = read_baseline(evaluation.baseline, evaluation.selection) if evaluation.baseline else None
    earlier = evaluation.resumed
    price = evaluation.prices.get(model.name)
    plan = _identity(evaluation, model, evaluation.currency if price else None)
    whole = Budget(evaluation.max_requests, max_cost=evaluation.max_cost)
    budget = Budget(price=price, within=whole)
    pace = Pace(evaluation.concurrency, seed=evaluation.seed)
    company = Company(evaluation, model, pace, budget, whole, cassette)
    planned = announce(evaluation, model, console)
    started_at, clock = plan.started_at, time.monotonic()
    folder = earlier.folder if earlier else new_folder(evaluation.reports_dir, started_at, model.name)
    plan.write(folder)
    if earlier:
        rewrite_runs(earlier)
    attempts = attempts_of(evaluation)
    with progress(console, len(attempts), planned) as shown:
        runner = company.runner(evaluation, folder, budget, _shown(shown, budget))
        results = asyncio.run(
            company.dismissed_after(run_attempts(runner, attempts, evaluation, evaluation.concurrency))
        )
    facts = RunFacts(
        id=folder.name,
        started_at=started_at,
        seconds=time.monotonic() - clock + (earlier.seconds if earlier else 0.0),
        model=model.name,
        repeat=evaluation.repeat,
        seed=evaluation.seed,
        requests=budget.used + (earlier.requests if earlier else 0),
        currency=evaluation.currency if price else None,
        spent=budget.spent + (earlier.spent if earlier else 0.0) if price else None,
        refusals=pace.refusals,
        waited=pace.waited,
        stop_early=evaluation.stop_early,
        judge=company.judge_name,
    )
    if cassette is not None:
        complete = not results.interrupted and results.stopped_by is None
        console.print(f"Cassette {cassette.save(complete=complete)}", markup=False, soft_wrap=True)
    report = build_report(evaluation.selection, results, facts, evaluation.thresholds)
    evaluation.after_ends.add_up(report)
    if baseline is not None:
        report = held_against(baseline, report, folder, console, evaluation.bidi)
    write_report(report, folder, evaluation.outputs)
    print_report(report, console, evaluation.bidi, folder)
    return exit_code(report)


def attempts_of(evaluation: Evaluation) -> list[Attempt]:
    """Every attempt that was asked for, scenario by scenario."""
    return [
        Attempt(scenario, evaluation.selection.businesses[scenario.business], number)
        for scenario in evaluation.selection.scenarios
        for number in range(1, evaluation.repeat + 1)
    ]


def _identity(evaluation: Evaluation, model: Model, currency: str | None) -> Plan:
    """What this run is. Raises CallbotError if it is not the one to go on with."""
    earlier = evaluation.resumed
    plan = plan_of(
        evaluation.selection,
        model=model.name,
        seed=evaluation.seed,
        repeat=evaluation.repeat,
        options=evaluation.options,
        started_at=earlier.plan.started_at if earlier else dt.datetime.now(dt.UTC),
        currency=currency,
    )
    if earlier and (changes := earlier.plan.changes(plan)):
        raise CallbotError(
            f"--resume: {earlier.folder} is another run: {'; '.join(changes)}. "
            "Results of both in one report would mean nothing; run without --resume"
        )
    return plan


def _shown(shown: LiveProgress, budget: Budget) -> Callable[[Scenario, RunReport], None]:
    def finished(scenario: Scenario, run: RunReport) -> None:
        shown.asked(budget.used - shown.sent)
        shown.finished(scenario.name, None if run.verdict == "infra" else run.passed, run.verdict)

    return finished


async def run_attempts(
    runner: Runs, attempts: Sequence[Attempt], evaluation: Evaluation, concurrency: int
) -> Results:
    """Run attempts, all of them or until each scenario is decided; not those of a run gone on with."""
    done = evaluation.resumed.done if evaluation.resumed else {}

    async def run(some: Sequence[Attempt]) -> Results:
        results = await runner.run([each for each in some if each.place not in done], concurrency)
        for attempt in some:
            if attempt.place in done:
                results.runs.setdefault(attempt.scenario.name, []).append(done[attempt.place])
        return results

    if evaluation.stop_early:
        return await run_until_decided(attempts, evaluation.repeat, run)
    return await run(attempts)


def exit_code(report: Report) -> int:
    """What a run comes to. Raises the CallbotError that stopped it."""
    if report.run.interrupted:
        return INTERRUPTED
    if report.run.stopped_by is not None:
        raise CallbotError(report.run.stopped_by)
    if not report.gate.passed:
        return GATE_FAILED
    return TOO_MUCH_INFRA if too_much_infra(report.summary) else PASSED
