"""Simulated callers for the virtual-time driver: scripted, adaptive, and played by a model."""

from __future__ import annotations

import random

from callbot.business import Business
from callbot.evals.callers.adaptive import AdaptiveCaller
from callbot.evals.callers.hearing import Ears
from callbot.evals.callers.scripted import ScriptedCaller
from callbot.evals.casting import AdaptiveSpec
from callbot.evals.scenario import Scenario
from callbot.replay import SimulatedCaller

__all__ = ["AdaptiveCaller", "Callers", "ScriptedCaller"]


class Callers:
    """Makes the callers of a run. ``seed``: another one varies what adaptive callers do."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._ears: dict[str, Ears] = {}

    def caller(self, scenario: Scenario, business: Business, attempt: int) -> SimulatedCaller:
        """Whoever calls in an attempt at a scenario; the same attempt is the same caller again."""
        if isinstance(scenario.caller, AdaptiveSpec):
            chance = random.Random(f"{self._seed} {scenario.name} {attempt}")  # noqa: S311 - no secret
            return AdaptiveCaller(scenario.caller, business, self._ears_for(business), chance)
        cued = any(turn.when is not None for turn in scenario.turns)
        return ScriptedCaller(scenario.turns, self._ears_for(business) if cued else None)

    def _ears_for(self, business: Business) -> Ears:
        if business.id not in self._ears:
            self._ears[business.id] = Ears(business)
        return self._ears[business.id]
