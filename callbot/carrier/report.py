"""The audio report of a simulated call (``callbot.audio/1``): what a caller would have heard, judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from callbot.carrier.g711 import RATE
from callbot.carrier.measure import (
    LEVEL,
    Match,
    answer_times,
    barge_ins,
    gaps,
    longest_silence,
    match,
    overlap,
    signal_of,
    stretches,
    talk_over,
)
from callbot.carrier.outcome import Outcome
from callbot.carrier.tape import CallerAct, Tape, milliseconds
from callbot.carrier.trouble import STREAM_CLOSED

BOT_MEANS = ("rest", "verb", "socket")
_UNHEARD_ALLOWED = RATE // 10
_LAST_MOMENT = RATE // 50


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller would put up with. Milliseconds."""

    greeting: int = 2000
    """From the answer to the greeting's first sound."""
    answer: int = 4000
    """From the end of the caller's words to the bot's first sound, at the 95th percentile."""
    dead_air: int = 6000
    """The longest time in which nobody speaks."""
    stop: int = 1000
    """From the beginning of an interruption to the bot's silence."""
    talk_over: int = 300
    """Of the bot over the caller, in the whole call."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Heard(_Part):
    """A recording that should be heard. ``share``: of its pieces, those heard; ``times``: how often begun."""

    reference: str
    share: float
    times: int
    start_ms: int | None


class Ending(_Part):
    """How the call ended. ``by``: rest, verb, socket, reject (the bot), caller, error or limit (the carrier)."""

    by: str
    detail: str
    turn: int
    """Turns that the caller had begun."""
    unheard_ms: int
    """Audio of the bot's that was still to be played when its stream or the call ended."""
    trailing_ms: int
    """From the bot's last sound to the end."""
    rest: int
    socket: int
    verb: int
    """Hang-ups by each means, those after the end included."""


class Percentiles(_Part):
    """Milliseconds; nearest rank. Null without values."""

    p50: int | None
    p95: int | None
    max: int | None

    @classmethod
    def of(cls, values: Sequence[int]) -> Percentiles:
        """Those of a sample."""
        ordered = sorted(values)

        def rank(share: float) -> int | None:
            return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None

        return cls(p50=rank(0.5), p95=rank(0.95), max=rank(1.0))


class Moment(_Part):
    """Something that lasts. Milliseconds since the answer."""

    at_ms: int
    ms: int


class Interruption(_Part):
    """The caller's words into a reply of the bot's."""

    turn: int
    stop_ms: int


class Incident(_Part):
    """An error or warning, with Twilio's number of it."""

    at_ms: int
    what: str
    code: int | None
    detail: str


class Intruder(_Part):
    """A request or socket that had to be refused."""

    name: str
    refused: bool
    detail: str


class AudioCheck(_Part):
    """One judgement."""

    name: str
    passed: bool
    detail: str


