"""``callbot mutate-suite``: plant faults in a good model, and see which scenarios notice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from callbot.evals.selection import Selection
    from callbot.evals.suite import SuiteResult
    from callbot.models.base import Model

app = typer.Typer()

NAMES_SHOWN = 3


@app.command()
def mutate_suite(
    paths: Annotated[list[Path], typer.Argument(help="Scenario files and folders.", show_default=False)],
    select: Annotated[
        list[str] | None,
        typer.Option("-k", help="Only scenarios with this text in their name.", metavar="TEXT"),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only scenarios with this tag.")] = None,
    business: Annotated[list[str] | None, typer.Option("--business", help="Only this business.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Plant only this fault.  [default: each of them]")
    ] = None,
    model: Annotated[str, typer.Option(help="The good model that is spoilt.")] = "offline",
    prompts_dir: Annotated[
        Path | None,
        typer.Option(help="Where business files are.  [default: prompts/ here, else beside the scenarios]"),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 8,
    max_requests: Annotated[
        int | None, typer.Option(min=1, help="Refuse to make more requests than this.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
) -> None:
    """Plant faults in a good model and see which scenarios notice.

    A suite that lets a bad bot pass says nothing when a good one passes. Each fault is run through
    every scenario once; it is caught by those that the good model passes and the spoilt one fails.

    Exit codes: 0 every fault was caught; 1 one was not; 2 bad usage or input, or the provider failed;
    130 interrupted.
    """
    from rich.console import Console

    from callbot.cli.sources import business_lookup
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.evals.selection import select as select_scenarios
    from callbot.evals.suite import Interrupted
    from callbot.models.mutants import FAULTS

    unknown = [name for name in fault or () if name not in FAULTS]
    if unknown:
        raise CallbotError(f'--fault: unknown fault "{unknown[0]}"; known: {", ".join(FAULTS)}')
    settings = load_settings(prompts_dir=prompts_dir)
    selection = select_scenarios(
        paths,
        business_lookup(settings, paths, active=False),
        names=select or [],
        tags=tag or [],
        businesses=business or [],
    )
    console = Console(highlight=False, emoji=False)
    try:
        result = _measure(
            selection, fault or list(FAULTS), model, settings.reports_dir, concurrency, max_requests, console
        )
    except Interrupted:
        raise typer.Exit(130) from None
    _show(result, console)
    if json_file is not None:
        _write(result, json_file)
    raise typer.Exit(0 if result.passed else 1)


def _measure(
    selection: Selection,
    faults: list[str],
    model_name: str,
    reports_dir: Path,
    concurrency: int,
    max_requests: int | None,
    console: Console,
) -> SuiteResult:
    import asyncio
    import datetime as dt

    from callbot.cli.outputs import new_folder
    from callbot.errors import CallbotError
    from callbot.evals.budget import Budget, planned_requests
    from callbot.evals.report import RunReport
    from callbot.evals.suite import FaultResult, caught, run_once, suite_result
    from callbot.models.mutants import FAULTS, MutantModel
    from callbot.models.registry import make_model
    from callbot.reporting.progress import progress

    count = len(selection.scenarios)
    planned = planned_requests(selection.scenarios, selection.businesses, 1 + len(faults))
    if max_requests is not None and planned > max_requests:
        raise CallbotError(f"this would make about {planned} requests, over --max-requests {max_requests}")
    console.print(
        f"Model {model_name}, once as it is and once with each of {len(faults)} faults: "
        f"{count * (1 + len(faults))} runs, about {planned} requests",
        markup=False,
        soft_wrap=True,
    )
    folder = new_folder(reports_dir, dt.datetime.now(dt.UTC), "mutate-suite")
    budget = Budget(max_requests)
    with progress(console, count * (1 + len(faults)), planned) as shown:

        def run(model: Model, name: str) -> dict[str, RunReport]:
            async def session() -> dict[str, RunReport]:
                try:
                    return await run_once(
                        model,
                        selection,
                        folder / name,
                        budget=budget,
                        concurrency=concurrency,
                        on_finished=lambda scenario, run: shown.finished(
                            scenario.name, passed=run.verdict != "infra", verdict=run.verdict
                        ),
                    )
                finally:
                    await model.close()

            return asyncio.run(session())

        good = run(make_model(model_name), "good")
        results = []
        for fault in faults:
            spoilt = run(MutantModel(fault, make_model(model_name)), fault)
            results.append(FaultResult(fault, FAULTS[fault].what, caught(good, spoilt)))
    if all(run.verdict == "infra" for run in good.values()):
        raise CallbotError(f"the provider answered no run: {next(iter(good.values())).detail}")
    return suite_result(good, results)


def _show(result: SuiteResult, console: Console) -> None:
    from rich.table import Table

    usable = result.scenarios - len(result.unusable)
    table = Table(box=None, pad_edge=False)
    for name in ("fault", "caught by", "noticed from", "for example"):
        table.add_column(name, overflow="fold", no_wrap=name != "for example")
    for fault in result.faults:
        names = ", ".join(fault.caught_by[:NAMES_SHOWN]) + (
            " ..." if len(fault.caught_by) > NAMES_SHOWN else ""
        )
        share = fault.smallest_share
        table.add_row(
            fault.fault,
            f"{len(fault.caught_by)} of {usable}",
            f"{share:.1%}" if share is not None else "-",
            names or "NOT CAUGHT: write a scenario in which it " + fault.what,
        )
    console.print(table)
    if result.unusable:
        console.print(
            f"\n{len(result.unusable)} scenarios the good model fails itself, so they tell nothing: "
            f"{', '.join(result.unusable[:NAMES_SHOWN])}{' ...' * (len(result.unusable) > NAMES_SHOWN)}",
            markup=False,
            soft_wrap=True,
        )
    console.print(
        "\nnoticed from: the share of calls in which a fault must strike so that one run of the suite "
        "notices it with 95% probability",
        soft_wrap=True,
    )
    missed = [fault.fault for fault in result.faults if not fault.caught_by]
    shares = [fault.smallest_share for fault in result.faults if fault.smallest_share is not None]
    if missed:
        console.print(f"FAIL  {len(missed)} of {len(result.faults)} faults not caught: {', '.join(missed)}")
    else:
        console.print(
            f"PASS  all {len(result.faults)} faults caught; the smallest regression that the suite is sure "
            f"to notice strikes in {max(shares):.1%} of the calls",
            soft_wrap=True,
        )


def _write(result: SuiteResult, path: Path) -> None:
    import json

    from callbot.files import write_whole

    data = {
        "scenarios": result.scenarios,
        "unusable": list(result.unusable),
        "passed": result.passed,
        "idle": result.idle,
        "faults": [
            {
                "fault": fault.fault,
                "what": fault.what,
                "caught_by": list(fault.caught_by),
                "smallest_share": fault.smallest_share,
            }
            for fault in result.faults
        ],
    }
    write_whole(path, json.dumps(data, ensure_ascii=False, indent=2) + "\n")
