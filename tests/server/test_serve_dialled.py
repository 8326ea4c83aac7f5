"""Both ends in real time: the simulated carrier rings ``callbot serve``, and its recording says what was heard."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recognition import VOICE
from serving import CLINIC, LEAD, NUMBER, SID, TOKEN, Bot, eventually, free_port

from callbot.carrier.caller import Manners
from callbot.carrier.dialling import Finished, Setting, open_carrier
from callbot.carrier.network import Address
from callbot.carrier.paperwork import Dialled
from callbot.carrier.voice import Voice as CallersVoice
from callbot.evals.scenario import CallerTurn, EndExpect, Expect, Scenario
from callbot.events import Speak, SpeechKind, UserSpoke
from callbot.speech.tts.espeak import EspeakVoice
from callbot.store.database import open_store

PUBLIC = "https://bot.example.com"


class OneAddress:
    """What stands in front of replicas: a port that leads to the first of them that answers."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self._ports:
            with contextlib.suppress(OSError):
                from_bot, to_bot = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            writer.close()
            return
        await asyncio.gather(_pump(reader, to_bot), _pump(from_bot, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    sink.close()


class Spoken:
    """The neural voice, as the carrier wants voices."""

    def __init__(self, speak: Callable[[str], bytes]) -> None:
        self._speak = speak

    async def speak(self, text: str, language: str) -> tuple[bytes, int]:
        """Off the loop: the carrier's clock runs on it."""
        return await asyncio.to_thread(self._speak, text), VOICE.rate


class Robot:
    """espeak, as the carrier wants voices: by the wrapper that other tests of this process speak with.

    The library keeps one state a process; two wrappers of it would take each other's callbacks.
    """

    def __init__(self) -> None:
        self._voice = EspeakVoice.from_spec("espeak:f2")

    async def speak(self, text: str, language: str) -> tuple[bytes, int]:
        """All of it."""
        pieces = [piece async for piece in self._voice.synthesise(text, language)]
        return b"".join(pieces), self._voice.format.rate


def scenario(*turns: str, end: int) -> Scenario:
    """A caller who says these things and is hung up on in turn ``end``."""
    return Scenario(
        name="dialled",
        description="",
        file=Path("dialled.yaml"),
        line=1,
        business="clinic",
        tags=(),
        now=dt.datetime(2026, 11, 29, 10, 0),
        caller_number="+16175550123",
        turns=tuple(CallerTurn(say=turn) for turn in turns),
        expect=Expect(end=EndExpect(turns=[end, end])),
    )


def bot_of(folder: Path, rest: int, **settings: Any) -> Bot:
    """A bot that answers to the public address, and hangs up at the carrier's ``rest`` port."""
    folder.mkdir(exist_ok=True)
    return Bot(folder, f"http://127.0.0.1:{rest}", url=PUBLIC, **settings)


async def ring(who: Scenario, port: int, rest: int, voice: CallersVoice, *, oracle: bool) -> Finished:
    """One call to the bot behind ``port``."""
    setting = Setting(
        Dialled(f"{PUBLIC}/webhook/incoming_call", NUMBER, account=SID, limit_seconds=60),
        TOKEN,
        Address("bot.example.com", ("127.0.0.1", port)),
        rest=("127.0.0.1", rest),
        manners=Manners(pause=0.6, patience=8.0),
        oracle=oracle,
    )
    async with open_carrier(setting, voice) as carrier:
        return await carrier.call(who)


def failed(finished: Finished) -> list[str]:
    """Checks of the recording that do not hold."""
    return [f"{check.name}: {check.detail}" for check in finished.report.checks if not check.passed]


async def test_a_call_holds_up_at_the_callers_ear(tmp_path: Path) -> None:
    """Greeting whole and once, no gap, no dead air, a farewell heard before the one hang-up."""
    rest = free_port()
    bot = await asyncio.to_thread(bot_of(tmp_path / "bot", rest, replies=LEAD).start)
    try:
        who = scenario("I am Dana", "six one seven, five five five, oh one seven seven", end=2)
        finished = await ring(who, bot.port, rest, Robot(), oracle=True)
    finally:
        bot.kill()
    report = finished.report
    assert failed(finished) == []
    assert report.greeting is not None
    assert (report.greeting.share, report.greeting.times) == (1.0, 1)
    assert (report.ending.by, report.ending.rest, report.ending.turn) == ("rest", 1, 2)


async def test_replicas_behind_one_address_hand_a_call_over(tmp_path: Path) -> None:
    """kill -9 in mid-call: the caller hears no second greeting, leaves the lead, and is hung up on once."""
    rest = free_port()
    store_url = f"sqlite:///{tmp_path}/callbot.db"
    bots = []
    for name in ("a", "b"):  # started one after another, or both could choose the same port
        bot = bot_of(tmp_path / name, rest, replies=LEAD, database=store_url)
        bots.append(await asyncio.to_thread(bot.start))
    first, second = bots
    who = scenario("I am Dana", "six one seven, five five five, oh one seven seven", end=2)
    try:
        async with OneAddress(first.port, second.port) as port:
            calling = asyncio.create_task(ring(who, port, rest, Robot(), oracle=True))
            with open_store(store_url) as store:
                await eventually(store.leads.list, 20)
                first.kill()
                finished = await calling
                call_sid = finished.report.call_sid
                lead = store.leads.get(call_sid)
                call = store.calls.get(call_sid)
                spoken = [speak for _, speak in store.calls.load_record(call_sid).of(Speak)]
    finally:
        for bot in bots:
            if bot.process.poll() is None:
                bot.kill()
    report = finished.report
    assert report.greeting is not None
    assert (report.greeting.share, report.greeting.times) == (1.0, 1)
    assert [speak.speech for speak in spoken].count(SpeechKind.RESUME) == 1
    assert lead is not None
    assert lead.fields == {"name": "Dana", "phone": "+16175550177"}
    assert (call.ended_by, call.end_reason) == ("model", "lead_complete")
    assert (report.ending.by, report.ending.rest) == ("rest", 1)


async def test_what_is_really_said_becomes_the_lead(
    tmp_path: Path, whisper: Path, neural_voice: Callable[[str], bytes]
) -> None:
    """An English caller on the telephone, understood by Whisper, answered by the offline model."""
    rest = free_port()
    bot = bot_of(tmp_path / "bot", rest, business=CLINIC, more=("--stt", f"faster-whisper:{whisper}"))
    await asyncio.to_thread(bot.start)
    try:
        who = scenario(
            "My name is Mary Miller. My number is six one seven, five five five, zero one seven seven.",
            "No, that is all, thank you.",
            end=2,
        )
        finished = await ring(who, bot.port, rest, Spoken(neural_voice), oracle=False)
        with open_store(bot.database_url) as store:
            lead = store.leads.get(finished.report.call_sid)
            heard = [said.text for _, said in store.calls.load_record(finished.report.call_sid).of(UserSpoke)]
    finally:
        bot.kill()
    assert lead is not None, heard
    assert lead.fields == {"name": "Mary Miller", "phone": "+16175550177"}, heard
    assert finished.report.ending.by == "rest", failed(finished)
