"""A Record as people read it: who said what and when, and what was decided beside the words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from callbot import events as ev
from callbot.record import Record

Speaker = Literal["bot", "caller", "note"]

_UNREMARKABLE = frozenset({"model_answered", "caller_turn", "voice_began", "recognised", "sound_waited"})
"""Notes that tell of an ordinary call."""


@dataclass(slots=True)
class TranscriptLine:
    """One line. ``t``: seconds from the call's beginning; ``remark``: what became of the words, if odd."""

    t: float
    speaker: Speaker
    text: str
    remark: str = ""


def transcript(record: Record) -> list[TranscriptLine]:
    """Every utterance, and the requests, refusals and faults between them, in order."""
    return _Reader(record).read()


@dataclass(slots=True)
class _Reader:
    record: Record
    lines: list[TranscriptLine] = field(default_factory=list)
    on_air: dict[int, TranscriptLine] = field(default_factory=dict)
    """Lines of utterances that nobody has heard to their end yet, by mark."""
    t: float = 0.0

    def read(self) -> list[TranscriptLine]:
        entries = self.record.entries
        for entry in entries:
            self.t = entry.t - entries[0].t
            self._take(entry.what)
        return self.lines

    def _take(self, what: ev.Event | ev.Command) -> None:
        match what:
            case ev.CallStarted():
                rules = self.record.header.get("rules", {})
                if rules.get("greeting") and not rules.get("greeting_streamed"):
                    self._say("bot", str(rules["greeting"]))
            case ev.Speak(mark, text):
                self.on_air[mark] = self._say("bot", text)
            case ev.Played(mark):
                for heard in [known for known in self.on_air if known <= mark]:
                    del self.on_air[heard]
            case ev.ClearAudio():
                for line in self.on_air.values():
                    line.remark = "cut off"
                self.on_air.clear()
            case ev.VoiceFailed(mark, error):
                if mark in self.on_air:
                    self.on_air.pop(mark).remark = f"not heard: {error}"
            case ev.UserSpoke(text) if text.strip():
                self._say("caller", text)
            case ev.KeyPressed(key):
                self._say("caller", f"[{key}]")
            case ev.AskModel(turn, fallback=True):
                self._say("note", f"turn {turn} is put to the fallback model")
            case ev.ReplyDone(control=control) if control.should_end_call:
                self._say("note", f"the model asks to end: {control.end_reason}")
            case ev.Note(type, data) if type not in _UNREMARKABLE:
                self._say("note", f"{type}: {_listed(data)}" if data else type)
            case ev.CallResumed():
                self._say("note", "the line was lost and is back")
            case ev.CallerHungUp():
                self._say("note", "the caller hung up")
            case ev.HangUp(by, reason):
                self._say("note", f"hung up by {by}" + (f": {reason}" if reason else ""))

    def _say(self, speaker: Speaker, text: str) -> TranscriptLine:
        line = TranscriptLine(self.t, speaker, text)
        self.lines.append(line)
        return line


def _listed(data: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in data.items() if value is not None)
