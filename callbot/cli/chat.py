"""``callbot chat``: a call by text, with what the model decided shown as it happens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callbot.cli.options import Bidi

app = typer.Typer()


@app.command()
def chat(
    business: Annotated[
        str | None,
        typer.Argument(help="Business id; may be left out if there is only one.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="offline, openai:NAME, openai:NAME@BASE_URL or scripted:FILE.")
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option(
            help="Model that answers when the first one fails.  [default: offline behind an openai model]"
        ),
    ] = None,
    caller: Annotated[
        str | None,
        typer.Option("--from", metavar="NUMBER", help="The caller's number, such as +972541112233."),
    ] = None,
    prompts_dir: Annotated[
        Path | None, typer.Option(help="Where business files are.  [default: prompts/ here]")
    ] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.", metavar="URL")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show only what is said.")] = False,
    bidi: Annotated[
        Bidi | None,
        typer.Option(help="How Hebrew is put on the terminal.  [default: auto]", show_default=False),
    ] = None,
) -> None:
    """Talk to the bot by text: the greeting first, then turn by turn until the call ends.

    What is printed counts as heard, and time stands still. Type /silence 9 to let it pass,
    /interrupt to cut into the next reply, /press 1 to press a key, /hangup to leave. The Record, the
    call and the lead are saved.
    """
    from callbot.cli.conversation import Conversation, hold
    from callbot.config import load_settings

    settings = load_settings(
        database=database,
        prompts_dir=prompts_dir,
        model=model,
        fallback=fallback,
        bidi=bidi.value if bidi else None,
    )
    hold(Conversation(business, caller, quiet, settings))
