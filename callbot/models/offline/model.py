"""The model itself: one request in, the JSON of the reply contract out."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncGenerator, Iterable

from callbot.business import Business
from callbot.events import BotSaid, CallerSaid, LeadStatus, Occasion
from callbot.models.base import Delta, Finished, Request
from callbot.models.offline.policy import decide
from callbot.models.offline.state import state_of
from callbot.models.offline.wording import spoken

_REHEARSED = (
    "Hello, my name is Dana Levi, I need it tomorrow at five, 617 555 0123",
    "שלום, קוראים לי דנה לוי, אני צריכה את זה מחר בחמש, 052-123-4567",
)
"""What touches every word list."""


class OfflineModel:
    """Answers by rules and phrases, at once, the same way every time. Needs no key and no network."""

    name = "offline"
    latency: float | None = 0.0
    uses_prompt = False

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """The whole reply object in one delta."""
        yield Delta(reply_text(request))
        yield Finished("stop")

    async def load(self, businesses: Iterable[Business]) -> None:
        """Read the word lists and prepare these businesses, off the event loop.

        Else the first question does it where it is asked, for half a second in which no other call
        of the process is heard.
        """
        await asyncio.to_thread(_rehearse, tuple(businesses))

    async def close(self) -> None:
        """Nothing is held."""


def _rehearse(businesses: Iterable[Business]) -> None:
    for business in businesses:
        for words in _REHEARSED:
            reply_text(
                Request(
                    business=business,
                    history=(BotSaid(business.greeting.text), CallerSaid(words)),
                    lead={},
                    missing=tuple(field.name for field in business.fields if field.required),
                    occasion=Occasion.CALLER_SPOKE,
                    detail="",
                    now=dt.datetime.now(dt.UTC),
                    caller_number=None,
                    seconds_left=0.0,
                )
            )


def reply_text(request: Request) -> str:
    """The reply object as JSON text. Every value in it is valid for its field."""
    state = state_of(request)
    decision = decide(state)
    words = spoken(state, decision)
    missing = state.missing
    status = decision.status
    if status != LeadStatus.DECLINED:
        status = LeadStatus.IN_PROGRESS if missing else LeadStatus.COMPLETE
    return json.dumps(
        {
            "spoken_reply": words,
            "control": {
                "should_end_call": decision.end is not None,
                "end_reason": decision.end,
                "lead_status": str(status),
                "missing_fields": missing,
                "notes": decision.note,
            },
            "lead": {name: state.new.get(name) for name in state.prepared.fields},
        },
        ensure_ascii=False,
    )
