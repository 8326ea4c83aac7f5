"""What a call shows that may tell of a wrongful hang-up, or of a call that went wrong unnoticed.

A tell is a reason to look at a call, not a verdict: a caller who truly declined also leaves no lead.
All but one are read from the call's Record; that the caller rings again only another call can show,
and whoever keeps calls finds it (``store.tells``).
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from callbot import events as ev
from callbot.certificate import greeting_certificate
from callbot.events import EndedBy, LeadStatus
from callbot.record import Record

REDIAL = dt.timedelta(minutes=10)
"""A caller who rings again so soon after the bot has hung up was not done."""
CLOCKS = dt.timedelta(seconds=1)
"""By which the clocks of two processes may differ."""
BY_THE_BOT = frozenset({EndedBy.MODEL, EndedBy.SILENCE, EndedBy.FAILURE, EndedBy.LIMIT})
TRANSFERRED = "transferred"
"""The note of a line whose caller is connected to a person: nobody was hung up on."""


class Tell(StrEnum):
    """One reason to look at a call, in the order in which they are shown."""

    TALKING = "talking"
    """The caller was speaking as the bot hung up, or had said something over its last words in vain."""
    REDIAL = "redial"
    """The same caller rang the same business again within ``REDIAL`` of a call that the bot ended."""
    NO_LEAD = "no_lead"
    """The bot ended the call without a complete lead, though the caller had said something."""
    REFUSED = "end_refused"
    """The model asked to end the call, and the guard refused it."""
    FAREWELL = "farewell_unheard"
    """The bot hung up, and nothing says that its last sentence was heard."""
    GREETING = "greeting_failed"
    """The greeting certificate failed."""


MEANING: dict[Tell, str] = {
    Tell.TALKING: "the caller was talking when the bot hung up",
    Tell.REDIAL: "the caller rang again within 10 minutes",
    Tell.NO_LEAD: "the bot ended it without a complete lead",
    Tell.REFUSED: "the model asked to end it and was refused",
    Tell.FAREWELL: "the farewell may not have been heard",
    Tell.GREETING: "the greeting was not heard once and whole",
}


def tells_of(record: Record, ended_by: str | None) -> tuple[Tell, ...]:
    """The tells of a call that is over. ``ended_by``: who ended it; a broken-off call's Record cannot say."""
    by_the_bot = ended_by in BY_THE_BOT
    found = {
        Tell.TALKING: by_the_bot and _talking_at_the_end(record),
        Tell.NO_LEAD: by_the_bot and _ended_without_lead(record),
        Tell.REFUSED: next(record.notes("end_refused"), None) is not None,
        Tell.FAREWELL: by_the_bot and _farewell_unheard(record),
        Tell.GREETING: "rules" in record.header and greeting_certificate(record).result == "fail",
    }
    return tuple(tell for tell in Tell if found.get(tell))


def _talking_at_the_end(record: Record) -> bool:
    """Whether a speech was open at the hang-up, or words followed all that the bot said or asked itself.

    Words that the model was asked about were answered, even if its answer was to hang up.
    """
    speaking = unanswered = False
    for _, _, what in record.entries:
        match what:
            case ev.SpeechStarted():
                speaking = True
            case ev.UserSpoke(text):
                speaking, unanswered = False, unanswered or bool(text.strip())
            case ev.KeyPressed():
                unanswered = True
            case ev.Speak() | ev.AskModel():
                unanswered = False
            case ev.CallStarted() | ev.CallResumed():
                speaking = False
            case ev.HangUp():
                return speaking or unanswered
    return False


def _ended_without_lead(record: Record) -> bool:
    if next(record.notes(TRANSFERRED), None) is not None:
        return False
    status = LeadStatus.IN_PROGRESS
    for _, saved in record.of(ev.SaveLead):
        status = LeadStatus(saved.status)
    said = any(spoke.text.strip() for _, spoke in record.of(ev.UserSpoke)) or any(record.of(ev.KeyPressed))
    return said and status is not LeadStatus.COMPLETE


def _farewell_unheard(record: Record) -> bool:
    """Whether the last sentence before the hang-up failed, or its mark never came back."""
    last, heard = None, True
    for _, _, what in record.entries:
        match what:
            case ev.Speak(mark):
                last, heard = mark, False
            case ev.Played(mark) if last is not None and mark >= last:
                heard = True
            case ev.HangUp():
                return not heard
    return False
