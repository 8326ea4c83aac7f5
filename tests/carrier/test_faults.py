"""Each fault of ``--fault`` happens on the wire, and intruders that a bot lets in fail the report."""

from __future__ import annotations

import pytest
from bot import Bot
from calling import all_of, failed, ring, scenario

from callbot.carrier.faults import FAULTS, parse_faults
from callbot.errors import CallbotError

SHORT = scenario({"silence": 2.5})


def events(bot: Bot, kind: str) -> list[dict]:
    return [event for event in bot.events if event["event"] == kind]


async def with_fault(text: str, bot: Bot, who=SHORT):
    finished = await ring(bot, who, faults=parse_faults([text]))
    return finished.report


async def test_every_fault_happens():
    """All at once, each on a call of its own."""
    bots = {name: Bot(greets="stream") for name in FAULTS}
    given = {
        "jitter": "jitter:300",
        "loss": "loss:0.5",
        "late-marks": "late-marks:0.4",
        "cut-socket": "cut-socket:1",
    }
    given["dead-line"] = "dead-line:0.5"
    calls = [with_fault(given.get(name, name), bot) for name, bot in bots.items()]
    reports = dict(zip(bots, await all_of(*calls), strict=True))

    frames = {name: len(events(bot, "media")) for name, bot in bots.items()}
    whole = frames["unknown-event"]
    assert not events(bots["lost-marks"], "mark")
    late, timely = bots["late-marks"].events, bots["jitter"].events
    assert media_before_mark(late) - media_before_mark(timely) >= 15
    assert [event["sequenceNumber"] for event in timely[1:]] == [str(n + 1) for n in range(len(timely) - 1)]
    assert 0.3 < frames["loss"] / whole < 0.7
    assert frames["dead-line"] == 25
    assert 40 <= frames["cut-socket"] <= 60
    assert reports["cut-socket"].ending.by == "verb", "what follows the stream is run"
    statuses = [fields.get("StreamEvent") for _, fields in bots["cut-socket"].seen]
    assert "stream-error" in statuses
    assert not events(bots["no-start"], "start")
    order = [event["event"] for event in bots["media-before-start"].events]
    assert order[:12] == ["connected", *["media"] * 10, "start"]
    assert not events(bots["no-stop"], "stop")
    assert len(events(bots["duplicate-start"], "start")) == 2
    assert frames["duplicate-media"] >= 1.8 * whole
    assert events(bots["unknown-event"], "weather")
    assert bots["bad-json"].odd == ['{"event": "media", ']
    assert [e for e in events(bots["bad-base64"], "media") if e["media"]["payload"] == "*?*"]
    assert bots["binary-frame"].odd == [b"\x00" * 160]
    assert max(len(e["media"]["payload"]) for e in events(bots["giant-frame"], "media")) > 1_000_000
    posted = [fields["CallSid"] for name, fields in bots["duplicate-webhook"].seen if name == "incoming"]
    assert len(posted) == 2
    assert posted[0] == posted[1]
    for name in ("forged-signature", "unsigned-socket", "second-socket", "replayed-signature"):
        (intruder,) = reports[name].intruders
        assert intruder.refused, f"{name}: {intruder.detail}"


def media_before_mark(seen: list[dict]) -> int:
    kinds = [event["event"] for event in seen]
    return kinds[: kinds.index("mark")].count("media")


async def test_bots_that_let_intruders_in_fail():
    """Each intruder has its check."""
    names = ["forged-signature", "unsigned-socket", "second-socket", "replayed-signature"]
    calls = [
        ring(Bot(frozenset({"takes-forged", "takes-anyone"})), SHORT, faults=parse_faults([name]))
        for name in names
    ]
    for name, finished in zip(names, await all_of(*calls), strict=True):
        assert f"refuses_{name}" in failed(finished), finished.report.intruders


async def test_a_rest_error_is_answered_once():
    """A bot that does not try again stays on the line; one that does has hung up once."""
    who = scenario({"say": "hello there"}, {"say": "goodbye"}, end=(2, 2))
    gives_up, retries = await all_of(
        with_fault("rest-error:503", Bot(), who),
        with_fault("rest-error:503", Bot(frozenset({"hangs-up-twice"})), who),
    )
    assert gives_up.ending.by == "caller"
    assert retries.ending.by == "rest"
    assert retries.passed, retries.checks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lost-mark", "did you mean lost-marks?"),
        ("no-start:3", "takes no number"),
        ("jitter:much", "'much' is no number"),
        ("loss:-1", "must not be negative"),
        ("zzz", "known: lost-marks"),
    ],
)
def test_faults_that_are_none_are_refused(text, says):
    """With the nearest known one."""
    with pytest.raises(CallbotError, match="--fault") as caught:
        parse_faults([text])
    assert says in str(caught.value)
