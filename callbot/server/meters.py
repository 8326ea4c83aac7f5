"""Watches the calls of a process as they happen, and counts and times for ``metrics``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from callbot import events as ev
from callbot.call import Call
from callbot.ending import LEAD_COMPLETE, NO_RESPONSE
from callbot.server.metrics import Metrics, version_label
from callbot.server.phonecall import PhoneCall

FAULTS = frozenset(
    {
        "contract_fault",
        "drift",
        "invalid_value",
        "mark_lost",
        "recogniser_failed",
        "reply_failed",
        "speech_without_words",
        "voice_failed",
    }
)
"""Notes that are counted as faults."""
_REASONS = (LEAD_COMPLETE, NO_RESPONSE, "customer_declined")
_ANSWERED = (ev.Occasion.CALLER_SPOKE, ev.Occasion.AFTER_FAREWELL)


@dataclass(slots=True)
class AnswerTimes:
    """How long the stages of one call's answers take, in seconds. Fed in order; ``t`` is the Record's."""

    stages: dict[str, float] = field(default_factory=dict)
    """Of the answer that is awaited, as they become known; see ``Metrics.stages``."""
    _awaited: bool = False
    _turn: int = 0
    _asked_at: float = 0.0
    _heard: tuple[float, float] | None = None
    """When the caller's last speech ended, and how long its words took."""
    _since: float = 0.0
    """The end of the caller's turn."""
    _mark: int | None = None
    """The answer's first sentence on its way to the line."""

    def happened(self, t: float, what: ev.Event | ev.Command) -> float | None:
        """Take what happened. An answer that can be heard now gives the seconds since its turn's end."""
        match what:
            case ev.Note("recognised", data):
                seconds = float(str(data["seconds"]))
                self._heard = (t - seconds, seconds)
            case ev.KeyPressed():
                self._heard = None
            case ev.AskModel(turn, occasion=occasion):
                if occasion in _ANSWERED and not what.fallback:
                    self._ask(t)
                elif occasion not in _ANSWERED and occasion is not ev.Occasion.END_REFUSED:
                    self._awaited = False
                self._turn = turn
            case ev.SentenceReady(turn) if self._awaited and turn == self._turn:
                self.stages.setdefault("sentence", t - self._asked_at)
            case ev.Speak(mark, speech=ev.SpeechKind.REPLY) if self._awaited and self._mark is None:
                self._mark = mark
            case ev.ClearAudio():
                self._mark = None  # cut before it began, and to be said again
            case ev.Note("voice_began", data) if self._awaited and data["mark"] == self._mark:
                self.stages["voice"] = float(str(data["seconds"]))
                self._awaited = False
                return t - self._since
        return None

    def _ask(self, t: float) -> None:
        """An answer is awaited from now on, whatever was asked before."""
        self._awaited, self._asked_at, self._since, self._mark, self.stages = True, t, t, None, {}
        if self._heard is not None:
            self._since, self.stages["words"] = self._heard
            self._heard = None


@dataclass(slots=True)
class CallMeters:
    """Counts what happens on the calls in ``running``; ``observe`` is a ``CallObserver``."""

    metrics: Metrics
    running: Mapping[str, PhoneCall]
    _times: dict[str, AnswerTimes] = field(default_factory=dict)

    def observe(self, call_id: str, t: float, what: ev.Event | ev.Command, call: Call) -> None:
        """Something has happened on a call."""
        answering = self.running[call_id].admitted.answering
        business = answering.business.id
        self._count((business, version_label(answering.version)), what, call)
        times = self._times.setdefault(call_id, AnswerTimes())
        if (seconds := times.happened(t, what)) is None:
            return
        self.metrics.answers.labels(business).observe(seconds)
        for stage, spent in times.stages.items():
            self.metrics.stages.labels(business, stage).observe(spent)

    def over(self, call: PhoneCall) -> None:
        """A stream is done with."""
        self._times.pop(call.admitted.call_id, None)

    def _count(self, labels: tuple[str, str], what: ev.Event | ev.Command, call: Call) -> None:
        metrics = self.metrics
        match what:
            case ev.Note("end_refused", data):
                metrics.refusals.labels(*labels, _reason(data["reason"], call)).inc()
            case ev.Note(type) if type in FAULTS:
                metrics.faults.labels(*labels, type).inc()
            case ev.AskModel(fallback=True):
                metrics.fallbacks.labels(*labels).inc()
            case ev.AskModel(occasion=ev.Occasion.SILENCE):
                metrics.silences.labels(*labels).inc()
            case ev.Speak(speech=ev.SpeechKind.WARNING) if not call.rules.silence_by_model:
                metrics.silences.labels(*labels).inc()
            case ev.Speak(speech=ev.SpeechKind.FILLER):
                metrics.fillers.labels(*labels).inc()


def _reason(given: object, call: Call) -> str:
    """A reason as a label: a model may give any text for one."""
    if given is None:
        return "none"
    return str(given) if given in (*_REASONS, *call.rules.reasons) else "undeclared"
