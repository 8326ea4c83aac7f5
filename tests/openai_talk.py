"""Asking the OpenAI model in tests: one business, one question, and what came of it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openai_server import OpenAIServer, reply_json

from callbot.business import Business
from callbot.events import BotSaid, CallerSaid, Occasion
from callbot.models.base import Delta, Finished, ProviderError, Request
from callbot.models.openai import OpenAIModel

BUSINESS = Business.model_validate(
    {
        "id": "movers",
        "name": "Oren Movers",
        "language": "en",
        "greeting": {"text": "Oren Movers, how can I help?"},
        "fields": [
            {"name": "full_name", "required": True},
            {"name": "rooms", "type": "choice", "choices": ["one", "more"], "required": True},
        ],
        "prompt": "You answer for {{ business.name }}.",
    }
)
TEXT = reply_json(
    "Hello. How many rooms?", missing=["full_name", "rooms"], lead={"full_name": None, "rooms": "one"}
)
KEY = "sk-test-1234567890abcdef"


def question(seconds_left: float = 5.0) -> Request:
    return Request(
        business=BUSINESS,
        history=(BotSaid("Oren Movers, how can I help?"), CallerSaid("I am moving")),
        lead={},
        missing=("full_name", "rooms"),
        occasion=Occasion.CALLER_SPOKE,
        detail="",
        now=dt.datetime(2026, 11, 27, 10, 0),
        caller_number=None,
        seconds_left=seconds_left,
    )


MakeModel = Callable[..., OpenAIModel]


@pytest.fixture
async def openai_model(
    openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeModel]:
    """Make models that talk to the server; they are closed afterwards."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    made: list[OpenAIModel] = []

    def make_one(model: str = "m", **options: Any) -> OpenAIModel:
        made.append(OpenAIModel(model, base_url=openai_server.base_url, **options))
        return made[-1]

    yield make_one
    for model in made:
        await model.close()


async def answer(model: OpenAIModel, seconds_left: float = 5.0) -> tuple[str, Finished]:
    """The whole text of an answer, and how it finished."""
    *deltas, finished = [piece async for piece in model.stream(question(seconds_left))]
    assert all(isinstance(piece, Delta) for piece in deltas)
    assert isinstance(finished, Finished)
    return "".join(piece.text for piece in deltas if isinstance(piece, Delta)), finished


async def failure(model: OpenAIModel, seconds_left: float = 5.0) -> tuple[str, ProviderError, float]:
    """The text before an answer failed, the failure, and the seconds it took."""
    started, text = time.monotonic(), ""
    failed: ProviderError | None = None
    try:
        async for piece in model.stream(question(seconds_left)):
            text += piece.text if isinstance(piece, Delta) else ""
    except ProviderError as error:
        failed = error
    assert failed is not None, f"answered {text!r} where a failure was due"
    assert KEY not in str(failed)
    return text, failed, time.monotonic() - started
