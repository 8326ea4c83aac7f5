"""``callbot doctor``: what this machine and these settings lack, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.storing import DatabaseOption, PromptsOption

if TYPE_CHECKING:
    from rich.console import Console

    from callbot.doctor.finding import Finding

app = typer.Typer()

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    prompts_dir: PromptsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Find what is missing or broken for the modes that are set up here, and say how to mend it.

    eval and chat are set up where there is a business or a model, talk where callbot[talk] is installed
    too, serve where a public URL or Twilio's credentials are set (such a machine needs no sound card).
    Goes by callbot.toml and CALLBOT_* variables. Keys are told by their names, never their values;
    configured servers are asked what they offer, which costs nothing. Exits with 1 if something that
    is needed is broken; what is not needed is a warning.
    """
    import os

    from callbot.doctor.checks import examine, masked, secrets
    from callbot.doctor.surroundings import read_setup

    setup, findings = read_setup(os.environ, prompts_dir=prompts_dir, database=database)
    hidden = secrets(os.environ, setup)
    found = (masked(finding, hidden) for finding in (*findings, *examine(setup)))
    statuses = _print_json(found) if as_json else _print(found)
    _leave(1 if "fail" in statuses else 0)


def _print_json(found: Iterable[Finding]) -> list[str]:
    import dataclasses
    import json

    checks = [dataclasses.asdict(finding) for finding in found]
    typer.echo(json.dumps({"checks": checks}, ensure_ascii=False, indent=2))
    return [check["status"] for check in checks]


def _print(found: Iterable[Finding]) -> list[str]:
    """Each finding as soon as it is made; in a pipe nothing is wrapped."""
    from rich.console import Console

    console = Console(highlight=False)
    statuses: list[str] = []
    for finding in found:
        statuses.append(finding.status)
        _print_one(console, finding)
    failed, warnings = statuses.count("fail"), statuses.count("warn")
    style = _STYLES["fail" if failed else "warn" if warnings else "ok"]
    console.print(f"\n{len(statuses)} lines: {failed} fail, {warnings} warn", style=style)
    return statuses


def _print_one(console: Console, finding: Finding) -> None:
    from rich.table import Table
    from rich.text import Text

    style, detail = _STYLES[finding.status], _one_line(finding.detail)
    remedy = f"-> {_one_line(finding.remedy)}" if finding.remedy else ""
    if not console.is_terminal:
        console.print(f"{finding.status:<4}  {finding.name}: {detail}", markup=False, soft_wrap=True)
        if remedy:
            console.print(f"      {remedy}", markup=False, soft_wrap=True)
        return
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(no_wrap=True, width=4)
    row.add_column(overflow="fold")
    row.add_row(Text(finding.status, style), Text.assemble((finding.name, "bold"), f": {detail}"))
    if remedy:
        row.add_row("", Text(remedy, style))
    console.print(row)


def _one_line(text: str) -> str:
    """Several problems one after the other, and nothing that steers a terminal."""
    from callbot.reporting.bidi import printable

    return "; ".join(printable(line) for line in text.splitlines() if line.strip())


def _leave(code: int) -> None:
    """End with this code, even if a check that was left to itself would hold up the interpreter's end."""
    import os
    import sys

    from callbot.doctor.bounded import something_hangs

    if something_hangs():
        sys.stdout.flush()
        os._exit(code)
    raise typer.Exit(code)
