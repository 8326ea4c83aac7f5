"""The model itself: one request in, the JSON of the reply contract out."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

from callbot.events import LeadStatus
from callbot.models.base import Delta, Finished, Request
from callbot.models.offline.policy import decide
from callbot.models.offline.state import state_of
from callbot.models.offline.wording import spoken


class OfflineModel:
    """Answers by rules and phrases, at once, the same way every time. Needs no key and no network."""

    name = "offline"
    latency: float | None = 0.0
    uses_prompt = False

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """The whole reply object in one delta."""
        yield Delta(reply_text(request))
        yield Finished("stop")

    async def close(self) -> None:
        """Nothing is held."""


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
