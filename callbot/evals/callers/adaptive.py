"""The adaptive caller: answers what the bot's words ask for, from its facts and by its temper."""

from __future__ import annotations

import random

from callbot.business import Business
from callbot.evals.callers.hearing import Ears
from callbot.evals.callers.mind import Mind
from callbot.evals.casting import AdaptiveSpec
from callbot.record import Record
from callbot.replay import Act, HangsUp, KeepsSilent, Says, Scene

PAUSES = {"curt": (0.3, 0.7), "hesitant": (1.5, 4.0)}
"""Seconds of thought before an answer, by temper; ``PAUSE`` for the others."""
PAUSE = (0.5, 1.5)
LONGEST_PAUSE = 0.6
"""As a share of the business's patience with silence: a pause is not a silence."""
SILENCE_GRACE = 30.0
"""Seconds beyond the business's whole patience with silence before a silent caller hangs up."""


class AdaptiveCaller:
    """Somebody on the line with facts and a temper.

    Perceives only what the bot has said; acts once it has finished. Notes ``caller_turn`` and
    ``milestone`` as scripted callers do. Hangs up in turn ``max_turns`` at the latest.
    """

    def __init__(self, spec: AdaptiveSpec, business: Business, ears: Ears, chance: random.Random) -> None:
        self._mind = Mind(spec, business, chance)
        self._ears, self._chance = ears, chance
        self._max_turns = spec.max_turns
        self._pauses = PAUSES.get(spec.temper, PAUSE)
        self._pause = chance.uniform(*self._pauses)
        self._turn = 0
        self._heard_before = 0
        """How much of what the bot has said the caller has answered."""
        self._gone = False

    def due(self, scene: Scene) -> float | None:
        """After a pause, once the bot has finished."""
        if self._gone or not scene.call.is_quiet:
            return None
        pause = min(self._pause, LONGEST_PAUSE * scene.call.rules.silence_after)
        return max(scene.now, scene.busy_until, scene.call.quiet_since + pause)

    async def act(self, scene: Scene, record: Record) -> Act:
        """Answer what was heard."""
        self._turn += 1
        heard = self._ears.hear(scene.said[self._heard_before :])
        self._heard_before = len(scene.said)
        self._pause = self._chance.uniform(*self._pauses)
        move = self._mind.next(heard)
        if move.hangs_up or self._turn >= self._max_turns:
            self._gone = True
            record.note(scene.now, "caller_turn", n=self._turn, text="[hangs up]")
            return HangsUp()
        text = "[falls silent]" if move.falls_silent else move.words
        record.note(scene.now, "caller_turn", n=self._turn, text=text)
        for milestone in move.milestones:
            record.note(scene.now, "milestone", n=self._turn, name=milestone)
        if move.falls_silent:
            rules = scene.call.rules
            return KeepsSilent(rules.silence_after * (rules.silence_warnings + 2) + SILENCE_GRACE)
        return Says(move.words, move.words)

    def is_done(self, scene: Scene) -> bool:
        """Whether the caller has hung up."""
        return self._gone

    def call_ended(self, scene: Scene, record: Record) -> None:
        """Nothing: whatever the caller still had in mind is seen in the lead."""
