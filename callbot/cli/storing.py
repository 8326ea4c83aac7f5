"""What the commands on the store share: their options, and tables that fit a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import datetime as dt

    from callbot.config import Settings
    from callbot.store.database import Store

DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="Database URL.  [default: sqlite:///callbot.db]"),
]
PromptsOption = Annotated[
    Path | None, typer.Option("--prompts-dir", help="Where business files are.  [default: prompts/ here]")
]
BusinessOption = Annotated[str | None, typer.Option("--business", metavar="ID", help="Only this business.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="WHEN", help="Only from then on: 2026-11-27, 2026-11-27T10:00, or 12h or 7d ago."
    ),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")]


def store_of(settings: Settings, *, create: bool = False) -> Store:
    """The configured store, opened. Raises StoreError; one that does not exist is not made by looking."""
    from callbot.store.database import open_store

    return open_store(settings.database, create=create)


def moment(text: str | None) -> dt.datetime | None:
    """The time that ``--since`` means; without a zone it is local time. Raises CallbotError."""
    import datetime as dt
    import re

    from callbot.errors import CallbotError

    if text is None:
        return None
    if ago := re.fullmatch(r"(\d{1,5})([hd])", text):
        hours = int(ago[1]) * (24 if ago[2] == "d" else 1)
        return dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    try:
        return dt.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise CallbotError(
            f'--since: "{text}" is no time; write 2026-11-27, 2026-11-27T10:00, 12h or 7d'
        ) from error


def local(time: dt.datetime) -> str:
    """A time as lists show it: to the minute, in the zone of whoever looks."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], bidi: str) -> None:
    """A table: drawn on a terminal; in a pipe one row a line, tabs between, nothing cut."""
    import sys

    from callbot.reporting.bidi import for_terminal, printable

    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (head, *cells):
            typer.echo("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold", no_wrap=name == "call")
    for row in cells:
        table.add_row(*(Text(for_terminal(cell, bidi)) for cell in row))  # type: ignore[arg-type]
    Console().print(table)


def print_line(text: str, bidi: str, indent: str = "") -> None:
    """One line of anybody's words, safe for a terminal and in its reading order."""
    from callbot.reporting.bidi import for_terminal, printable

    typer.echo(indent + for_terminal(printable(text), bidi))  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """A dataclass as JSON data, times in ISO 8601."""
    import dataclasses

    from pydantic_core import to_jsonable_python

    return to_jsonable_python(dataclasses.asdict(value))
