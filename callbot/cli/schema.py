"""``callbot schema``: the JSON Schema of each file format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()


class Format(StrEnum):
    """The formats that have a schema."""

    scenario = "scenario"
    business = "business"
    reply = "reply"
    report = "report"
    record = "record"
    transcript = "transcript"
    comparison = "comparison"


@app.command()
def schema(
    format_: Annotated[
        Format,
        typer.Argument(
            metavar="FORMAT",
            help="scenario, business, reply, report, record, transcript or comparison.",
        ),
    ],
    business: Annotated[
        str | None, typer.Option(help="With reply: the business whose contract it is.", metavar="ID")
    ] = None,
    prompts_dir: Annotated[
        Path | None, typer.Option(help="Where business files are.  [default: prompts/ here]")
    ] = None,
) -> None:
    """Print the JSON Schema of a file format (draft 2020-12)."""
    import json

    if format_ is Format.reply:
        found = _reply(business, prompts_dir)
    else:
        from callbot import schemas

        found = getattr(schemas, f"{format_.value}_schema")()
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


def _reply(business: str | None, prompts_dir: Path | None) -> dict[str, Any]:
    from callbot.errors import CallbotError
    from callbot.lookup import find_business
    from callbot.reply import reply_schema

    if business is None:
        raise CallbotError("the reply contract differs between businesses: say --business ID")
    return reply_schema(find_business(business, prompts_dir, None))
