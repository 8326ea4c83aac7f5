"""``callbot label``: mark by keyboard when each call should have ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.options import Bidi
from callbot.cli.storing import PromptsOption

if TYPE_CHECKING:
    from callbot.config import Settings
    from callbot.evals.transcripts import Transcript

app = typer.Typer()


@app.command()
def label(
    file: Annotated[Path, typer.Argument(help="Transcripts, JSON lines, such as callbot import writes.")],
    business: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="The business whose end reasons are offered.  [default: the calls' own]"
        ),
    ] = None,
    prompts_dir: PromptsOption = None,
    bidi: Annotated[
        Bidi | None,
        typer.Option(help="How Hebrew is put on the terminal.  [default: auto]", show_default=False),
    ] = None,
) -> None:
    """Mark by keyboard when each call should have ended.

    Up and down (or k and j) point at what the caller said; Enter marks that the call is over after
    it, a digit says why. o: it should have stayed open; u: undo; n and p: next and previous call;
    q: quit. Every mark is saved at once; the next time begins with the first call without one.
    """
    import sys

    from callbot.cli.labelling import run_screen
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.evals.labelling import Labelling
    from callbot.evals.transcripts import read_transcripts, write_transcripts

    calls = [line.call for line in read_transcripts(file)]
    settings = load_settings(prompts_dir=prompts_dir, bidi=bidi.value if bidi else None)
    reasons = _reasons(calls, business, settings)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CallbotError("callbot label is used by keyboard and needs a terminal; here is none")
    state = Labelling(calls, lambda marked: write_transcripts(marked, file))
    run_screen(state, reasons, settings.bidi)
    typer.echo(f"{state.done} of {len(calls)} calls are labelled in {file}")


def _reasons(calls: list[Transcript], business: str | None, settings: Settings) -> list[str]:
    """The end reasons to choose from: those that every business has, the business's, those of the calls."""
    from callbot.business import BUILT_IN_REASONS
    from callbot.lookup import UnknownBusiness, find_business

    found = list(BUILT_IN_REASONS)
    for name in [business] if business else sorted({call.business for call in calls if call.business}):
        try:
            found.extend(find_business(name, settings.prompts_dir, settings.database).reasons)
        except UnknownBusiness:
            if business:
                raise
    for call in calls:
        found.extend(call.end_reason)
        if call.observed and call.observed.reason:
            found.append(call.observed.reason)
    return list(dict.fromkeys(found))
