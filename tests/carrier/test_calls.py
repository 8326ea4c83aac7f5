"""Whole calls over loopback: a good bot passes, and each planted fault is heard in the audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from bot import ACCOUNT, FAREWELL, GREETING, TOKEN, Bot, mulaw
from calling import TWO_TURNS, all_of, exchange, failed, ring, scenario
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from callbot.carrier import g711
from callbot.carrier.report import Limits

PLANTED = {
    "greets-twice": {"greeting_once"},
    "greets-late": {"greeting_starts"},
    "cuts-farewell": {"farewell_whole", "farewell_heard"},
    "talks-over": {"talk_over"},
    "never-hangs-up": {"hangs_up"},
    "hangs-up-twice": {"hangs_up_once"},
    "gap": {"no_gaps"},
}
"""Faults of a bot, and the checks that must fail because of each: all of them, and no other."""


async def test_a_good_bot_passes_and_every_planted_fault_is_heard():
    """Each fault is found, and found as what it is."""
    names = [None, "cuts-greeting", "streams", *PLANTED]
    reference = mulaw(GREETING)
    calls = []
    for name in names:
        streams = name in ("cuts-greeting", "streams")
        bot = Bot(frozenset({name or "none"}), greets="stream" if streams else "play")
        greeting = reference if streams else None
        calls.append(ring(bot, greeting=greeting, farewell=mulaw(FAREWELL), limits=Limits(greeting=1500)))
    finished = dict(zip(names, await all_of(*calls), strict=True))
    assert failed(finished[None]) == set()
    assert failed(finished["streams"]) == set()
    assert failed(finished["cuts-greeting"]) == {"greeting_whole"}
    found = {name: failed(finished[name]) for name in PLANTED}
    found["never-hangs-up"] -= {"farewell_heard"}  # it has none
    found["talks-over"] &= {"talk_over"}  # it then takes its own words' marks for the farewell's
    assert found == PLANTED
    good = finished[None].report
    assert good.ending.by == "rest"
    assert (good.ending.rest, good.ending.turn, good.ending.unheard_ms) == (1, 2, 0)
    assert good.greeting is not None
    assert (good.greeting.share, good.greeting.times) == (1.0, 1)
    assert len(good.answers_ms) == 2
    assert all(200 <= answer <= 600 for answer in good.answers_ms), (
        "the bot waits 240 ms for the end of a turn"
    )
    gap = finished["gap"].report.underruns
    assert gap
    assert all(100 <= moment.ms <= 400 for moment in gap), "the bot sends the second half 150 ms late"
    assert finished["never-hangs-up"].report.ending.by == "caller"


async def test_interruptions_are_timed_and_other_acts_reach_the_bot(tmp_path: Path):
    """Barge-in, keys, noise, silence, hanging up; the recording is what was heard on either side."""
    interrupting = scenario({"say": "hello there"}, {"say": "wait a moment", "barge_in": 0.5})
    acting = scenario({"press": "1#"}, {"noise": 0.3}, {"silence": 0.5}, {"hang_up": True})
    polite, rude, keyed = (
        Bot(reply_seconds=2.2, replies=9),
        Bot(frozenset({"ignores-barge-in"}), replies=9),
        Bot(),
    )
    rude.reply_seconds = 2.2
    wav = tmp_path / "call.wav"

    async def recorded():
        async with exchange(keyed) as carrier:
            return await carrier.call(acting, wav=wav)

    stopped, went_on, acted = await all_of(ring(polite, interrupting), ring(rude, interrupting), recorded())
    assert "stops" not in failed(stopped)
    (stop,) = stopped.report.barge_ins
    assert 60 <= stop.stop_ms <= 400, "the bot takes 100 ms of sound for speech"
    assert "stops" in failed(went_on)
    assert went_on.report.barge_ins[0].stop_ms > 1000
    keys = [event["dtmf"] for event in keyed.events if event["event"] == "dtmf"]
    assert keys == [{"track": "inbound_track", "digit": "1"}, {"track": "inbound_track", "digit": "#"}]
    assert acted.report.ending.by == "caller"
    assert acted.report.ending.turn == 4
    both, rate = soundfile.read(wav, dtype="int16")
    assert (rate, both.shape[1]) == (8000, 2)
    start = next(n for n in range(len(both)) if both[n, 1])
    played = both[start - 200 : start + len(GREETING) + 200, 1]
    assert max(np.corrcoef(played[n : n + 8000], GREETING)[0, 1] for n in range(400)) > 0.999


async def test_messages_are_those_of_the_protocol():
    """Numbered from 1 without a hole, counters as strings, 160 bytes every 20 ms, parameters unescaped."""
    bot = Bot()
    async with exchange(bot) as carrier:
        await carrier.call(TWO_TURNS)
    connected, start, *rest = bot.events
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["start"]["customParameters"] == {"nonce": "n&1"}
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert [event["sequenceNumber"] for event in (start, *rest)] == [str(n + 1) for n in range(len(rest) + 1)]
    media = [event["media"] for event in rest if event["event"] == "media"]
    assert [each["chunk"] for each in media] == [str(n + 1) for n in range(len(media))]
    assert [each["timestamp"] for each in media] == [str(20 * n) for n in range(len(media))]
    assert {len(each["payload"]) for each in media} == {216}
    assert rest[-1]["event"] == "stop"
    assert [name for name, fields in bot.seen if fields.get("forged")] == []
    stages = [fields.get("StreamEvent", fields.get("CallStatus")) for _, fields in bot.seen]
    assert stages == ["ringing", "stream-started", "stream-stopped", "completed"]


async def test_twiml_after_the_stream_is_run(tmp_path: Path):
    """Redirects, pauses, dialling; the document's end hangs up; a greeting is fetched again by its tag."""
    bot = Bot(frozenset({"never-hangs-up"}))
    async with exchange(bot) as carrier:
        bot.documents["first"] = (
            f"<Response><Play>{bot.base}/greeting.wav</Play><Play>{bot.base}/greeting.wav</Play>"
            f'<Say>one moment</Say><Dial action="{bot.base}/document/second">+97235550101</Dial><Hangup/></Response>'
        )
        bot.documents["second"] = (
            f"<Response><Pause/><Redirect>{bot.base}/document/third</Redirect></Response>"
        )
        bot.documents["third"] = "<Response/>"
        changed = carrier.with_webhook(f"{bot.base}/document/first")
        finished = await changed.call(scenario({"silence": 30}, end=(1, 1)))
    assert [name for name, _ in bot.seen][:3] == ["first", "second", "third"]
    assert bot.seen[1][1]["DialCallStatus"] == "no-answer"
    assert bot.etag_hits == 1
    report = finished.report
    assert report.dialled == ["+97235550101"]
    assert report.greeting is not None
    assert report.greeting.times == 2
    assert report.ending.by == "verb"
    assert 3.5 <= report.seconds <= 4.5, "two greetings, half a second of speech, a pause"


