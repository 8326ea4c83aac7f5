"""The numbers and sentences a call runs by. All times in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SPEECH_WITHOUT_WORDS = 3.0
"""An open speech closes after this long without a sign of the caller."""
SPEECH_LIMIT = 30.0
"""No open speech lasts longer, however often the detector repeats itself (a radio, a crowd)."""
MARK_GRACE = 3.0
"""A carrier that has not returned a mark this long after its audio must have ended has lost it."""
KEYS_PAUSE = 2.0
"""Keys pressed closer together than this are one entry."""
KEYS_LIMIT = 30
"""Further keys do not keep an entry open: a stuck key must not hold a call past its limits."""
FALLBACK_BUDGET = 5.0
"""The fallback model's own deadline, after the first model has failed."""
FAILURES_TO_END = 2
"""Turns in a row that nobody could answer before the call is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What differs between businesses, as the engine needs it. Defaults are those of the design."""

    greeting: str
    greeting_streamed: bool = False
    """The call itself plays the greeting; otherwise the carrier has played it before the call starts."""
    greeting_barge_in: bool = False

    required: tuple[str, ...] = ()
    """Fields that ``lead_complete`` needs, in asking order."""
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Declared end reasons and the fields each needs."""

    silence_after: float = 8.0
    silence_warnings: int = 2
    silence_by_model: bool = False
    warn: tuple[str, ...] = ("Are you still there?",)
    close: str = "I can't hear you, so I'll end the call here. Goodbye."

    linger: float = 1.0
    reprieves: int = 2

    limit_seconds: float = 600.0
    limit_turns: int = 60
    limit: str = "I have to end the call here. Goodbye."

    filler_after: float = 2.0
    reply_deadline: float = 10.0
    has_fallback: bool = False
    filler: tuple[str, ...] = ("One moment",)
    apology: str = "Sorry, something went wrong. Could you say that again?"
    failure: str = "Sorry, I can't go on right now. Goodbye."
    repeat: str = "Sorry, could you say that again?"
    goodbye: str = "Thank you, goodbye."
    resume: str = "Sorry, the line dropped for a moment."


def speech_seconds(text: str) -> float:
    """How long ``text`` takes to say, estimated.

    13 characters a second, within the 12-15 of unhurried telephone speech in Hebrew and English
    (about 150 English words of 5.5 letters a minute, Hebrew words being shorter and slower), plus
    0.3 s for the onset.
    """
    return 0.3 + len(text) / 13.0
