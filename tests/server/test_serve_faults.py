"""Forged requests, broken frames, second sockets, floods: the call goes on, or ends, but nothing breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from serving import (
    CALLER,
    LEAD,
    NUMBER,
    SID,
    SILENCE,
    TOKEN,
    Bot,
    Caller,
    Rest,
    eventually,
    open_socket,
    open_stream,
    serving,
    signed,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus

from callbot.store.database import Store, open_store

MEDIA = "/media"


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bot(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot that is reached by another name than it listens on, as behind a proxy."""
    folder = tmp_path_factory.mktemp("bot")
    with serving(folder, rest, replies=LEAD, url="https://bot.example.com") as running:
        yield running
        assert '"level": "error"' not in running.log_text()


@pytest.fixture
def store(bot: Bot) -> Iterator[Store]:
    """Its store."""
    with open_store(bot.database_url) as opened:
        yield opened


# --- webhooks -----------------------------------------------------------------------------------
FIELDS = {"CallSid": "CAforged", "AccountSid": SID, "From": CALLER, "To": NUMBER}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
INCOMING = "/webhook/incoming_call"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(urlencode(FIELDS).encode(), FORM, id="no signature"),
        pytest.param(
            urlencode(FIELDS).encode(),
            {**FORM, "X-Twilio-Signature": signed(f"https://bot.example.com{INCOMING}", FIELDS, "guess")},
            id="another token",
        ),
        pytest.param(
            urlencode({**FIELDS, "To": "+16175550199"}).encode(),
            {**FORM, "X-Twilio-Signature": signed(f"https://bot.example.com{INCOMING}", FIELDS)},
            id="a changed field",
        ),
        pytest.param(
            urlencode({**FIELDS, "Extra": "1"}).encode(),
            {**FORM, "X-Twilio-Signature": signed(f"https://bot.example.com{INCOMING}", FIELDS)},
            id="a field more",
        ),
        pytest.param(
            urlencode(FIELDS).encode(),
            {
                **FORM,
                "Host": "evil.example.com",
                "X-Forwarded-Host": "evil.example.com",
                "X-Twilio-Signature": signed(f"https://evil.example.com{INCOMING}", FIELDS),
            },
            id="another host",
        ),
        pytest.param(
            json.dumps(FIELDS).encode(),
            {
                "Content-Type": "application/json",
                "X-Twilio-Signature": signed(f"https://bot.example.com{INCOMING}", {}),
            },
            id="JSON",
        ),
        pytest.param(
            urlencode({**FIELDS, "Pad": "x" * 70_000}).encode(),
            {
                **FORM,
                "X-Twilio-Signature": signed(
                    f"https://bot.example.com{INCOMING}", {**FIELDS, "Pad": "x" * 70_000}
                ),
            },
            id="a giant form",
        ),
        pytest.param(b"\xff\xfe=1", {**FORM, "X-Twilio-Signature": "x"}, id="no text"),
    ],
)
def test_what_is_not_twilios_is_refused(bot: Bot, store: Store, body: bytes, headers: dict[str, str]) -> None:
    """403, and no call is begun."""
    status, _, answer = bot.request("POST", INCOMING, body, headers)
    assert (status, answer) == (403, b"forbidden")
    assert "CAforged" not in [call.id for call in store.calls.list()]


def test_only_posts_are_webhooks(bot: Bot) -> None:
    """GET is not allowed."""
    assert bot.get(INCOMING)[0] == 405


def test_the_urls_of_documents_are_the_configured_ones(bot: Bot) -> None:
    """Whatever the Host header says: a forged one would send the caller's voice elsewhere."""
    status, document = Caller(bot).post(headers={"Host": "evil.example.com"})
    assert status == 200
    assert 'url="wss://bot.example.com/media"' in document
    assert "evil" not in document


async def test_a_webhook_that_comes_twice_gets_the_same_answer(bot: Bot, store: Store) -> None:
    """One call, one nonce; after the call it gets nothing to open."""
    caller = Caller(bot)
    first, second = await asyncio.gather(caller.ring(), caller.ring())
    assert first.text == second.text
    stream = await caller.answered(first)
    await eventually(lambda: "call_started" in str(_types(store, caller.call_sid)))
    assert (await caller.ring()).text == first.text
    await stream.stop()
    await eventually(lambda: store.calls.get(caller.call_sid).ended_at)
    assert (await caller.ring()).verbs == ["Hangup"]


def _types(store: Store, call_sid: str) -> list[str]:
    return [
        type(entry.what).__name__.lower().replace("callstarted", "call_started")
        for entry in store.calls.load_record(call_sid).entries
    ]


