"""One turn of a model: ask, read while it streams, ask once more if the answer cannot be used.

Both drivers put an ``AskModel`` through ``respond`` and feed what it yields to the call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace

from callbot.events import Control, Note, ReplyDone, ReplyFailed, SentenceReady
from callbot.models.base import Delta, Finished, Misconfigured, Model, ProviderError, Request
from callbot.reply import BrokenReply, Reply, ReplyReader

Answer = SentenceReady | ReplyDone | ReplyFailed | Note
ATTEMPTS = 2
"""The answer, and one more chance for what could not be read, within the same budget."""


async def respond(model: Model, request: Request, turn: int) -> AsyncGenerator[tuple[float, Answer], None]:
    """Yield ``(seconds since asked, answer)``: sentences and notes, then ReplyDone or ReplyFailed.

    Seconds are real, or as the model says (a piece's ``at``, or its ``latency``). A broken reply is the
    model's fault and ends in a safe reply that decides nothing; a provider's failure, or no answer
    within ``request.seconds_left``, ends in ReplyFailed. Raises ``models.base.Misconfigured`` as it
    is: no other turn would go better.
    """
    clock = _Stopwatch(model.latency)
    budget = request.seconds_left
    spoken: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        if attempt > 1 and request.seconds_left <= 0:
            break  # the model's own time is up: that is its fault, not the provider's
        clock.lap()
        reader = ReplyReader(request.business)
        silent = attempt > 1 and bool(spoken)  # words were heard already: only control and lead count
        try:
            async with aclosing(_chunks(model, request, clock)) as chunks:
                async for chunk in chunks:
                    clock.told(chunk.at)
                    if isinstance(chunk, Delta):
                        sentences, reply = reader.feed(chunk.text), None
                    else:
                        yield clock.seconds(), _usage(turn, attempt, chunk, clock)
                        sentences, reply = reader.finish(chunk.reason, chunk.detail)
                    for sentence in () if silent else sentences:
                        spoken.append(sentence)
                        yield clock.seconds(), SentenceReady(turn, sentence)
                    if reply is not None:
                        for note in _faults(turn, attempt, reply):
                            yield clock.seconds(), note
                        yield clock.seconds(), ReplyDone(turn, reply.control, reply.lead)
                        return
            yield clock.seconds(), ReplyFailed(turn, "the stream ended without saying that it was finished")
            return
        except Misconfigured:
            raise
        except ProviderError as error:
            yield clock.seconds(), ReplyFailed(turn, str(error))
            return
        except BrokenReply as fault:
            data = {"turn": turn, "attempt": attempt, "fault": str(fault), "usable": False}
            yield clock.seconds(), Note("contract_fault", data)
            request = replace(request, repair=str(fault), seconds_left=budget - clock.seconds())
    if not spoken:
        yield clock.seconds(), SentenceReady(turn, request.business.sentence("repeat"))
    yield clock.seconds(), ReplyDone(turn, Control(missing_fields=request.missing))


async def _chunks(
    model: Model, request: Request, clock: _Stopwatch
) -> AsyncGenerator[Delta | Finished, None]:
    """The model's stream, each piece waited for no longer than the budget allows."""
    deadline = clock.real() + request.seconds_left
    async with aclosing(model.stream(request)) as stream:
        while True:
            try:
                if model.latency is None:
                    async with asyncio.timeout(max(0.0, deadline - clock.real())):
                        chunk = await anext(stream)
                else:
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise ProviderError("no answer within the turn's budget") from error
            yield chunk


def _usage(turn: int, attempt: int, finished: Finished, clock: _Stopwatch) -> Note:
    data = {
        "turn": turn,
        "attempt": attempt,
        "seconds": clock.seconds(),
        "finish_reason": finished.reason,
        "input_tokens": finished.input_tokens,
        "output_tokens": finished.output_tokens,
        "cached_tokens": finished.cached_tokens,
    }
    return Note("model_answered", data)


def _faults(turn: int, attempt: int, reply: Reply) -> Iterator[Note]:
    for fault in reply.faults:
        yield Note("contract_fault", {"turn": turn, "attempt": attempt, "fault": fault, "usable": True})
    for name, value in reply.invalid.items():
        yield Note("invalid_value", {"turn": turn, "field": name, "value": value})


class _Stopwatch:
    """Seconds since the question was asked: measured, or as the model says for each try at an answer."""

    def __init__(self, latency: float | None) -> None:
        self._latency = latency
        self._started = time.perf_counter()
        self._before = 0.0
        """What earlier tries took."""
        self._at: float | None = 0.0
        """Since this try began, as the model says."""
        self._began = self._started

    def lap(self) -> None:
        """Another try begins."""
        self._before, self._at, self._began = self.seconds(), None, time.perf_counter()

    def told(self, at: float | None) -> None:
        self._at = at

    def real(self) -> float:
        return time.perf_counter() - self._started

    def seconds(self) -> float:
        if self._at is not None:
            return self._before + self._at
        if self._latency is not None:
            return self._before + self._latency
        return self._before + time.perf_counter() - self._began
