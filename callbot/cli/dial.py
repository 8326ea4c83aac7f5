"""``callbot dial``: ring a Twilio bot as a simulated carrier and report what a caller would have heard."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from callbot.carrier.faults import describe_faults, parse_faults
from callbot.cli.calling import (
    ACCOUNT,
    NOT_REACHED,
    REST,
    checked_number,
    checked_url,
    dial_extra,
    host_and_port,
    token_given,
)
from callbot.cli.outputs import check_writable
from callbot.errors import CallbotError

if TYPE_CHECKING:
    from callbot.carrier.dialling import Carrier, Setting
    from callbot.carrier.voice import Voice
    from callbot.evals.scenario import Scenario
    from callbot.evals.selection import BusinessLookup

app = typer.Typer()


@app.command(epilog=f"Faults, each with the number it takes if none is given:\n\n{describe_faults()}")
def dial(
    webhook: Annotated[
        str, typer.Argument(help="The bot's webhook for incoming calls.", metavar="WEBHOOK_URL")
    ],
    paths: Annotated[
        list[Path], typer.Argument(help="Scenario files and folders.", metavar="SCENARIO", show_default=False)
    ],
    select: Annotated[
        list[str] | None,
        typer.Option("-k", help="Only scenarios with this text in their name.", metavar="TEXT"),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Calls for each scenario, one after another.")] = 1,
    to: Annotated[
        str | None,
        typer.Option(help="The number dialled.  [default: the business's first]", show_default=False),
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="TWILIO_AUTH_TOKEN", help="Auth token that signs what is sent.")
    ] = None,
    account: Annotated[
        str, typer.Option(envvar="TWILIO_ACCOUNT_SID", help="Account that the call belongs to.")
    ] = ACCOUNT,
    connect: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where the webhook's host really is: signed for the public URL, sent there without TLS.",
        ),
    ] = None,
    rest: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where the bot finds Twilio's REST API, to hang up."),
    ] = REST,
    oracle: Annotated[
        bool,
        typer.Option("--oracle", help="Tell the bot the caller's words, for bots that recognise nothing."),
    ] = False,
    greeting: Annotated[
        Path | None,
        typer.Option(help="Recording of a greeting that the bot streams.", exists=True, dir_okay=False),
    ] = None,
    farewell: Annotated[
        Path | None,
        typer.Option(help="Recording of the bot's last words.", exists=True, dir_okay=False),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME[:NUMBER]", help="Make something go wrong, of the list below."),
    ] = None,
    fallback: Annotated[str | None, typer.Option(metavar="URL", help="Asked when the webhook fails.")] = None,
    status_callback: Annotated[
        str | None, typer.Option(metavar="URL", help="Told when the call has ended.")
    ] = None,
    pause: Annotated[
        float, typer.Option(min=0.1, help="Seconds of quiet after which the caller takes the bot to be done.")
    ] = 0.8,
    max_greeting: Annotated[int, typer.Option(help="Milliseconds until the greeting begins.")] = 2000,
    max_answer: Annotated[int, typer.Option(help="Milliseconds until an answer begins (p95).")] = 4000,
    max_dead_air: Annotated[int, typer.Option(help="Milliseconds in which nobody speaks.")] = 6000,
    max_stop: Annotated[int, typer.Option(help="Milliseconds until an interrupted bot is silent.")] = 1000,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for recordings and reports.  [default: reports/dial-<time>]"),
    ] = None,
) -> None:
    """Ring a Twilio bot as a simulated carrier and report what a caller would have heard.

    The webhook is signed and posted as Twilio does, its TwiML obeyed, its socket fed in real time; the
    caller is a scenario, spoken by espeak-ng. Each call leaves a stereo WAV (caller left, bot right) and a
    report. To hang up, the bot's SDK must be pointed here: `client.api.base_url = "http://127.0.0.1:8650"`.

    Exit codes: 0 every check holds; 1 one does not; 2 bad usage or input; 3 the bot cannot be reached.
    """
    faults = parse_faults(fault or [])
    with dial_extra():
        from callbot.carrier.caller import Manners
        from callbot.carrier.dialling import Setting
        from callbot.carrier.network import Address
        from callbot.carrier.paperwork import Dialled
        from callbot.carrier.report import Limits
        from callbot.carrier.sound import load
        from callbot.carrier.voice import EspeakVoice

        voice = EspeakVoice()
    setting = Setting(
        dialled=Dialled(
            checked_url(webhook, "webhook"),
            checked_number(to, "--to") if to else "",
            fallback=checked_url(fallback, "--fallback") if fallback else None,
            status_callback=checked_url(status_callback, "--status-callback") if status_callback else None,
            account=account,
        ),
        token=token_given(token),
        address=Address(
            urlsplit(webhook).netloc.rpartition("@")[2],
            host_and_port(connect, "--connect") if connect else None,
        ),
        rest=host_and_port(rest, "--rest"),
        manners=Manners(pause=pause),
        limits=Limits(max_greeting, max_answer, max_dead_air, max_stop),
        oracle=oracle,
        faults=faults,
        greeting=load(greeting) if greeting else None,
        farewell=load(farewell) if farewell else None,
    )
    scenarios, lookup, folder = _prepared(paths, select or [])
    folder = output or folder
    check_writable(folder / "call.wav")
    calls = _Calls(scenarios, repeat, folder, None if to else lookup)
    raise typer.Exit(asyncio.run(calls.place(setting, voice)))


def _prepared(paths: Sequence[Path], names: Sequence[str]) -> tuple[list[Scenario], BusinessLookup, Path]:
    """The scenarios to call with, where their businesses are found, and where reports go by default."""
    from callbot.carrier.dialling import refuse_unspeakable
    from callbot.cli.sources import business_lookup
    from callbot.config import load_settings
    from callbot.evals.scenario_files import read_scenarios

    settings = load_settings()
    every = read_scenarios(paths)
    chosen = [s for s in every if not names or any(part.casefold() in s.name.casefold() for part in names)]
    if not chosen:
        raise CallbotError(f"no scenario selected: {len(every)} found, none with -k {' or '.join(names)}")
    for scenario in chosen:
        refuse_unspeakable(scenario)
    started = dt.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return chosen, business_lookup(settings, paths, active=False), settings.reports_dir / f"dial-{started}"


@dataclass(frozen=True, slots=True)
class _Calls:
    scenarios: Sequence[Scenario]
    repeat: int
    folder: Path
    lookup: BusinessLookup | None
    """Finds the number to dial; None if it was given."""

    async def place(self, setting: Setting, voice: Voice) -> int:
        """Place every call, one after another. The exit code."""
        from callbot.carrier.dialling import open_carrier

        numbers = {s.business: self._number(s) for s in self.scenarios} if self.lookup else {}
        console = Console(highlight=False, soft_wrap=True)
        passed = True
        for scenario in self.scenarios:
            number = numbers.get(scenario.business, setting.dialled.to)
            dialled = replace(setting.dialled, to=number)
            async with open_carrier(replace(setting, dialled=dialled), voice) as carrier:
                for attempt in range(1, self.repeat + 1):
                    reached, good = await self._call(carrier, scenario, attempt, console)
                    if not reached:
                        return NOT_REACHED
                    passed &= good
        return 0 if passed else 1

    async def _call(
        self, carrier: Carrier, scenario: Scenario, attempt: int, console: Console
    ) -> tuple[bool, bool]:
        from callbot.carrier.table import print_audio_report
        from callbot.files import write_whole

        stem = self.folder / f"{scenario.name}.{attempt}"
        finished = await carrier.call(scenario, attempt, stem.with_name(stem.name + ".wav"))
        if not finished.outcome.reached:
            typer.echo(f"Error: the bot cannot be reached: {finished.outcome.detail}", err=True)
            return False, False
        report = finished.report
        write_whole(
            stem.with_name(stem.name + ".json"), report.model_dump_json(by_alias=True, indent=1) + "\n"
        )
        print_audio_report(report, console)
        return True, report.passed

    def _number(self, scenario: Scenario) -> str:
        """The first number of the business. Raises CallbotError if it has none."""
        assert self.lookup is not None
        business = self.lookup(scenario.business).business
        if not business.phone_numbers:
            raise CallbotError(f"{scenario.business} has no phone_numbers; name the number dialled with --to")
        return business.phone_numbers[0]
