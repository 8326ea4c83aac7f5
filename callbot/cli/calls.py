"""``callbot calls``: what was said on stored calls, and how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.storing import BusinessOption, DatabaseOption, LimitOption, PromptsOption, SinceOption

if TYPE_CHECKING:
    from pathlib import Path

    from callbot.record import Record
    from callbot.store.calls import CallInfo
    from callbot.store.leads import Lead

app = typer.Typer(no_args_is_help=True, help="Look at stored calls.")


@app.command("list")
def list_(
    business: BusinessOption = None,
    ended_by: Annotated[
        str | None,
        typer.Option(metavar="WHO", help="Only calls ended by model, silence, caller, failure or limit."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only calls with this end reason.")] = None,
    since: SinceOption = None,
    suspect: Annotated[
        bool, typer.Option("--suspect", help="Only calls worth a look, and why; see: callbot calls show.")
    ] = False,
    limit: LimitOption = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    database: DatabaseOption = None,
) -> None:
    """List calls, the newest first.

    With --suspect, those that may have been hung up on wrongly or that went wrong unnoticed: the caller
    was talking at the hang-up (talking) or rang again within 10 minutes of it (redial), the bot ended it
    without a complete lead (no_lead), a request to end was refused (end_refused), the farewell may not
    have been heard (farewell_unheard), the greeting's certificate failed (greeting_failed).
    """
    import json

    from callbot.cli.storing import local, moment, plain, print_table, store_of
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.events import EndedBy

    if ended_by is not None and ended_by not in list(EndedBy):
        raise CallbotError(f'--ended-by: "{ended_by}" is none of {", ".join(EndedBy)}')
    settings = load_settings(database=database)
    with store_of(settings) as store:
        calls = store.calls.list(
            business=business,
            ended_by=ended_by,
            reason=reason,
            since=moment(since),
            suspect=suspect,
            limit=limit,
        )
    if as_json:
        for call in calls:
            typer.echo(json.dumps(plain(call), ensure_ascii=False))
        return
    head = ("call", "started", "business", "line", "caller", "length", "turns", "ended by", "reason", "lead")
    print_table(
        (*head, "suspect") if suspect else head,
        (
            (
                call.id,
                local(call.started_at),
                call.business_id,
                call.line,
                call.caller_number,
                _length(call),
                call.turns,
                call.ended_by,
                call.end_reason,
                call.lead_status,
                *((", ".join(call.tells),) if suspect else ()),
            )
            for call in calls
        ),
        settings.bidi,
    )


@app.command()
def show(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="The call's id, or how it begins.")],
    events: Annotated[bool, typer.Option("--events", help="Every event, command and note too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    database: DatabaseOption = None,
) -> None:
    """Show a call: what was said, what the model wanted, what was captured, how it ended."""
    from callbot.cli.storing import store_of
    from callbot.config import load_settings
    from callbot.recordings import SOUND, files_of

    settings = load_settings(database=database)
    with store_of(settings) as store:
        found = store.calls.find(call_id)
        record = store.calls.load_record(found.id)
        call = _judged(found, record)
        lead = store.leads.get(call.id)
    sound = [path for path in files_of(settings.recordings_dir, call.id) if path.suffix.lower() in SOUND]
    if as_json:
        _print_json(call, record, lead, sound, events=events)
    else:
        _print_call(call, record, lead, sound, settings.bidi, events=events)


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    prompts_dir: PromptsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Remove what was said on calls older than each business keeps it (privacy.keep).

    Transcripts and Records go after keep.transcript, audio files after keep.audio. The calls and their
    leads stay; see: callbot forget. A business that is not known any more keeps what a new one would.
    """
    import dataclasses
    import datetime as dt

    from callbot.business import Privacy
    from callbot.cli.storing import store_of
    from callbot.config import load_settings
    from callbot.lookup import DEFAULT_PROMPTS_DIR, answering_business
    from callbot.recordings import Recorded, recorded_calls, remove

    settings = load_settings(database=database, prompts_dir=prompts_dir)
    folder, now = settings.prompts_dir or DEFAULT_PROMPTS_DIR, dt.datetime.now(dt.UTC)
    with store_of(settings) as store:
        found = recorded_calls(settings.recordings_dir)
        told = store.personal.known([one.call_id for one in found])
        recorded = [
            dataclasses.replace(one, business=call.business, started_at=call.over_at or now)
            if (call := told.get(one.call_id))
            else one
            for one in found
        ]

        def gone(one: Recorded) -> bool:
            """Its caller was forgotten, on a machine that did not see its files."""
            return (call := told.get(one.call_id)) is not None and call.forgotten

        ids = sorted({*store.personal.businesses(), *(one.business or "" for one in recorded)})
        # Every business is read before anything is removed: one that cannot be read removes nothing.
        known = {name: answering_business(name, folder, store) for name in ids}
        for name, business in known.items():
            keep = (business.privacy if business else Privacy()).keep
            mine = [one for one in recorded if (one.business or "") == name]
            calls = store.personal.expired(name, now - keep.transcript_time)
            old = [one for one in mine if gone(one) or one.started_at < now - keep.transcript_time]
            words = [path for one in old for path in one.words]
            loud = [one for one in mine if gone(one) or one.started_at < now - keep.audio_time]
            audio = [path for one in loud for path in one.audio]
            if not dry_run:
                store.personal.purge(calls)
                remove(*words, *audio)
            typer.echo(
                f"{name or '(no business)'}: {'would remove' if dry_run else 'removed'} "
                f"{len(calls)} transcripts and {len(words)} files of them older than {keep.transcript}, "
                f"{len(audio)} audio files older than {keep.audio}"
            )


