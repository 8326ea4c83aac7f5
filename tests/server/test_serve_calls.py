"""Whole calls, from the webhook to the hang-up, at a real ``callbot serve`` over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai_server import OpenAIServer
from serving import CLINIC, LEAD, SILENCE, Bot, Caller, Rest, eventually, reply, serving

from callbot.certificate import greeting_certificate
from callbot.events import AudioQueued, ClearAudio, HangUp, KeyPressed, Played, Speak
from callbot.store.database import Store, open_store
from callbot.suspicion import Tell


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bot(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot that takes a lead."""
    with serving(tmp_path_factory.mktemp("bot"), rest, replies=LEAD) as running:
        yield running


@pytest.fixture
def store(bot: Bot) -> Iterator[Store]:
    """Its store."""
    with open_store(bot.database_url) as opened:
        yield opened


async def test_a_caller_leaves_a_lead_and_is_hung_up_on_once(bot: Bot, rest: Rest, store: Store) -> None:
    """Webhook, greeting, stream, two turns, farewell heard, REST hang-up, socket closed."""
    caller = Caller(bot)
    document = await caller.ring()
    assert document.verbs == ["Play", "Connect", "Redirect"]
    assert document.text_of("Redirect") == f"{bot.url}/webhook/after_stream"
    stream = await caller.answered(document)
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.say("my number is six one seven five five five oh one seven seven")
    await stream.over()
    assert [ended for ended in rest.ended if ended[0] == caller.call_sid] == [
        (caller.call_sid, {"Status": "completed"})
    ]
    call = store.calls.get(caller.call_sid)
    assert (call.ended_by, call.end_reason, call.lead_status, call.turns) == (
        "model",
        "lead_complete",
        "complete",
        2,
    )
    lead = store.leads.get(caller.call_sid)
    assert lead is not None
    assert lead.fields == {"name": "Dana", "phone": "+16175550177"}
    record = store.calls.load_record(caller.call_sid)
    queued = [e.seconds for _, e in record.of(AudioQueued)]
    assert queued == [pytest.approx(length / 8000) for length in stream.audio]
    spoken = [s for _, s in record.of(Speak)]
    assert [s.text for s in spoken] == ["Hi Dana.", "Your number?", "Thank you.", "Goodbye."]
    heard = max(t for t, played in record.of(Played) if played.mark == spoken[-1].mark)
    assert [t >= heard for t, _ in record.of(HangUp)] == [True], "nobody hangs up on unheard words"
    assert "Dana" not in bot.log_text()
    assert "617555" not in bot.log_text().replace(bot.url, "")
    # the carrier asks what comes next, although the call was ended by REST
    assert (await caller.ring("/webhook/after_stream")).verbs == ["Hangup"]


async def test_the_greeting_that_the_carrier_plays_is_certified_by_its_times(bot: Bot, store: Store) -> None:
    """A stream that opens before the greeting can have been over did not let it be heard."""
    caller = Caller(bot)
    stream = await caller.answered()  # at once: this carrier plays nothing
    await stream.stop()
    await eventually(lambda: store.calls.get(caller.call_sid).ended_at)
    certificate = greeting_certificate(store.calls.load_record(caller.call_sid))
    assert certificate.mode == "play"
    assert "before the greeting can have been over" in str(certificate)


async def test_a_caller_who_hangs_up_is_not_called_back(bot: Bot, rest: Rest, store: Store) -> None:
    """``stop`` ends the call; the carrier has ended it itself."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.stop()
    call = await eventually(lambda: (c := store.calls.get(caller.call_sid)).ended_at and c)
    assert (call.ended_by, call.end_reason) == ("caller", None)
    assert store.leads.get(caller.call_sid).fields == {"name": "Dana"}  # type: ignore[union-attr]
    assert caller.call_sid not in dict(rest.ended)


async def test_a_status_callback_ends_a_call_whose_stop_was_lost(bot: Bot, store: Store) -> None:
    """``completed`` says that nobody is there any more, whether it comes during the call or at its start."""
    for early in (True, True, True, True, True, False):
        caller = Caller(bot)
        stream = await caller.answered()
        if not early:
            await stream.say("I am Dana")
            await stream.until(2)
        await caller.ring("/webhook/call_status", CallStatus="completed")
        await stream.over()
        call = await eventually(lambda sid=caller.call_sid: (c := store.calls.get(sid)).ended_at and c)
        assert call.ended_by == "caller"


async def test_a_caller_who_never_reached_the_stream_is_written_down(bot: Bot, store: Store) -> None:
    """They hung up during the greeting."""
    caller = Caller(bot)
    await caller.ring()
    assert store.calls.get(caller.call_sid).ended_at is None
    await caller.ring("/webhook/call_status", CallStatus="completed")
    assert store.calls.get(caller.call_sid).ended_by == "caller"


async def test_barge_in_clears_the_carrier_and_old_marks_prove_nothing(bot: Bot, store: Store) -> None:
    """``clear`` goes out; the marks that it returns are not taken for heard."""
    caller = Caller(bot)
    stream = await caller.answered(marks=False)
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.say("wait")
    await eventually(lambda: "clear" in stream.events)
    await stream.return_marks()
    await stream.until(4)
    await stream.return_marks()
    await stream.over()
    record = store.calls.load_record(caller.call_sid)
    cleared = next(t for t, _ in record.of(ClearAudio))
    assert [played.mark for t, played in record.of(Played)] == [3, 4]
    assert all(t > cleared for t, _ in record.of(Played))


async def test_a_carrier_that_loses_marks_still_ends_the_call(bot: Bot, rest: Rest, store: Store) -> None:
    """After the farewell's own length and 3 s; it counts as heard, and the Record says why."""
    caller = Caller(bot)
    stream = await caller.answered(marks=False)
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.say("six one seven")
    await stream.until(4)
    await stream.media([SILENCE] * 50)
    await stream.over(15.0)
    assert [sid for sid, _ in rest.ended].count(caller.call_sid) == 1
    assert store.calls.get(caller.call_sid).end_reason == "lead_complete"
    record = store.calls.load_record(caller.call_sid)
    farewell = max(e.mark for _, e in record.of(Speak))
    assert [note["mark"] for _, note in record.notes("mark_lost")][-1] == farewell


