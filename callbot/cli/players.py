"""Who plays the persona callers of ``callbot eval``: the model itself, or another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from callbot.errors import CallbotError
from callbot.evals.budget import Budget, Counted
from callbot.evals.callers import Callers
from callbot.evals.casting import PersonaSpec
from callbot.evals.pace import Pace, Paced
from callbot.evals.scenario import Scenario
from callbot.models.base import ChatModel, Model
from callbot.models.cassette import CALLER, Cassette, Unplugged
from callbot.models.openai import full_name
from callbot.models.registry import CHATS, make_model


@dataclass(frozen=True, slots=True)
class Bot:
    """What plays the bot, as players need to know it. ``paced``: as it is asked."""

    model: Model
    paced: Model
    budget: Budget


class Players:
    """Plays the persona callers of a run.

    ``name``: the model that plays them; None: the one that plays the bot. ``elsewhere``: not in this
    process. Raises CallbotError for one that cannot, if there are personas to play.
    """

    def __init__(
        self,
        name: str | None,
        bot: Bot,
        scenarios: Sequence[Scenario],
        *,
        seed: int,
        concurrency: int,
        cassette: Cassette | None,
        elsewhere: bool = False,
    ) -> None:
        self._cassette = cassette
        self._own: Model | None = None
        """A model beside the bot's, to be closed."""
        self._asked: ChatModel | None = None
        personas = [scenario.name for scenario in scenarios if isinstance(scenario.caller, PersonaSpec)]
        if personas:
            played_by = bot.model.name if name is None else name
            _refuse_unable(played_by, personas)
            if known_as(played_by) != bot.model.name and bot.budget.limits_cost:
                raise CallbotError(
                    f"--max-cost cannot count what {name} costs as the caller; "
                    "leave --max-cost or --caller-model out"
                )
            asked, self._own = beside(
                played_by, bot, seed=seed, concurrency=concurrency, cassette=cassette, elsewhere=elsewhere
            )
            budget = bot.budget if self._own is None else Budget(within=bot.budget)
            # Models of these kinds answer under any contract, and what wraps them hands on any question.
            self._asked = cast("ChatModel", Counted(asked, budget))
        self.callers = Callers(seed=seed, player=self._player if personas else None)

    def _player(self, scenario: str, attempt: int) -> ChatModel:
        assert self._asked is not None
        if self._cassette is None:
            return self._asked
        model = self._cassette.model(cast("Model", self._asked), scenario + CALLER, attempt)
        return cast("ChatModel", model)

    async def close(self) -> None:
        """Release the connections of a model that was made for callers."""
        if self._own is not None:
            await self._own.close()


def beside(
    name: str,
    bot: Bot,
    *,
    seed: int,
    concurrency: int,
    cassette: Cassette | None,
    elsewhere: bool = False,
) -> tuple[Model, Model | None]:
    """A model as it is asked beside the bot: the bot's own if it is that; else one to be closed, given twice.

    ``elsewhere``: not in this process.
    """
    if known_as(name) == bot.model.name:
        return bot.paced, None
    own = plugged_model(name, seed=seed, cassette=cassette, elsewhere=elsewhere)
    return (Paced(own, Pace(concurrency, seed=seed)) if own.latency is None else own), own


def known_as(name: str) -> str:
    """What a model of this name calls itself, and price tables call it."""
    return full_name(name) if name.partition(":")[0] == "openai" else name


def plugged_model(name: str, *, seed: int, cassette: Cassette | None, elsewhere: bool = False) -> Model:
    """The model called ``name``; needs no key and no network when it is not asked in this process.

    It is not when its answers are only played back, and when ``elsewhere`` somebody else asks it.
    Raises CallbotError for one that there is only here.
    """
    kind = name.partition(":")[0]
    reads = cassette is not None and cassette.mode == "read"
    if (reads or elsewhere) and kind == "openai":
        return Unplugged(full_name(name))
    if elsewhere and kind == "scripted":
        raise CallbotError(f"{name} is a file of this machine, which a cluster's workers cannot read")
    return make_model(name, seed=seed, retries=0)  # its pace tries again


def _refuse_unable(name: str, personas: Sequence[str]) -> None:
    if name.partition(":")[0] in CHATS:
        return
    some = ", ".join(personas[:3]) + (", ..." if len(personas) > 3 else "")
    raise CallbotError(
        f"{name} cannot play a caller, and {some} "
        f"need{'s' if len(personas) == 1 else ''} one played: name a --caller-model such as openai:NAME, "
        "or select other scenarios (-k, --tag)"
    )
