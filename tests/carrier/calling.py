"""Places calls to the bots of ``bot.py``."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from pathlib import Path
from typing import Any

from bot import TOKEN, Bot, mulaw, running, tune

from callbot.carrier.caller import Manners
from callbot.carrier.dialling import Carrier, Finished, Setting, open_carrier
from callbot.carrier.network import Address
from callbot.carrier.paperwork import Dialled
from callbot.evals.scenario import CallerTurn, EndExpect, Expect, Scenario

HASTY = Manners(pause=0.3, patience=2.5, stay=1.0, leave=0.4)


class Tunes:
    """A voice for tests: each text its own tune, a twentieth of a second a letter."""

    async def speak(self, text: str, language: str) -> tuple[bytes, int]:
        return tune(max(0.3, len(text) / 20), 100 + len(text)).tobytes(), 8000


def scenario(*turns: dict[str, Any], end: tuple[int, int] | None = None) -> Scenario:
    """A caller, and when the bot should hang up."""
    return Scenario(
        name="test",
        description="",
        file=Path("test.yaml"),
        line=1,
        business="test",
        tags=(),
        now=dt.datetime(2026, 11, 29, 10, 0),
        caller_number="+972541112233",
        turns=tuple(CallerTurn(**turn) for turn in turns),
        expect=Expect(end=EndExpect(turns=list(end)) if end else "open"),
    )


TWO_TURNS = scenario({"say": "hello there"}, {"say": "goodbye"}, end=(2, 2))


def setting(bot: Bot, **changes: Any) -> Setting:
    """How the bot is called."""
    base = bot.public or bot.base
    dialled = Dialled(f"{base}/incoming", "+97235550100", status_callback=f"{base}/status", limit_seconds=20)
    address = Address("bot.example.com", ("127.0.0.1", int(bot.base.rpartition(":")[2])))
    return Setting(**{"dialled": dialled, "token": TOKEN, "manners": HASTY, "address": address, **changes})


@contextlib.asynccontextmanager
async def exchange(bot: Bot, **changes: Any):
    """A running bot and a carrier that can ring it."""
    async with running(bot), open_carrier(setting(bot, **changes), Tunes()) as carrier:
        bot.rest = carrier.rest_url
        yield carrier


async def ring(bot: Bot, who: Scenario = TWO_TURNS, **changes: Any) -> Finished:
    """One call."""
    async with exchange(bot, **changes) as carrier:
        return await carrier.call(who)


async def all_of(*calls: Any) -> list[Any]:
    """At once: they are in real time."""
    return await asyncio.gather(*calls)


def failed(finished: Finished) -> set[str]:
    """Names of the checks that do not hold."""
    return {check.name for check in finished.report.checks if not check.passed}


__all__ = ["TWO_TURNS", "Carrier", "all_of", "exchange", "failed", "mulaw", "ring", "scenario"]
