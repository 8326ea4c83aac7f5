"""When a caller begins to speak and when they have finished: from voiced frames alone, pure.

How long a silence must be to end an utterance is learnt as TCP learns how long to wait for an
answer (Jacobson 1988; RFC 6298): a smoothed mean of the caller's own pauses, plus four times their
smoothed deviation::

    deviation += (|pause - mean| - deviation) / 4
    mean      += (pause - mean) / 8
    wait       = scale * (mean + 4 * deviation), held between the bounds of what was asked

A pause is a silence of at least 100 ms inside an utterance, or one by which the caller was cut off:
who speaks on within 1.5 s of a supposed end had not finished. Pauses are divided by the scale of
what was asked before they are learnt, so that a number dictated slowly does not slow down the rest
of the call. All times are milliseconds of audio; there is no clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

FRAME_MS = 20
"""One decision of the detector."""

ONSET_MS = 240
"""Voice, within ``ONSET_WITHIN_MS``, that opens speech. Silero smears voice by up to 100 ms: the shortest
words of a telephone call (two, no, כן) last 300 ms to it, a grunt of 100 ms lasts 200."""
CAREFUL_ONSET_MS = 320
"""The same while the bot can be heard: what opens speech then also cuts it."""
ONSET_WITHIN_MS = 480

SHORTEST_PAUSE_MS = 100
"""Shorter silences are part of words (the closure of a stop)."""
RESUMED_WITHIN_MS = 1500
"""Voice this soon after an end belongs to what had been ended."""
LONGEST_MS = 25_000
"""No utterance is longer: recognisers take 30 s (Whisper) to 60 s, and the engine 30 s."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How callers answer one kind of question. ``least`` and ``most``: milliseconds of silence."""

    scale: float
    least: int
    most: int


PATIENCE = {
    "": Patience(1.0, 500, 1200),
    "choice": Patience(0.75, 400, 900),
    "text": Patience(1.0, 500, 1200),
    "time": Patience(1.0, 500, 1200),
    "phone": Patience(2.0, 1100, 2500),
}
"""By type of the field asked for. Answers to a choice are single words; digits come in groups."""


class Edge(Enum):
    """What one frame made certain."""

    BEGAN = "began"
    ENDED = "ended"


class Pauses:
    """The running estimate of a caller's pauses; starts at an unhurried talker's (a wait of 650 ms)."""

    def __init__(self) -> None:
        self.mean, self.deviation = 250.0, 100.0

    def learn(self, pause: float) -> None:
        """Take one more pause."""
        self.deviation += (abs(pause - self.mean) - self.deviation) / 4
        self.mean += (pause - self.mean) / 8

    def wait(self, patience: Patience) -> int:
        """The silence that ends an utterance, for one kind of question."""
        learnt = patience.scale * (self.mean + 4 * self.deviation)
        return round(min(max(learnt, patience.least), patience.most))


class Endpointer:
    """Cuts a stream of 20 ms frames, voiced or not, into utterances.

    ``BEGAN`` and ``ENDED`` alternate. ``open``: between the two. ``silence``: milliseconds since the
    last voiced frame of the open utterance.
    """

    def __init__(self) -> None:
        self.pauses = Pauses()
        self.open = False
        self.silence = 0
        self._patience = PATIENCE[""]
        self._recent: deque[bool] = deque(maxlen=ONSET_WITHIN_MS // FRAME_MS)
        self._length = 0
        self._since_end: int | None = None
        """Milliseconds since the last end's final voice; None once it can no longer be resumed."""

    def expect(self, field_type: str) -> None:
        """What was just asked for; unknown types are waited for like any answer."""
        self._patience = PATIENCE.get(field_type, PATIENCE[""])

    @property
    def wait(self) -> int:
        """The silence that would end the utterance now."""
        return self.pauses.wait(self._patience)

    def hear(self, voiced: bool, *, careful: bool = False) -> Edge | None:
        """The next frame. ``careful``: the bot can be heard, so that an onset would cut it."""
        if self.open:
            return self._within(voiced)
        if self._since_end is not None:
            self._since_end += FRAME_MS
        self._recent.append(voiced)
        if not voiced or self._recent.count(True) * FRAME_MS < (CAREFUL_ONSET_MS if careful else ONSET_MS):
            return None
        self._resumed()
        self.open, self.silence, self._length = True, 0, 0
        return Edge.BEGAN

    def _within(self, voiced: bool) -> Edge | None:
        self._length += FRAME_MS
        if voiced:
            self._learn(self.silence)
            self.silence = 0
        else:
            self.silence += FRAME_MS
        if self.silence < self.wait and self._length < LONGEST_MS:
            return None
        self.open = False
        self._since_end = self.silence
        self._recent.clear()
        return Edge.ENDED

    def _resumed(self) -> None:
        """Speech begins: was the last end none?"""
        if self._since_end is None:
            return
        onset = len(self._recent) - self._recent.index(True)
        gap = self._since_end - onset * FRAME_MS
        self._since_end = None
        if gap <= self.wait + RESUMED_WITHIN_MS:
            self._learn(gap)

    def _learn(self, pause: int) -> None:
        if pause >= SHORTEST_PAUSE_MS:
            self.pauses.learn(pause / self._patience.scale)