def _judged(call: CallInfo, record: Record) -> CallInfo:
    """The call with what its Record shows today: one that ended under an older callbot was never judged."""
    import dataclasses

    from callbot.suspicion import Tell, tells_of

    if call.ended_at is None or not record.entries:
        return call
    found = {*call.tells, *tells_of(record, call.ended_by)}
    return dataclasses.replace(call, tells=tuple(tell for tell in Tell if tell in found))


def _length(call: CallInfo) -> str:
    return _clock((call.ended_at - call.started_at).total_seconds()) if call.ended_at else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _print_json(
    call: CallInfo, record: Record, lead: Lead | None, sound: list[Path], *, events: bool
) -> None:
    from pydantic_core import to_json

    from callbot.certificate import greeting_certificate
    from callbot.cli.storing import plain
    from callbot.record import entry_to_json
    from callbot.reporting.transcript import transcript

    data = {
        "call": plain(call),
        "lead": plain(lead) if lead else None,
        "greeting": plain(greeting_certificate(record)),
        "transcript": [plain(line) for line in transcript(record)],
        "sound": [str(path) for path in sound],
    }
    if events:
        data["header"] = record.header
        data["events"] = [entry_to_json(entry) for entry in record.entries]
    typer.echo(to_json(data, indent=2).decode())


def _print_call(
    call: CallInfo, record: Record, lead: Lead | None, sound: list[Path], bidi: str, *, events: bool
) -> None:
    from callbot.certificate import greeting_certificate
    from callbot.cli.storing import local, print_line
    from callbot.reporting.transcript import transcript
    from callbot.suspicion import MEANING

    version = f" version {call.business_version}" if call.business_version is not None else ""
    who = f", from {call.caller_number}" if call.caller_number else ""
    model = f", model {call.model}" if call.model else ""
    print_line(f"{call.id}: {call.business_id}{version}, {call.line}{model}{who}", "logical")
    typer.echo(f"started {local(call.started_at)}\n")
    for line in transcript(record):
        remark = f"  ({line.remark})" if line.remark else ""
        print_line(line.text + remark, bidi, f"{_clock(line.t):>6}  {line.speaker:<6}  ")
    typer.echo("")
    if lead:
        typer.echo(f"lead: {lead.status}")
        for name, value in lead.fields.items():
            print_line(str(value), bidi, f"  {name}: ")
    else:
        typer.echo(f"lead: nothing captured, {call.lead_status}")
    if record.entries:
        print_line(f"greeting: {greeting_certificate(record)}", bidi)
    else:
        typer.echo("what was said is not kept, or not yet")
    for path in sound:
        typer.echo(f"recorded: {path}")
    typer.echo(_ending(call))
    if call.tells:
        typer.echo(f"suspect: {'; '.join(MEANING[tell] for tell in call.tells)}")
    if events:
        _print_events(record)


def _ending(call: CallInfo) -> str:
    if call.ended_at is None:
        return "not ended: it is still going on, or broke off"
    by = f"ended by {call.ended_by}" if call.ended_by else "broke off"
    reason = f", {call.end_reason}" if call.end_reason else ""
    return f"{by}{reason}, after {_length(call)} and {call.turns} turns"


def _print_events(record: Record) -> None:
    from pydantic_core import to_json

    from callbot.record import entry_to_json

    typer.echo("")
    for entry in record.entries:
        typer.echo(to_json(entry_to_json(entry)).decode())
