"""A business and well-formed replies to it, for the tests of the reply contract."""

from __future__ import annotations

import copy
import json
from typing import Any

from callbot.business import Business
from callbot.reply import BrokenReply, Reply, ReplyReader

BUSINESS = Business.model_validate(
    {
        "id": "ruti",
        "name": "הניקיון של רותי",
        "greeting": {"text": "שלום, במה אפשר לעזור?"},
        "fields": [
            {"name": "full_name", "required": True},
            {"name": "phone", "type": "phone", "required": True},
            {
                "name": "service_type",
                "type": "choice",
                "choices": {"ניקוי דירה": ["דירה", "בית"], "ניקוי ספות": ["ספה", "ריפוד"], "unknown": []},
            },
            {"name": "notes"},
        ],
        "end_reasons": [{"name": "wrong_number", "when": "the caller reached the wrong business"}],
        "prompt": "You answer for {{ business.name }}.",
    }
)

NOTES = "secret reasoning nobody hears"
WHOLE = {
    "spoken_reply": "תודה, רשמתי. מה הטלפון?",
    "control": {
        "should_end_call": False,
        "end_reason": None,
        "lead_status": "in_progress",
        "missing_fields": ["phone"],
        "notes": NOTES,
    },
    "lead": {"full_name": "דנה לוי", "phone": None, "service_type": None, "notes": None},
}
DROP = object()
"""As a value: the key is left out."""
ENDING = {
    "control.should_end_call": True,
    "control.end_reason": "lead_complete",
    "control.lead_status": "complete",
    "control.missing_fields": [],
}


def changed(changes: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    """The whole reply with values at dotted places changed."""
    result: dict[str, Any] = copy.deepcopy(WHOLE)
    for place, value in {**(changes or {}), **top}.items():
        *parents, key = place.split(".")
        target = result
        for parent in parents:
            target = target[parent]
        if value is DROP:
            del target[key]
        else:
            target[key] = value
    return result


def text(changes: dict[str, Any] | None = None, **top: Any) -> str:
    """The same as the model would write it."""
    return json.dumps(changed(changes, **top), ensure_ascii=False)


def read(
    pieces: list[str], finish: str = "stop", business: Business = BUSINESS
) -> tuple[list[str], Reply | BrokenReply]:
    """What is said and what comes of a reply that arrives in ``pieces``."""
    reader = ReplyReader(business)
    said = [sentence for piece in pieces for sentence in reader.feed(piece)]
    try:
        rest, reply = reader.finish(finish)
    except BrokenReply as broken:
        return said, broken
    return [*said, *rest], reply