class AudioReport(_Part):
    """One call. Times are measured at the caller's ear, from the samples, to 20 ms."""

    schema_: str = Field(default="callbot.audio/1", alias="schema")
    scenario: str
    attempt: int
    call_sid: str
    seconds: float
    """From the answer to the end."""
    wav: str | None = None
    webhook_ms: int | None
    """From posting the webhook to its answer; the phone rings meanwhile."""
    first_audio_ms: int | None
    """From the answer to the bot's first sound."""
    greeting: Heard | None
    """Null without a reference: nothing was played and no file was given."""
    farewell: Heard | None
    """Null unless a file was given."""
    underruns: list[Moment]
    """Gaps within sentences because the bot's audio came too late."""
    overlap_ms: int
    talk_over_ms: int
    """Of the overlap, that in which the bot began to speak over the caller."""
    dead_air: Moment
    """The longest time in which nobody spoke, scripted silence and waiting for a hang-up aside."""
    answers_ms: list[int]
    answer: Percentiles
    unanswered: int
    barge_ins: list[Interruption]
    ending: Ending
    incidents: list[Incident]
    intruders: list[Intruder]
    clock_late_ms: int
    """How late the carrier's own clock was at worst; above 100 ms its machine was too busy to judge."""
    dialled: list[str]
    """Numbers that the TwiML would have connected the caller to."""
    checks: list[AudioCheck]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a call is held against. ``end`` None: the bot should stay on the line, and the caller leaves."""

    end: tuple[int, int] | None
    """First and last turn in which the bot should hang up."""
    limits: Limits = field(default_factory=Limits)
    greeting: bytes | None = None
    """Mu-law of the greeting, for bots that stream it; what ``<Play>`` played first needs none."""
    farewell: bytes | None = None


class Person(Protocol):
    """The caller, as a report needs to know them; see ``carrier.caller.Caller``."""

    acts: list[CallerAct]
    off_script: str | None
    unanswered: int

    @property
    def turn(self) -> int:
        """Turns begun."""
        ...


def audio_report(
    scenario: str, attempt: int, outcome: Outcome, tape: Tape, caller: Person, expected: Expected
) -> AudioReport:
    """Measure a finished call and judge it."""
    bot_signal = signal_of(tape.bot)
    bot, person = stretches(bot_signal), stretches(signal_of(tape.caller))
    excused = [(act.start, act.end) for act in caller.acts if act.kind == "silence"]
    silence_ends = bot[-1][1] if outcome.ended_by == "caller" and bot else tape.now
    silence = longest_silence(person, bot, max(silence_ends, person[-1][1] if person else 0), excused)
    answers = [milliseconds(time) for time in answer_times(caller.acts, bot)]
    report = AudioReport(
        scenario=scenario,
        attempt=attempt,
        call_sid=outcome.call_sid,
        seconds=round(tape.now / RATE, 2),
        webhook_ms=None if outcome.webhook_seconds is None else round(outcome.webhook_seconds * 1000),
        first_audio_ms=milliseconds(bot[0][0]) if bot else None,
        greeting=_greeting(tape, bot_signal, expected),
        farewell=_heard("file", match(bot_signal, signal_of(expected.farewell)))
        if expected.farewell
        else None,
        underruns=[Moment(at_ms=milliseconds(a), ms=milliseconds(b - a)) for a, b in gaps(tape, bot_signal)],
        overlap_ms=milliseconds(sum(end - start for start, end in overlap(person, bot))),
        talk_over_ms=milliseconds(talk_over(caller.acts, bot)),
        dead_air=Moment(at_ms=milliseconds(silence[0]), ms=milliseconds(silence[1] - silence[0])),
        answers_ms=answers,
        answer=Percentiles.of(answers),
        unanswered=caller.unanswered,
        barge_ins=[
            Interruption(turn=each.turn, stop_ms=milliseconds(each.stopped))
            for each in barge_ins(caller.acts, bot)
        ],
        ending=Ending(
            by=outcome.ended_by,
            detail=outcome.detail,
            turn=caller.turn,
            unheard_ms=milliseconds(tape.unheard),
            trailing_ms=milliseconds(tape.now - bot[-1][1]) if bot else milliseconds(tape.now),
            rest=outcome.rest_hangups,
            socket=tape.count("socket_closed"),
            verb=sum(each.what == "verb" and each.detail == "Hangup" for each in tape.happened),
        ),
        incidents=[
            Incident(at_ms=milliseconds(each.at), what=each.what, code=each.code, detail=each.detail)
            for each in tape.happened
            if each.what in ("warning", "error", "stream_broke", "callback_failed", "fault")
        ],
        intruders=[Intruder(name=p.name, refused=p.refused, detail=p.detail) for p in outcome.probes],
        clock_late_ms=round(outcome.clock_late * 1000),
        dialled=[each.detail for each in tape.happened if each.what == "dial"],
        checks=[],
    )
    checks = list(_checks(report, expected, caller, _ends_abruptly(tape)))
    return report.model_copy(update={"checks": checks})


def _greeting(
    tape: Tape, bot: np.ndarray[tuple[int], np.dtype[np.float64]], expected: Expected
) -> Heard | None:
    if expected.greeting is not None:
        return _heard("file", match(bot, signal_of(expected.greeting)))
    return _heard("play", match(bot, signal_of(tape.played[0]))) if tape.played else None


def _heard(reference: str, found: Match) -> Heard:
    start = None if found.start is None else milliseconds(found.start)
    return Heard(reference=reference, share=round(found.share, 3), times=found.times, start_ms=start)


def _ends_abruptly(tape: Tape) -> bool:
    """Whether the bot still sounded in the last 20 ms of the call."""
    last = signal_of(tape.bot[-_LAST_MOMENT:])
    return bool(len(last)) and float(np.sqrt(np.mean(np.square(last)))) >= LEVEL


def _checks(report: AudioReport, expected: Expected, caller: Person, abrupt: bool) -> Iterator[AudioCheck]:
    limits = expected.limits
    errors = [each for each in report.incidents if each.what == "error"]
    yield _check("no_error", not errors, "; ".join(each.detail for each in errors))
    warnings = [each for each in report.incidents if each.what == "warning" and each.code != STREAM_CLOSED]
    yield _check("no_warning", not warnings, "; ".join(f"{each.code} {each.detail}" for each in warnings))
    yield from _of_the_greeting(report, limits)
    gap_times = ", ".join(f"{gap.ms} ms at {gap.at_ms / 1000:.2f} s" for gap in report.underruns)
    yield _check("no_gaps", not report.underruns, gap_times)
    yield _at_most("talk_over", report.talk_over_ms, limits.talk_over)
    where = f" at {report.dead_air.at_ms / 1000:.1f} s"
    yield _at_most("dead_air", report.dead_air.ms, limits.dead_air, where)
    yield _check("answered", not report.unanswered, f"{report.unanswered} turns without an answer")
    if report.answer.p95 is not None:
        yield _at_most("answer_time", report.answer.p95, limits.answer, " (p95)")
    for each in report.barge_ins:
        yield _at_most("stops", each.stop_ms, limits.stop, f" in turn {each.turn}")
    yield _check("script", caller.off_script is None, caller.off_script or "")
    yield from _of_the_end(report, expected, abrupt)
    for intruder in report.intruders:
        yield _check(f"refuses_{intruder.name}", intruder.refused, intruder.detail)


def _of_the_greeting(report: AudioReport, limits: Limits) -> Iterator[AudioCheck]:
    greeting = report.greeting
    start = report.first_audio_ms if greeting is None else greeting.start_ms
    if start is None:
        yield _check("greeting_starts", passed=False, detail="it was not heard")
    else:
        yield _at_most("greeting_starts", start, limits.greeting)
    if greeting is not None:
        yield _check("greeting_whole", greeting.share == 1.0, f"{greeting.share:.0%} of it was heard")
        yield _check("greeting_once", greeting.times == 1, f"heard {greeting.times} times")


def _of_the_end(report: AudioReport, expected: Expected, abrupt: bool) -> Iterator[AudioCheck]:
    ending = report.ending
    by_bot = ending.by in BOT_MEANS
    if expected.end is None:
        yield _check("stays", ending.by == "caller", f"ended by {ending.by} in turn {ending.turn}")
    else:
        first, last = expected.end
        where = (
            f"ended by {ending.by} ({ending.detail}) in turn {ending.turn}; expected turns {first} to {last}"
        )
        yield _check("hangs_up", by_bot and first <= ending.turn <= last, where)
    if by_bot:
        lost = f"{ending.unheard_ms} ms were not heard" + (", it broke off" if abrupt else "")
        whole = ending.unheard_ms <= milliseconds(_UNHEARD_ALLOWED) and not abrupt
        yield _check("farewell_whole", whole, lost)
    if report.farewell is not None:
        yield _check("farewell_heard", report.farewell.share == 1.0, f"{report.farewell.share:.0%} was heard")
    yield _check("hangs_up_once", ending.rest <= 1, f"{ending.rest} REST hang-ups")


def _check(name: str, passed: bool, detail: str) -> AudioCheck:
    return AudioCheck(name=name, passed=bool(passed), detail=detail)


def _at_most(name: str, value: int, limit: int, more: str = "") -> AudioCheck:
    return AudioCheck(name=name, passed=value <= limit, detail=f"{value} ms{more}; at most {limit} ms")
