"""Simulated callers for the virtual-time driver: scripted, adaptive, and played by a model."""

from __future__ import annotations

from callbot.business import Business
from callbot.evals.callers.hearing import Ears
from callbot.evals.callers.scripted import ScriptedCaller
from callbot.evals.scenario import Scenario
from callbot.replay import SimulatedCaller

__all__ = ["Callers", "ScriptedCaller"]


class Callers:
    """Makes the callers of a run."""

    def __init__(self) -> None:
        self._ears: dict[str, Ears] = {}

    def caller(self, scenario: Scenario, business: Business, attempt: int) -> SimulatedCaller:
        """Whoever calls in an attempt at a scenario."""
        cued = any(turn.when is not None for turn in scenario.turns)
        return ScriptedCaller(scenario.turns, self._ears_for(business) if cued else None)

    def _ears_for(self, business: Business) -> Ears:
        if business.id not in self._ears:
            self._ears[business.id] = Ears(business)
        return self._ears[business.id]
