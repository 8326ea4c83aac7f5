"""What ``/metrics`` counts and times: one registry a process, and every label bounded.

A label is a declared business, a version, or a word of this code's or the business's own: never a
number, a call's id, or anything that somebody said.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from callbot import __version__
from callbot.ending import LEAD_COMPLETE, NO_RESPONSE
from callbot.events import EndedBy
from callbot.server.writer import DUE_SECONDS
from callbot.store.news import Begun, Ended, News, Told
from callbot.suspicion import Tell

CALL = ("business", "version")

_ANSWERS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_MOMENTS = (0.002, 0.005, 0.01, 0.02, DUE_SECONDS, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Buckets in seconds: of what callers wait for, and of what should take no time."""

_ENDS = (
    (EndedBy.MODEL, LEAD_COMPLETE),
    (EndedBy.MODEL, "customer_declined"),
    (EndedBy.SILENCE, NO_RESPONSE),
    *((by, "none") for by in (EndedBy.FAILURE, EndedBy.LIMIT, EndedBy.CALLER)),
)
"""Ends that every business may have, and their reasons."""


class Metrics:
    """The counters and histograms of a process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        build = Gauge("callbot_build", "Always 1.", ("callbot",), registry=registry)
        build.labels(__version__).set(1)
        self._begun = Counter("callbot_calls_begun", "Calls that were answered.", CALL, registry=registry)
        self._ended = Counter(
            "callbot_calls_ended",
            "Calls whose end is written down, by who ended them (nobody: broke off) and why.",
            (*CALL, "ended_by", "end_reason"),
            registry=registry,
        )
        self._suspicious = Counter(
            "callbot_suspicious_calls",
            "What calls show that tells of wrongful hang-ups; a call may show several. "
            "See: callbot calls list --suspect.",
            (*CALL, "tell"),
            registry=registry,
        )
        self._greetings = Counter(
            "callbot_greeting_certificates",
            "Whether greetings were heard once, whole and alone.",
            (*CALL, "mode", "result"),
            registry=registry,
        )
        self.refusals = Counter(
            "callbot_guard_refusals",
            "Requests to end that the guard refused, by the reason that the model gave.",
            (*CALL, "reason"),
            registry=registry,
        )
        self.faults = Counter(
            "callbot_call_faults",
            "What went wrong on calls, which went on all the same.",
            (*CALL, "fault"),
            registry=registry,
        )
        self.fallbacks = Counter(
            "callbot_fallbacks", "Turns put to the fallback model.", CALL, registry=registry
        )
        self.fillers = Counter(
            "callbot_fillers", "Times that an answer was late and a filler said so.", CALL, registry=registry
        )
        self.silences = Counter(
            "callbot_silences", "Times that a silence of the caller's was broken.", CALL, registry=registry
        )
        self.stages = Histogram(
            "callbot_answer_stage_seconds",
            "One stage of an answer. words: from the end of the caller's speech; sentence: from the words "
            "to the model's first sentence; voice: from that to its first audio sent.",
            ("business", "stage"),
            buckets=_ANSWERS,
            registry=registry,
        )
        self.answers = Histogram(
            "callbot_answer_seconds",
            "From the end of the caller's turn to the answer's first audio sent, providers and all.",
            ("business",),
            buckets=_ANSWERS,
            registry=registry,
        )
        self.webhooks = Histogram(
            "callbot_webhook_seconds",
            "Answering Twilio's webhooks.",
            ("path",),
            buckets=_MOMENTS,
            registry=registry,
        )
        self.commits = Histogram(
            "callbot_turn_commit_seconds",
            f"From a turn's decision to its commit; late ones took more than {DUE_SECONDS:g} s.",
            buckets=_MOMENTS,
            registry=registry,
        )
        self.loop_lag = Histogram(
            "callbot_loop_lag_seconds",
            "How late the event loop comes to what is due: this server's own part in every wait.",
            buckets=_MOMENTS,
            registry=registry,
        )

    def news(self, item: News) -> None:
        """Count what was written of a call; in any thread."""
        call = (item.business_id, version_label(item.version))
        match item:
            case Begun():
                self._begun.labels(*call).inc()
                for tell in Tell:  # a series that begins above 0 hides its first rise from alarms
                    self._suspicious.labels(*call, tell)
                for end in _ENDS:
                    self._ended.labels(*call, *end)
                for result in ("pass", "fail", "caller_left"):
                    for mode in ("play", "stream"):
                        self._greetings.labels(*call, mode, result)
            case Ended(ended_by=by, end_reason=reason, greeting=greeting):
                self._ended.labels(*call, by or "nobody", reason or "none").inc()
                if greeting is not None:
                    self._greetings.labels(*call, greeting.mode, greeting.result).inc()
            case Told(tell=tell):
                self._suspicious.labels(*call, tell).inc()


def version_label(version: int | None) -> str:
    """A business's version; a file has none."""
    return "file" if version is None else str(version)
