"""``mutant:FAULT``: a good model with one planted fault, to find out whether a suite of scenarios notices.

Each fault spoils the finished reply of the model below it and leaves the rest alone. The phrases here
are the faults themselves: nothing else in callbot decides anything by phrases.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from callbot.ending import LEAD_COMPLETE
from callbot.events import CallerSaid, LeadStatus, Occasion
from callbot.models.base import Delta, Finished, Model, Request

_NO = re.compile(r"\b(לא|no|not|don't)\b", re.IGNORECASE)
_THANKS = re.compile(r"\b(תודה|thanks|thank you)\b", re.IGNORECASE)

CUSTOMER_DECLINED = "customer_declined"

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a mutant, and how it spoils a reply (in place)."""

    what: str
    spoil: Callable[[Request, Reply], None]


def _ends_at_first_no(request: Request, reply: Reply) -> None:
    if _NO.search(_last_words(request)):
        _end(request, reply, CUSTOMER_DECLINED if _missing(request, reply) else LEAD_COMPLETE)


def _ends_on_thanks(request: Request, reply: Reply) -> None:
    if _THANKS.search(_last_words(request)):
        _end(request, reply, CUSTOMER_DECLINED if _missing(request, reply) else LEAD_COMPLETE)


def _never_ends(request: Request, reply: Reply) -> None:
    if reply["control"]["should_end_call"]:
        reply["spoken_reply"] = request.business.sentence("repeat")
        _stay(request, reply)


def _ends_before_last_field(request: Request, reply: Reply) -> None:
    if len(_missing(request, reply)) == 1:
        _end(request, reply, LEAD_COMPLETE)


def _wrong_reason(request: Request, reply: Reply) -> None:
    control = reply["control"]
    if control["should_end_call"]:
        _decide(reply, LEAD_COMPLETE if control["end_reason"] != LEAD_COMPLETE else CUSTOMER_DECLINED)


def _says_goodbye_and_stays(request: Request, reply: Reply) -> None:
    if reply["control"]["should_end_call"]:
        _stay(request, reply)


def _ignores_silence(request: Request, reply: Reply) -> None:
    if request.occasion is Occasion.SILENCE:
        reply["spoken_reply"] = request.business.sentence("repeat")
        _stay(request, reply)


FAULTS = {
    "ends-at-first-no": Fault('takes the first "לא" or "no" for the end', _ends_at_first_no),
    "never-ends": Fault("never asks to end", _never_ends),
    "ends-before-last-field": Fault("ends with one required field missing", _ends_before_last_field),
    "wrong-reason": Fault("ends when it should, for another reason", _wrong_reason),
    "says-goodbye-and-stays": Fault("says goodbye and does not ask to end", _says_goodbye_and_stays),
    "ends-on-thanks": Fault('takes "תודה" or "thanks" for the end', _ends_on_thanks),
    "ignores-silence": Fault(
        "is told that the caller is gone (silence.by: model) and talks on", _ignores_silence
    ),
}


class MutantModel:
    """A model that is good but for one fault. It cannot be streamed: the fault needs the whole reply."""

    def __init__(self, fault: str, base: Model) -> None:
        self._fault, self._base = FAULTS[fault], base
        self.name = f"mutant:{fault}"
        self.latency, self.uses_prompt = base.latency, base.uses_prompt

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """The base's reply, spoilt. One that cannot be read is passed on as it is."""
        text = ""
        async with aclosing(self._base.stream(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finished):
                    yield Delta(self._spoilt(request, text))
                    yield piece
                else:
                    text += piece.text

    async def close(self) -> None:
        """Close the base."""
        await self._base.close()

    def _spoilt(self, request: Request, text: str) -> str:
        try:
            reply = json.loads(text)
            self._fault.spoil(request, reply)
        except (ValueError, KeyError, TypeError, AttributeError):
            return text
        return json.dumps(reply, ensure_ascii=False)


def _last_words(request: Request) -> str:
    if request.occasion is not Occasion.CALLER_SPOKE:
        return ""
    return next((said.text for said in reversed(request.history) if isinstance(said, CallerSaid)), "")


def _missing(request: Request, reply: Reply) -> list[str]:
    return [name for name in request.missing if not reply["lead"].get(name)]


def _end(request: Request, reply: Reply, reason: str) -> None:
    reply["spoken_reply"] = request.business.sentence("goodbye")
    reply["control"]["missing_fields"] = []
    _decide(reply, reason)


def _decide(reply: Reply, reason: str) -> None:
    status = LeadStatus.COMPLETE if reason == LEAD_COMPLETE else LeadStatus.DECLINED
    if reason == LEAD_COMPLETE:
        reply["control"]["missing_fields"] = []
    reply["control"].update(should_end_call=True, end_reason=reason, lead_status=str(status))


def _stay(request: Request, reply: Reply) -> None:
    missing = _missing(request, reply)
    status = LeadStatus.IN_PROGRESS if missing else LeadStatus.COMPLETE
    reply["control"].update(
        should_end_call=False, end_reason=None, lead_status=str(status), missing_fields=missing
    )
