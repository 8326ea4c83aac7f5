"""The simulated caller: a script spoken by a voice, who knows of the bot only what can be heard. Pure.

Time is counted in frames of 20 ms. The caller takes the bot's reply to begin with its first sound
after the caller's own last one, and to be over when nothing was heard for ``Manners.pause`` and the
carrier has nothing left to play. Then comes the next turn; ``barge_in`` and ``during`` turns come at
theirs. Audio alone does not tell a farewell from another reply: ``during: farewell`` speaks into the
reply to the turn before it, ``during: linger`` into the moment after that reply.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from callbot.carrier import g711
from callbot.carrier.g711 import FRAME, SILENCE
from callbot.carrier.sound import telephone
from callbot.carrier.tape import CallerAct
from callbot.carrier.voice import Voice, language_of
from callbot.evals.scenario import CallerTurn

FRAMES_A_SECOND = g711.RATE // FRAME
LOUD = 512
"""A frame whose peak reaches this (of 32,124; -36 dBFS) is heard as sound."""
CUE_PAUSE = 0.3
"""Seconds between a cue and speaking over it."""
KEY_PAUSE = 0.3
"""Seconds between two keys."""
NOISE_PEAK = 3000
STALE_FRAMES = 15
"""Quiet frames after which sound that the caller spoke over has ended, and more of it is a reply."""

_SILENT = bytes([SILENCE]) * FRAME


@dataclass(frozen=True, slots=True)
class Manners:
    """How long a caller waits for what. Seconds."""

    pause: float = 0.8
    """Quiet after which the bot has finished."""
    patience: float = 12.0
    """For a reply; then the caller goes on without one."""
    stay: float = 5.0
    """Quiet after the reply to the last turn, for a bot that should hang up."""
    leave: float = 2.0
    """The same, for a bot that should stay on the line."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A turn, with its sound rendered."""

    turn: CallerTurn
    audio: bytes = b""

    @property
    def heard(self) -> str:
        """What recognition makes of it; empty for sound without words."""
        return (self.turn.say or "") if self.turn.heard is None else self.turn.heard

    @property
    def over(self) -> str | None:
        """What it speaks over."""
        return self.turn.during or ("barge_in" if self.turn.barge_in is not None else None)

    @property
    def kind(self) -> str:
        """The key that says what is done."""
        return next(k for k in ("say", "silence", "press", "noise", "hang_up") if getattr(self.turn, k))


async def prepare(turns: Iterable[CallerTurn], voice: Voice) -> list[Prepared]:
    """Render what a script says. Raises what the voice raises."""
    return [Prepared(turn, await _sound(turn, voice)) for turn in turns]


async def _sound(turn: CallerTurn, voice: Voice) -> bytes:
    if turn.noise is not None:
        return noise(turn.noise)
    return b"" if turn.say is None else await spoken(turn.say, voice)


async def spoken(text: str, voice: Voice) -> bytes:
    """What somebody says, as the telephone carries it. Raises what the voice raises."""
    pcm, rate = await voice.speak(text, language_of(text))
    audio = await asyncio.to_thread(telephone, np.frombuffer(pcm, dtype=np.int16), rate)
    return trimmed(audio)


def noise(seconds: float) -> bytes:
    """The same noise every time, so that calls can be repeated."""
    samples = np.random.default_rng(1).integers(-NOISE_PEAK, NOISE_PEAK, round(seconds * g711.RATE))
    return g711.encode(samples.astype(np.int16))


def trimmed(audio: bytes) -> bytes:
    """Without the silence around, so that speech ends where it is said to end."""
    frames = [audio[at : at + FRAME] for at in range(0, len(audio), FRAME)]
    loud = [index for index, frame in enumerate(frames) if g711.peak(frame) >= LOUD]
    return audio[loud[0] * FRAME : (loud[-1] + 1) * FRAME] if loud else b""


@dataclass(slots=True)
class Does:
    """What the caller does in one frame."""

    frame: bytes = _SILENT
    keys: str = ""
    said: str | None = None
    """What recognition should return, once the sound has ended."""
    hung_up: bool = False


@dataclass(slots=True)
class _Hearing:
    """What the caller has heard of the bot since last doing something."""

    now: int = 0
    since: int = 0
    """Frame of the caller's own last doing."""
    first: int | None = None
    """First sound of the reply."""
    last: int | None = None
    """Latest sound, of anything."""
    stale: bool = False
    """What is heard began before the caller had finished: it is no reply."""

    def hear(self, frame: bytes) -> None:
        self.now += 1
        if frame and g711.peak(frame) >= LOUD:
            self.first = self.now if self.first is None and not self.stale else self.first
            self.last = self.now
        elif self.last is None or self.now - self.last > STALE_FRAMES:
            self.stale = False

    def begin_anew(self) -> None:
        self.since, self.first = self.now, None
        self.stale = self.last is not None and self.now - self.last <= STALE_FRAMES

    @property
    def quiet(self) -> float:
        """Seconds since anybody was heard."""
        return (self.now - max(self.since, self.last or 0)) / FRAMES_A_SECOND

    def into_reply(self) -> float | None:
        """Seconds since the reply began; None before it has."""
        return None if self.first is None else (self.now - self.first) / FRAMES_A_SECOND


