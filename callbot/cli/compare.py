"""``callbot compare``: two runs of the same scenarios, pair by pair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callbot.cli.options import Bidi

app = typer.Typer()


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="The run before: its folder, or its report.json.")],
    b: Annotated[Path, typer.Argument(help="The run on trial.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the comparison here.")] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Write Markdown here, what flipped first.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write a page here, transcripts side by side.")
    ] = None,
    bidi: Annotated[
        Bidi | None,
        typer.Option(help="How Hebrew is put on the terminal.  [default: auto]", show_default=False),
    ] = None,
) -> None:
    """Compare two runs of the same scenarios: what flipped, and whether it can be chance.

    Exit codes: 0 no significant loss; 1 B passes significantly less than A, or a critical scenario that
    held in A fails in B; 2 bad usage or input, or runs of different scenarios.
    """
    from callbot.cli.comparing import ComparisonOutputs, show_comparison
    from callbot.config import load_settings
    from callbot.evals.report_files import read_report

    settings = load_settings()
    outputs = ComparisonOutputs(json_file, markdown_file, html_file)
    outputs.check()
    mode = bidi.value if bidi else settings.bidi
    code = show_comparison(read_report(a), read_report(b), outputs, mode, a_is=str(a), b_is=str(b))
    raise typer.Exit(code)
