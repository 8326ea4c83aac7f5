"""The scripted caller: does its turns in order, each at its cue."""

from __future__ import annotations

import re
from collections.abc import Sequence

from callbot.call import Phase
from callbot.evals.callers.acting import ANSWER_PAUSE
from callbot.evals.callers.hearing import Ears
from callbot.evals.casting import ANYTHING_ELSE, CallerTurn, When
from callbot.fields import folded
from callbot.record import Record
from callbot.replay import Act, HangsUp, KeepsSilent, MakesNoise, Presses, Says, Scene

CUE_PAUSE = 0.3
"""Seconds between a cue (the greeting or the farewell begins) and speaking over it."""


class ScriptedCaller:
    """Does its turns in order, each at its cue, and perceives only what a caller would.

    Ordinary turns wait until the bot has finished and nobody is being asked; ``barge_in`` and
    ``during`` turns come at theirs. A silence before a ``during`` turn ends when that cue comes. A
    turn with ``when`` comes as soon as the bot has said its cue since the caller's last words, before
    the ordinary ones; when only such turns are left and none of their cues has come, the caller has
    nothing to say. ``ears`` are needed for cues of the kind ``asks``.

    Notes ``caller_turn`` (``n``: counted as they happen, ``entry``: as they are written, ``text``) as
    each begins, ``milestone`` (``n``, ``name``) and ``off_script`` when a cue never came.
    """

    def __init__(self, turns: Sequence[CallerTurn], ears: Ears | None = None) -> None:
        self._turns = turns
        self._ears = ears
        self._in_order = [index for index, turn in enumerate(turns) if turn.when is None]
        self._cued = [index for index, turn in enumerate(turns) if turn.when is not None]
        self._done = 0
        """Turns begun."""
        self._last: CallerTurn | None = None
        self._heard_before = 0
        """How much of what the bot has said was said before the caller's last words."""
        self.off_script = False

    def due(self, scene: Scene) -> float | None:
        """When the next turn begins, as things stand."""
        if self.off_script or (index := self._upcoming(scene)) is None:
            return None
        turn = self._turns[index]
        if turn.during is not None and _is_on(turn.during, scene):
            listening = scene.now >= scene.busy_until or self._is_silent()
            return max(scene.now, scene.phase_since + CUE_PAUSE) if listening else None
        if turn.barge_in is not None and scene.bot_started is not None:
            into_reply = scene.bot_started + turn.barge_in
            free = scene.call.quiet_since + ANSWER_PAUSE if scene.call.is_quiet else into_reply
            return max(scene.now, scene.busy_until, min(into_reply, free))
        if scene.call.is_quiet:
            pause = 0.0 if turn.silence is not None else ANSWER_PAUSE  # silence is not answered with
            return max(scene.now, scene.busy_until, scene.call.quiet_since + pause)
        return None

    async def act(self, scene: Scene, record: Record) -> Act | None:
        """Begin the next turn, or give up if it waits for a cue that is over or cannot come."""
        index = self._upcoming(scene)
        assert index is not None, "acts only when due"
        turn = self._turns[index]
        if not self._can_begin(turn, scene):
            self._give_up(turn, scene, record)
            return None
        (self._in_order if turn.when is None else self._cued).remove(index)
        self._done += 1
        self._last = turn
        if turn.say is not None or turn.press is not None:
            self._heard_before = len(scene.said)
        record.note(scene.now, "caller_turn", n=self._done, text=str(turn), entry=index + 1)
        if turn.milestone is not None:
            record.note(scene.now, "milestone", n=self._done, name=turn.milestone)
        return _act_of(turn)

    def is_done(self, scene: Scene) -> bool:
        """Everything was said (or never will be) and the bot has finished."""
        finished = not self._in_order and not self._cued and scene.now >= scene.busy_until
        return self.off_script or (finished and scene.call.is_quiet)

    def call_ended(self, scene: Scene, record: Record) -> None:
        """The call is over; a turn that still waits for its cue will never get it."""
        waiting = [i for i in self._in_order[:1] if self._turns[i].during is not None] or self._cued[:1]
        if waiting and not self.off_script:
            self._give_up(self._turns[waiting[0]], scene, record)

    def _upcoming(self, scene: Scene) -> int | None:
        """The turn to begin next, or to give up on."""
        following = self._in_order[0] if self._in_order else None
        if not self._cued or not scene.call.is_quiet:
            return following
        came = next((index for index in self._cued if self._cue_came(index, scene)), None)
        if came is not None:
            return came
        return following if following is not None else self._cued[0]

    def _can_begin(self, turn: CallerTurn, scene: Scene) -> bool:
        if turn.during is not None:
            return _is_on(turn.during, scene)
        return turn.when is None or self._is_said(turn.when, scene)

    def _cue_came(self, index: int, scene: Scene) -> bool:
        when = self._turns[index].when
        return when is not None and self._is_said(when, scene)

    def _is_said(self, when: When, scene: Scene) -> bool:
        said = scene.said[self._heard_before :]
        if when.says is not None:
            return _says(" ".join(said), when.says)
        assert self._ears is not None, "cues of the kind asks need ears"
        heard = self._ears.hear(said)
        return heard.anything_else if when.asks == ANYTHING_ELSE else when.asks in heard.asked

    def _give_up(self, turn: CallerTurn, scene: Scene, record: Record) -> None:
        self.off_script = True
        cue = turn.during if turn.during is not None else str(turn.when)
        record.note(scene.now, "off_script", n=self._done + 1, cue=cue)

    def _is_silent(self) -> bool:
        return self._last is not None and self._last.silence is not None


def _is_on(cue: str, scene: Scene) -> bool:
    if cue == "greeting":
        return scene.greeting_playing
    return scene.call.phase is (Phase.FAREWELL if cue == "farewell" else Phase.LINGER)


def _says(said: str, wanted: str) -> bool:
    if wanted.startswith("~"):
        return re.search(wanted[1:], said, re.IGNORECASE) is not None
    return folded(wanted) in folded(said)


def _act_of(turn: CallerTurn) -> Act:
    over = turn.during or ("barge_in" if turn.barge_in is not None else None)
    if turn.say is not None:
        return Says(turn.say, turn.say if turn.heard is None else turn.heard, over=over)
    if turn.noise is not None:
        return MakesNoise(turn.noise, over)
    if turn.press is not None:
        return Presses(turn.press, over)
    return KeepsSilent(turn.silence) if turn.silence is not None else HangsUp()
