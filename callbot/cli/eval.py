"""``callbot eval``: replay scenarios and score whether calls end when they should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callbot.cli.options import Bidi

app = typer.Typer()


@app.command()
def evaluate(
    paths: Annotated[list[Path], typer.Argument(help="Scenario files and folders.", show_default=False)],
    select: Annotated[
        list[str] | None,
        typer.Option("-k", help="Only scenarios with this text in their name.", metavar="TEXT"),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only scenarios with this tag.")] = None,
    business: Annotated[
        list[str] | None,
        typer.Option("--business", help="Only this business; also what `business: any` stands for."),
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="List the selected scenarios; run nothing.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="offline, openai:NAME, openai:NAME@BASE_URL or scripted:FILE."),
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
    active: Annotated[
        bool, typer.Option("--active", help="Use the versions active in the database.")
    ] = False,
    database: Annotated[str | None, typer.Option(help="Database URL.", metavar="URL")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Attempts at each scenario.")] = 1,
    stop_early: Annotated[
        bool,
        typer.Option("--stop-early", help="Spare attempts that can change no majority; critical make all."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed passed to models that take one.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 8,
    max_requests: Annotated[
        int | None, typer.Option(min=1, help="Refuse to make more requests than this.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Send no more requests once they have cost this.", metavar="AMOUNT"),
    ] = None,
    cassette: Annotated[
        str | None,
        typer.Option(
            metavar="MODE:FILE",
            help="Keep answers in a file and play them again: write:FILE starts over, read:FILE asks nobody, "
            "fill:FILE asks for what is not there.",
        ),
    ] = None,
    reports_dir: Annotated[
        Path | None, typer.Option(help="Where runs are kept.  [default: reports/]", show_default=False)
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-under",
            metavar="METRIC>=X",
            help="One more condition of the gate; of some scenarios: tag:NAME=all, business:ID>=X.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="A run that this one must not do worse than.", metavar="RUN", show_default=False),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the report here.")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown here.")] = None,
    bidi: Annotated[
        Bidi | None,
        typer.Option(help="How Hebrew is put on the terminal.  [default: auto]", show_default=False),
    ] = None,
) -> None:
    """Replay scenarios and score whether calls end when they should.

    Exit codes: 0 the gate holds; 1 it does not; 2 bad usage or input; 3 more than 10% of the runs
    failed at the provider; 130 interrupted (what ran is kept).
    """
    from callbot.cli.evaluation import Evaluation, Outputs, list_scenarios, run_evaluation
    from callbot.cli.sources import business_lookup
    from callbot.config import load_settings
    from callbot.evals.gate import parse_threshold
    from callbot.evals.selection import select as select_scenarios

    settings = load_settings(database=database, prompts_dir=prompts_dir, reports_dir=reports_dir)
    selection = select_scenarios(
        paths,
        business_lookup(settings, paths, active=active),
        names=select or [],
        tags=tag or [],
        businesses=business or [],
        prompts=prompt or [],
    )
    if list_only:
        list_scenarios(selection)
        return
    evaluation = Evaluation(
        selection=selection,
        model_name=model or settings.model,
        repeat=repeat,
        seed=seed,
        concurrency=concurrency,
        max_requests=max_requests,
        max_cost=max_cost,
        prices=settings.prices,
        currency=settings.currency,
        cassette=cassette,
        thresholds=[parse_threshold(text) for text in fail_under or []],
        changes_prompt=bool(prompt),
        reports_dir=settings.reports_dir,
        outputs=Outputs(json_file, junit_file, markdown_file),
        bidi=bidi.value if bidi else settings.bidi,
        stop_early=stop_early,
        baseline=baseline,
    )
    raise typer.Exit(run_evaluation(evaluation))
