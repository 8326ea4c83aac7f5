"""The words of the engine: what happens to a call (events), what a call wants done (commands).

Everything here is a plain frozen value; the rules that connect them live in ``call.py``. All times
and lengths are seconds. ``now`` is never part of a value: the driver passes it beside the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class LeadStatus(StrEnum):
    """How far the lead is, as the reply contract names it."""

    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Control:
    """What a model decided beside its words (the ``control`` object of the reply contract)."""

    should_end_call: bool = False
    end_reason: str | None = None
    lead_status: str = LeadStatus.IN_PROGRESS
    missing_fields: tuple[str, ...] = ()
    notes: str = ""


class Occasion(StrEnum):
    """Why the model is asked. Everything but ``CALLER_SPOKE`` is told to it by a backend note."""

    CALLER_SPOKE = "caller_spoke"
    SILENCE = "silence"
    """The line has been silent (only with ``silence.by: model``)."""
    AFTER_FAREWELL = "after_farewell"
    """The caller spoke during the farewell or the linger: the reprieve."""
    END_REFUSED = "end_refused"
    """The guard refused the request to end that the model has just made."""
    RESUMED = "resumed"
    """The line was lost and is back; the caller's last words were never answered."""


class SpeechKind(StrEnum):
    """What an utterance of the bot is, for lines that cache fixed sentences and for Records."""

    GREETING = "greeting"
    REPLY = "reply"
    FILLER = "filler"
    WARNING = "warning"
    APOLOGY = "apology"
    CLOSING = "closing"
    """The business's own last sentence: silence, limit, failure or a default goodbye."""
    RESUME = "resume"


class EndedBy(StrEnum):
    """Who ended a call."""

    MODEL = "model"
    SILENCE = "silence"
    CALLER = "caller"
    FAILURE = "failure"
    LIMIT = "limit"


# --- history: what both sides heard, in order -------------------------------------------------
@dataclass(frozen=True, slots=True)
class CallerSaid:
    """One caller utterance, or keys pressed (``keys``: digits, ``text`` empty)."""

    text: str
    keys: str = ""


@dataclass(frozen=True, slots=True)
class BotSaid:
    """What the caller heard of one thing the bot said.

    ``turn`` is 0 for the bot's fixed sentences (greeting, warnings ...), else the model turn whose
    ``control`` and ``lead`` follow; a reply that was interrupted before its control arrived carries
    a neutral one. ``text`` holds only sentences heard to their end.
    """

    text: str
    turn: int = 0
    kind: SpeechKind = SpeechKind.REPLY
    interrupted: bool = False
    control: Control = Control()
    lead: Mapping[str, str] = field(default_factory=dict)


Heard = CallerSaid | BotSaid


# --- events: what happened ----------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class CallStarted:
    """The line is open. With ``greeting.mode: play`` the carrier has played the greeting by now."""


@dataclass(frozen=True, slots=True)
class CallResumed:
    """The line is open again after a crash; only on a call made by ``Call.restore``."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller's voice was detected. Opens a speech that one ``UserSpoke`` closes."""


@dataclass(frozen=True, slots=True)
class SpeechContinues:
    """The detector still hears the caller; a line sends it at least every 2 s of open speech."""


@dataclass(frozen=True, slots=True)
class UserSpoke:
    """The open speech ended and this is what was said; empty for a cough or a failed recognition."""

    text: str


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One key of the caller's phone: ``0``-``9``, ``*`` or ``#``."""

    key: str


@dataclass(frozen=True, slots=True)
class AudioQueued:
    """The line knows how long the audio of ``mark`` is (seconds) and has handed all of it over."""

    mark: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Played:
    """The carrier says that everything up to ``mark`` was played (or was discarded by a clear)."""

    mark: int


@dataclass(frozen=True, slots=True)
class VoiceFailed:
    """The utterance ``mark`` could not be synthesised: nobody will hear it."""

    mark: int
    error: str


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """The model has written one more sentence of its ``spoken_reply``."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The model's reply is complete and readable. ``lead``: new valid values only."""

    turn: int
    control: Control = Control()
    lead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The provider failed; the turn has no (further) answer."""

    turn: int
    error: str


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """The line is gone by the caller's wish."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The engine's own ``deadline`` has come."""


Event = (
    CallStarted
    | CallResumed
    | SpeechStarted
    | SpeechContinues
    | UserSpoke
    | KeyPressed
    | AudioQueued
    | Played
    | VoiceFailed
    | SentenceReady
    | ReplyDone
    | ReplyFailed
    | CallerHungUp
    | Tick
)


# --- commands: what to do -----------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Speak:
    """Play ``text`` after everything spoken before it; answer with ``Played(mark)``."""

    mark: int
    text: str
    speech: SpeechKind = SpeechKind.REPLY


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Silence the line at once and drop whatever is queued on it."""


@dataclass(frozen=True, slots=True)
class AskModel:
    """Put the call to the model.

    ``detail`` explains the occasion (why the end was refused, how long the silence was).
    ``seconds_left`` is what remains of the turn's budget. ``fallback``: ask the fallback model.
    """

    turn: int
    history: tuple[Heard, ...]
    lead: Mapping[str, str]
    missing: tuple[str, ...]
    occasion: Occasion = Occasion.CALLER_SPOKE
    detail: str = ""
    seconds_left: float = 10.0
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class CancelModel:
    """Nobody waits for the answer to ``turn`` any more."""

    turn: int


@dataclass(frozen=True, slots=True)
class SaveLead:
    """The lead has changed; ``lead`` is all of it, valid values only."""

    lead: Mapping[str, str]
    status: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call on the line. Sent at most once, after the last sentence was heard."""

    by: EndedBy
    reason: str | None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the Record should tell; drivers write it down and do nothing else."""

    type: str
    data: Mapping[str, object]


Command = Speak | ClearAudio | AskModel | CancelModel | SaveLead | HangUp | Note
