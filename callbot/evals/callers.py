"""Simulated callers for the virtual-time driver. So far one kind: scripted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from callbot import events as ev
from callbot.call import Phase
from callbot.evals.scenario import CallerTurn
from callbot.record import Record
from callbot.replay import Scene
from callbot.rules import speech_seconds

ANSWER_PAUSE = 0.5
"""Seconds between the end of the bot's words and a caller's answer."""
CUE_PAUSE = 0.3
"""Seconds between a cue (the greeting or the farewell begins) and speaking over it."""
KEY_PAUSE = 0.3
"""Seconds between two keys."""
SPEECH_SIGN_EVERY = 2.0
"""Seconds between two signs of open speech (driver contract, point 6)."""


class ScriptedCaller:
    """Says its turns in order, each at its cue, and perceives only what a caller would.

    Ordinary turns wait until the bot has finished and nobody is being asked; ``barge_in`` and
    ``during`` turns come at theirs. A silence before a ``during`` turn ends when that cue comes.
    Notes ``caller_turn`` (``n``, ``text``) as each begins and ``off_script`` when a cue never came.
    """

    def __init__(self, turns: Sequence[CallerTurn]) -> None:
        self._turns = turns
        self._next = 0
        self._busy_until = 0.0
        self.off_script = False

    def due(self, scene: Scene) -> float | None:
        """When the next turn begins, as things stand."""
        turn = self._upcoming()
        if turn is None or self.off_script:
            return None
        if turn.during is not None and self._cue_is_there(turn.during, scene):
            listening = scene.now >= self._busy_until or self._is_silent()
            return max(scene.now, scene.phase_since + CUE_PAUSE) if listening else None
        if turn.barge_in is not None and scene.bot_started is not None:
            into_reply = scene.bot_started + turn.barge_in
            free = scene.call.quiet_since + ANSWER_PAUSE if scene.call.is_quiet else into_reply
            return max(scene.now, self._busy_until, min(into_reply, free))
        if scene.call.is_quiet:
            pause = 0.0 if turn.silence is not None else ANSWER_PAUSE  # silence is not answered with
            return max(scene.now, self._busy_until, scene.call.quiet_since + pause)
        return None

    def act(self, scene: Scene, record: Record) -> list[tuple[float, ev.Event]]:
        """Begin the next turn, or give up if it waits for a cue that is over or cannot come."""
        turn = self._turns[self._next]
        self._next += 1
        if turn.during is not None and not self._cue_is_there(turn.during, scene):
            self._give_up(turn.during, scene, record)
            return []
        record.note(scene.now, "caller_turn", n=self._next, text=str(turn))
        happens = list(_events(turn))
        self._busy_until = scene.now + (turn.silence or max(delay for delay, _ in happens))
        return happens

    def is_done(self, scene: Scene) -> bool:
        """Everything was said (or never will be) and the bot has finished."""
        finished = self._upcoming() is None and scene.now >= self._busy_until
        return self.off_script or (finished and scene.call.is_quiet)

    def call_ended(self, scene: Scene, record: Record) -> None:
        """The call is over; a turn that still waits for its cue will never get it."""
        turn = self._upcoming()
        if turn is not None and turn.during is not None and not self.off_script:
            self._next += 1
            self._give_up(turn.during, scene, record)

    def _give_up(self, cue: str, scene: Scene, record: Record) -> None:
        self.off_script = True
        record.note(scene.now, "off_script", n=self._next, cue=cue)

    def wakes(self) -> float:
        """When what the caller is doing now is over."""
        return self._busy_until

    def _upcoming(self) -> CallerTurn | None:
        return self._turns[self._next] if self._next < len(self._turns) else None

    def _is_silent(self) -> bool:
        return self._next > 0 and self._turns[self._next - 1].silence is not None

    @staticmethod
    def _cue_is_there(cue: str, scene: Scene) -> bool:
        if cue == "greeting":
            return scene.greeting_playing
        return scene.call.phase is (Phase.FAREWELL if cue == "farewell" else Phase.LINGER)


def _events(turn: CallerTurn) -> Iterator[tuple[float, ev.Event]]:
    if turn.say is not None:
        yield from _speech(speech_seconds(turn.say), turn.say if turn.heard is None else turn.heard)
    elif turn.noise is not None:
        yield from _speech(turn.noise, "")
    elif turn.press is not None:
        for index, key in enumerate(turn.press):
            yield index * KEY_PAUSE, ev.KeyPressed(key)
    elif turn.hang_up:
        yield 0.0, ev.CallerHungUp()


def _speech(seconds: float, words: str) -> Iterator[tuple[float, ev.Event]]:
    yield 0.0, ev.SpeechStarted()
    sign = SPEECH_SIGN_EVERY
    while sign < seconds:
        yield sign, ev.SpeechContinues()
        sign += SPEECH_SIGN_EVERY
    yield seconds, ev.UserSpoke(words)
