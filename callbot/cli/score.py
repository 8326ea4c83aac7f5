"""``callbot score``: score endings that were observed elsewhere."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callbot.evals.report import Report

app = typer.Typer()

_SHOWN = 10
"""Calls that ended wrongly, by name; all of them are in the report."""


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="Labelled transcripts with observed endings, JSON lines.")],
    within: Annotated[
        int, typer.Option(min=0, help="Caller turns after the true end in which an ending is on time too.")
    ] = 0,
    fail_under: Annotated[
        list[str] | None,
        typer.Option("--fail-under", metavar="METRIC>=X", help="A condition of the gate; there is no other."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the report here.")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown here.")] = None,
) -> None:
    """Score endings that were observed elsewhere: no model is asked, no business file is needed.

    Each call says when it should have ended (callbot label) and how it did (callbot import --map
    observed=...). Exit codes: 0 the gate holds, or there is none; 1 it does not; 2 bad usage or input.
    """
    from callbot.cli.evaluation import GATE_FAILED, PASSED
    from callbot.cli.outputs import Outputs, check_writable, new_folder, write_report
    from callbot.config import load_settings
    from callbot.evals.gate import parse_threshold, refuse_unreachable
    from callbot.evals.observed import observed_report, observed_scenarios

    thresholds = [parse_threshold(text) for text in fail_under or []]
    scenarios = observed_scenarios(file, within)
    for threshold in thresholds:
        refuse_unreachable(threshold, scenarios, repeat=1)
    check_writable(json_file, junit_file, markdown_file)
    started_at = dt.datetime.now(dt.UTC)
    folder = new_folder(load_settings().reports_dir, started_at, "observed")
    report = observed_report(scenarios, folder, started_at, thresholds)
    write_report(report, folder, Outputs(json_file, junit_file, markdown_file))
    print_observed(report, folder)
    raise typer.Exit(PASSED if report.gate.passed else GATE_FAILED)


_NAMES = {
    "precision": "precision of the endings",
    "recall": "recall of the true ends",
    "premature": "premature, of all calls",
    "late": "late, of calls to end",
    "never": "never ended, of those",
    "wrong_reason": "wrong reason, of those",
}


def print_observed(report: Report, folder: Path | None) -> None:
    """Print the rates of observed endings, and the calls that ended wrongly."""
    from callbot.reporting import view
    from callbot.reporting.bidi import printable

    observed = report.observed
    assert observed is not None, "a report of observed ends has them"
    typer.echo(f"{view.count(len(report.scenarios), 'call')}: {view.verdict_counts(report)}")
    for name, rate in observed.rates.items():
        part, whole = observed.counts[name]
        interval = f"95%: {view.percent(rate.low)} to {view.percent(rate.high)}"
        typer.echo(f"  {_NAMES[name]:<26}{view.percent(rate.value):>7}  {part}/{whole}  ({interval})")
    if report.summary.f1 is not None:
        typer.echo(f"  {'f1':<26}{view.percent(report.summary.f1):>7}")
    if observed.turns_late is not None:
        typer.echo(f"  late by {observed.turns_late:.1f} caller turns on average")
    wrong = [call for call in report.scenarios if not call.passed]
    for call in wrong[:_SHOWN]:
        run = call.runs[0]
        typer.echo(f"  {view.worded(run.verdict):<13}{printable(call.name)}  {printable(run.detail)}")
    if len(wrong) > _SHOWN:
        typer.echo(f"  and {len(wrong) - _SHOWN} more")
    for rule in report.gate.rules:
        typer.echo(f"gate {'holds' if rule.passed else 'fails'}: {rule.name} ({rule.detail})")
    if folder is not None:
        typer.echo(f"report {folder}")
