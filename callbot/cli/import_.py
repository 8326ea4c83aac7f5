"""``callbot import``: turn calls of any system into transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callbot.evals.imports import Imported
    from callbot.evals.transcripts import Transcript

app = typer.Typer()

_SHOWN = 3
"""Calls that a dry run shows."""


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An export: JSON lines, a JSON list, CSV or TSV.")],
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="KEY=PATH",
            help="Where something stands: id, speaker, text, turns, business, order, end, end_reason, observed, "
            "observed_reason, observed_by; a column, a key or a JMESPath. Or what something is called: caller=, "
            "bot=, skip=, reason.NAME=.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write here.  [default: FILE's name with .transcripts.jsonl]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the first calls; write nothing.")] = False,
    anonymise: Annotated[
        bool,
        typer.Option("--anonymise", help="Replace phone numbers, e-mails, names, addresses and ID numbers."),
    ] = False,
    region: Annotated[
        str,
        typer.Option(help="Country whose phone numbers are written without a country code.", metavar="CC"),
    ] = "IL",
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of FILE, such as cp1255.  [default: UTF-8, or what its mark says]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Turn calls of any system into transcripts, to label and to evaluate.

    FILE holds one utterance a row, grouped by call, or one call a row with a list of turns:
    --map id=call_id --map speaker=role --map text=content --map caller=user --map bot=agent.
    """
    from callbot.errors import CallbotError
    from callbot.evals.imports import import_calls, parse_map
    from callbot.evals.tabular import read_rows
    from callbot.evals.transcripts import write_transcripts

    target = output or Path(f"{file.stem}.transcripts.jsonl")
    if target.exists() and not (overwrite or dry_run):
        raise CallbotError(
            f"{target} is there already, perhaps with labels in it; name another with -o, or say --overwrite"
        )
    imported = import_calls(read_rows(file, encoding), parse_map(map_ or []), file)
    calls = imported.calls
    if anonymise:
        calls = _anonymised(calls, region)
    if dry_run:
        _show(calls[:_SHOWN])
    else:
        write_transcripts(calls, target)
    _tell(imported, target, dry_run=dry_run)


def _anonymised(calls: list[Transcript], region: str) -> list[Transcript]:
    from callbot.evals.anonymise import Anonymiser, anonymised_transcript

    return [anonymised_transcript(call, Anonymiser(region)) for call in calls]


def _show(calls: list[Transcript]) -> None:
    from callbot.cli.storing import print_line
    from callbot.config import load_settings

    bidi = load_settings().bidi
    for call in calls:
        print_line(call.id, "logical")
        for index, turn in enumerate(call.turns):
            print_line(turn.text, bidi, f"  {index:>3}  {turn.speaker:<6}  ")
        if call.is_labelled:
            typer.echo(f"  should end after turn {call.end_turn}")
        if call.observed:
            ended = call.observed.end_turn
            typer.echo(
                "  did not end" if ended is None else f"  ended in turn {ended}, by {call.observed.by}"
            )
        typer.echo("")


def _tell(imported: Imported, target: Path, *, dry_run: bool) -> None:
    calls = imported.calls
    turns = sum(len(call.turns) for call in calls)
    done = "would be written to" if dry_run else "written to"
    typer.echo(f"{_count(len(calls), 'call')}, {_count(turns, 'turn')} {done} {target}")
    if imported.blank:
        typer.echo(f"left out: {_count(imported.blank, 'turn')} without words or of skipped speakers")
    if imported.silent:
        typer.echo(f"left out: {_count(len(imported.silent), 'call')} in which the caller says nothing")
    if unlabelled := sum(not call.is_labelled for call in calls):
        typer.echo(f"no end is marked in {_count(unlabelled, 'call')}; mark it with: callbot label {target}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
