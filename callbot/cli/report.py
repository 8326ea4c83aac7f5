"""``callbot report``: a stored run, shown and written once more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.options import Bidi

if TYPE_CHECKING:
    from rich.console import Console

    from callbot.evals.stored import Stored
    from callbot.reporting.bidi import Bidi as Order

app = typer.Typer()


@app.command()
def report(
    run: Annotated[
        Path, typer.Argument(help="A run: its folder, its name in reports/, or a report file.", metavar="RUN")
    ],
    html_file: Annotated[Path | None, typer.Option("--html", help="Also write the page here.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the report here.")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write Markdown here, what flipped first.")
    ] = None,
    reports_dir: Annotated[
        Path | None, typer.Option(help="Where runs are kept.  [default: reports/]", show_default=False)
    ] = None,
    bidi: Annotated[
        Bidi | None,
        typer.Option(help="How Hebrew is put on the terminal.  [default: auto]", show_default=False),
    ] = None,
) -> None:
    """Show a stored run again: on the terminal, as its page, and in every other form.

    The page report.html is written anew into the run's folder. Nothing is asked or judged again. A run
    that was cut off before it had a report, or is still running, is told by the results so far.

    Exit codes: as of the run itself. 0 its gate holds; 1 it does not; 2 bad usage or input, or an error
    stopped the run; 3 more than 10% of its runs, or judge: lines, had no answer; 130 it was cut off.
    """
    from rich.console import Console

    from callbot.cli.evaluation import exit_code
    from callbot.cli.outputs import Outputs, check_writable, write_copies
    from callbot.config import load_settings
    from callbot.evals.stored import stored_run
    from callbot.reporting.html import write_html

    settings = load_settings(reports_dir=reports_dir)
    check_writable(html_file, json_file, junit_file, markdown_file)
    stored = stored_run(run, settings.reports_dir)
    folder = stored.folder or run.parent
    for page in (stored.folder and stored.folder / "report.html", html_file):
        if page is not None:
            write_html(stored.report, page, folder)
    write_copies(stored.report, folder, Outputs(json_file, junit_file, markdown_file))
    _print(stored, Console(highlight=False), bidi.value if bidi else settings.bidi)
    raise typer.Exit(exit_code(stored.report))


def _print(stored: Stored, console: Console, bidi: Order) -> None:
    from callbot.cli.score import print_observed
    from callbot.reporting.hazard import print_curve
    from callbot.reporting.terminal import print_report

    if not stored.whole:
        why = "is still running" if stored.running else "was cut off before it had a report"
        console.print(f"{stored.folder} {why}: these are its results so far", markup=False, soft_wrap=True)
    if stored.report.observed is not None:
        print_observed(stored.report, stored.folder)
        return
    for curve in stored.report.hazards:
        print_curve(curve, console, bidi)
    print_report(stored.report, console, bidi, stored.folder)
