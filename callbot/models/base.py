"""What a dialogue model is: it gets a Request and streams the text of one reply object.

A model never sees the engine. It gets the whole conversation as both sides heard it, and answers
with the JSON of the reply contract (``reply.py``), in pieces of any size.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.events import Heard, Occasion


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model.

    ``lead`` holds valid captured values by field name, ``missing`` the required fields still
    uncaptured, in asking order. ``repair``: why the model's previous answer to this same request
    could not be used; None on the first try. ``seconds_left``: budget for the whole answer.
    """

    business: Business
    history: tuple[Heard, ...]
    lead: Mapping[str, str]
    missing: tuple[str, ...]
    occasion: Occasion
    detail: str
    now: dt.datetime
    caller_number: str | None
    seconds_left: float
    repair: str | None = None
    turn: int = 1
    """The number of this question on its call."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A question under a contract of its own: who plays a caller is no bot and answers with no reply.

    ``messages``: the whole chat (``role`` and ``content``), the system message first. ``schema``: JSON
    Schema of the answer, strict as OpenAI takes it, called ``name``. ``turn``, ``repair`` and
    ``seconds_left`` as in Request.
    """

    messages: tuple[Mapping[str, str], ...]
    schema: Mapping[str, object]
    name: str
    turn: int = 1
    seconds_left: float = 30.0
    repair: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the reply's text.

    ``at``: seconds since the request, where the model knows better than the clock (an answer that was
    recorded, or waited for behind a rate limit); None to let the one who asked measure.
    """

    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The stream ended. ``reason``: ``stop``, ``length``, ``content_filter`` or ``refusal``.

    ``cached_tokens``: how many of the input tokens the provider had cached. ``at``: as in Delta.
    """

    reason: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    detail: str = ""
    cached_tokens: int = 0
    at: float | None = None


class ProviderError(CallbotError):
    """The provider could not answer: connection, status, timeout. Not the model's fault."""


class Passing(ProviderError):
    """Another try may go better: a connection that failed, a 5xx, a stream that broke off."""


class RateLimited(Passing):
    """The provider takes no more for now. ``retry_after``: seconds it asks to wait, None if it does not say."""

    def __init__(self, said: str, retry_after: float | None = None) -> None:
        super().__init__(said)
        self.retry_after = retry_after


class Misconfigured(ProviderError):
    """Every request would fail the same way: bad key, unknown model, no credit. Says how to mend it."""


class Model(Protocol):
    """A dialogue model.

    ``name`` is what ``--model`` takes. ``latency``: seconds that virtual time advances for an
    answer (unless its pieces say ``at``), or None when the real time it took is to be measured.
    ``uses_prompt``: whether changing the business's prompt can change an answer.
    """

    name: str
    latency: float | None
    uses_prompt: bool

    def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Answer one request: deltas, then exactly one Finished. Raises ProviderError."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class Loadable(Protocol):
    """A model whose first answer would be slow, unless it is loaded before."""

    async def load(self, businesses: Iterable[Business]) -> None:
        """Do beforehand, off the event loop, what the first questions of these businesses would wait for."""
        ...


class ChatModel(Protocol):
    """A model that answers under any contract; see Model."""

    name: str
    latency: float | None

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Finished, None]:
        """Answer one request: deltas, then exactly one Finished. Raises ProviderError."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
