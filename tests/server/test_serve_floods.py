"""Floods: idle and slow connections, sockets that never start, forged webhooks. Callers notice none of it."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from serving import (
    CLINIC,
    LEAD,
    NUMBER,
    SID,
    SILENCE,
    Bot,
    Caller,
    Rest,
    Stream,
    eventually,
    open_socket,
    serving,
)
from sqlalchemy import Engine, event
from websockets.asyncio.client import ClientConnection

from callbot.lines.twilio_rest import Credentials
from callbot.server.directory import Directory
from callbot.server.options import ServeOptions
from callbot.server.speaking import Speech
from callbot.server.strangers import WaitingRoom, address_of
from callbot.store.database import open_store

FORGED = f"CallSid=CAforged&AccountSid={SID}&To=%2B{NUMBER[1:]}".encode()


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bot(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot that is flooded."""
    business = CLINIC + "silence: {after: 100}\n"  # on a slow machine a flood takes its time
    with serving(tmp_path_factory.mktemp("bot"), rest, replies=LEAD, business=business) as running:
        yield running
        assert '"level": "error"' not in running.log_text()


class Connection:
    """A connection that says this, and no more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, bot: Bot, says: bytes = b"") -> Connection:
        """Open one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", bot.port)
        writer.write(says)
        return cls(reader, writer)

    async def answer(self) -> bytes:
        """All that comes until it is closed from the other side; then it is closed from this one."""
        try:
            return await self._reader.read()
        except (ConnectionResetError, BrokenPipeError):
            return b""
        finally:
            self.close()

    @property
    def open_still(self) -> bool:
        """Nobody has closed it."""
        return not (self._reader.at_eof() or self._reader.exception())

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def forge(bot: Bot, times: int) -> list[bytes]:
    """Webhooks with a signature that is none: the answers."""
    head = b"POST /webhook/incoming_call HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: no\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(FORGED)
    answers = []
    for _ in range(times):
        connection = await Connection.open(bot, head + FORGED)
        answers.append(await connection.answer())
    return answers


async def idle_sockets(bot: Bot, times: int, **headers: str) -> list[ClientConnection]:
    """Sockets with a captured handshake, which stays valid, that never start."""
    url = f"ws://127.0.0.1:{bot.port}/media"
    return [await open_socket(bot, url, **headers) for _ in range(times)]


async def stay_on_the_line(stream: Stream) -> None:
    """The caller's silence, as it comes from a carrier."""
    while True:
        await asyncio.sleep(1.0)
        await stream.media([SILENCE] * 50)


