"""How many requests are in flight: as many as the provider takes, found out by asking.

Additive increase, multiplicative decrease, as TCP does (Chiu and Jain, 1989): each round of answered
requests allows one more, a refusal halves them, never below one. ``Retry-After`` holds the whole pool,
for a limit is on the account and not on one request. Time waited here is no latency of the model: an
answer's pieces say how long the try took that was answered.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from callbot.models.base import Delta, Finished, Model, Passing, ProviderError, RateLimited, Request

PATIENCE_SECONDS = 120.0
"""A pool that is refused for so long without one answer stops waiting: its runs are ``infra``."""

TRIES = 3
"""For one question, when tries fail in ways that pass (a dropped connection, a 5xx)."""

_FIRST_WAIT, _LAST_WAIT = 0.5, 30.0
"""Seconds before a try when the provider names none; doubled with each refusal in a row."""


class Pace:
    """Admits requests to a provider. ``ceiling``: most in flight; ``seed``: of the jitter.

    For one event loop. ``allowed`` may be read at any time; ``refusals`` and ``waited`` (seconds, of the
    whole pool) tell afterwards what the provider's limits cost.
    """

    def __init__(self, ceiling: int, *, seed: int = 0, patience: float = PATIENCE_SECONDS) -> None:
        self._ceiling, self._patience = ceiling, patience
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret
        self._allowed = float(ceiling)
        self._in_flight = 0
        self._changed = asyncio.Condition()
        self._resume_at = 0.0
        self._refused_since: float | None = None
        """When the refusals began that no answer has ended yet; loop time."""
        self._refused_in_a_row = 0
        self._halved_at = 0.0
        self.refusals = 0
        self.waited = 0.0

    @property
    def allowed(self) -> int:
        """Requests that may be in flight now."""
        return int(self._allowed)

    async def enter(self) -> float:
        """Wait for a place; the moment at which it was given, for ``refused``."""
        loop = asyncio.get_running_loop()
        while True:
            if (hold := self._resume_at - loop.time()) > 0:
                await asyncio.sleep(hold)
                continue
            async with self._changed:
                if self._in_flight < self.allowed:
                    self._in_flight += 1
                    return loop.time()
                await self._changed.wait()

    async def leave(self) -> None:
        """Give the place back."""
        async with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def answered(self) -> None:
        """A request was taken: after a round of them, one more may be in flight."""
        self._refused_since, self._refused_in_a_row = None, 0
        self._allowed = min(self._ceiling, self._allowed + 1 / self._allowed)

    def refused(self, entered: float, retry_after: float | None) -> bool:
        """A request that entered then was refused: hold the pool. False when waiting has become pointless."""
        now = asyncio.get_running_loop().time()
        self.refusals += 1
        if entered >= self._halved_at:  # one halving for all that were in flight together
            self._allowed, self._halved_at = max(1.0, self._allowed / 2), now
            self._refused_in_a_row += 1
        if self._refused_since is None:
            self._refused_since = now
        wait = retry_after
        if wait is None:
            wait = min(_FIRST_WAIT * 2 ** (self._refused_in_a_row - 1), _LAST_WAIT)
        wait *= self._random.uniform(1.0, 1.25)  # never sooner than asked
        if now + wait - self._refused_since > self._patience:
            return False
        later = max(self._resume_at, now + wait)
        self.waited += later - max(self._resume_at, now)
        self._resume_at = later
        return True

    async def backoff(self, tries: int) -> None:
        """Wait before trying one question again that failed ``tries`` times in a way that passes."""
        wait = min(_FIRST_WAIT * 2 ** (tries - 1), _LAST_WAIT)
        await asyncio.sleep(wait * self._random.uniform(0.5, 1.0))


class Paced:
    """A model asked at a pace. A refused question is asked again; whole answers come with their own times.

    Each try has the whole of ``seconds_left``. For models whose latency is measured; the others wait
    for nobody.
    """

    latency: float | None = 0.0

    def __init__(self, model: Model, pace: Pace) -> None:
        assert model.latency is None
        self._model, self._pace = model, pace
        self.name, self.uses_prompt = model.name, model.uses_prompt

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Answer; pieces say ``at``. Raises ProviderError: limited for too long, or failed too often."""
        failures = 0
        while True:
            entered = await self._pace.enter()
            try:
                pieces = await self._try(request)
            except RateLimited as limited:
                if not self._pace.refused(entered, limited.retry_after):
                    raise ProviderError(f"{limited}; waited as long as makes sense") from limited
            except Passing:
                failures += 1
                if failures == TRIES:
                    raise
                await self._pace.backoff(failures)
            else:
                self._pace.answered()
                break
            finally:
                await self._pace.leave()
        for piece in pieces:
            yield piece

    async def _try(self, request: Request) -> list[Delta | Finished]:
        pieces: list[Delta | Finished] = []
        started = time.perf_counter()
        try:
            async with asyncio.timeout(request.seconds_left), aclosing(self._model.stream(request)) as stream:
                async for piece in stream:
                    pieces.append(replace(piece, at=time.perf_counter() - started))  # noqa: PERF401
        except TimeoutError as error:
            raise ProviderError("no answer within the turn's budget") from error
        return pieces

    async def close(self) -> None:
        """Close the model itself."""
        await self._model.close()
