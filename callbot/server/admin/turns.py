"""A call, turn by turn: what was said and heard, what the model decided, what the guard made of it.

Fed with a Record's entries as they come, so that a call in progress is read as it grows. A turn begins
with what a caller says and holds everything until the caller's next words; turn 0 is the greeting. Its
number is the engine's, which counts the questions that a caller's words put to the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from callbot import events as ev
from callbot.record import Entry
from callbot.reporting.live_call import Stages

Heard = Literal["waiting", "speaking", "heard", "cut", "unheard", "assumed"]
"""What became of an utterance of the bot's. ``assumed``: the carrier never said that it was played."""
Guard = Literal["", "asked", "accepted", "refused", "withdrawn"]
"""Of a request to end. ``withdrawn``: the caller spoke before it could be carried out."""

_OF_ANSWERS = (ev.SpeechKind.REPLY, ev.SpeechKind.FILLER, ev.SpeechKind.APOLOGY)
"""What is said while an answer is awaited, and as one."""
_REMARKS = {
    "contract_fault": "departs from the contract: {fault}",
    "invalid_value": "not a valid {field}: {value}",
    "reply_failed": "the model failed: {error}",
    "recogniser_failed": "the recogniser failed: {error}",
    "speech_without_words": "a sound without words",
    "silence_over": "nobody answered",
    "oracle_unheard": "said, and not heard as speech: {text}",
}
"""What notes say that are told nowhere else; those of other types are not for readers."""


@dataclass(slots=True)
class Said:
    """An utterance. ``kind``: of the bot's, such as ``warning``; ``why``: of one that nobody heard."""

    speaker: Literal["bot", "caller"]
    text: str
    heard: Heard = "heard"
    kind: str = ev.SpeechKind.REPLY
    why: str = ""


@dataclass(slots=True)
class Remark:
    """Something else that happened. ``grave``: somebody should know."""

    text: str
    grave: bool = False


@dataclass(slots=True)
class Decision:
    """A question to the model and its answer. ``control``: None until it has answered."""

    question: int
    occasion: ev.Occasion
    fallback: bool
    asked_at: float
    control: ev.Control | None = None
    guard: Guard = ""
    why: str = ""
    """Why the guard refused."""
    cancelled: bool = False
    stages: Stages = field(default_factory=Stages)


Item = Said | Remark | Decision


@dataclass(slots=True)
class Turn:
    """One turn. ``t``: seconds from the call's first entry; ``lead``: as it stood when the turn was over."""

    n: int
    place: int
    """Its number on the page: unlike ``n`` no other turn has it."""
    t: float
    items: list[Item] = field(default_factory=list)
    lead: Mapping[str, str] = field(default_factory=dict)
    lead_status: str = "in_progress"
    new: frozenset[str] = frozenset()
    """Fields of the lead that this turn has changed."""
    changed: int = 0
    """Number of the entry that changed it last."""

    @property
    def decisions(self) -> list[Decision]:
        """Questions that were put to the model in it."""
        return [item for item in self.items if isinstance(item, Decision)]

    @property
    def told(self) -> list[Item]:
        """What happened, in the order in which it is read: what the model decided behind its words."""
        told: list[Item] = []
        waiting: list[Item] = []
        for item in self.items:
            if isinstance(item, Said) and item.kind in _OF_ANSWERS:
                told.append(item)
            elif isinstance(item, Remark):
                (waiting or told).append(item)
            else:
                told += waiting
                waiting = [item] if isinstance(item, Decision) else []
                told += [] if waiting else [item]
        return told + waiting


