"""``callbot eval --prompt A --vs B``: two prompts on the same scenarios at the same time, and which is better.

Both sides run at once and share the provider's pace, so that its good and bad minutes hit both alike.
Each leaves a run folder of its own; the comparison lies in B's.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from callbot.cli.announcing import announce
from callbot.cli.company import Company, cassette_of, model_of
from callbot.cli.comparing import LOSS, NO_LOSS, ComparisonOutputs, write_comparison
from callbot.cli.evaluation import INTERRUPTED, TOO_MUCH_INFRA, Evaluation, attempts_of, run_attempts
from callbot.cli.outputs import Outputs, new_folder, write_report
from callbot.errors import CallbotError
from callbot.evals.assembly import RunFacts, build_report
from callbot.evals.budget import Budget
from callbot.evals.compare import NothingToCompare, compare
from callbot.evals.gate import too_much_infra
from callbot.evals.pace import Pace
from callbot.evals.report import Report, RunReport
from callbot.evals.runner import Results, Runs
from callbot.evals.scenario import Scenario
from callbot.evals.selection import Selection
from callbot.models.base import Model
from callbot.reporting.comparison import Compared
from callbot.reporting.comparison_terminal import print_comparison
from callbot.reporting.progress import LiveProgress, progress


@dataclass(frozen=True, slots=True)
class _Side:
    """One prompt's run."""

    evaluation: Evaluation
    folder: Path
    budget: Budget
    runner: Runs


def run_versus(evaluation: Evaluation, against: Selection) -> int:
    """Run the evaluation's prompts (A) and those of ``against`` (B), compare, and return the exit code.

    Raises CallbotError for what cannot be run at all, or stopped both sides; what ran is kept.
    """
    console = Console(highlight=False, emoji=False)
    cassette = cassette_of(evaluation)
    model = model_of(replace(evaluation, changes_prompt=False), cassette)
    if not model.uses_prompt:
        raise CallbotError(f"--vs compares prompts, and {model.name} does not read them; name a --model")
    _outputs(evaluation).check()
    planned = announce(replace(evaluation, repeat=2 * evaluation.repeat), model, console)  # both sides
    started_at, clock = dt.datetime.now(dt.UTC), time.monotonic()
    price = evaluation.prices.get(model.name)
    whole = Budget(evaluation.max_requests, price=price, max_cost=evaluation.max_cost)
    pace = Pace(evaluation.concurrency, seed=evaluation.seed)
    company = Company(evaluation, model, pace, whole, whole, cassette)
    sides = []
    with progress(console, 2 * len(attempts_of(evaluation)), planned) as shown:
        for name, one in (("a", evaluation), ("b", replace(evaluation, selection=against))):
            folder = new_folder(evaluation.reports_dir, started_at, f"{name}-{model.name}")
            budget = Budget(price=price, within=whole)
            show = partial(_show, shown, whole)
            runner = company.runner(one, folder, budget, show)
            sides.append(_Side(one, folder, budget, runner))
        ran = asyncio.run(company.dismissed_after(_side_by_side(sides)))
    seconds = time.monotonic() - clock
    if cassette is not None:
        complete = not any(results.interrupted or results.stopped_by for results in ran)
        console.print(f"Cassette {cassette.save(complete=complete)}", markup=False, soft_wrap=True)
    reports = [
        _report(side, results, _facts(side, model, company, started_at, seconds))
        for side, results in zip(sides, ran, strict=True)
    ]
    return _conclude(evaluation, sides, ran, reports, console)


def _outputs(evaluation: Evaluation) -> ComparisonOutputs:
    return ComparisonOutputs(evaluation.outputs.json, evaluation.outputs.markdown)


async def _side_by_side(sides: Sequence[_Side]) -> list[Results]:
    """Run both at once, each with half of the concurrency; cancelling it keeps what has finished."""
    running = [
        asyncio.create_task(
            run_attempts(
                side.runner,
                attempts_of(side.evaluation),
                side.evaluation,
                (side.evaluation.concurrency + 1) // 2,
            )
        )
        for side in sides
    ]
    try:
        await asyncio.wait(running)
    except asyncio.CancelledError:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    return [task.result() for task in running]


def _show(shown: LiveProgress, whole: Budget, scenario: Scenario, run: RunReport) -> None:
    shown.asked(whole.used - shown.sent)
    shown.finished(scenario.name, None if run.verdict == "infra" else run.passed, run.verdict)


def _facts(side: _Side, model: Model, company: Company, started_at: dt.datetime, seconds: float) -> RunFacts:
    evaluation = side.evaluation
    priced = side.budget.price is not None
    return RunFacts(
        id=side.folder.name,
        started_at=started_at,
        seconds=seconds,
        model=model.name,
        repeat=evaluation.repeat,
        seed=evaluation.seed,
        requests=side.budget.used,
        currency=evaluation.currency if priced else None,
        spent=side.budget.spent if priced else None,
        stop_early=evaluation.stop_early,
        judge=company.judge_name,
    )


def _report(side: _Side, results: Results, facts: RunFacts) -> Report:
    report = build_report(side.evaluation.selection, results, facts, side.evaluation.thresholds)
    side.evaluation.after_ends.add_up(report)
    write_report(report, side.folder, Outputs())
    return report


def _conclude(
    evaluation: Evaluation,
    sides: Sequence[_Side],
    ran: Sequence[Results],
    reports: Sequence[Report],
    console: Console,
) -> int:
    """Compare what ran, show it, and give the exit code. Raises what stopped a side."""
    folder = sides[1].folder
    console.print(f"Runs {sides[0].folder} and {folder}", markup=False, soft_wrap=True)
    if any(results.interrupted for results in ran):
        console.print("Interrupted: what ran is kept, and nothing is compared")
        return INTERRUPTED
    for results in ran:
        if results.stopped_by is not None:
            raise results.stopped_by
    a, b = reports
    try:
        compared = Compared(compare(a, b), a, b)
    except NothingToCompare as error:
        console.print(f"NO VERDICT  {error}", markup=False, soft_wrap=True)
        return TOO_MUCH_INFRA
    for written in (
        ComparisonOutputs(folder / "comparison.json", html=folder / "comparison.html"),
        _outputs(evaluation),
    ):
        write_comparison(compared, written)
    console.print(f"Comparison {folder / 'comparison.html'}", markup=False, soft_wrap=True)
    print_comparison(compared, console, evaluation.bidi)
    if compared.comparison.loss:
        return LOSS
    return TOO_MUCH_INFRA if any(too_much_infra(report.summary) for report in reports) else NO_LOSS
