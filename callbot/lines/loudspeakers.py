"""Half duplex on loudspeakers: while the bot can be heard, a microphone hears it too, and maybe a caller.

A block passes if it is louder than the bot can be at this microphone: its loudest block of late, less
what the way from loudspeaker to microphone takes away, and a margin. That way is a room's, so it is
measured: the gain of each block over the bot, of which nine in ten lie at or below the estimate. It is
learnt fast from the greeting, over which nobody need speak, and then slowly: a caller who interrupts
silences the bot before they are taken for an echo, and a volume that was turned up goes on.
"""

from __future__ import annotations

import audioop
import math
from collections import deque

MARGIN_DB = 6.0
"""Above the echo, by which a voice interrupts."""
FIRST_GAIN_DB = -12.0
"""Of a room, until it is measured: loudspeakers at a talking volume, a microphone an arm's length away."""
QUIETEST_DB, LOUDEST_DB = -40.0, -12.0
"""Of full scale: what passes is louder than the one, however faint the echo, and what is louder than
the other passes, however strong; speech near a microphone lies at -25 to -15."""
ECHO_TAIL_SECONDS = 0.3
"""How long a room sounds on after the bot."""
LEARNING_SECONDS = 2.0
"""Of the bot's sound, in which the room is learnt fast."""
HOLD_SECONDS = 0.1
"""A voice that has passed goes on to do so: the quiet ends of its syllables belong to it."""

_SHARE = 0.9
_FAST_DB, _SLOW_DB = 1.0, 0.1
"""Steps of the estimate, a block."""
_AUDIBLE_DB = -40.0
"""A bot that is fainter tells nothing of the room."""
_MOST_DB = 40.0
"""That a room may take away, or a microphone's amplifier add."""
_SILENCE_DB = -120.0
_FULL_SCALE = 32768.0


class EchoGate:
    """The books of one talk. ``block_seconds`` of sound each time; ``latency``: of the card's output."""

    def __init__(self, block_seconds: float, latency: float) -> None:
        self.gain = FIRST_GAIN_DB
        """Of the way from loudspeaker to microphone, in decibels, as estimated so far."""
        blocks = math.ceil((latency + ECHO_TAIL_SECONDS) / block_seconds)
        self._played: deque[float] = deque(maxlen=blocks)
        self._to_learn = round(LEARNING_SECONDS / block_seconds)
        self._hold, self._held = 1 + round(HOLD_SECONDS / block_seconds), 0

    @property
    def threshold(self) -> float:
        """Decibels of full scale that a block must have to pass now."""
        wanted = max(self._played, default=_SILENCE_DB) + self.gain + MARGIN_DB
        return min(max(wanted, QUIETEST_DB), LOUDEST_DB)

    def passes(self, heard: bytes, played: bytes) -> bool:
        """Take one block of 16-bit sound each way; whether what was heard is more than the bot's echo."""
        self._played.append(_decibels(played))
        bot = max(self._played)
        if bot == _SILENCE_DB:
            return True
        level = _decibels(heard)
        loud = level >= self.threshold
        if bot >= _AUDIBLE_DB and level > _SILENCE_DB:  # a muted microphone tells nothing of the room
            self._learn(level - bot)
        self._held = self._hold if loud else max(0, self._held - 1)
        return self._held > 0

    def _learn(self, gain: float) -> None:
        """Move the estimate towards the value that nine in ten blocks do not exceed."""
        step = _FAST_DB if self._to_learn else _SLOW_DB
        self._to_learn = max(0, self._to_learn - 1)
        moved = self.gain + step * (_SHARE if gain > self.gain else _SHARE - 1)
        self.gain = min(max(moved, -_MOST_DB), _MOST_DB)


def _decibels(block: bytes) -> float:
    level = audioop.rms(block, 2) / _FULL_SCALE
    return 20 * math.log10(level) if level else _SILENCE_DB
