"""The work behind ``callbot eval``: run the selection, show it, write it, and give the exit code."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from callbot.errors import CallbotError
from callbot.evals.assembly import RunFacts, build_report
from callbot.evals.budget import Budget, planned_requests
from callbot.evals.gate import Threshold, refuse_unreachable, too_much_infra
from callbot.evals.pace import Pace, Paced
from callbot.evals.report import Report, RunReport
from callbot.evals.runner import Attempt, Results, Runner
from callbot.evals.scenario import Scenario
from callbot.evals.selection import Selection
from callbot.files import write_whole
from callbot.models.base import Model
from callbot.models.registry import default_model, make_model
from callbot.reporting.bidi import Bidi
from callbot.reporting.progress import LiveProgress, progress
from callbot.reporting.terminal import print_report

PASSED, GATE_FAILED, TOO_MUCH_INFRA, INTERRUPTED = 0, 1, 3, 130
"""Exit codes; 2, bad usage or input, is what ``main`` makes of a CallbotError."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a report goes beside its own folder."""

    json: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one ``callbot eval`` was asked for."""

    selection: Selection
    model_name: str | None
    repeat: int
    seed: int
    concurrency: int
    max_requests: int | None
    thresholds: Sequence[Threshold]
    changes_prompt: bool
    reports_dir: Path
    outputs: Outputs
    bidi: Bidi


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
    console = Console(highlight=False)
    model = _model(evaluation)
    _check_outputs(evaluation.outputs)
    planned = _plan(evaluation, model, console)
    started_at, clock = dt.datetime.now(dt.UTC), time.monotonic()
    folder = _new_folder(evaluation.reports_dir, started_at, model.name)
    budget = Budget(evaluation.max_requests)
    attempts = [
        Attempt(scenario, evaluation.selection.businesses[scenario.business], number)
        for scenario in evaluation.selection.scenarios
        for number in range(1, evaluation.repeat + 1)
    ]
    pace = Pace(evaluation.concurrency, seed=evaluation.seed)
    with progress(console, len(attempts), planned) as shown:
        results = asyncio.run(_run(_paced(model, pace), folder, budget, attempts, evaluation.concurrency, shown))
    facts = RunFacts(
        id=folder.name,
        started_at=started_at,
        seconds=time.monotonic() - clock,
        model=model.name,
        repeat=evaluation.repeat,
        seed=evaluation.seed,
        requests=budget.used,
        refusals=pace.refusals,
        waited=pace.waited,
    )
    report = build_report(evaluation.selection, results, facts, evaluation.thresholds)
    _write(report, folder, evaluation.outputs)
    print_report(report, console, evaluation.bidi, folder)
    return _exit_code(report, results)


def _model(evaluation: Evaluation) -> Model:
    name = evaluation.model_name
    if name is None and os.environ.get("CI"):
        raise CallbotError(
            "CI is set and no --model is named: name one, so that a lost key does not let the offline model pass"
        )
    model = make_model(name or default_model(), seed=evaluation.seed, retries=0)  # its pace tries again
    if evaluation.changes_prompt and not model.uses_prompt:
        raise CallbotError(
            f"--prompt changes nothing with {model.name}, which does not read prompts; name a --model"
        )
    return model


def _paced(model: Model, pace: Pace) -> Model:
    return Paced(model, pace) if model.latency is None else model


def _plan(evaluation: Evaluation, model: Model, console: Console) -> int:
    selection = evaluation.selection
    for threshold in evaluation.thresholds:
        refuse_unreachable(threshold, selection.scenarios, repeat=evaluation.repeat)
    planned = planned_requests(selection.scenarios, selection.businesses, evaluation.repeat)
    limit = evaluation.max_requests
    if limit is not None and planned > limit:
        raise CallbotError(
            f"this would make about {planned} requests, over --max-requests {limit}; "
            "select fewer scenarios (-k, --tag, --business) or lower --repeat"
        )
    why = "" if evaluation.model_name else _why_default(model)
    runs = len(selection.scenarios) * evaluation.repeat
    size = f"{runs} run{'s' * (runs != 1)}, about {planned} request{'s' * (planned != 1)}"
    console.print(f"Model {model.name}{why}: {size}", markup=False, soft_wrap=True)
    return planned


def _check_outputs(outputs: Outputs) -> None:
    """Find out before any request is paid for. Raises CallbotError."""
    for path in (outputs.json, outputs.junit, outputs.markdown):
        if path is None:
            continue
        if path.is_dir():
            raise CallbotError(f"{path} cannot be written: it is a folder")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise CallbotError(f"{path} cannot be written: nothing can be written in {parent}")


def _why_default(model: Model) -> str:
    if model.name == "offline":
        return " (embedded; no --model named and no OPENAI_API_KEY set)"
    return " (OPENAI_API_KEY is set)"


def _new_folder(reports_dir: Path, started_at: dt.datetime, model: str) -> Path:
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


async def _run(
    model: Model,
    folder: Path,
    budget: Budget,
    attempts: Sequence[Attempt],
    concurrency: int,
    shown: LiveProgress,
) -> Results:
    def finished(scenario: Scenario, run: RunReport) -> None:
        shown.asked(budget.used - shown.sent)
        shown.finished(scenario.name, None if run.verdict == "infra" else run.passed, run.verdict)

    try:
        return await Runner(model, folder, budget=budget, on_finished=finished).run(attempts, concurrency)
    finally:
        await model.close()


def _write(report: Report, folder: Path, outputs: Outputs) -> None:
    text = report.model_dump_json(indent=2, by_alias=True) + "\n"
    for path in (folder / "report.json", outputs.json):
        if path is not None:
            write_whole(path, text)
    from callbot.reporting.html import write_transcripts

    write_transcripts(report, folder / "transcripts.html")
    if outputs.junit is not None:
        from callbot.reporting.junit import write_junit

        write_junit(report, outputs.junit)
    if outputs.markdown is not None:
        from callbot.reporting.markdown import write_markdown

        write_markdown(report, outputs.markdown)


def _exit_code(report: Report, results: Results) -> int:
    if results.interrupted:
        return INTERRUPTED
    if results.stopped_by is not None:
        raise results.stopped_by
    if not report.gate.passed:
        return GATE_FAILED
    return TOO_MUCH_INFRA if too_much_infra(report.summary) else PASSED
