"""Who judges the ``judge:`` lines of ``callbot eval``: the model that ``--judge-model`` names, or nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from callbot.cli.players import Bot, beside, known_as
from callbot.errors import CallbotError
from callbot.evals.budget import Budget, Counted
from callbot.evals.opinions import Judge
from callbot.evals.scenario import Scenario
from callbot.models.base import ChatModel, Model
from callbot.models.cassette import JUDGE, Cassette
from callbot.models.registry import CHATS
from callbot.prices import Price


class Judges:
    """The judge of a run.

    ``name``: of its model; None: nobody judges. ``whole``: the budget of which its requests are a part.
    ``elsewhere``: its model is not asked in this process. Raises CallbotError for a model that cannot judge.
    """

    judge: Judge | None = None
    """None if nobody judges."""
    name: str | None = None

    def __init__(
        self,
        name: str | None,
        bot: Bot,
        scenarios: Sequence[Scenario],
        *,
        whole: Budget,
        prices: Mapping[str, Price],
        seed: int,
        concurrency: int,
        cassette: Cassette | None,
        elsewhere: bool = False,
    ) -> None:
        self._cassette = cassette
        self._own: Model | None = None
        if name is None:
            return
        if name.partition(":")[0] not in CHATS:
            raise CallbotError(f"{name} cannot judge: name a --judge-model such as openai:NAME")
        if not any(scenario.expect.judge for scenario in scenarios):
            raise CallbotError("--judge-model has nothing to judge: no scenario selected has judge: lines")
        price = judge_price(name, prices)
        asked, self._own = beside(
            name, bot, seed=seed, concurrency=concurrency, cassette=cassette, elsewhere=elsewhere
        )
        # Models of these kinds answer under any contract, and what wraps them hands on any question.
        self._asked = cast("ChatModel", Counted(asked, Budget(price=price, within=whole)))
        self.name = asked.name
        self.judge = Judge(asked.name, self._model, price)

    def _model(self, scenario: str, attempt: int) -> ChatModel:
        if self._cassette is None:
            return self._asked
        return cast("ChatModel", self._cassette.model(cast("Model", self._asked), scenario + JUDGE, attempt))

    async def close(self) -> None:
        """Release the connections of a model that was made for judging."""
        if self._own is not None:
            await self._own.close()


def judge_price(name: str | None, prices: Mapping[str, Price]) -> Price | None:
    """What the judge's tokens cost, if that is known."""
    return prices.get(known_as(name)) if name else None