async def test_a_call_goes_on_undisturbed_in_a_flood(bot: Bot, rest: Rest) -> None:
    """600 connections without a request, 500 idle sockets, 300 forged webhooks; another caller gets through."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    caller = Caller(bot)
    stream = await caller.answered()
    waiting = asyncio.create_task(stay_on_the_line(stream))
    half = b"POST /webhook/incoming_call HTTP/1.1\r\nHost: x\r\n"
    connections = [await Connection.open(bot, half if number % 2 else b"") for number in range(600)]
    talking = asyncio.create_task(stream.say("I am Dana"))
    sockets, answers = await asyncio.gather(idle_sockets(bot, 500), forge(bot, 300))
    await talking
    await stream.until(2)
    late = Caller(bot)
    second = await late.answered()
    await second.say("I am Dana")
    await second.until(2)
    waiting.cancel()
    await stream.say("six one seven")
    await stream.over()
    await second.stop()
    assert caller.call_sid in dict(rest.ended)
    with open_store(bot.database_url) as store:
        assert store.calls.get(caller.call_sid).end_reason == "lead_complete"
        assert (await eventually(lambda: store.leads.get(late.call_sid))).fields == {"name": "Dana"}
    assert all(b"403 Forbidden" in answer for answer in answers)
    assert len(bot.logs("a webhook was refused")) == 20, "a flood does not fill the disk"
    assert sum(connection.open_still for connection in connections) <= 512
    assert sum(socket.close_code == 1013 for socket in sockets) >= 436
    for each in (*connections, *sockets):
        await each.close() if isinstance(each, ClientConnection) else each.close()


async def test_the_flood_of_one_address_pushes_itself_out(bot: Bot) -> None:
    """Behind a proxy, by the address that the proxy has added; what a client claims before it counts for nothing."""
    patient = await idle_sockets(bot, 3, **{"X-Forwarded-For": "8.8.8.8"})
    flood = []
    for number in range(40):
        flood += await idle_sockets(bot, 1, **{"X-Forwarded-For": f"10.0.0.{number}, 9.9.9.9"})
    await eventually(lambda: sum(socket.close_code == 1013 for socket in flood) == 24)
    assert [socket.close_code for socket in (*patient, *flood[-16:])] == [None] * 19
    for socket in (*patient, *flood):
        await socket.close()


async def test_what_never_becomes_a_request_is_broken_off(bot: Bot) -> None:
    """Half a head, half a body and a kept connection after 5 s, a head without an end at once."""
    post = b"POST /webhook/incoming_call HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: no\r\n"
    slow = [
        await Connection.open(bot, post),
        await Connection.open(
            bot, post + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nCall"
        ),
        await Connection.open(bot, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
        await Connection.open(bot, post + b"X: " + b"x" * 200_000),
    ]
    before = len(bot.logs("a connection brought no whole request in time"))
    async with asyncio.timeout(4):  # before the others' 5 s
        await slow[3].answer()
    async with asyncio.timeout(15):
        answers = [await each.answer() for each in slow[:3]]
    assert answers[:2] == [b"", b""]
    assert answers[2].startswith(b"HTTP/1.1 200")
    told = len(bot.logs("a connection brought no whole request in time")) - before
    assert told == 2, "a connection that was kept for a next request, as proxies do, is no incident"


async def test_rubbish_is_answered_and_logged_sparingly(bot: Bot) -> None:
    """A TLS handshake, another protocol: 400, and some lines for many of them."""
    for _ in range(15):
        for rubbish in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-x\r\n\r\n"):
            assert (await (await Connection.open(bot, rubbish)).answer()).startswith(b"HTTP/1.1 400")
    assert len(bot.logs("what came was no request")) == 20
    assert "Invalid HTTP request" not in bot.log_text()


async def test_many_who_ask_for_audio_that_is_not_there_cost_a_look_or_two(tmp_path: Path) -> None:
    """The store is asked once for all who wait, and its threads stay free for callers."""
    options = ServeOptions(
        public_url="https://bot.example.com",
        credentials=Credentials(SID, "token"),
        database=f"sqlite:///{tmp_path}/callbot.db",
        model="offline",
        fallback=None,
        tts="espeak",
        stt="oracle",
        prompts_dir=tmp_path,
        clips_dir=tmp_path / "clips",
    )
    asked: list[str] = []

    def listen(connection: object, cursor: object, statement: str, *more: object) -> None:
        asked.append(statement)

    with open_store(options.database) as store, ThreadPoolExecutor(4) as threads:
        directory = Directory(store, Speech(options), threads)
        event.listen(Engine, "before_cursor_execute", listen)
        try:
            found = await asyncio.gather(*(directory.audio(f"nothing-{number}") for number in range(100)))
        finally:
            event.remove(Engine, "before_cursor_execute", listen)
    assert found == [None] * 100
    assert 0 < len(asked) < 20


def test_an_address_is_believed_only_from_a_proxy() -> None:
    """A peer from the Internet is itself; a private one is a proxy, whose last addition counts."""
    assert address_of("5.6.7.8", ["1.1.1.1"]) == "5.6.7.8"
    assert address_of("127.0.0.1", ["1.1.1.1, 9.9.9.9"]) == "9.9.9.9"
    assert address_of("10.1.2.3", ["1.1.1.1", "2.2.2.2 , 9.9.9.9"]) == "9.9.9.9"
    for peer, claims in (("127.0.0.1", []), ("::1", ["unknown"]), (None, ["1.1.1.1"]), ("a.sock", [])):
        assert address_of(peer, claims) is None


def test_a_full_room_is_left_by_whom_has_waited_longest() -> None:
    """First among those of the same address; guests of no known address count in the whole only."""
    room: WaitingRoom[int] = WaitingRoom(places=4, places_of_one=2)
    assert [room.enter(guest, address) for guest, address in enumerate(["a", "b", "b", None])] == [None] * 4
    assert room.enter(4, "b") == 1
    assert room.enter(5, "c") == 0
    room.leave(2)
    room.leave(2)
    assert room.enter(6, None) is None
    assert room.enter(7, None) == 3
