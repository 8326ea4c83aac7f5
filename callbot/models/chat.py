"""One whole answer of a model that is asked under a contract of its own."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import NamedTuple

from pydantic import ValidationError

from callbot.models.base import ChatModel, ChatRequest, Delta, Finished, ProviderError


class Answered(NamedTuple):
    """An answer, the seconds that it took, and how it ended."""

    text: str
    seconds: float
    finished: Finished

    def whole(self) -> str:
        """The text. Raises ProviderError if the answer was cut off or refused."""
        if self.finished.reason != "stop":
            raise ProviderError(f"the answer stopped ({self.finished.reason}) {self.finished.detail}".strip())
        return self.text


async def answer_of(model: ChatModel, request: ChatRequest) -> Answered:
    """Ask, and wait for all of it. Raises ProviderError, and what the model raises."""
    started = time.perf_counter()
    text: list[str] = []
    finished = None
    async with aclosing(model.stream(request)) as stream:
        async for piece in stream:
            if isinstance(piece, Delta):
                text.append(piece.text)
            else:
                finished = piece
    if finished is None:
        raise ProviderError("the stream ended without saying that it was finished")
    measured = time.perf_counter() - started if model.latency is None else model.latency
    return Answered("".join(text), measured if finished.at is None else finished.at, finished)


def bare_json(text: str) -> str:
    """The JSON object of an answer; some servers' models put a fence or a word around it."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def fault_of(error: ValidationError) -> str:
    """What was wrong with an answer, to be told to the model."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else "it is no JSON object of the agreed shape"
