"""``callbot numbers``: point the account's phone numbers at this bot, and have something behind it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.storing import DatabaseOption, PromptsOption

if TYPE_CHECKING:
    from callbot.server.numbers import Number

app = typer.Typer(no_args_is_help=True, help="Point the Twilio account's phone numbers at this bot.")


class Language(StrEnum):
    """What the fallback speaks."""

    he = "he"
    en = "en"


@app.command()
def sync(
    public_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The address that Twilio reaches the bot by, as for serve."),
    ] = None,
    fallback_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the file of callbot numbers fallback is kept, on another server.  "
            "[default: leave what is set]",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show what differs; exits with 1 if something does."),
    ] = False,
    prompts_dir: PromptsOption = None,
    database: DatabaseOption = None,
    twilio_api_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask a simulated carrier instead of Twilio.")
    ] = None,
) -> None:
    """Set the voice webhook, status callback and fallback of the numbers that businesses claim.

    Shows what each setting was before it is changed. Numbers that no business claims are left alone.
    TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN come from the environment. Exits with 1 if a claimed
    number is not in the account or belongs to a SIP trunk.
    """
    import os
    from contextlib import ExitStack

    from callbot.cli.storing import store_of
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.lookup import DEFAULT_PROMPTS_DIR
    from callbot.store.engine import database_exists

    settings = load_settings(
        public_url=public_url, prompts_dir=prompts_dir, database=database, twilio_api_url=twilio_api_url
    )
    try:
        import twilio  # noqa: F401 - the message names what is missing

        from callbot.server import options as checked
        from callbot.server.numbers import Account, claimed_numbers, wanted_settings
    except ModuleNotFoundError as error:
        raise CallbotError(
            f'numbers needs {error.name}; install it with: pip install "callbot[serve]"'
        ) from error
    url = checked.public_url(settings.public_url, who="numbers sync")
    if fallback_url is not None and not fallback_url.startswith("https://"):
        raise CallbotError(f'--fallback-url: "{fallback_url}" must begin with https://')
    account = Account(
        checked.credentials(os.environ, who="numbers sync"),
        api_url=checked.api_url(settings.twilio_api_url),
    )
    with ExitStack() as stack:
        there = database_exists(settings.database)
        store = stack.enter_context(store_of(settings)) if there else None
        claimed = claimed_numbers(store, settings.prompts_dir or DEFAULT_PROMPTS_DIR)
    if not claimed:
        raise CallbotError("no business claims a phone number; give one phone_numbers")
    plan = account.plan(claimed, wanted_settings(url, fallback_url))
    for number in plan.numbers:
        _show(number)
        if number.changes and not number.on_trunk and not dry_run:
            account.apply(number)
            typer.echo("  changed")
    for missing, business in plan.missing.items():
        typer.echo(f"{missing} ({business}): is not in this account")
    if plan.unclaimed:
        typer.echo(f"{plan.unclaimed} more in the account, which no business claims: left alone")
    differs = dry_run and any(number.changes for number in plan.numbers)
    if differs or plan.missing or any(number.on_trunk for number in plan.numbers):
        raise typer.Exit(1)


def _show(number: Number) -> None:
    head = f"{number.number} ({number.business}):"
    if number.on_trunk:
        typer.echo(f"{head} belongs to a SIP trunk, which answers it; left alone")
        return
    typer.echo(f"{head} {'differs' if number.changes else 'as it should be'}")
    for change in number.changes:
        typer.echo(f"  {change.setting}: {change.found or 'nothing'} -> {change.wanted or 'nothing'}")


@app.command()
def fallback(
    language: Annotated[Language, typer.Option("--language", help="What it is said in.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output.")
    ] = None,
) -> None:
    """Write a static TwiML file that apologises and hangs up, for when the bot cannot be reached.

    Keep it on another server than the bot's, over https, served as text/xml, and give its address to
    callbot numbers sync --fallback-url.
    """
    from callbot.errors import CallbotError
    from callbot.files import write_whole

    try:
        import twilio  # noqa: F401 - the message names what is missing

        from callbot.server.numbers import fallback_twiml
    except ModuleNotFoundError as error:
        raise CallbotError(
            f'numbers needs {error.name}; install it with: pip install "callbot[serve]"'
        ) from error
    document = fallback_twiml(language) + "\n"
    if output is None:
        typer.echo(document.encode(), nl=False)
    else:
        write_whole(output, document)
