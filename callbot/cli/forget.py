"""``callbot forget``: a caller asks that nothing be known of them any more."""

from __future__ import annotations

from typing import Annotated

import typer

from callbot.cli.storing import DatabaseOption

app = typer.Typer()


@app.command()
def forget(
    phone: Annotated[str, typer.Argument(metavar="PHONE", help="Their number, such as +972521234567.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: DatabaseOption = None,
) -> None:
    """Forget a caller: remove what is stored of the calls from a number, and of those whose lead names it.

    What was said, the lead, what waits to be delivered, and files of the call are removed for good. The
    call itself stays, without who called: when, how it ended, how many turns. Files are removed on this
    machine; on others that recorded the caller, by the same command or the next ``callbot calls purge``.
    """
    from callbot.cli.storing import store_of
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.fields import phone_e164
    from callbot.recordings import recorded_calls, remove

    number = phone_e164(phone, "ZZ")
    if number is None:
        raise CallbotError(f'"{phone}" is no number with its country, such as +972521234567')
    settings = load_settings(database=database)
    with store_of(settings) as store:
        traces = store.personal.traces(number)
        recorded = recorded_calls(settings.recordings_dir)
        known = store.personal.known([one.call_id for one in recorded])
        forgotten = {call_id for call_id, call in known.items() if call.forgotten}
        files = [
            path
            for one in recorded
            if one.call_id in {*traces.calls, *forgotten} or one.caller_number == number
            for path in one.files
        ]
        if not traces.calls and not files:
            typer.echo(f"nothing is known of {number}")
            return
        found = (
            f"{_many(len(traces.calls), 'call')}: {_many(traces.entries, 'event')}, "
            f"{_many(traces.leads, 'lead')}, {_many(traces.deliveries, 'delivery', 'deliveries')}, "
            f"{_many(len(files), 'file')}"
        )
        if not yes:
            typer.confirm(f"{number}: {found}. Remove them for good?", abort=True)
        store.personal.forget(number)
        remove(*files)
    typer.echo(f"removed of {found}")
    if traces.delivered:
        told = _many(traces.delivered, "lead")
        typer.echo(f"{told} had been delivered to the business's webhook, which must forget them itself")


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"