@pytest.mark.parametrize("name", ["twiml", "url"])
async def test_rest_redirects_a_call(name):
    """``update(twiml=...)`` and ``update(url=...)`` leave the stream for another document."""
    bot = Bot(frozenset({"never-hangs-up"}))
    bot.documents["bye"] = "<Response><Pause/><Reject/></Response>"
    async with exchange(bot) as carrier:
        client = Client(ACCOUNT, TOKEN)
        client.api.base_url = carrier.rest_url

        import asyncio

        async def redirect():
            while not bot.events:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            sid = bot.seen[0][1]["CallSid"]
            change = (
                {"twiml": "<Response><Hangup/></Response>"}
                if name == "twiml"
                else {"url": bot.base + "/document/bye"}
            )
            found = await asyncio.to_thread(client.calls(sid).fetch)
            assert (found.status, found.to) == ("in-progress", "+97235550100")
            await asyncio.to_thread(lambda: client.calls(sid).update(**change))
            return sid

        finished, sid = await all_of(carrier.call(TWO_TURNS), redirect())
        with pytest.raises(TwilioRestException) as gone:
            await asyncio.to_thread(lambda: client.calls(sid).update(status="completed"))
        assert (gone.value.status, gone.value.code) == (404, 20404)
        stranger = Client(ACCOUNT, "wrong")
        stranger.api.base_url = carrier.rest_url
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(lambda: stranger.calls(sid).fetch())
        assert (refused.value.status, refused.value.code) == (401, 20003)
    assert finished.report.ending.by == "verb"
    assert bot.events[-1]["event"] == "stop"


def test_silence_is_the_code_of_zero():
    """What the tape is filled with where nothing is played."""
    assert g711.decode(bytes([g711.SILENCE]))[0] == 0


async def test_a_bot_that_recognises_nothing_is_told_the_words():
    """When their sound has ended, as recognition would return them; only on request."""
    said = scenario({"say": "hello there", "heard": "hello bear"}, {"hang_up": True})
    told, untold = Bot(), Bot()
    await all_of(ring(told, said, oracle=True), ring(untold, said))
    (words,) = [event for event in told.events if event["event"] == "callbot.oracle"]
    assert words["text"] == "hello bear"
    assert words["streamSid"] == told.events[1]["streamSid"]
    assert not [event for event in untold.events if event["event"] == "callbot.oracle"]
