"""A run as it was stored: its report, or, where it was cut off before it had one, what ran until then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.evals.assembly import OFFLINE, RunFacts, put_together
from callbot.evals.gate import parse_threshold
from callbot.evals.report import Report, RunReport
from callbot.evals.report_files import read_report
from callbot.evals.resume import PLAN, RUNS, Plan, read_plan, read_runs
from callbot.evals.summary import row_of
from callbot.evals.totals import counterfactual
from callbot.files import in_use

REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """A run that was stored. ``folder``: its own; None of a report that lies somewhere alone.

    ``whole``: its report was written when it was over; else it is made of the results so far.
    ``running``: it is still being written.
    """

    report: Report
    folder: Path | None
    whole: bool
    running: bool = False


def stored_run(run: Path, reports_dir: Path) -> Stored:
    """The run of this folder, of this name in ``reports_dir``, or of this report file. Raises CallbotError."""
    path = next((each for each in (run, reports_dir / run) if each.exists()), None)
    if path is None:
        raise CallbotError(f"there is no run {run}, here or in {reports_dir}")
    if path.is_file():
        return Stored(read_report(path), path.parent if path.name == REPORT else None, whole=True)
    report = read_report(path) if (path / REPORT).exists() else None
    runs = read_runs(path / RUNS)
    if report is not None and len(runs) <= sum(len(row.runs) for row in report.scenarios):
        return Stored(report, path, whole=True)  # else it was gone on with, and cut off once more
    if not (path / PLAN).exists():
        found = f"{RUNS}, but no {PLAN}, which says of what" if runs else f"neither {REPORT} nor {RUNS}"
        raise InvalidInput([Problem(path, None, "", f"is no run that can be reported: it holds {found}")])
    return Stored(_made_of(path, runs, report), path, whole=False, running=in_use(path / RUNS))


def _made_of(folder: Path, runs: Mapping[tuple[str, int], RunReport], before: Report | None) -> Report:
    """A report of the results so far. ``before``: the one from before the run was gone on with."""
    plan = read_plan(folder)
    if not plan.facts:
        message = (
            "is of an earlier version and does not say what its scenarios are; callbot eval --resume goes on"
        )
        raise InvalidInput([Problem(folder / PLAN, None, "facts", message)])
    rows = [
        row_of(facts, mine, offline=plan.model == OFFLINE)
        for facts in plan.facts
        if (mine := [run for (name, _), run in runs.items() if name == facts.name])
    ]
    thresholds = [parse_threshold(text) for text in plan.options.get("fail_under", ())]
    report = put_together(rows, plan.prompts, _facts(folder, plan, runs, before), thresholds)
    report.run.interrupted = True
    value, cost = plan.options.get("value_of_lead"), plan.options.get("cost_per_minute")
    if plan.options.get("run_on") or cost is not None:
        report.summary.counterfactual = counterfactual(rows, value_of_lead=value, cost_per_minute=cost)
    return report


def _facts(
    folder: Path, plan: Plan, runs: Mapping[tuple[str, int], RunReport], before: Report | None
) -> RunFacts:
    """What is known of the run. How long it took, and what it waited for, went with it."""
    return RunFacts(
        id=folder.name,
        started_at=plan.started_at,
        seconds=before.run.seconds if before else 0.0,
        model=plan.model,
        repeat=plan.repeat,
        seed=plan.seed,
        requests=sum(len(run.latencies_ms) for run in runs.values()),
        currency=plan.currency,
        stop_early=bool(plan.options.get("stop_early")),
        judge=plan.options.get("judge_model"),
    )
