"""Places calls: what a scenario becomes on the wire, and the report that comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from callbot.carrier.caller import Caller, Manners, Prepared, prepare
from callbot.carrier.faults import Faults
from callbot.carrier.network import Address, Network
from callbot.carrier.outcome import Outcome
from callbot.carrier.paperwork import Dialled
from callbot.carrier.phonecall import PhoneCall
from callbot.carrier.report import AudioReport, Expected, Limits, audio_report
from callbot.carrier.rest import RestApi
from callbot.carrier.sound import save_stereo
from callbot.carrier.voice import Voice
from callbot.errors import CallbotError
from callbot.evals.scenario import CallerTurn, Scenario


@dataclass(frozen=True, slots=True)
class Setting:
    """What all calls of a run share. ``rest``: host and port of the REST API; port 0 takes a free one."""

    dialled: Dialled
    token: str
    address: Address = field(default_factory=Address)
    rest: tuple[str, int] = ("127.0.0.1", 0)
    manners: Manners = field(default_factory=Manners)
    limits: Limits = field(default_factory=Limits)
    oracle: bool = False
    faults: dict[str, float | None] = field(default_factory=dict)
    greeting: bytes | None = None
    farewell: bytes | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that is over."""

    report: AudioReport
    outcome: Outcome


def refuse_unspeakable(scenario: Scenario) -> None:
    """Raise CallbotError for a caller who would have to understand the bot: nothing here hears words."""
    why = ""
    if scenario.transcript is not None:
        why = "is a transcript, whose bot's side is fixed"
    elif scenario.caller is not None or not scenario.turns:
        why = "has a caller who answers what the bot says"
    elif any(turn.when is not None for turn in scenario.turns):
        why = "has turns that wait for words of the bot's (when:)"
    if why:
        raise CallbotError(
            f"{scenario.file}:{scenario.line}: {scenario.name} {why}, and a simulated phone hears sound, "
            "not words; dial scenarios whose turns are said in order"
        )


def end_window(scenario: Scenario) -> tuple[int, int] | None:
    """First and last turn in which the bot should hang up; None if it should not."""
    end = scenario.expect.end
    if end is None:
        return None
    if end.turns is not None:
        return end.turns[0], end.turns[1]
    reached = [n for n, turn in enumerate(scenario.turns, 1) if turn.milestone == end.after]
    first = reached[0] if reached else len(scenario.turns)
    return first, first + (end.within or 0)


class Carrier:
    """A telephone exchange for simulated calls, open while the context ``open_carrier`` is."""

    def __init__(self, setting: Setting, voice: Voice, network: Network, rest: RestApi) -> None:
        self._setting, self._voice, self._network, self._rest = setting, voice, network, rest
        self.rest_url = rest.url

    def with_webhook(self, url: str) -> Carrier:
        """The same exchange, ringing another webhook."""
        return self._dialling(replace(self._setting.dialled, webhook=url))

    def with_fallback(self, url: str) -> Carrier:
        """The same exchange, asking this URL when the webhook fails."""
        return self._dialling(replace(self._setting.dialled, fallback=url))

    def _dialling(self, dialled: Dialled) -> Carrier:
        return Carrier(replace(self._setting, dialled=dialled), self._voice, self._network, self._rest)

    def phone_call(self, caller: Caller, number: str | None = None) -> PhoneCall:
        """A call that is not placed yet. ``number``: the caller's, if it is another than the setting's."""
        setting = self._setting
        return PhoneCall(
            replace(setting.dialled, caller_number=number) if number else setting.dialled,
            caller,
            self._network,
            self._rest,
            faults=Faults(dict(setting.faults)),
            voice=self._voice,
            oracle=setting.oracle,
        )

    async def prepared(self, turns: Iterable[CallerTurn]) -> list[Prepared]:
        """Turns with their sound rendered by this exchange's voice."""
        return await prepare(turns, self._voice)

    async def call(self, scenario: Scenario, attempt: int = 1, wav: Path | None = None) -> Finished:
        """Ring the bot as the scenario's caller. ``wav``: where the recording is saved.

        Raises CallbotError for a caller that cannot be simulated, and what the voice raises; whatever the bot does wrong is in the report.
        """
        refuse_unspeakable(scenario)
        setting = self._setting
        end = end_window(scenario)
        prepared = await self.prepared(scenario.turns)
        caller = Caller(iter(prepared), awaits_end=end is not None, manners=setting.manners)
        call = self.phone_call(caller, scenario.caller_number)
        outcome = await call.run()
        expected = Expected(end, setting.limits, setting.greeting, setting.farewell)
        report = audio_report(scenario.name, attempt, outcome, call.tape, caller, expected)
        if wav is not None:
            save_stereo(wav, call.tape.caller, call.tape.bot)
            report = report.model_copy(update={"wav": str(wav)})
        return Finished(report, outcome)


@contextlib.asynccontextmanager
async def open_carrier(setting: Setting, voice: Voice) -> AsyncIterator[Carrier]:
    """Serve the REST API and hold connections while calls are placed. Raises CallbotError for its port."""
    rest = RestApi(setting.dialled.account, setting.token)
    async with rest.serving(*setting.rest), Network(setting.token, setting.address) as network:
        yield Carrier(setting, voice, network, rest)
