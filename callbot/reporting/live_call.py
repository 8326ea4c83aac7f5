"""A call as it happens, kept as a screen shows it: who has the floor, what was said, what was decided.

Fed with everything that a driver's observer sees, and with the notes of the line and the ears; the
screens (``live_call_screen``, ``live_call_lines``) only read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.record import Record

Floor = Literal["opening", "greeting", "bot", "you", "thinking", "nobody", "over"]

REMARKS = {
    "reply_failed": "the model failed: {error}",
    "recogniser_failed": "the recogniser failed: {error}",
    "contract_fault": "contract fault: {fault}",
    "invalid_value": "not a valid {field}: {value}",
    "mark_lost": "the sound card did not say that it has played a sentence",
    "voice_failed": "the voice failed: {error}",
    "device_slipped": "the sound card slipped: {what}; more of it is counted",
    "device_lost": "{why}; the call ends as if you had hung up",
    "microphone_silent": "the microphone gives nothing at all: is it muted, or this program not allowed to hear it?",
    "fallback": "the fallback model answers this turn",
}
"""What notes say to somebody who watches."""


@dataclass(slots=True)
class Said:
    """One line of the talk. ``state``: of the bot's, ``waiting``, ``speaking``, ``heard`` or ``cut``."""

    speaker: Literal["bot", "you", "note"]
    text: str
    state: Literal["waiting", "speaking", "heard", "cut"] = "heard"


@dataclass(slots=True)
class Stages:
    """How long the parts of one answer took, in seconds; None: not yet, or not measured."""

    words: float | None = None
    """From the end of the caller's speech to their words."""
    sentence: float | None = None
    """From the words to the model's first sentence."""
    voice: float | None = None
    """From that sentence to its first sound."""

    @property
    def known(self) -> list[tuple[str, float]]:
        """The stages measured so far, in order, by name."""
        named = (("recognition", self.words), ("first sentence", self.sentence), ("first audio", self.voice))
        return [(name, seconds) for name, seconds in named if seconds is not None]

    def __str__(self) -> str:
        """One line: each stage in milliseconds, and the sum."""
        parts = [f"{name} {1000 * seconds:.0f} ms" for name, seconds in self.known]
        if len(parts) > 1:
            parts.append(f"together {1000 * sum(seconds for _, seconds in self.known):.0f} ms")
        return ", ".join(parts)


@dataclass(slots=True)
class LiveCall:
    """What is known of a call at this moment."""

    said: list[Said] = field(default_factory=list)
    floor: Floor = "opening"
    control: ev.Control | None = None
    guard: str = ""
    """Why the guard refused the last request to end; empty if it did not."""
    lead: Mapping[str, str] = field(default_factory=dict)
    lead_status: str = "in_progress"
    stages: Stages = field(default_factory=Stages)
    muted: bool = False
    leaving: bool = False
    typed: str | None = None
    """What is being typed; None if the caller speaks."""
    silence_at: float | None = None
    """When the silence is broken, in the driver's seconds."""
    _on_air: dict[int, Said] = field(default_factory=dict)
    _asked_at: float = 0.0
    _awaits_voice: bool = False
    _heard_in: float | None = None

    @classmethod
    def greeting(cls, words: str | None) -> LiveCall:
        """A call whose greeting the line itself plays, if ``words`` are given."""
        live = cls()
        if words is not None:
            live.floor = "greeting"
            live.said.append(Said("bot", words, "speaking"))
        return live

    def happened(self, t: float, what: ev.Event | ev.Command, call: Call) -> list[Said]:
        """Take what a driver observed; returns the lines that are new."""
        before = len(self.said)
        self._take(t, what)
        self.silence_at = call.quiet_since + call.rules.silence_after if call.is_quiet else None
        self.floor = self._floor(call)
        return self.said[before:]

    def noted(self, t: float, note: ev.Note) -> list[Said]:
        """Take a note of the line or the ears; returns the lines that are new."""
        before = len(self.said)
        self._note(note)
        return self.said[before:]

    def _take(self, t: float, what: ev.Event | ev.Command) -> None:
        match what:
            case ev.CallStarted():
                for line in self.said:
                    line.state = "heard"
            case ev.Speak(mark, text):
                line = Said("bot", text, "waiting" if self._on_air else "speaking")
                self._on_air[mark] = line
                self.said.append(line)
            case ev.Played(mark):
                for heard in [known for known in self._on_air if known <= mark]:
                    self._on_air.pop(heard).state = "heard"
                if self._on_air:
                    next(iter(self._on_air.values())).state = "speaking"
            case ev.ClearAudio():
                for line in self._on_air.values():
                    line.state = "cut"
                self._on_air.clear()
            case ev.UserSpoke(text) if text.strip():
                self.said.append(Said("you", text.strip()))
                self.stages = Stages(words=self._heard_in)
                self._heard_in = None
            case ev.KeyPressed(key):
                self.said.append(Said("you", f"[{key}]"))
            case ev.AskModel():
                self._asked_at = t
                self._awaits_voice = True
                if what.fallback:
                    self.said.append(Said("note", REMARKS["fallback"]))
            case ev.SentenceReady() if self._awaits_voice and self.stages.sentence is None:
                self.stages.sentence = t - self._asked_at
            case ev.ReplyDone(control=control):
                self.control, self.guard = control, ""
            case ev.SaveLead(lead, status):
                self.lead, self.lead_status = dict(lead), status
            case ev.Note():
                self._note(what)

    def _note(self, note: ev.Note) -> None:
        data: Mapping[str, Any] = note.data
        if note.type == "recognised":
            self._heard_in = float(data["seconds"])
        elif note.type == "voice_began" and self._awaits_voice and self.stages.sentence is not None:
            self.stages.voice, self._awaits_voice = float(data["seconds"]), False
        elif note.type == "end_refused":
            self.guard = str(data["why"])
        elif note.type == "voice_failed" and data.get("mark") in self._on_air:
            self._on_air.pop(data["mark"]).state = "cut"
        if note.type in REMARKS:
            self.said.append(Said("note", REMARKS[note.type].format_map(data)))

    def _floor(self, call: Call) -> Floor:
        if call.phase is Phase.OVER:
            return "over"
        if self._on_air:
            return "bot"
        if call.turn.asking:
            return "thinking"
        return "nobody" if call.is_quiet or call.phase is Phase.LINGER else "you"


def control_line(control: ev.Control) -> str:
    """What the model decided, in one line."""
    wants = f"ENDS {control.end_reason}" if control.should_end_call else "goes on"
    missing = f"; missing {', '.join(control.missing_fields)}" if control.missing_fields else ""
    notes = f"; {control.notes}" if control.notes else ""
    return f"control: {wants}; {control.lead_status}{missing}{notes}"


def lead_line(lead: Mapping[str, str], status: str) -> str:
    """What is known of the lead, in one line."""
    values = ", ".join(f"{name}: {value}" for name, value in lead.items())
    return f"lead {status}: {values or 'nothing yet'}"


def ending_line(call: Call, record: Record) -> str:
    """Why a call is over; a sound card that has gone is said where it was the reason."""
    if call.ending is None:
        return "the call broke off before it had begun"
    reason = f": {call.ending.reason}" if call.ending.reason else ""
    lost = next((str(data["why"]) for _, data in record.notes("device_lost")), None)
    why = f" ({lost})" if lost and call.ending.by is ev.EndedBy.CALLER else ""
    return f"call ended by {call.ending.by.value}{reason}{why}; lead {call.lead_status}"
