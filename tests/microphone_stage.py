"""The microphone line on manual time: a card that is pumped, ears that are told words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from twilio_stage import STEP_SECONDS, PlainMouth, ToldEars

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.driver import Dialogue, Driver, ManualClock
from callbot.lines.microphone import Exchange, MicrophoneLine
from callbot.record import Record
from callbot.rules import KEYS_PAUSE
from callbot.sound import PHONE, AudioFormat
from callbot.speech.audio import Converter

CARD = AudioFormat("pcm16", 8000)
BLOCK = bytes(2 * 160)


class PumpedCard:
    """A card whose blocks pass when somebody says so."""

    format = CARD
    latency = 0.04
    hears = False

    def __init__(self) -> None:
        self._exchange: Exchange | None = None
        self.played = bytearray()
        self.closed = False

    def start(self, exchange: Exchange, gone: Any) -> None:
        self._exchange = exchange

    def pass_block(self) -> None:
        """20 ms pass."""
        if self._exchange is not None:
            self.played += self._exchange(BLOCK, ())

    def close(self) -> None:
        self.closed = True


async def hold_call(
    call: Call, dialogue: Dialogue, record: Record, turns: Sequence[dict[str, Any]], greeting: bytes | None
) -> PumpedCard:
    """Hold a call whose caller takes these turns (as a scenario writes them)."""
    clock, card, ears = ManualClock(), PumpedCard(), ToldEars()
    notes: list[ev.Note] = []
    line = MicrophoneLine(card, ears, PlainMouth(), PHONE, Converter, greeting=greeting, note=notes.append)
    driving = asyncio.create_task(Driver(call, line, dialogue, record, clock=clock).run())
    acting = asyncio.create_task(_act(call, clock, card, ears, line, turns))
    async with asyncio.timeout(20.0):
        await driving
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        await line.close()
    return card


async def _act(
    call: Call,
    clock: ManualClock,
    card: PumpedCard,
    ears: ToldEars,
    line: MicrophoneLine,
    turns: Sequence[dict[str, Any]],
) -> None:
    async def callers_turn() -> None:
        while not call.is_quiet:
            card.pass_block()
            if call.phase is Phase.LINGER:
                clock.advance(call.rules.linger)
            await asyncio.sleep(0)

    for turn in turns:
        if "barge_in" in turn:
            await _second_sentence(call, card)
        else:
            await callers_turn()
        match turn:
            case {"say": words}:
                ears.oracle(words)
            case {"noise": _}:
                ears.oracle("")
            case {"press": keys}:
                for key in keys:
                    assert line._emit is not None
                    line._emit(ev.KeyPressed(key))
                await asyncio.sleep(0.001)
                clock.advance(KEYS_PAUSE)
            case {"silence": seconds}:
                for _ in range(round(seconds / STEP_SECONDS)):
                    clock.advance(STEP_SECONDS)
                    await asyncio.sleep(0.001)
                    await callers_turn()
            case {"hang_up": True}:
                line.leave()
        await asyncio.sleep(0.005)
    while True:
        await callers_turn()
        await asyncio.sleep(0.001)


async def _second_sentence(call: Call, card: PumpedCard) -> None:
    """Until the first sentence of a reply was heard, and the second has begun."""
    most = 0
    while most < 2 or len(call.playback.queue) > 1:
        card.pass_block()
        await asyncio.sleep(0)
        most = max(most, len(call.playback.queue))
    for _ in range(5):
        card.pass_block()
        await asyncio.sleep(0)
