"""Half duplex in rooms of every loudness: the bot never hears itself, and a caller gets through."""

from __future__ import annotations

import numpy as np
import pytest
from sound_server import RATE
from talking_project import GREETING, LONG, spoken

from callbot.lines.loudspeakers import LOUDEST_DB, EchoGate

BLOCK = RATE // 50
LATENCY = 0.08


def at(decibels: float, samples: np.ndarray) -> np.ndarray:
    """The same at this level, in decibels of full scale (root mean square)."""
    return samples * 32768 * 10 ** (decibels / 20) / np.sqrt(np.mean(samples**2))


def echo(samples: np.ndarray, decibels: float, delay: float = 0.15) -> np.ndarray:
    """What comes back of the bot: later, weaker, and once more from the wall."""
    gain, late = 10 ** (decibels / 20), round(delay * RATE)
    out = np.zeros(len(samples))
    out[late:] += gain * samples[:-late]
    out[late + RATE // 20 :] += gain / 3 * samples[: -late - RATE // 20]
    return out


def passed(gate: EchoGate, heard: np.ndarray, played: np.ndarray) -> np.ndarray:
    """Which blocks pass."""
    room = np.random.default_rng(1).normal(0, 8, len(played))  # -72 dB: no room is silent
    blocks = [
        [
            np.clip(one[at : at + BLOCK], -32768, 32767).astype("<i2").tobytes()
            for one in (heard + room, played)
        ]
        for at in range(0, len(played) - BLOCK + 1, BLOCK)
    ]
    return np.array([gate.passes(*both) for both in blocks])


@pytest.mark.parametrize("decibels", [-40, -20, -6, 0])
def test_after_the_greeting_the_bot_does_not_hear_itself_and_a_louder_voice_is_heard(decibels):
    """Whatever the room does to the bot's voice; a caller's is fifteen decibels above what comes back, or as loud as can be."""
    gate = EchoGate(BLOCK / RATE, LATENCY)
    greeting, reply = at(-22, spoken(GREETING)), at(-22, spoken(LONG))
    passed(gate, echo(greeting, decibels), greeting)
    assert passed(gate, echo(reply, decibels), reply).mean() < 0.02
    voice = at(max(-36.0, min(-22 + decibels + 15, -9)), spoken(LONG)[: 2 * RATE])
    caller = echo(reply, decibels)
    caller[RATE : 3 * RATE] += voice
    loud = (
        np.abs(voice[: len(voice) // BLOCK * BLOCK].reshape(-1, BLOCK)).max(axis=1) > np.abs(voice).max() / 3
    )
    assert passed(gate, caller, reply)[50:150][: len(loud)][loud].mean() > 0.8


def test_a_volume_that_is_turned_up_in_mid_call_is_learnt_and_a_caller_is_not():
    """An echo that passes goes on as long as the bot speaks; a caller who interrupts silences it."""
    gate = EchoGate(BLOCK / RATE, LATENCY)
    bot = at(-22, np.tile(spoken(LONG), 3))
    passed(gate, echo(bot, -25), bot)
    learnt = gate.gain
    barge_in = at(-15, spoken(LONG)[: RATE // 2])
    passed(gate, barge_in, bot[: len(barge_in)])
    assert gate.gain < learnt + 3
    passed(gate, echo(bot, -8), bot)
    assert passed(gate, echo(bot, -8), bot).mean() < 0.02


def test_somebody_who_speaks_over_the_whole_greeting_can_still_interrupt_by_raising_their_voice():
    """The threshold has an end."""
    gate = EchoGate(BLOCK / RATE, LATENCY)
    greeting = at(-22, spoken(LONG))
    passed(gate, at(-10, spoken(LONG)), greeting)
    assert gate.threshold <= LOUDEST_DB
    assert passed(gate, np.full(BLOCK, 10_000.0), greeting[:BLOCK]).all()


def test_a_muted_microphone_teaches_nothing():
    """Digital silence is no room."""
    gate = EchoGate(BLOCK / RATE, LATENCY)
    bot = (at(-22, spoken(GREETING))).astype("<i2").tobytes()
    before = gate.gain
    for begin in range(0, len(bot) - 2 * BLOCK, 2 * BLOCK):
        assert not gate.passes(bytes(2 * BLOCK), bot[begin : begin + 2 * BLOCK])
    assert gate.gain == before
