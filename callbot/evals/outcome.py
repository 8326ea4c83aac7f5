"""What happened on a simulated call, turn by turn: the view of a Record that verdicts are given on.

Reads Records only, so that a call on any line can be judged the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from callbot import events as ev
from callbot.ending import NO_RESPONSE
from callbot.record import Record

TAKEN_BACK = "end_taken_back"
"""Note of a request to end (``turn``, ``reason``) that a run took back, to see how the call goes on."""


@dataclass(slots=True)
class TurnOutcome:
    """One turn of the caller and what followed it. Turn 0 is what came before the first."""

    n: int
    caller: str = ""
    bot: list[str] = field(default_factory=list)
    controls: list[ev.Control] = field(default_factory=list)
    guard: str | None = None
    broken: list[str] = field(default_factory=list)
    """What was wrong with replies that could not be used."""
    decided_at: float | None = None
    """When the last reply to it was complete, in seconds of the call."""
    entry: int = 0
    """Which entry of its script the turn is, from 1; 0 for callers without one."""
    answer: str = ""
    """On a transcript: what the model would have said; ``bot`` is what was said."""


@dataclass(frozen=True, slots=True)
class EndRequest:
    """The model (or the silence rule) wanted the call to end in reply to a turn."""

    turn: int
    reason: str | None
    refused: str | None = None
    """Why the guard said no."""


@dataclass(slots=True)
class Outcome:
    """A whole call. Latencies in seconds."""

    turns: list[TurnOutcome]
    requests: list[EndRequest] = field(default_factory=list)
    lead: Mapping[str, str] = field(default_factory=dict)
    lead_status: str = "in_progress"
    ended_by: str | None = None
    end_reason: str | None = None
    ended_turn: int | None = None
    off_script: str | None = None
    provider_error: str | None = None
    caller_fault: str | None = None
    """Why the caller, played by a model, could not be taken for one."""
    milestones: dict[str, int] = field(default_factory=dict)
    """The turn in which each milestone of the caller's first came, by name."""
    captured: dict[str, int] = field(default_factory=dict)
    """The turn in which each field of the lead was first captured."""
    caller_input_tokens: int = 0
    caller_output_tokens: int = 0
    latencies: list[float] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    drifts: int = 0
    """Replies whose claims about the lead differed from what was captured."""
    contract_faults: int = 0
    """Deviations from the reply contract, in replies that could be used too."""
    seconds: float = 0.0
    """How long the call was."""

    @property
    def first_request(self) -> EndRequest | None:
        """The first request to end, accepted or not."""
        return self.requests[0] if self.requests else None


