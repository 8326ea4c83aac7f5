"""How a call went, beside what is on its tape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from callbot.carrier.probes import Probe
from callbot.carrier.trouble import TwilioError

EndedBy = Literal["rest", "verb", "socket", "caller", "reject", "error", "limit"]
"""``rest``, ``verb``, ``socket``, ``reject``: the bot, by that means. ``error``: Twilio ended it."""


@dataclass(slots=True)
class Outcome:
    """How a call went, beside its tape."""

    call_sid: str
    webhook_seconds: float | None = None
    ended_by: EndedBy = "error"
    detail: str = ""
    error: TwilioError | None = None
    reached: bool = True
    """Whether the bot answered at all."""
    rest_hangups: int = 0
    """REST requests to complete the call, those after its end included."""
    clock_late: float = 0.0
    """Seconds by which the carrier's own clock was late at worst: its machine was too busy."""
    probes: list[Probe] = field(default_factory=list)