@dataclass(slots=True)
class Caller:
    """Says a script's turns, one after another, each at its moment. One ``tick`` is 20 ms."""

    script: Iterator[Prepared]
    """May be lazy: the next turn is taken when the one before has been done."""
    awaits_end: bool = True
    """Whether the bot is to hang up after the last turn."""
    manners: Manners = field(default_factory=Manners)
    acts: list[CallerAct] = field(default_factory=list)
    off_script: str | None = None
    """A cue that never came."""
    unanswered: int = 0
    """Turns whose reply the caller gave up waiting for."""

    _hearing: _Hearing = field(default_factory=_Hearing)
    _next: Prepared | None = None
    _sound: memoryview = field(default=memoryview(b""))
    _saying: Prepared | None = None
    _busy_until: int = 0
    _keys: list[tuple[int, str]] = field(default_factory=list)
    _wants_reply: bool = True
    _leaving: bool = False

    def __post_init__(self) -> None:
        self._take_next()

    def tick(self, bot: bytes, *, more: bool) -> Does:
        """One frame: hear the bot (``more``: the carrier has more of its to play) and act."""
        hearing = self._hearing
        hearing.hear(bot)
        if not self._is_busy() and not self._leaving and self._is_due(more):
            self._begin()
        does = self._speak()
        while self._keys and self._keys[0][0] <= hearing.now:
            does.keys += self._keys.pop(0)[1]
        does.hung_up = self._leaving and not self._is_busy()
        return does

    @property
    def turn(self) -> int:
        """Turns begun."""
        return len(self.acts)

    def _take_next(self) -> None:
        self._next = next(self.script, None)

    def _is_busy(self) -> bool:
        return bool(self._sound) or self._hearing.now < self._busy_until or bool(self._keys)

    def _is_due(self, more: bool) -> bool:
        if self._next is None:
            return self._may_leave(more)
        turn, into = self._next.turn, self._hearing.into_reply()
        over = self._reply_is_over(more)
        if turn.during is not None:
            if turn.during != "linger":
                if into is not None and into >= CUE_PAUSE and not over:
                    return True
            elif into is not None and not more and self._hearing.quiet >= CUE_PAUSE:
                return True
            if over:
                self._give_up(turn.during)
            return False
        if turn.barge_in is not None and into is not None and into >= turn.barge_in:
            return True
        return over

    def _reply_is_over(self, more: bool) -> bool:
        """Whether the bot has replied and finished, or has let the caller wait too long."""
        if more or self._hearing.quiet < self.manners.pause:
            return False
        if self._hearing.first is not None or not self._wants_reply:
            return True
        if self._hearing.quiet < self.manners.patience:
            return False
        self.unanswered += 1
        return True

    def _give_up(self, cue: str) -> None:
        self.off_script = f"the {cue} that turn {self.turn + 1} waits for did not come"
        self._next = None

    def _may_leave(self, more: bool) -> bool:
        wait = self.manners.stay if self.awaits_end and self.off_script is None else self.manners.leave
        return self._reply_is_over(more) and self._hearing.quiet >= wait

    def _begin(self) -> None:
        if self._next is None:
            self._leaving = True
            return
        prepared, turn, now = self._next, self._next.turn, self._hearing.now
        self._hearing.begin_anew()
        self._wants_reply = turn.say is not None or turn.press is not None
        start = (now - 1) * FRAME
        act = CallerAct(self.turn + 1, prepared.kind, str(turn), start, start, prepared.over)
        self.acts.append(act)
        if prepared.audio:
            self._sound, self._saying = memoryview(prepared.audio), prepared
            act.end = start + len(prepared.audio)
        elif turn.silence is not None:
            self._busy_until = now + math.ceil(turn.silence * FRAMES_A_SECOND)
            act.end = start + round(turn.silence * g711.RATE)
        elif turn.press is not None:
            step = round(KEY_PAUSE * FRAMES_A_SECOND)
            self._keys = [(now + index * step, key) for index, key in enumerate(turn.press)]
            act.end = start + (len(turn.press) - 1) * step * FRAME
        self._leaving = bool(turn.hang_up)
        self._take_next()

    def _speak(self) -> Does:
        if not self._sound:
            return Does()
        frame = bytes(self._sound[:FRAME])
        self._sound = self._sound[FRAME:]
        does = Does(frame=frame.ljust(FRAME, bytes([SILENCE])))
        self._hearing.begin_anew()
        if not self._sound and self._saying is not None:
            does.said = self._saying.heard
        return does
