"""Simulated callers for the virtual-time driver: scripted, adaptive, and played by a model."""

from __future__ import annotations

import random
from collections.abc import Callable

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.evals.callers.adaptive import AdaptiveCaller
from callbot.evals.callers.hearing import Ears
from callbot.evals.callers.persona import PersonaCaller
from callbot.evals.callers.scripted import ScriptedCaller
from callbot.evals.casting import AdaptiveSpec, PersonaSpec
from callbot.evals.scenario import Scenario
from callbot.models.base import ChatModel
from callbot.replay import SimulatedCaller

__all__ = ["AdaptiveCaller", "Callers", "PersonaCaller", "ScriptedCaller"]

Player = Callable[[str, int], ChatModel]
"""The model that plays the caller of a scenario, by its name, in an attempt."""


class Callers:
    """Makes the callers of a run.

    ``seed``: another one varies what adaptive callers do. ``player``: who plays persona callers.
    """

    def __init__(self, *, seed: int = 0, player: Player | None = None) -> None:
        self._seed, self._player = seed, player
        self._ears: dict[str, Ears] = {}

    def caller(self, scenario: Scenario, business: Business, attempt: int) -> SimulatedCaller:
        """Whoever calls in an attempt at a scenario; without a model, the same attempt is the same again.

        Raises CallbotError if nobody can play a persona.
        """
        if isinstance(scenario.caller, AdaptiveSpec):
            chance = random.Random(f"{self._seed} {scenario.name} {attempt}")  # noqa: S311 - no secret
            return AdaptiveCaller(scenario.caller, business, self._ears_for(business), chance)
        if isinstance(scenario.caller, PersonaSpec):
            if self._player is None:
                raise CallbotError(f"{scenario.name} needs a model to play its caller (--caller-model)")
            return PersonaCaller(scenario.caller, business, self._player(scenario.name, attempt))
        cued = any(turn.when is not None for turn in scenario.turns)
        return ScriptedCaller(scenario.turns, self._ears_for(business) if cued else None)

    def _ears_for(self, business: Business) -> Ears:
        if business.id not in self._ears:
            self._ears[business.id] = Ears(business)
        return self._ears[business.id]
