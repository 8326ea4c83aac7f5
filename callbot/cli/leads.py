"""``callbot leads``: what callers left, as a list or a file for another program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.storing import BusinessOption, DatabaseOption, LimitOption, PromptsOption, SinceOption

if TYPE_CHECKING:
    from callbot.store.database import Store
    from callbot.store.leads import Lead

app = typer.Typer(no_args_is_help=True, help="List, export and deliver collected leads.")


class Format(StrEnum):
    """What leads are exported as."""

    csv = "csv"
    jsonl = "jsonl"


class Status(StrEnum):
    """How far a lead is."""

    in_progress = "in_progress"
    complete = "complete"
    declined = "declined"


StatusOption = Annotated[Status | None, typer.Option("--status", help="Only leads with this status.")]


@app.command("list")
def list_(
    business: BusinessOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    database: DatabaseOption = None,
) -> None:
    """List leads, the newest first."""
    from callbot.cli.storing import local, moment, print_table, store_of
    from callbot.config import load_settings

    settings = load_settings(database=database)
    with store_of(settings) as store:
        leads = store.leads.list(business=business, status=status, since=moment(since), limit=limit)
    print_table(
        ("call", "created", "business", "status", "caller", "captured"),
        (
            (
                lead.call_id,
                local(lead.created_at),
                lead.business_id,
                lead.status,
                lead.caller_number,
                "; ".join(f"{name}: {value}" for name, value in lead.fields.items()),
            )
            for lead in leads
        ),
        settings.bidi,
    )


@app.command()
def export(
    format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.csv,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output.")
    ] = None,
    business: BusinessOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin a CSV with the mark by which Excel knows UTF-8.")
    ] = False,
    database: DatabaseOption = None,
) -> None:
    """Export leads, the oldest first, as CSV or JSON lines.

    A CSV has a column for every field that any of the leads has. A value that a spreadsheet would
    take for a formula is written behind an apostrophe; phone numbers such as +972521234567 are not.
    """
    from callbot.cli.storing import moment, store_of
    from callbot.config import load_settings
    from callbot.files import write_whole

    with store_of(load_settings(database=database)) as store:
        leads = store.leads.list(business=business, status=status, since=moment(since))[::-1]
    text = _jsonl(leads) if format_ is Format.jsonl else _csv(leads, bom=bom)
    data = text.encode("utf-8", "replace")
    if output is None:
        typer.echo(data, nl=False)
    else:
        write_whole(output, data)
        typer.echo(f"{len(leads)} leads written to {output}", err=True)


@app.command()
def deliveries(
    business: BusinessOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Only those that have not arrived.")] = False,
    limit: LimitOption = 50,
    database: DatabaseOption = None,
) -> None:
    """List what is posted to the businesses' webhooks: what arrived, waits, or was given up, and why."""
    from callbot.cli.storing import local, print_table, store_of
    from callbot.config import load_settings

    settings = load_settings(database=database)
    with store_of(settings) as store:
        found = store.outbox.list(business=business, open_only=open_, limit=limit)
    print_table(
        ("call", "ended", "business", "state", "attempts", "next", "error"),
        (
            (
                one.call_id,
                local(one.created_at),
                one.business_id,
                one.state,
                one.attempts,
                local(one.due_at) if one.due_at else None,
                one.error,
            )
            for one in found
        ),
        settings.bidi,
    )


@app.command()
def deliver(
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Also what waits for a later attempt and what was given up, at once."),
    ] = False,
    business: Annotated[
        str | None, typer.Option("--business", metavar="ID", help="With --retry: only this business.")
    ] = None,
    prompts_dir: PromptsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Post what is due to the businesses' webhooks now, as a running server does by itself.

    Secrets come from the environment variables that deliver.secret_env names. Exits with 1 if
    something did not arrive.
    """
    import asyncio

    from callbot.cli.storing import store_of
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.lookup import DEFAULT_PROMPTS_DIR

    if business is not None and not retry:
        raise CallbotError("--business is for --retry")
    settings = load_settings(database=database, prompts_dir=prompts_dir)
    with store_of(settings) as store:
        arrived, failed = asyncio.run(
            _deliver(store, settings.prompts_dir or DEFAULT_PROMPTS_DIR, business, retry=retry)
        )
    typer.echo(f"{arrived} delivered, {failed} failed")
    if failed:
        raise typer.Exit(1)


async def _deliver(store: Store, folder: Path, business: str | None, *, retry: bool) -> tuple[int, int]:
    """Send until nothing is due any more; how many arrived, and how many did not."""
    import os
    import secrets
    from concurrent.futures import ThreadPoolExecutor

    from callbot.cli.storing import local
    from callbot.server.delivery import Courier

    arrived = failed = 0
    with ThreadPoolExecutor(4) as threads:
        courier = Courier(store, folder, threads, os.environ, f"by-hand:{secrets.token_hex(4)}")
        if retry:
            store.outbox.retry(courier.now(), business)
        while sent := await courier.send_due():
            for one in sent:
                if one.error is None:
                    arrived += 1
                    continue
                failed += 1
                again = f"next attempt {local(one.due_at)}" if one.due_at else "given up"
                typer.echo(f"{one.call_id}: {one.error}; {again}", err=True)
    return arrived, failed


def _jsonl(leads: tuple[Lead, ...]) -> str:
    import json

    from callbot.cli.storing import plain

    return "".join(json.dumps(plain(lead), ensure_ascii=False) + "\n" for lead in leads)


_COLUMNS = ("call_id", "business_id", "status", "caller_number", "created_at", "updated_at")


def _csv(leads: tuple[Lead, ...], *, bom: bool) -> str:
    import csv
    import io

    from callbot.store.leads import field_names

    fields = list(field_names(leads))
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([*_COLUMNS, *(f"field_{name}" if name in _COLUMNS else name for name in fields)])
    for lead in leads:
        known = (
            lead.call_id,
            lead.business_id,
            lead.status,
            lead.caller_number or "",
            lead.created_at.isoformat(),
            lead.updated_at.isoformat(),
        )
        captured = (str(lead.fields.get(name) or "") for name in fields)
        writer.writerow([_harmless(value) for value in (*known, *captured)])
    return ("\ufeff" if bom else "") + table.getvalue()


def _harmless(value: str) -> str:
    """The value, unable to be a formula (OWASP, CSV Injection); E.164 numbers are left as they are."""
    import re

    if re.fullmatch(r"\+[1-9][0-9]{6,14}", value):
        return value
    return f"'{value}" if re.match(r"[\t\r\n]|\s*[=+\-@＝＋－＠]", value) else value
