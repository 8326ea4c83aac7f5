"""``callbot eval``: replay scenarios and score whether calls end when they should."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.options import Bidi

if TYPE_CHECKING:
    from callbot.cli.cluster import Cluster

app = typer.Typer()


@app.command()
def evaluate(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Scenario files and folders.", show_default=False)
    ] = None,
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
    last_failed: Annotated[
        bool,
        typer.Option(
            "--last-failed",
            help="Only scenarios that failed in the newest run, or that it was cut off before.",
        ),
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with a run that was cut off, on its own options.", metavar="RUN", show_default=False
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run again what a changed file concerns, until Ctrl-C.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="offline, openai:NAME, openai:NAME@BASE_URL or scripted:FILE."),
    ] = None,
    caller_model: Annotated[
        str | None,
        typer.Option(
            help="Who plays persona callers.  [default: the --model]", metavar="NAME", show_default=False
        ),
    ] = None,
    judge_model: Annotated[
        str | None,
        typer.Option(help="Who judges the judge: lines of scenarios.", metavar="NAME", show_default=False),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt",
            metavar="[ID=]FILE",
            help="A prompt text or business file in place of the one on disk.",
        ),
    ] = None,
    vs: Annotated[
        list[str] | None,
        typer.Option(
            "--vs",
            metavar="[ID=]FILE",
            help="Another prompt to compare with that of --prompt or the one on disk, in the same run.",
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
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Runs at a time.  [default: 8; with --cluster what keeps its threads busy]",
            show_default=False,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Run on the workers of the Dask cluster whose scheduler is there.",
            metavar="ADDRESS",
            show_default=False,
        ),
    ] = None,
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
    run_on: Annotated[
        bool,
        typer.Option(
            "--continue", help="Go on after a premature end, to show which details of the lead it would lose."
        ),
    ] = False,
    value_of_lead: Annotated[
        float | None, typer.Option(min=0, help="With --continue, add up the leads lost at this value.")
    ] = None,
    cost_per_minute: Annotated[
        float | None, typer.Option(min=0, help="Add up the minutes that late ends waste at this cost.")
    ] = None,
    audio: Annotated[
        bool,
        typer.Option("--audio", help="Hold the calls aloud, on virtual time, and judge what callers hear."),
    ] = False,
    tts: Annotated[
        str | None,
        typer.Option(help="With --audio, the bot's voice.  [default: espeak]", show_default=False),
    ] = None,
    stt: Annotated[
        str | None,
        typer.Option(
            help="With --audio, who understands callers.  [default: oracle, which is told their words]",
            show_default=False,
        ),
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

    Exit codes: 0 the gate holds (with --vs: no significant loss); 1 it does not; 2 bad usage or input;
    3 more than 10% of the runs failed at the provider, or of the judge: lines at the judge; 130
    interrupted (what ran is kept; --resume goes on). With --watch, Ctrl-C leaves with the exit code of the last run.
    """
    from callbot.cli.evaluation import AfterEnds, Evaluation, list_scenarios, run_evaluation
    from callbot.cli.outputs import Outputs
    from callbot.cli.rehearsing import Aloud
    from callbot.cli.resuming import Narrowed, given, resumed_call
    from callbot.cli.sources import business_lookup, prompts_folder
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.evals.gate import parse_threshold
    from callbot.evals.selection import Selection, prompt_files
    from callbot.evals.selection import select as select_scenarios
    from callbot.lookup import DEFAULT_PROMPTS_DIR

    settings = load_settings(database=database, prompts_dir=prompts_dir, reports_dir=reports_dir)
    if resume is not None and (call := resumed_call(ctx, resume, settings.reports_dir)):
        return call()
    if not paths:
        ctx.fail("Missing argument 'PATHS...'.")
    if vs:
        of_one = {
            "--fail-under": fail_under,
            "--junit": junit_file,
            "--baseline": baseline,
            "--resume": resume,
            "--watch": watch,
            "--audio": audio,
        }
        if unfit := next((option for option, is_given in of_one.items() if is_given), None):
            raise CallbotError(f"{unfit} is about one run, and --vs makes two; leave one of them out")
    if cluster and cassette:
        raise CallbotError(
            "--cassette is one file on this machine, which a cluster's workers cannot share; "
            "leave out --cassette or --cluster"
        )
    if watch and (resume or list_only):
        raise CallbotError("--watch runs by itself: leave out --resume and --list")
    narrowed = Narrowed.by(settings.reports_dir, last_failed=last_failed, resume=resume)
    if narrowed.is_empty:
        typer.echo(f"No scenario failed in {narrowed.source}")
        return None

    def selected(prompts: Sequence[str] = prompt or ()) -> Selection:
        everything = select_scenarios(
            paths,
            business_lookup(settings, paths, active=active),
            names=select or [],
            tags=tag or [],
            businesses=business or [],
            prompts=prompts,
        )
        return narrowed.of(everything)

    aloud = Aloud(
        audio,
        tts,
        stt,
        clips=settings.recordings_dir / "clips",
        prompts=prompts_folder(settings, paths) or DEFAULT_PROMPTS_DIR,
    )
    if list_only:
        list_scenarios(selected())
        return None

    def prepared() -> Evaluation:
        selection = selected()
        reached = _reached(cluster)
        return Evaluation(
            selection=selection,
            options={**(narrowed.earlier.plan.options if narrowed.earlier else {}), **given(ctx)},
            resumed=narrowed.earlier,
            model_name=model or settings.model,
            caller_model=caller_model,
            judge_model=judge_model,
            repeat=repeat,
            seed=seed,
            concurrency=concurrency or (reached.concurrency if reached else 8),
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
            after_ends=AfterEnds(run_on, value_of_lead, cost_per_minute),
            cluster=reached,
            aloud=aloud,
        )

    if watch:
        from callbot.cli.watching import watch_evaluation

        places = [*paths, prompts_folder(settings, paths) or DEFAULT_PROMPTS_DIR, *prompt_files(prompt or [])]
        raise typer.Exit(watch_evaluation(prepared, places))
    if vs:
        from callbot.cli.versus import run_versus

        raise typer.Exit(run_versus(prepared(), selected(vs)))
    raise typer.Exit(run_evaluation(prepared()))


def _reached(address: str | None) -> Cluster | None:
    if address is None:
        return None
    from callbot.cli.cluster import reach

    return reach(address)
