"""``callbot load``: many simulated calls at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from callbot.cli.calling import (
    ACCOUNT,
    LOOPBACK,
    NOT_REACHED,
    REST,
    checked_number,
    checked_url,
    dial_extra,
    host_and_port,
    token_given,
)
from callbot.errors import CallbotError

if TYPE_CHECKING:
    from callbot.carrier.dialling import Setting
    from callbot.carrier.load import Figures, LoadReport, Plan
    from callbot.carrier.voice import Voice

app = typer.Typer()

SENTENCES = ["Hello, I would like to book a cleaning, please.", "Next Monday in the morning would be fine."]


@app.command()
def load(
    webhook: Annotated[
        str, typer.Argument(help="The bot's webhook for incoming calls.", metavar="WEBHOOK_URL")
    ],
    calls: Annotated[int, typer.Option(min=1, help="Calls to place.")] = 10,
    rate: Annotated[float, typer.Option(min=0.01, help="Calls begun in a second.")] = 5.0,
    duration: Annotated[float, typer.Option(min=1, help="Seconds that a caller stays.")] = 30.0,
    say: Annotated[
        list[str] | None,
        typer.Option(
            "--say", help="What callers say, over and over; may be given again.  [default: English]"
        ),
    ] = None,
    to: Annotated[str, typer.Option(help="The number dialled.")] = "+97235550100",
    token: Annotated[
        str | None, typer.Option(envvar="TWILIO_AUTH_TOKEN", help="Auth token that signs what is sent.")
    ] = None,
    account: Annotated[
        str, typer.Option(envvar="TWILIO_ACCOUNT_SID", help="Account that the calls belong to.")
    ] = ACCOUNT,
    connect: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where the webhook's host really is; see callbot dial."),
    ] = None,
    rest: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the bot finds Twilio's REST API.")
    ] = REST,
    oracle: Annotated[
        bool,
        typer.Option("--oracle", help="Tell the bot the callers' words, for bots that recognise nothing."),
    ] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Load a bot on another machine than this one.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here.")] = None,
) -> None:
    """Place many simulated calls at once and report percentiles of what the callers heard.

    Exit codes: 0 every call was good; 1 some were not (an error, nothing heard, gaps in sentences); 2 bad
    usage; 3 the bot cannot be reached.
    """
    with dial_extra():
        from callbot.carrier.dialling import Setting
        from callbot.carrier.load import Plan
        from callbot.carrier.network import Address
        from callbot.carrier.paperwork import Dialled
        from callbot.carrier.voice import EspeakVoice

        voice = EspeakVoice()
    target = host_and_port(connect, "--connect") if connect else None
    host = target[0] if target else urlsplit(checked_url(webhook, "webhook")).hostname
    if host not in LOOPBACK and not allow_remote:
        raise CallbotError(f"{host} is not this machine; to load a bot that is yours, add --allow-remote")
    if any(not sentence.strip() for sentence in say or []):
        raise CallbotError("--say holds no words")
    setting = Setting(
        dialled=Dialled(checked_url(webhook, "webhook"), checked_number(to, "--to"), account=account),
        token=token_given(token),
        address=Address(urlsplit(webhook).netloc.rpartition("@")[2], target),
        rest=host_and_port(rest, "--rest"),
        oracle=oracle,
    )
    plan = Plan(calls, rate, duration, tuple(say or SENTENCES))
    raise typer.Exit(asyncio.run(_run(setting, voice, plan, json_file)))


async def _run(setting: Setting, voice: Voice, plan: Plan, json_file: Path | None) -> int:
    from rich.progress import Progress

    from callbot.carrier.dialling import open_carrier
    from callbot.carrier.load import load_report, place_load
    from callbot.files import write_whole

    began = time.monotonic()
    console = Console(highlight=False)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("calls", total=plan.calls)

        def finished(_: Figures) -> None:
            progress.advance(task)

        async with open_carrier(setting, voice) as carrier:
            figures = await place_load(carrier, plan, finished)
    if not any(each.reached for each in figures):
        typer.echo(f"Error: the bot cannot be reached: {figures[0].trouble}", err=True)
        return NOT_REACHED
    report = load_report(figures, time.monotonic() - began)
    if json_file is not None:
        write_whole(json_file, report.model_dump_json(by_alias=True, indent=1) + "\n")
    _print(report, console)
    return 0 if report.good == report.calls else 1


def _print(report: LoadReport, console: Console) -> None:
    table = Table("milliseconds", "p50", "p95", "max", box=None, pad_edge=False)
    for name, values in (
        ("webhook", report.webhook),
        ("first audio", report.first_audio),
        ("answer", report.answer),
        ("this machine's clock late", report.clock_late),
    ):
        shown = ["-" if value is None else str(value) for value in (values.p50, values.p95, values.max)]
        table.add_row(name, *shown)
    console.print(table)
    console.print(
        f"{report.answers} answers, {report.unanswered} turns without one, {report.underruns} gaps in "
        f"sentences, {report.marks} marks; ended by "
        + ", ".join(f"{who} {count}" for who, count in sorted(report.ended_by.items())),
        soft_wrap=True,
    )
    for trouble, count in sorted(report.troubles.items(), key=lambda item: -item[1]):
        console.print(f"{count} calls: {trouble}", style="red", soft_wrap=True)
    console.print(f"{report.good} of {report.calls} calls good, in {report.seconds:.0f} s")
