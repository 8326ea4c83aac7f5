"""What a run may ask of its model: requests planned, counted and limited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.evals.scenario import CallerTurn, Scenario
from callbot.models.base import Delta, Finished, Model, Request


class RequestsExhausted(CallbotError):
    """``--max-requests`` was reached."""


@dataclass(slots=True)
class Budget:
    """Counts requests to the model. ``limit`` None: no limit."""

    limit: int | None = None
    used: int = 0

    def spend(self) -> None:
        """Count one request. Raises RequestsExhausted."""
        if self.limit is not None and self.used >= self.limit:
            raise RequestsExhausted(f"--max-requests {self.limit} was reached; what ran is kept")
        self.used += 1


class Counted:
    """A model whose every request is counted, second ones for answers that could not be used too."""

    def __init__(self, model: Model, budget: Budget) -> None:
        self._model, self._budget = model, budget
        self.name, self.latency, self.uses_prompt = model.name, model.latency, model.uses_prompt

    def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Ask. Raises RequestsExhausted, and what the model raises."""
        self._budget.spend()
        return self._model.stream(request)

    async def close(self) -> None:
        """Close the model itself."""
        await self._model.close()


def planned_requests(scenarios: Sequence[Scenario], businesses: Mapping[str, Business], repeat: int) -> int:
    """How many requests the scenarios will make: one for each turn that gives the model something to answer.

    Second requests (the guard's, the reader's) and interrupted turns come on top or off.
    """
    return repeat * sum(
        sum(_is_asked(turn, businesses[scenario.business]) for turn in scenario.turns)
        for scenario in scenarios
    )


def _is_asked(turn: CallerTurn, business: Business) -> bool:
    if turn.silence is not None:
        return business.silence.by == "model" and turn.silence >= business.silence.after
    return turn.say is not None or turn.press is not None