class _Reader:
    """Walks a Record once. A reply belongs to the caller turn that was current when it was asked for.

    A reply that is complete while the caller speaks is held by the engine: words outdate it and its
    control (design, rule 6), noise does not. ``held`` mirrors that.
    """

    def __init__(self) -> None:
        self.outcome = Outcome([TurnOutcome(0)])
        self.turn_of: dict[int, int] = {}
        self.cancelled: set[int] = set()
        self.speaking = self.pressing = False
        self.held: ev.ReplyDone | None = None
        self.taken_back: dict[int, str | None] = {}
        self.now = 0.0

    def read(self, record: Record) -> Outcome:
        for t, _, what in record.entries:
            handler = self._HANDLERS.get(type(what))
            if handler is not None:
                self.now = t
                handler(self, what)
        self._decide()
        if record.entries:
            self.outcome.seconds = record.entries[-1].t
        return self.outcome

    @property
    def current(self) -> TurnOutcome:
        return self.outcome.turns[-1]

    def _note(self, note: ev.Note) -> None:
        data: Mapping[str, Any] = note.data
        outcome = self.outcome
        if note.type == "caller_turn":
            entry = data.get("entry", data["n"])  # in order, before there were cues
            outcome.turns.append(TurnOutcome(data["n"], data["text"], entry=entry))
        elif note.type == "milestone":
            outcome.milestones.setdefault(data["name"], data["n"])
        elif note.type == "caller_fault":
            outcome.caller_fault = data["why"]
        elif note.type == "caller_answered":
            outcome.caller_input_tokens += data["input_tokens"]
            outcome.caller_output_tokens += data["output_tokens"]
        elif note.type == TAKEN_BACK:
            self.taken_back[data["turn"]] = data["reason"]
        elif note.type == "drift":
            outcome.drifts += 1
        elif note.type == "end_refused":
            turn = self.turn_of[data["turn"]]
            outcome.turns[turn].guard = data["why"]
            last = outcome.requests[-1]
            outcome.requests[-1] = EndRequest(last.turn, last.reason, data["why"])
        elif note.type == "contract_fault":
            outcome.contract_faults += 1
            if not data["usable"]:
                outcome.turns[self.turn_of[data["turn"]]].broken.append(data["fault"])
        elif note.type == "bot_turn":
            self.current.bot.append(data["text"])
        elif note.type == "observed_end":
            outcome.requests.append(EndRequest(data["turn"], data["reason"]))
        elif note.type == "answer":
            outcome.turns[data["n"]].answer = data["text"]
        elif note.type == "silence_over":
            outcome.requests.append(EndRequest(self.current.n, NO_RESPONSE))
        elif note.type == "speech_without_words":
            self.speaking = False
            self._decide()
        elif note.type == "reply_failed":
            outcome.provider_error = data["error"]
        elif note.type == "off_script":
            outcome.off_script = f"turn {data['n']} waited for the {data['cue']}, which never came"
        elif note.type == "model_answered":
            outcome.latencies.append(data["seconds"])
            outcome.input_tokens += data["input_tokens"]
            outcome.output_tokens += data["output_tokens"]
            outcome.cached_tokens += data.get("cached_tokens", 0)  # older Records do not have it

    def _asked(self, question: ev.AskModel) -> None:
        self.pressing = False
        again = question.occasion is ev.Occasion.END_REFUSED  # noise may have begun another turn meanwhile
        self.turn_of[question.turn] = self.turn_of[question.turn - 1] if again else self.current.n

    def _cancelled(self, command: ev.CancelModel) -> None:
        self.cancelled.add(command.turn)

    def _reply(self, reply: ev.ReplyDone) -> None:
        if reply.turn in self.cancelled or reply.turn not in self.turn_of:
            return
        if self.pressing:
            return  # keys are words
        self.held = reply
        if not self.speaking:
            self._decide()

    def _decide(self) -> None:
        reply, self.held = self.held, None
        if reply is None:
            return
        turn = self.outcome.turns[self.turn_of[reply.turn]]
        control = reply.control
        if reply.turn in self.taken_back:
            control = replace(control, should_end_call=True, end_reason=self.taken_back[reply.turn])
        turn.controls.append(control)
        turn.decided_at = self.now
        if control.should_end_call:
            self.outcome.requests.append(EndRequest(turn.n, control.end_reason))

    def _speech_started(self, event: ev.SpeechStarted) -> None:
        self.speaking = True

    def _user_spoke(self, event: ev.UserSpoke) -> None:
        self.speaking = False
        if event.text.strip():
            self.held = None
        self._decide()

    def _key(self, event: ev.KeyPressed) -> None:
        self.pressing = True
        self.held = None

    def _spoke(self, speak: ev.Speak) -> None:
        self.current.bot.append(speak.text)

    def _lead(self, saved: ev.SaveLead) -> None:
        self.outcome.lead, self.outcome.lead_status = saved.lead, saved.status
        for name in saved.lead:
            self.outcome.captured.setdefault(name, self.current.n)

    def _hung_up(self, command: ev.HangUp) -> None:
        outcome = self.outcome
        outcome.ended_by, outcome.end_reason = command.by.value, command.reason
        wanted = [request.turn for request in outcome.requests if request.refused is None]
        by_request = command.by in (ev.EndedBy.MODEL, ev.EndedBy.SILENCE) and wanted
        outcome.ended_turn = wanted[-1] if by_request else self.current.n

    def _caller_left(self, event: ev.CallerHungUp) -> None:
        self.outcome.ended_by, self.outcome.ended_turn = "caller", self.current.n

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        ev.Note: _note,
        ev.AskModel: _asked,
        ev.CancelModel: _cancelled,
        ev.ReplyDone: _reply,
        ev.SpeechStarted: _speech_started,
        ev.UserSpoke: _user_spoke,
        ev.KeyPressed: _key,
        ev.Speak: _spoke,
        ev.SaveLead: _lead,
        ev.HangUp: _hung_up,
        ev.CallerHungUp: _caller_left,
    }


def outcome_of(record: Record) -> Outcome:
    """Read a Record into turns, requests to end and how the call ended."""
    return _Reader().read(record)