@pytest.mark.parametrize(
    ("dialled", "caller"),
    [("+16175550999", CALLER), ("sip:nobody@example.com", CALLER), ('"><Hangup/>&', CALLER), ("", "")],
)
async def test_a_number_that_nobody_answers_is_rejected(bot: Bot, dialled: str, caller: str) -> None:
    """Without a word, and with a line in the log that holds no number."""
    document = await Caller(bot, dialled=dialled, caller=caller).ring()
    assert document.verbs == ["Reject"]
    assert bot.logs("nobody answers this number")
    assert "6175550999" not in bot.log_text()


@pytest.mark.parametrize("number", ["anonymous", "+266696687", "+86282452253", '<Hangup/>&"', ""])
async def test_odd_callers_are_answered(bot: Bot, store: Store, number: str) -> None:
    """A withheld number, also as keys spell the word, and one that tries to write TwiML: nobody's number."""
    caller = Caller(bot, caller=number)
    document = await caller.ring(CallerName="<Hangup/>&")
    assert document.verbs == ["Play", "Connect", "Redirect"]
    assert store.calls.get(caller.call_sid).caller_number is None


# --- audio ----------------------------------------------------------------------------------------
async def test_greeting_audio_is_cached_by_its_tag(bot: Bot) -> None:
    """ETag, 304, the right type."""
    document = await Caller(bot).ring()
    path = document.text_of("Play").removeprefix("https://bot.example.com")
    status, headers, body = bot.get(path)
    assert (status, headers["content-type"], body[:4]) == (200, "audio/wav", b"RIFF")
    status, again, empty = bot.get(path, **{"If-None-Match": headers["etag"]})
    assert (status, again["etag"], empty) == (304, headers["etag"], b"")


@pytest.mark.parametrize(
    "path", ["..%2f..%2fetc%2fpasswd", "..", "%00", "%2e%2e/%2e%2e/callbot.db", "x" * 2000, ""]
)
def test_no_other_file_is_served(bot: Bot, path: str) -> None:
    """Ids are a fixed map."""
    status, _, body = bot.get(f"/static/audio/{path}")
    assert status == 404
    assert b"root:" not in body


# --- the socket's door ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "signature",
    [
        "",
        "nonsense",
        signed("wss://bot.example.com/media", {}, "guess"),
        signed("wss://evil.example.com/media", {}),
        signed("https://bot.example.com/media", {}),
    ],
)
async def test_a_handshake_that_is_not_twilios_is_refused(bot: Bot, signature: str) -> None:
    """403 before the socket opens."""
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(bot, f"wss://bot.example.com{MEDIA}", **{"X-Twilio-Signature": signature})
    assert refused.value.response.status_code == 403


async def test_a_handshake_signed_with_a_slash_at_its_end_is_twilios(bot: Bot) -> None:
    """Some of Twilio's edges sign that form; a call goes through."""
    caller = Caller(bot)
    document = await caller.ring()
    stream = await open_stream(bot, document.stream_url, caller.call_sid, document.nonce or "")
    await stream.stop()
    socket = await open_socket(
        bot,
        document.stream_url,
        **{"X-Twilio-Signature": signed(document.stream_url + "/", {})},
    )
    await socket.close()


async def test_a_socket_needs_the_nonce_of_its_own_call(bot: Bot) -> None:
    """Unknown, another call's, used: closed with 1008, and nothing was begun."""
    first, second = Caller(bot), Caller(bot)
    document, other = await first.ring(), await second.ring()
    for nonce in ("", "guess", other.nonce or ""):
        stream = await open_stream(bot, document.stream_url, first.call_sid, nonce)
        await stream.over()
        assert stream.socket.close_code == 1008
    real = await first.answered(document)
    await real.say("I am Dana")
    await real.until(2)
    copy = await first.answered(document)
    await copy.over()
    assert copy.socket.close_code == 1008
    await real.stop()


async def test_media_before_the_start_reaches_nobody(bot: Bot, store: Store) -> None:
    """And does no harm."""
    caller = Caller(bot)
    document = await caller.ring()
    socket = await open_socket(bot, document.stream_url)
    for message in ('{"event":"media","media":{}}', "no json", '{"event":"mark"}', "[1]"):
        await socket.send(message)
    start = {
        "streamSid": "MZ1",
        "callSid": caller.call_sid,
        "customParameters": {"nonce": document.nonce},
    }
    await socket.send(json.dumps({"event": "start", "start": start}))
    await eventually(lambda: store.calls.load_record(caller.call_sid).entries)
    await socket.close()


async def test_idle_sockets_keep_no_caller_out(bot: Bot) -> None:
    """The oldest make room."""
    idle = [await open_socket(bot, f"wss://bot.example.com{MEDIA}") for _ in range(80)]
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.stop()
    assert sum(socket.close_code == 1013 for socket in idle) >= 16
    for socket in idle:
        await socket.close()


async def test_another_encoding_is_refused(bot: Bot) -> None:
    """The bot would speak noise."""
    caller = Caller(bot)
    stream = await caller.answered(format="audio/l16")
    await stream.over()
    assert stream.socket.close_code == 1003


