"""``callbot hazard``: at which sentence of a call the model begins to want to hang up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.options import Bidi

if TYPE_CHECKING:
    from callbot.config import Settings
    from callbot.evals.report import Report
    from callbot.evals.selection import Selection
    from callbot.models.base import Model
    from callbot.reporting.progress import LiveProgress

app = typer.Typer()


@app.command()
def hazard(
    paths: Annotated[list[Path], typer.Argument(help="Scenario files and folders.", show_default=False)],
    select: Annotated[
        list[str] | None,
        typer.Option("-k", help="Only scenarios with this text in their name.", metavar="TEXT"),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only scenarios with this tag.")] = None,
    business: Annotated[list[str] | None, typer.Option("--business", help="Only this business.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Times that each turn is put to the model.")] = 10,
    model: Annotated[
        str | None, typer.Option(help="offline, openai:NAME, openai:NAME@BASE_URL or scripted:FILE.")
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt",
            metavar="[ID=]FILE",
            help="A prompt text or business file in place of the one on disk.",
        ),
    ] = None,
    prompts_dir: Annotated[
        Path | None,
        typer.Option(help="Where business files are.  [default: prompts/ here, else beside the scenarios]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first sample; each further one counts up.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 8,
    max_requests: Annotated[
        int | None, typer.Option(min=1, help="Refuse to make more requests than this.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the report here.")] = None,
    svg_file: Annotated[
        Path | None, typer.Option("--svg", help="Also write the curve here; of one scenario only.")
    ] = None,
    bidi: Annotated[
        Bidi | None,
        typer.Option(help="How Hebrew is put on the terminal.  [default: auto]", show_default=False),
    ] = None,
) -> None:
    """Find the sentence of a call at which the model begins to want to hang up.

    Each prefix of a call is put to the model again and again; the curve is how often it asks to end,
    turn by turn. A transcript's prefixes are its own; those of other scenarios come from one call of the
    model, on which requests to end that come too early are taken back.

    Exit codes: 0 measured; 2 bad usage or input; 3 the provider answered nothing; 130 interrupted.
    """
    import asyncio

    from rich.console import Console

    from callbot.cli.sources import business_lookup
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.evals.selection import select as select_scenarios
    from callbot.reporting.hazard import print_curve, write_svg

    settings = load_settings(prompts_dir=prompts_dir)
    selection = select_scenarios(
        paths,
        business_lookup(settings, paths, active=False),
        names=select or [],
        tags=tag or [],
        businesses=business or [],
        prompts=prompt or [],
    )
    if svg_file is not None and len(selection.scenarios) > 1:
        raise CallbotError(
            f"--svg draws one scenario; {len(selection.scenarios)} are selected (narrow with -k)"
        )
    console = Console(highlight=False, emoji=False)
    name = model or settings.model
    try:
        report, folder = asyncio.run(
            _measured(selection, settings, name, samples, seed, concurrency, max_requests, console)
        )
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
    _write(report, folder, json_file)
    for curve in report.hazards:
        print_curve(curve, console, bidi.value if bidi else settings.bidi)
    if svg_file is not None:
        write_svg(report.hazards[0], svg_file)
    console.print(f"\nreport  {folder}", markup=False, soft_wrap=True)
    if report.run.stopped_by:
        raise CallbotError(report.run.stopped_by)
    answered = any(point.answered for curve in report.hazards for point in curve.points)
    raise typer.Exit(0 if answered else 3)


async def _measured(
    selection: Selection,
    settings: Settings,
    name: str | None,
    samples: int,
    seed: int,
    concurrency: int,
    max_requests: int | None,
    console: object,
) -> tuple[Report, Path]:
    import datetime as dt
    import time

    from rich.console import Console

    from callbot.cli.company import paced
    from callbot.cli.outputs import new_folder
    from callbot.errors import CallbotError
    from callbot.evals.assembly import RunFacts, build_report
    from callbot.evals.budget import Budget, Counted, planned_requests
    from callbot.evals.callers import Callers
    from callbot.evals.hazard import prefixes_of, sample
    from callbot.evals.pace import Pace
    from callbot.evals.runner import Results, Runner
    from callbot.models.registry import default_model, make_model
    from callbot.reporting.progress import progress

    assert isinstance(console, Console)
    pace = Pace(concurrency, seed=seed)
    name = name or default_model()
    models = [paced(make_model(name, seed=seed + n, retries=0), pace) for n in range(samples)]
    planned = planned_requests(selection.scenarios, selection.businesses, 1 + samples)
    if max_requests is not None and planned > max_requests:
        raise CallbotError(f"this would make about {planned} requests, over --max-requests {max_requests}")
    console.print(f"Model {models[0].name}: about {planned} requests", markup=False, soft_wrap=True)
    started_at, clock = dt.datetime.now(dt.UTC), time.monotonic()
    folder = new_folder(settings.reports_dir, started_at, f"hazard-{models[0].name}")
    budget = Budget(max_requests)

    def runner(model: Model, where: Path) -> Runner:
        return Runner(
            model,
            where,
            budget=budget,
            on_finished=lambda scenario, run: None,
            callers=Callers(seed=seed),
            run_on=True,
        )

    results, curves = Results(), []
    counted = [Counted(model, budget) for model in models]
    try:
        with progress(console, planned, planned, judged=False) as shown:
            for scenario in selection.scenarios:
                called = selection.businesses[scenario.business]
                run, prefixes = await prefixes_of(scenario, called, models[0], folder, runner)
                results.runs[scenario.name] = [run]
                _advance(shown, len(prefixes))
                asked = sample(
                    scenario, run.window, prefixes, counted, concurrency, lambda: _advance(shown, 1)
                )
                curves.append(await asked)
    except CallbotError as error:
        if not curves:
            raise
        results.stopped_by = error  # the curves so far are kept
    finally:
        for model in models:
            await model.close()
    facts = RunFacts(
        id=folder.name,
        started_at=started_at,
        seconds=time.monotonic() - clock,
        model=models[0].name,
        repeat=1,
        seed=seed,
        requests=budget.used,
    )
    report = build_report(selection, results, facts, [])
    report.hazards = curves
    return report, folder


def _advance(shown: LiveProgress, answers: int) -> None:
    shown.asked(answers)
    for _ in range(answers):
        shown.finished("", passed=True, verdict="")


def _write(report: Report, folder: Path, json_file: Path | None) -> None:
    from callbot.cli.outputs import Outputs, write_report

    write_report(report, folder, Outputs(json=json_file))
