"""What an adaptive caller says next: a small policy over what was heard, no model and no clock.

It knows some details of its own (facts) and has a temper. It answers the first detail asked for that
it has not told yet, and says goodbye when it has told everything and nothing more is wanted, or when
the bot gets nowhere. Wordings and moments of hesitation are drawn from ``chance``, so that a seeded
one makes every call repeatable.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from callbot.business import Business
from callbot.evals.callers.hearing import Heard, kind_of
from callbot.evals.callers.phrases import phrases
from callbot.evals.casting import AdaptiveSpec
from callbot.evals.oracle import Milestone
from callbot.fields import folded

PATIENCE = 5
"""Moves in a row that told the bot nothing new before the caller gives up on it."""
GOODBYES = 2
"""Times that a goodbye is said again to a bot that goes on asking, before hanging up."""
STRAYS = 0.4
"""How often a hesitant or chatty caller hesitates or digresses instead of answering; never twice in a row."""


@dataclass(frozen=True, slots=True)
class Move:
    """What the caller does: says ``words``, falls silent for good, or hangs up."""

    words: str = ""
    falls_silent: bool = False
    hangs_up: bool = False
    milestones: tuple[Milestone, ...] = ()


class Mind:
    """One caller on one call."""

    def __init__(self, spec: AdaptiveSpec, business: Business, chance: random.Random) -> None:
        self._facts, self._temper, self._opening = spec.facts, spec.temper, spec.opening
        self._chance = chance
        self._phrases = phrases(business.language)
        self._required = business.required
        self._kinds = {field.name: kind_of(field) for field in business.fields}
        self._labels = {field.name: field.label or field.name for field in business.fields}
        self._needs = [field.name for field in business.fields if field.choices and field.name in spec.facts]
        self._told: dict[str, int] = {}
        """By field, how many of its values have been told; all but the last are taken back."""
        self._pending: str | None = None
        """Asked for, and not answered yet."""
        self._began = self._declined = self._leaving = self._strayed = False
        self._fruitless = self._withheld = self._goodbyes = 0
        self._reached: list[Milestone] = []

    def next(self, heard: Heard) -> Move:
        """The caller's next move, the bot having finished speaking."""
        told, reached = sum(self._told.values()), len(self._reached)
        move = self._decide(heard)
        self._fruitless = 0 if sum(self._told.values()) > told else self._fruitless + 1
        if "lead_complete" not in self._reached and self._has_told(self._required):
            self._reached.append("lead_complete")
        return Move(move.words, move.falls_silent, move.hangs_up, tuple(self._reached[reached:]))

    def _decide(self, heard: Heard) -> Move:
        if self._leaving:
            return self._insist(heard)
        if not self._began:
            return self._open()
        if self._temper == "silent" and (self._told or not self._facts):
            self._reached.append("silent")
            self._leaving = True
            return Move(falls_silent=True)
        if self._declined or self._fruitless >= PATIENCE:
            return self._leave()
        if asked := self._first_missing(heard.asked):
            self._pending = asked
        if taken_back := next((name for name in self._told if not self._has_told([name])), None):
            return self._correct(taken_back)
        if self._pending is not None:
            return self._stray() or self._answer(self._pending)
        return self._without_a_field(heard)

    def _first_missing(self, asked: Iterable[str]) -> str | None:
        """Of what is asked for, the first that was not told; told already, it is told again."""
        asked = list(asked)
        return next((name for name in asked if name not in self._told), asked[0] if asked else None)

    def _has_told(self, names: Iterable[str]) -> bool:
        return all(self._told.get(name, 0) == len(self._facts.get(name, ())) > 0 for name in names)

    # --- saying -----------------------------------------------------------------------------------
    def _say(self, occasion: str, which: str = "other", **values: str) -> Move:
        return Move(self._chance.choice(self._phrases.options(occasion, which)).format(**values))

    def _open(self) -> Move:
        self._began = True
        need = self._facts[self._needs[0]][0] if self._needs else ""
        if self._opening is not None:
            move = Move(self._opening)
        elif need:
            move = self._say("opening", self._temper, need=need)
        else:
            move = self._say("opening_bare", self._temper)
        said = folded(move.words)
        self._told.update({name: 1 for name, values in self._facts.items() if folded(values[0]) in said})
        return move

    def _answer(self, name: str) -> Move:
        self._pending = None
        if name not in self._facts:
            return self._withhold() if self._temper == "refusing" else self._say("unknown")
        again = name in self._told
        if not again:
            self._told[name] = 1
        value = self._facts[name][self._told[name] - 1]
        if again and self._chance.random() < 0.5:
            return self._say("again", value=value)
        if self._temper == "curt":
            return self._say("tell_curt", value=value)
        told = self._say("tell", self._kinds[name], value=value, label=self._labels[name])
        if self._temper == "chatty" and self._chance.random() < STRAYS:
            return Move(f"{self._say('chat_lead').words} {told.words}")
        return told

    def _correct(self, name: str) -> Move:
        value = self._facts[name][self._told[name]]
        self._told[name] += 1
        if self._pending == name:
            self._pending = None
        return self._say("correct", self._kinds[name], value=value)

    def _stray(self) -> Move | None:
        """A hesitation or a digression, now and then; the answer comes next time."""
        strays = {"hesitant": "hesitate", "chatty": "chat"}.get(self._temper)
        if strays is None or self._strayed or self._chance.random() >= STRAYS:
            self._strayed = False
            return None
        self._strayed = True
        return self._say(strays)

    def _withhold(self) -> Move:
        """Not said the first time; the second time the caller has had enough."""
        self._withheld += 1
        if self._withheld == 1:
            return self._say("withhold")
        self._declined = True
        self._reached.append("declined")
        return self._say("decline")

    def _without_a_field(self, heard: Heard) -> Move:
        """Nothing is asked for that is a detail of the lead."""
        untold = next((name for name in self._facts if name not in self._told), None)
        if heard.confirms:
            return self._say("confirm")
        if untold is not None and (heard.anything_else or heard.open or not heard.question):
            return self._answer(untold)
        if self._temper == "refusing" and self._withheld and heard.question:
            return self._withhold()
        if heard.question and not heard.anything_else:
            return self._say("not_understood")
        return self._leave()

    # --- leaving ----------------------------------------------------------------------------------
    def _leave(self) -> Move:
        self._leaving = True
        self._reached.append("goodbye")
        return self._say("goodbye", self._temper)

    def _insist(self, heard: Heard) -> Move:
        """The caller has said goodbye, or has gone silent, and the call is still open."""
        if self._temper == "silent" or not heard.question or self._goodbyes >= GOODBYES:
            return Move(hangs_up=True)
        self._goodbyes += 1
        return self._say("goodbye_again")
