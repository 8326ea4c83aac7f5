"""The greeting certificate, from Records of calls that greeted well, twice, cut, late or never."""

from __future__ import annotations

import pytest

from callbot import events as ev
from callbot.call import Call
from callbot.certificate import CARRIER_PLAYED, GOES_BY, Certificate, greeting_certificate
from callbot.record import Record, entry_to_json, header
from callbot.rules import Rules

GREETING = ev.Speak(1, "Hello, this is the office. How can I help?", ev.SpeechKind.GREETING)
REPLY = ev.Speak(2, "Of course.")


def record(*happenings: object, streamed: bool = False, barge_in: bool = False) -> Record:
    """A Record in which these things happened, a second apart."""
    rules = Rules(greeting=GREETING.text, greeting_streamed=streamed, greeting_barge_in=barge_in)
    made = Record(header(call_id="c", rules=rules))
    for t, what in enumerate(happenings):
        if isinstance(what, ev.Note):
            made.note(float(t), what.type, **what.data)
        elif isinstance(what, (ev.Speak, ev.ClearAudio, ev.HangUp)):
            made.command(float(t), what)
        else:
            made.event(float(t), what)
    return made


def carrier(seconds: float, elapsed: float) -> ev.Note:
    return ev.Note(CARRIER_PLAYED, {"seconds": seconds, "elapsed": elapsed})


def certified(whole: Record) -> Certificate:
    """Its certificate, which the entries that decide give alone, too."""
    deciding = [entry for entry in whole.entries if entry_to_json(entry)["type"] in GOES_BY]
    certificate = greeting_certificate(whole)
    assert greeting_certificate(Record(whole.header, deciding)) == certificate
    return certificate


START, PLAYED, CLEAR, LEFT = ev.CallStarted(), ev.Played(1), ev.ClearAudio(), ev.CallerHungUp()


@pytest.mark.parametrize(
    ("happenings", "result", "fault"),
    [
        ([carrier(4.0, 4.4), START, REPLY], "pass", ""),
        ([START, REPLY], "pass", ""),  # a line without a carrier: time itself has played it
        ([], "caller_left", ""),
        ([carrier(4.0, 3.0), START], "fail", "opened 1.0 s before"),
        ([carrier(4.0, 12.0), START], "fail", "opened 8.0 s after"),
        ([carrier(4.0, 4.4), START, GREETING], "fail", "the call played it too, 1 time"),
        ([START, START], "fail", "the call started 2 times"),
    ],
)
def test_played_by_the_carrier(happenings, result, fault):
    certificate = certified(record(*happenings))
    assert (certificate.mode, certificate.result) == ("play", result)
    assert fault in "; ".join(certificate.faults)


@pytest.mark.parametrize(
    ("happenings", "result", "fault"),
    [
        ([START, GREETING, PLAYED, REPLY], "pass", ""),
        ([START, GREETING, ev.AudioQueued(1, 3.0), ev.SpeechStarted(), PLAYED], "pass", ""),
        ([START, GREETING, PLAYED, REPLY, CLEAR], "pass", ""),  # what is cut later is not the greeting
        ([], "caller_left", ""),
        ([START, GREETING, LEFT], "caller_left", ""),
        ([START, REPLY], "fail", "started 0 times"),
        ([START, GREETING, PLAYED, GREETING, PLAYED], "fail", "started 2 times"),
        ([START, GREETING, CLEAR, PLAYED], "fail", "it was cut"),
        ([START, GREETING, REPLY, PLAYED], "fail", '"Of course." was put on the air'),
        ([START, GREETING, ev.VoiceFailed(1, "no audio")], "fail", "voice failed: no audio"),
        ([START, GREETING, ev.Note("mark_lost", {"mark": 1})], "fail", "mark never came back"),
        ([START, GREETING, ev.CallResumed()], "fail", "the line was lost during it"),
        ([START, GREETING], "fail", "never heard to its end"),
    ],
)
def test_streamed(happenings, result, fault):
    certificate = certified(record(*happenings, streamed=True))
    assert (certificate.mode, certificate.result) == ("stream", result)
    assert fault in "; ".join(certificate.faults)


def test_a_greeting_that_may_be_interrupted_stops_once():
    cut = [START, GREETING, ev.SpeechStarted(), CLEAR, PLAYED]
    assert certified(record(*cut, streamed=True, barge_in=True)).result == "pass"
    talked_over = [START, GREETING, REPLY, CLEAR]
    assert certified(record(*talked_over, streamed=True, barge_in=True)).result == "fail"


@pytest.mark.parametrize("streamed", [False, True])
def test_the_engine_greets_as_it_should(streamed):
    """The engine's own call, its Record written as a driver does."""
    rules = Rules(greeting=GREETING.text, greeting_streamed=streamed)
    call, made = Call(rules), Record(header(call_id="c", rules=rules))
    for now, event in enumerate([START, ev.SpeechStarted(), ev.UserSpoke("hi"), PLAYED, ev.Tick()]):
        made.event(float(now), event)
        for command in call.receive(event, float(now)):
            made.command(float(now), command)
    certificate = certified(made)
    assert str(certificate) == f"pass ({'stream' if streamed else 'play'})"