class Course:
    """A call's turns so far. ``header``: its Record's."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._greeting = header.get("rules", {})
        self.turns = [Turn(0, 0, 0.0)]
        self.last = -1
        """Number of the last entry taken."""
        self.lines_lost = 0
        self._began: float | None = None
        self._t = 0.0
        self._count = 0
        self._on_air: dict[int, tuple[Turn, Said]] = {}
        self._open: Decision | None = None
        """The decision whose answer is awaited, or whose request to end is not decided yet."""
        self._open_in = self.turns[0]
        """The turn that it belongs to: it may be decided in a later one."""
        self._words: float | None = None
        self._voice: tuple[int, float, Decision] | None = None
        """The mark whose sound is awaited, when it was ordered, and for which answer."""

    def take(self, seq: int, entry: Entry) -> None:
        """Take the next entry."""
        if self._began is None:
            self._began = entry.t
        self._t, self.last = entry.t, seq
        self._event(entry.what)
        self._turn.changed = seq

    @property
    def _turn(self) -> Turn:
        return self.turns[-1]

    def _event(self, what: ev.Event | ev.Command) -> None:
        match what:
            case ev.CallStarted():
                if self._greeting.get("greeting") and not self._greeting.get("greeting_streamed"):
                    self._put(Said("bot", str(self._greeting["greeting"]), kind=ev.SpeechKind.GREETING))
            case ev.CallResumed():
                self.lines_lost += 1
                self._silenced()
                self._put(Remark("the line was lost and is back", grave=True))
            case ev.UserSpoke(text) if text.strip():
                self._caller_says(text.strip())
            case ev.KeyPressed(key):
                self._caller_says(f"[{key}]")
            case ev.Speak(mark, text, kind):
                self._speak(mark, text, kind)
            case ev.AudioQueued(mark) if self._voice and mark == self._voice[0]:
                _, ordered, decision = self._voice
                decision.stages.voice, self._voice = self._t - ordered, None
                self._open_in.changed = self.last
            case ev.Played(mark):
                self._played(mark, "heard")
            case ev.ClearAudio():
                self._silenced()
            case ev.VoiceFailed(mark, error) if mark in self._on_air:
                turn, line = self._on_air.pop(mark)
                line.heard, line.why, turn.changed = "unheard", error, self.last
            case ev.HangUp(by):
                self._hung_up(by)
            case ev.CallerHungUp():
                self._silenced()
            case ev.Note(type, data):
                self._note(type, data)
            case _:
                self._answer(what)

    def _answer(self, what: ev.Event | ev.Command) -> None:
        """What the model is asked and answers."""
        match what:
            case ev.AskModel():
                self._ask(what)
            case ev.CancelModel(question) if self._open and self._open.question == question:
                self._open.cancelled, self._open = True, None
                self._open_in.changed = self.last
            case ev.SentenceReady(question) if self._open and self._open.question == question:
                if self._open.stages.sentence is None:
                    self._open.stages.sentence = self._t - self._open.asked_at
            case ev.ReplyDone(question, control) if self._open and self._open.question == question:
                self._open.control = control
                if control.should_end_call:
                    self._open.guard = "asked"
            case ev.SaveLead(lead, status):
                turn = self._turn
                changed = {name for name, value in lead.items() if turn.lead.get(name) != value}
                turn.lead, turn.lead_status, turn.new = dict(lead), status, turn.new | changed

    # --- who says what ----------------------------------------------------------------------------
    def _caller_says(self, text: str) -> None:
        if self._turn.decisions or self._turn.n == 0:
            before = self._turn
            since = self._t - (self._began or 0.0)
            self.turns.append(
                Turn(
                    self._count + 1, len(self.turns), since, lead=before.lead, lead_status=before.lead_status
                )
            )
        self._put(Said("caller", text))

    def _speak(self, mark: int, text: str, kind: ev.SpeechKind) -> None:
        line = Said("bot", text, "waiting" if self._on_air else "speaking", kind)
        self._on_air[mark] = self._turn, line
        self._put(line)
        asked = self._turn.decisions
        if kind == ev.SpeechKind.REPLY and asked and self._voice is None and asked[-1].stages.voice is None:
            self._voice = mark, self._t, asked[-1]

    def _played(self, mark: int, how: Heard) -> None:
        for known in [known for known in self._on_air if known <= mark]:
            turn, line = self._on_air.pop(known)
            line.heard, turn.changed = how, self.last
        if self._on_air:
            turn, line = next(iter(self._on_air.values()))
            line.heard, turn.changed = "speaking", self.last

    def _silenced(self) -> None:
        """What is on the air is not heard to its end; what waits behind it not at all."""
        for turn, line in self._on_air.values():
            line.heard = "cut" if line.heard == "speaking" else "unheard"
            turn.changed = self.last
        self._on_air.clear()
        self._voice = None

    def _put(self, item: Item) -> None:
        self._turn.items.append(item)

    # --- what is decided --------------------------------------------------------------------------
    def _ask(self, question: ev.AskModel) -> None:
        if self._open is not None and self._open.guard == "asked":
            after = question.occasion is ev.Occasion.AFTER_FAREWELL
            self._open.guard = "accepted" if after else "withdrawn"
            self._open_in.changed = self.last
        if (
            question.occasion in (ev.Occasion.CALLER_SPOKE, ev.Occasion.AFTER_FAREWELL)
            and not question.fallback
        ):
            self._count += 1
            self._turn.n = self._count
        self._open = Decision(question.turn, question.occasion, question.fallback, self._t)
        if self._words is not None:
            self._open.stages.words, self._words = self._words, None
        self._open_in = self._turn
        self._put(self._open)

    def _hung_up(self, by: ev.EndedBy) -> None:
        if self._open is not None and self._open.guard == "asked" and by is ev.EndedBy.MODEL:
            self._open.guard = "accepted"
            self._open_in.changed = self.last

    def _note(self, type: str, data: Mapping[str, Any]) -> None:
        if type == "end_refused":
            for decision in self._turn.decisions:
                if decision.question == data["turn"]:
                    decision.guard, decision.why = "refused", str(data["why"])
        elif type == "mark_lost":
            self._played(int(data["mark"]), "assumed")
        elif type == "recognised":
            self._words = float(data["seconds"])
        elif said := _remark(type, data):
            remark = Remark(said, grave=type in ("reply_failed", "recogniser_failed", "oracle_unheard"))
            if self._turn.items[-1:] != [remark]:  # a noisy line says the same again and again
                self._put(remark)


def _remark(type: str, data: Mapping[str, Any]) -> str:
    if type == "drift":
        pairs = ((name, claim) for name, claim in data.items() if isinstance(claim, Mapping))
        claims = "; ".join(
            f"{name.replace('_', ' ')} {_worded(claim['claimed'])}, in fact {_worded(claim['computed'])}"
            for name, claim in pairs
        )
        return f"the model's claim is not so: {claims}" if claims else ""
    return _REMARKS.get(type, "").format_map(data)


def _worded(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