# --- frames -----------------------------------------------------------------------------------------
async def test_a_call_survives_odd_frames(bot: Bot, store: Store) -> None:
    """Unknown events, unknown keys, bad base64, NaN, deep nesting, binary, other streams, doubled frames."""
    caller = Caller(bot)
    stream = await caller.answered()
    odd: list[str | bytes] = [
        '{"event":"weather","streamSid":"MZ","weather":{}}',
        "no json",
        f'{{"event":"media","streamSid":"{stream.stream_sid}","media":{{"payload":"*bad*"}}}}',
        f'{{"event":"media","streamSid":"{stream.stream_sid}","media":{{"payload":"AA=="}},"x":NaN}}',
        "[" * 20_000,
        b"\x00\x01",
        f'{{"event":"mark","streamSid":"{stream.stream_sid}","mark":{{"name":"somebody else\'s"}}}}',
        f'{{"event":"mark","streamSid":"{stream.stream_sid}","mark":7}}',
        '{"event":"media","streamSid":"MZother","media":{"payload":"AA=="}}',
        '{"event":"stop","streamSid":"MZother","stop":{"callSid":"CAother"}}',
        f'{{"event":"media","streamSid":"{stream.stream_sid}","media":{{"track":"outbound","payload":"AA=="}}}}',
        "7",
    ]
    for frame in odd:
        await stream.socket.send(frame)
    twice = '{"event":"media","sequenceNumber":"1","streamSid":"%s","media":{"chunk":"0","payload":"%s"}}'
    for _ in range(2):
        await stream.socket.send(twice % (stream.stream_sid, "/" * 216))
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.stop()
    await eventually(lambda: store.calls.get(caller.call_sid).ended_at)
    (over,) = await eventually(
        lambda: [line for line in bot.logs("call over") if line["call"] == caller.call_sid]
    )
    assert over["counts"] == {
        "ignored": 2,
        "bad_frame": 7,
        "unknown_mark": 1,
        "wrong_stream": 2,
        "duplicate": 1,
    }


@pytest.mark.parametrize(
    ("frame", "times", "code"),
    [
        pytest.param("no json", 10, 1007, id="no JSON"),
        pytest.param(b"\x00", 10, 1003, id="binary"),
        pytest.param('{"event":"media","streamSid":"MZx","media":{"payload":"AA=="}}', 10, 1007, id="other"),
        pytest.param("x" * 70_000, 1, 1009, id="giant"),
        pytest.param(
            '{"event":"start","start":{"streamSid":"MZ2","callSid":"CA2"}}', 1, 1008, id="second start"
        ),
    ],
)
async def test_a_socket_that_goes_too_far_is_closed_and_the_call_goes_on(
    bot: Bot, store: Store, frame: str | bytes, times: int, code: int
) -> None:
    """The caller is still there: the carrier asks, and is given another stream."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    for _ in range(times):
        await stream.socket.send(frame)
    await stream.over()
    assert stream.socket.close_code == code
    document = await caller.ring("/webhook/after_stream")
    assert document.verbs == ["Connect", "Redirect"]
    again = await caller.answered(document)
    await again.until(1)
    await again.stop()
    await eventually(lambda: store.calls.get(caller.call_sid).ended_at)


async def test_a_line_without_frames_is_dead(bot: Bot, rest: Rest, store: Store) -> None:
    """10 s of nothing: nobody is there, and the carrier is told. One that never starts has 5 s."""
    caller = Caller(bot)
    stream = await caller.answered()
    never = await open_socket(bot, f"wss://bot.example.com{MEDIA}")
    await stream.media([SILENCE] * 5)
    async with asyncio.timeout(7):
        with pytest.raises(ConnectionClosed):
            await never.recv()
    assert never.close_code == 1008
    await stream.over(15.0)
    call = await eventually(lambda: (c := store.calls.get(caller.call_sid)).ended_at and c)
    assert (call.ended_by, call.end_reason) == ("caller", "no_response")
    assert caller.call_sid in dict(rest.ended)


async def test_a_full_house_is_busy(rest: Rest, tmp_path: Path) -> None:
    """One call at once here; the next caller hears the busy tone, the one after it is let in."""
    with serving(tmp_path, rest, replies=LEAD, more=["--max-calls", "1"]) as bot:
        stream = await Caller(bot).answered()
        await eventually(lambda: bot.logs("stream"))
        document = await Caller(bot).ring()
        assert document.verbs == ["Reject"]
        assert document.root[0].attrib == {"reason": "busy"}
        await stream.stop()
        await eventually(lambda: bot.logs("call over"))
        assert (await Caller(bot).ring()).nonce


def test_health(bot: Bot) -> None:
    """For load balancers."""
    assert bot.get("/healthz")[0] == 200
    assert bot.get("/readyz")[0] == 200
    assert bot.get("/nowhere")[0] == 404
    assert TOKEN not in bot.log_text()
