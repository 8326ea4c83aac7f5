"""The greeting certificate: a call's Record says whether its greeting was heard once, whole and alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from callbot import events as ev
from callbot.record import Entry, Record

CARRIER_PLAYED = "carrier_played_greeting"
"""The note of a line whose carrier plays the greeting: ``seconds`` of its audio, and ``elapsed`` from
the webhook's answer to the stream's start. A sound card adds ``underruns``: times that it ran dry
meanwhile."""
EARLY = 0.25
"""Seconds by which a stream may seem to open before its greeting can have been over (clocks, trimming)."""
LATE = 5.0
"""Seconds by which it may open later: the carrier's own fetch of the file, and its handshake."""

GOES_BY = frozenset(
    {
        *("call_started", "call_resumed", "speak", "played", "clear_audio", "voice_failed", "caller_hung_up"),
        *(CARRIER_PLAYED, "mark_lost"),
    }
)
"""Types of the entries that decide: a Record of these alone gets the same certificate."""

Result = Literal["pass", "fail", "caller_left"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whether one call's greeting was started once, played whole, with nothing else on the air.

    ``faults`` say what went wrong, empty unless ``result`` is ``fail``. A caller who hung up over an
    otherwise faultless greeting leaves nothing to certify: ``caller_left``.
    """

    mode: Literal["play", "stream"]
    result: Result
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for a screen."""
        return f"{self.result} ({self.mode})" + (f": {'; '.join(self.faults)}" if self.faults else "")


def greeting_certificate(record: Record) -> Certificate:
    """Judge the greeting of a call on any line."""
    if record.header["rules"]["greeting_streamed"]:
        return _of_streamed(record)
    faults = tuple(_faults_of_played(record))
    if not faults and next(record.of(ev.CallStarted), None) is None:
        return Certificate("play", "caller_left")
    return Certificate("play", "fail" if faults else "pass", faults)


def _faults_of_played(record: Record) -> Iterator[str]:
    spoken = sum(speak.speech == ev.SpeechKind.GREETING for _, speak in record.of(ev.Speak))
    if spoken:
        yield f"the call played it too, {spoken} time{'s' * (spoken > 1)}"
    starts = sum(1 for _ in record.of(ev.CallStarted))
    if starts > 1:
        yield f"the call started {starts} times"
    for _, played in record.notes(CARRIER_PLAYED):
        over = played["elapsed"] - played["seconds"]
        if over < -EARLY:
            yield f"the stream opened {-over:.1f} s before the greeting can have been over"
        elif over > LATE:
            yield f"the stream opened {over:.1f} s after the greeting must have been over"
        if dry := played.get("underruns", 0):
            yield f"the sound card ran dry {dry} time{'s' * (dry > 1)} during it"


def _of_streamed(record: Record) -> Certificate:
    greetings = [speak.mark for _, speak in record.of(ev.Speak) if speak.speech == ev.SpeechKind.GREETING]
    if len(greetings) != 1:
        left = not greetings and next(record.of(ev.CallStarted), None) is None
        fault = f"it was started {len(greetings)} times"
        return Certificate("stream", "caller_left" if left else "fail", () if left else (fault,))
    may_stop = bool(record.header["rules"]["greeting_barge_in"])
    return _course(record.entries, greetings[0], may_stop=may_stop)


def _course(entries: Iterable[Entry], mark: int, *, may_stop: bool) -> Certificate:
    """Follow the greeting's one utterance until it is over, one way or another."""
    faults: list[str] = []
    on_air = False
    for _, _, what in entries:
        if isinstance(what, ev.Speak) and (what.mark == mark or on_air):
            if what.mark != mark:
                faults.append(f'"{what.text}" was put on the air before it had finished')
            on_air = True
        elif not on_air:
            continue
        elif isinstance(what, ev.Played) and what.mark >= mark:
            return Certificate("stream", "fail" if faults else "pass", tuple(faults))
        elif isinstance(what, ev.ClearAudio):
            if may_stop and not faults:
                return Certificate("stream", "pass")  # stopped by the caller, once and for good
            faults.append("it was cut")
            break
        elif isinstance(what, ev.CallerHungUp):
            return Certificate("stream", "fail" if faults else "caller_left", tuple(faults))
        elif (fault := _end_of_voice(what, mark)) is not None:
            faults.append(fault)
            break
    return Certificate("stream", "fail", tuple(faults) or ("it was never heard to its end",))


def _end_of_voice(what: object, mark: int) -> str | None:
    if isinstance(what, ev.VoiceFailed) and what.mark == mark:
        return f"its voice failed: {what.error}"
    if isinstance(what, ev.Note) and what.type == "mark_lost" and what.data["mark"] == mark:
        return "its mark never came back"
    if isinstance(what, ev.CallResumed):
        return "the line was lost during it"
    return None
