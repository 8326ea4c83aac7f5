"""The work behind ``callbot eval``: run the selection, show it, write it, and give the exit code."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from callbot.cli.announcing import announce
from callbot.cli.baseline import held_against, read_baseline
from callbot.cli.judges import Judges, judge_price
from callbot.cli.outputs import check_writable
from callbot.cli.players import Bot, Players, plugged_model
from callbot.cli.rehearsing import Aloud
from callbot.errors import CallbotError
from callbot.evals.assembly import RunFacts, build_report
from callbot.evals.budget import Budget
from callbot.evals.gate import Threshold, too_much_infra
from callbot.evals.pace import Pace, Paced
from callbot.evals.report import Report, RunReport
from callbot.evals.resume import Earlier, Plan, plan_of, rewrite_runs
from callbot.evals.rounds import run_until_decided
from callbot.evals.runner import Attempt, OnFinished, Results, Runner, Runs
from callbot.evals.scenario import Scenario
from callbot.evals.selection import Selection
from callbot.evals.totals import counterfactual
from callbot.files import write_whole
from callbot.models.base import Model
from callbot.models.cassette import Cassette, parse_cassette
from callbot.models.registry import default_model
from callbot.prices import Price
from callbot.reporting.bidi import Bidi
from callbot.reporting.progress import LiveProgress, progress
from callbot.reporting.terminal import print_report

if TYPE_CHECKING:
    from callbot.cli.cluster import Cluster
    from callbot.rehearsal.studio import Studio

PASSED, GATE_FAILED, TOO_MUCH_INFRA, INTERRUPTED = 0, 1, 3, 130
"""Exit codes; 2, bad usage or input, is what ``main`` makes of a CallbotError."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a report goes beside its own folder."""

    json: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None


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
    _check_outputs(evaluation.outputs)
    baseline = read_baseline(evaluation.baseline, evaluation.selection) if evaluation.baseline else None
    earlier = evaluation.resumed
    price = evaluation.prices.get(model.name)
    plan = _identity(evaluation, model, evaluation.currency if price else None)
    whole = Budget(evaluation.max_requests, max_cost=evaluation.max_cost)
    budget = Budget(price=price, within=whole)
    pace = Pace(evaluation.concurrency, seed=evaluation.seed)
    asked = paced(model, pace)
    players, judges = others_of(evaluation, Bot(model, asked, budget), whole, cassette)
    stage = stage_of(evaluation, model)
    planned = announce(evaluation, model, console)
    started_at, clock = plan.started_at, time.monotonic()
    folder = earlier.folder if earlier else new_folder(evaluation.reports_dir, started_at, model.name)
    plan.write(folder)
    if earlier:
        rewrite_runs(earlier)
    attempts = attempts_of(evaluation)
    with progress(console, len(attempts), planned) as shown:
        show = _shown(shown, budget)
        runner: Runs
        if evaluation.cluster is not None:
            runner = runner_on(evaluation.cluster, evaluation, model.name, folder, budget, pace, show)
        else:
            runner = Runner(
                asked,
                folder,
                budget=budget,
                cassette=cassette,
                callers=players.callers,
                on_finished=show,
                run_on=evaluation.after_ends.run_on,
                judge=judges.judge,
                stage=stage,
            )
        results = asyncio.run(
            _closing(
                [*([stage] if stage else []), model, players, judges],
                run_attempts(runner, attempts, evaluation, evaluation.concurrency),
            )
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
        judge=judges.name,
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


def runner_on(
    cluster: Cluster,
    evaluation: Evaluation,
    model: str,
    folder: Path,
    budget: Budget,
    pace: Pace,
    on_finished: OnFinished,
) -> Runs:
    """Runs attempts on a cluster, into a run's folder here."""
    from callbot.cli.cluster import ClusterRunner
    from callbot.cli.cluster_work import Setup

    setup = Setup(
        run=folder.name,
        model=model,
        caller_model=evaluation.caller_model,
        seed=evaluation.seed,
        concurrency=evaluation.concurrency,
        run_on=evaluation.after_ends.run_on,
        price=budget.price,
        max_requests=evaluation.max_requests,
        max_cost=evaluation.max_cost,
        judge_model=evaluation.judge_model,
        judge_price=judge_price(evaluation.judge_model, evaluation.prices),
        aloud=evaluation.aloud,
    )
    return ClusterRunner(cluster.address, setup, folder, budget=budget, pace=pace, on_finished=on_finished)


def others_of(
    evaluation: Evaluation, bot: Bot, whole: Budget, cassette: Cassette | None
) -> tuple[Players, Judges]:
    """Who plays the callers beside the bot, and who judges the calls. Raises CallbotError."""
    scenarios, seed = evaluation.selection.scenarios, evaluation.seed
    elsewhere = evaluation.cluster is not None
    players = Players(
        evaluation.caller_model,
        bot,
        scenarios,
        seed=seed,
        concurrency=evaluation.concurrency,
        cassette=cassette,
        elsewhere=elsewhere,
    )
    judges = Judges(
        evaluation.judge_model,
        bot,
        scenarios,
        whole=whole,
        prices=evaluation.prices,
        seed=seed,
        concurrency=evaluation.concurrency,
        cassette=cassette,
        elsewhere=elsewhere,
    )
    return players, judges


def attempts_of(evaluation: Evaluation) -> list[Attempt]:
    """Every attempt that was asked for, scenario by scenario."""
    return [
        Attempt(scenario, evaluation.selection.businesses[scenario.business], number)
        for scenario in evaluation.selection.scenarios
        for number in range(1, evaluation.repeat + 1)
    ]


def cassette_of(evaluation: Evaluation) -> Cassette | None:
    """The cassette that answers are kept on, if one is. Raises CallbotError."""
    if evaluation.cassette is None:
        return None
    mode, path = parse_cassette(evaluation.cassette)
    return Cassette.open(path, mode, seed=evaluation.seed)


def model_of(evaluation: Evaluation, cassette: Cassette | None) -> Model:
    """The model to evaluate. Raises CallbotError."""
    reads = cassette is not None and cassette.mode == "read"
    name = evaluation.model_name or (cassette.model_recorded() if cassette and reads else None)
    if name is None and os.environ.get("CI"):
        raise CallbotError(
            "CI is set and no --model is named: name one, so that a lost key does not let the offline model pass"
        )
    name = name or default_model()
    model = plugged_model(
        name, seed=evaluation.seed, cassette=cassette, elsewhere=evaluation.cluster is not None
    )
    if evaluation.changes_prompt and not model.uses_prompt:
        raise CallbotError(
            f"--prompt changes nothing with {model.name}, which does not read prompts; name a --model"
        )
    return model


def stage_of(evaluation: Evaluation, model: Model) -> Studio | None:
    """Where the calls are held aloud here; None: in text, or on a cluster. Raises CallbotError."""
    if evaluation.aloud is None or evaluation.cluster is not None:
        return None
    return evaluation.aloud.stage(evaluation.selection.scenarios, model, evaluation.concurrency)


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


def paced(model: Model, pace: Pace) -> Model:
    """The model, asked at the pace that its provider takes."""
    return Paced(model, pace) if model.latency is None else model


def _check_outputs(outputs: Outputs) -> None:
    """Find out before any request is paid for. Raises CallbotError."""
    check_writable(outputs.json, outputs.junit, outputs.markdown)


def new_folder(reports_dir: Path, started_at: dt.datetime, model: str) -> Path:
    """A folder of its own for a run, made. Raises CallbotError."""
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", model)[:40].strip("-")
    base = f"{started_at:%Y%m%d-%H%M%S}-{short}"
    for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
        folder = reports_dir / (base + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise CallbotError(f"the report folder {folder} cannot be made: {error.strerror}") from error
        return folder
    raise CallbotError(f"too many runs named {base} in {reports_dir}")


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


class _Closable(Protocol):
    async def close(self) -> None: ...


async def _closing(parts: Sequence[_Closable], running: Coroutine[Any, Any, Results]) -> Results:
    try:
        return await running
    finally:
        for part in parts:
            await part.close()


def write_report(report: Report, folder: Path, outputs: Outputs) -> None:
    """Write a run's report into its folder and wherever else it was asked for. Raises CallbotError."""
    from callbot.reporting.html import write_html

    _write_json(report, folder / "report.json")
    write_html(report, folder / "report.html")
    write_copies(report, folder, outputs)


def write_copies(report: Report, folder: Path, outputs: Outputs) -> None:
    """Write a report wherever it was asked for; ``folder``: the run's own. Raises CallbotError."""
    if outputs.json is not None:
        _write_json(report, outputs.json)
    if outputs.junit is not None:
        from callbot.reporting.junit import write_junit

        write_junit(report, outputs.junit)
    if outputs.markdown is not None:
        from callbot.reporting.markdown import write_markdown

        write_markdown(report, outputs.markdown, folder)


def _write_json(report: Report, path: Path) -> None:
    write_whole(path, report.model_dump_json(indent=2, by_alias=True) + "\n")


def exit_code(report: Report) -> int:
    """What a run comes to. Raises the CallbotError that stopped it."""
    if report.run.interrupted:
        return INTERRUPTED
    if report.run.stopped_by is not None:
        raise CallbotError(report.run.stopped_by)
    if not report.gate.passed:
        return GATE_FAILED
    return TOO_MUCH_INFRA if too_much_infra(report.summary) else PASSED
