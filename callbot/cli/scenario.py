"""``callbot scenario``: make scenarios from what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.storing import DatabaseOption, PromptsOption

if TYPE_CHECKING:
    from callbot.config import Settings
    from callbot.record import Record

app = typer.Typer(no_args_is_help=True, help="Turn a stored call into a scenario.")


@app.callback()
def _group() -> None:
    """Turn a stored call into a scenario."""


@app.command("from-call")
def from_call(
    call: Annotated[
        str, typer.Argument(metavar="ID", help="The call's id, or how it begins; or the file of its Record.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write here.  [default: the screen]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    prompts_dir: PromptsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Turn a call into a scenario: the caller by script, the end as it happened, marked for review.

    Phone numbers, names, e-mail addresses, streets and long numbers of the caller are replaced, each
    by the same throughout.
    """
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.evals.from_call import scenario_text
    from callbot.files import write_whole
    from callbot.lookup import find_business

    if output is not None and output.exists() and not overwrite:
        raise CallbotError(f"{output} is there already; name another file, or say --overwrite")
    settings = load_settings(database=database, prompts_dir=prompts_dir)
    record = _record(call, settings)
    business = find_business(str(record.header.get("business", "")), settings.prompts_dir, settings.database)
    text = scenario_text(record, business)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_whole(output, text)
    typer.echo(f"written to {output}; review its end, then: callbot eval {output}")


def _record(call: str, settings: Settings) -> Record:
    """A Record by its file, its call's folder among the recordings, or its id in the database."""
    from callbot.cli.storing import store_of
    from callbot.record import read_record

    kept = Path(settings.recordings_dir) / "calls" / call / "record.jsonl"
    for path in (Path(call), Path(call) / "record.jsonl", kept):
        if path.is_file():
            return read_record(path)
    with store_of(settings) as store:
        return store.calls.load_record(store.calls.find(call).id)
