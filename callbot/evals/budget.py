"""What a run may ask of its model: requests planned, counted and limited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.evals.casting import AdaptiveSpec, CallerTurn, PersonaSpec
from callbot.evals.scenario import Scenario
from callbot.models.base import Delta, Finished, Model, Request
from callbot.prices import Price


class RequestsExhausted(CallbotError):
    """``--max-requests`` or ``--max-cost`` was reached."""


@dataclass(slots=True)
class Budget:
    """Counts requests to the model, and what they cost. A limit that is None is none.

    ``price``: of the model, None if it is not known. ``spent``: what the answers so far cost. Requests
    in flight when ``max_cost`` is reached are still paid for. ``within``: another budget of which this
    is a part: its limits hold too, and it counts what is spent here.
    """

    limit: int | None = None
    used: int = 0
    price: Price | None = None
    max_cost: float | None = None
    spent: float = 0.0
    within: Budget | None = None

    def check(self) -> None:
        """Raises RequestsExhausted if no request is left."""
        if self.max_cost is not None and self.spent >= self.max_cost:
            raise RequestsExhausted(
                f"--max-cost {self.max_cost:g} was reached ({self.spent:.4g} spent); what ran is kept"
            )
        if self.limit is not None and self.used >= self.limit:
            raise RequestsExhausted(f"--max-requests {self.limit} was reached; what ran is kept")
        if self.within is not None:
            self.within.check()

    def spend(self) -> None:
        """Count one request. Raises RequestsExhausted."""
        self.check()
        self.add(1, 0.0)

    def add(self, requests: int, spent: float) -> None:
        """Count requests that were made, and what they cost."""
        self.used += requests
        self.spent += spent
        if self.within is not None:
            self.within.add(requests, spent)

    @property
    def limits_cost(self) -> bool:
        """Whether there is a ``max_cost``, of this budget or of one that it is part of."""
        return self.max_cost is not None or (self.within is not None and self.within.limits_cost)

    def pay(self, finished: Finished) -> None:
        """Add what an answer cost. Raises CallbotError for one without token counts if cost is limited."""
        if self.price is None:
            return
        if self.limits_cost and not finished.input_tokens + finished.output_tokens:
            raise CallbotError("--max-cost cannot be kept: the provider sends no token counts")
        cost = self.price.of(finished.input_tokens, finished.output_tokens, finished.cached_tokens)
        budget: Budget | None = self
        while budget is not None:
            budget.spent += cost
            budget = budget.within


class Counted:
    """A model whose every request is counted, second ones for answers that could not be used too."""

    def __init__(self, model: Model, budget: Budget) -> None:
        self._model, self._budget = model, budget
        self.name, self.latency, self.uses_prompt = model.name, model.latency, model.uses_prompt

    def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Ask. Raises RequestsExhausted, and what the model raises."""
        self._budget.spend()
        stream = self._model.stream(request)
        return stream if self._budget.price is None else self._paid(stream)

    async def _paid(
        self, stream: AsyncGenerator[Delta | Finished, None]
    ) -> AsyncGenerator[Delta | Finished, None]:
        async with aclosing(stream):
            async for piece in stream:
                if isinstance(piece, Finished):
                    self._budget.pay(piece)
                yield piece

    async def close(self) -> None:
        """Close the model itself."""
        await self._model.close()


def planned_requests(scenarios: Sequence[Scenario], businesses: Mapping[str, Business], repeat: int) -> int:
    """How many requests the scenarios will make: one for each turn that gives the model something to answer.

    Second requests (the guard's, the reader's) and interrupted turns come on top or off. How long a
    caller without a script will talk is a guess.
    """
    return repeat * sum(_planned(scenario, businesses[scenario.business]) for scenario in scenarios)


def _planned(scenario: Scenario, business: Business) -> int:
    caller = scenario.caller
    if isinstance(caller, AdaptiveSpec):  # the opening, each detail and correction, the goodbye
        return min(caller.max_turns, 2 + sum(map(len, caller.facts.values())))
    if isinstance(caller, PersonaSpec):  # half of its longest, in which both sides are asked
        return caller.max_turns
    return sum(_is_asked(turn, business) for turn in scenario.turns)


def _is_asked(turn: CallerTurn, business: Business) -> bool:
    if turn.silence is not None:
        return business.silence.by == "model" and turn.silence >= business.silence.after
    return turn.say is not None or turn.press is not None