async def test_keys_reach_the_call(bot: Bot, store: Store) -> None:
    """``dtmf`` of the caller's phone."""
    caller = Caller(bot)
    stream = await caller.answered()
    for digit in "12#x":
        await stream.send("dtmf", dtmf={"track": "inbound_track", "digit": digit})
    await stream.until(2)
    await stream.stop()
    await eventually(lambda: store.calls.get(caller.call_sid).ended_at)
    record = store.calls.load_record(caller.call_sid)
    assert [key.key for _, key in record.of(KeyPressed)] == ["1", "2", "#"]


async def test_a_streamed_greeting_is_played_whole_and_once(rest: Rest, tmp_path: Path) -> None:
    """No ``<Play>``: the call plays it, whoever speaks over it is answered after it, its certificate passes."""
    business = CLINIC.replace('clinic."}', 'clinic.", mode: stream}')
    with serving(tmp_path, rest, replies=LEAD, business=business) as bot:
        caller = Caller(bot)
        document = await caller.ring()
        assert document.verbs == ["Connect", "Redirect"]
        stream = await caller.answered(document, marks=False)
        await stream.say("I am Dana")
        await stream.until(1)
        stream.marks = True
        await stream.return_marks()
        await stream.until(3)
        await stream.stop()
        with open_store(bot.database_url) as store:
            await eventually(lambda: store.calls.get(caller.call_sid).ended_at)
            record = store.calls.load_record(caller.call_sid)
        assert "clear" not in stream.events, "a noise must not wipe the greeting out"
        assert str(greeting_certificate(record)) == "pass (stream)"
        said = [speak.text for _, speak in record.of(Speak)]
        assert said == ["Hello, this is the clinic.", "Hi Dana.", "Your number?"]


async def test_an_accepted_reason_connects_the_caller_to_a_person(rest: Rest, tmp_path: Path) -> None:
    """The socket is closed, not the call; nobody there: an apology, then the end."""
    with serving(tmp_path, rest, replies=[reply("I will connect you.", end="human")]) as bot:
        caller = Caller(bot)
        stream = await caller.answered()
        await stream.say("a person please")
        await stream.over()
        assert caller.call_sid not in dict(rest.ended)
        with open_store(bot.database_url) as store:
            assert Tell.NO_LEAD not in store.calls.get(caller.call_sid).tells, "nobody was hung up on"
        document = await caller.ring("/webhook/after_stream")
        assert document.verbs == ["Dial"]
        assert document.root.find("Dial").attrib["timeout"] == "15"  # type: ignore[union-attr]
        assert document.text_of("Dial/Number") == "+16175550199"
        action = document.root.find("Dial").attrib["action"]  # type: ignore[union-attr]
        path = action.removeprefix(bot.url)
        assert (await caller.ring(path, DialCallStatus="completed")).verbs == ["Hangup"]
        document = await caller.ring(path, DialCallStatus="no-answer")
        assert document.verbs == ["Play", "Hangup"]
        status, headers, body = bot.get(document.text_of("Play").removeprefix(bot.url))
        assert (status, headers["content-type"], body[:4]) == (200, "audio/wav", b"RIFF")


async def test_the_model_is_warm_before_the_caller_speaks(rest: Rest, tmp_path: Path) -> None:
    """The webhook opens the connection that the first turn is asked over."""
    with OpenAIServer() as model:
        more = ["--model", f"openai:m@{model.base_url}"]
        with serving(tmp_path, rest, more=more) as bot:
            caller = Caller(bot)
            document = await caller.ring()
            await eventually(lambda: model.requests)
            stream = await caller.answered(document)
            await stream.say("I am Dana")
            await stream.until(1)
            await stream.stop()
    assert [request.path for request in model.requests] == ["/v1/models", "/v1/chat/completions"]
    assert len({request.connection for request in model.requests}) == 1


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        pytest.param([(404, 20404)], 1, id="it is over already"),
        pytest.param([(400, 21220)], 1, id="it is not in progress"),
        pytest.param([(429, 20429), (503, None)], 3, id="again after a refusal that passes"),
        pytest.param([(401, 20003)], 1, id="no use in trying again"),
        pytest.param([(0, None), (0, None)], 2, id="no answer"),
    ],
)
async def test_hanging_up_by_rest(
    bot: Bot, rest: Rest, answers: list[tuple[int, int | None]], tries: int
) -> None:
    """Whatever the REST API says, the socket is closed, and the carrier then hears ``<Hangup/>``."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    rest.answers[:] = answers
    await stream.say("six one seven")
    await stream.over()
    assert [sid for sid, _ in rest.ended].count(caller.call_sid) == tries
    assert (await caller.ring("/webhook/after_stream")).verbs == ["Hangup"]


def test_without_an_operators_token_there_are_no_pages_of_calls(bot: Bot) -> None:
    """Not even a form that asks for one."""
    paths = ("/admin", "/admin/login", "/admin/calls/CA1", "/admin/events", "/admin/static/admin.css")
    for given in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
        assert [bot.get(path, **given)[0] for path in paths] == [404] * len(paths)
    assert bot.request("POST", "/admin/login", b"token=", {})[0] == 404
