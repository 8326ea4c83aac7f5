"""Calls that outlive their server: kill -9, a lost socket, drains, databases that will not be written."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import CLINIC, LEAD, Bot, Caller, Document, Rest, eventually, free_port, reply, serving

from callbot.events import CallResumed, CallStarted, HangUp, Speak, SpeechKind
from callbot.store.database import open_store


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bot(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot for the calls that it survives."""
    with serving(tmp_path_factory.mktemp("bot"), rest, replies=LEAD) as running:
        yield running


def replicas(folder: Path, rest: Rest, database: str) -> tuple[Bot, Bot]:
    """Two processes on one store, known to the carrier by one address."""
    url = "https://bot.example.com"
    bots = []
    for name in ("a", "b"):
        place = folder / name
        place.mkdir()
        bot = Bot(place, rest.url, replies=LEAD, database=database, url=url, port=free_port())
        bots.append(bot.start())  # before the next port is chosen, or both could get the same
    return bots[0], bots[1]


async def test_a_killed_server_s_call_goes_on_at_another(rest: Rest, tmp_path: Path, store_url: str) -> None:
    """kill -9 in mid-call: no second greeting, one short sentence, the lead is kept, one hang-up."""
    first, second = await asyncio.to_thread(replicas, tmp_path, rest, store_url)
    try:
        caller = Caller(first)
        stream = await caller.answered()
        await stream.say("I am Dana")
        await stream.until(2)
        with open_store(store_url) as store:
            await eventually(lambda: store.leads.get(caller.call_sid))
        first.kill()
        await stream.over()
        caller.bot = second
        began = time.monotonic()
        document = await caller.ring("/webhook/after_stream")
        assert time.monotonic() - began < 5.0, "no dead air beyond the lease"
        assert document.verbs == ["Connect", "Redirect"], "no second greeting"
        again = await caller.answered(document)
        await again.until(1)
        await again.say("six one seven")
        await again.over()
        assert [sid for sid, _ in rest.ended].count(caller.call_sid) == 1
        with open_store(store_url) as store:
            record = store.calls.load_record(caller.call_sid)
            call = store.calls.get(caller.call_sid)
            lead = store.leads.get(caller.call_sid)
    finally:
        for bot in (first, second):
            if bot.process.poll() is None:
                bot.kill()
    assert (call.ended_by, call.end_reason, call.turns) == ("model", "lead_complete", 2)
    assert lead is not None
    assert lead.fields == {"name": "Dana", "phone": "+16175550177"}
    kinds = [speak.speech for _, speak in record.of(Speak)]
    assert kinds.count(SpeechKind.RESUME) == 1
    assert SpeechKind.GREETING not in kinds
    assert len(list(record.of(CallStarted))) == len(list(record.of(CallResumed))) == 1
    assert len(list(record.of(HangUp))) == 1
    times = [entry.t for entry in record.entries]
    assert times == sorted(times)


async def test_a_line_that_is_lost_thrice_ends_with_an_apology(rest: Rest, bot: Bot) -> None:
    """Connected again twice at most; the caller hears why the call ends, and nobody else is let in."""
    caller = Caller(bot)
    document = await caller.ring()
    for _ in range(3):
        assert "Connect" in document.verbs
        stream = await caller.answered(document)
        await stream.media([b"\xff" * 160])
        await stream.socket.close()
        document = await caller.ring("/webhook/after_stream")
    assert document.verbs == ["Play", "Hangup"]
    assert bot.get(document.text_of("Play").removeprefix(bot.url))[0] == 200
    with open_store(bot.database_url) as store:
        call = store.calls.get(caller.call_sid)
    assert (call.ended_by, call.end_reason) == ("failure", None)
    assert (await caller.ring("/webhook/after_stream")).verbs == ["Hangup"]


async def test_the_carriers_question_may_come_twice_and_early(rest: Rest, bot: Bot) -> None:
    """Asked before the socket has closed here, and again: one stream is given, the same one."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    first = await caller.ring("/webhook/after_stream")
    second = await caller.ring("/webhook/after_stream")
    assert first.text == second.text
    await stream.over()
    again = await caller.answered(first)
    await again.until(1)
    await again.say("six one seven")
    await again.over()
    assert [sid for sid, _ in rest.ended].count(caller.call_sid) == 1


async def test_a_streamed_greeting_is_not_said_again(rest: Rest, tmp_path: Path) -> None:
    """A line that is lost during it goes on behind it."""
    business = CLINIC.replace('clinic."}', 'clinic.", mode: stream}')
    with serving(tmp_path, rest, replies=LEAD, business=business) as bot:
        caller = Caller(bot)
        stream = await caller.answered(marks=False)
        await stream.until(1)
        await stream.socket.close()
        again = await caller.answered(await caller.ring("/webhook/after_stream"))
        await again.until(1)
        await again.stop()
        with open_store(bot.database_url) as store:
            await eventually(lambda: store.calls.get(caller.call_sid).ended_at)
            record = store.calls.load_record(caller.call_sid)
        kinds = [speak.speech for _, speak in record.of(Speak)]
        assert kinds == [SpeechKind.GREETING, SpeechKind.RESUME]


async def test_a_call_lost_after_its_farewell_was_heard_is_over(rest: Rest, tmp_path: Path) -> None:
    """Killed while it lingered: nobody is called back to hear another goodbye."""
    replies = [reply("Goodbye.", end="customer_declined", status="declined")]
    business = CLINIC.replace("linger: 0", "linger: 10")
    with serving(tmp_path, rest, replies=replies, business=business) as bot:
        caller = Caller(bot)
        stream = await caller.answered()
        await stream.say("no")
        await stream.until(1)
        await asyncio.sleep(0.5)  # its commit is due within 0.2 s, and nothing tells of it
        await stream.socket.close()
        assert (await caller.ring("/webhook/after_stream")).verbs == ["Hangup"]
        with open_store(bot.database_url) as store:
            call = store.calls.get(caller.call_sid)
        assert (call.ended_by, call.end_reason) == ("model", "customer_declined")


async def test_sigterm_lets_calls_finish(rest: Rest, tmp_path: Path) -> None:
    """New callers hear busy, the call in progress ends as it would have, and the exit code is 0."""
    with serving(tmp_path, rest, replies=LEAD) as bot:
        caller = Caller(bot)
        stream = await caller.answered()
        await stream.say("I am Dana")
        await stream.until(2)
        bot.process.terminate()
        await eventually(lambda: bot.logs("draining"))
        document = await Caller(bot).ring()
        assert (document.verbs, document.root[0].attrib) == (["Reject"], {"reason": "busy"})
        assert bot.get("/readyz")[0] == 503
        assert bot.get("/healthz")[0] == 200
        await stream.say("six one seven")
        await stream.over()
        assert await asyncio.to_thread(bot.wait) == 0
    assert caller.call_sid in dict(rest.ended)


async def test_a_drain_that_takes_too_long_hands_calls_over(rest: Rest, tmp_path: Path) -> None:
    """The socket is closed, the lease given up, the snapshot kept: the next process goes on at once."""
    folder = tmp_path / "one"
    with serving(folder, rest, replies=LEAD, more=["--drain", "0.2"]) as bot:
        caller = Caller(bot)
        stream = await caller.answered()
        await stream.say("I am Dana")
        await stream.until(2)
        bot.process.terminate()
        await stream.over()
        assert await asyncio.to_thread(bot.wait) == 0
        with serving(tmp_path / "two", rest, replies=LEAD, database=bot.database_url, url=bot.url) as heir:
            caller.bot = heir
            began = time.monotonic()
            document = await caller.ring("/webhook/after_stream")
            assert time.monotonic() - began < 1.0
            again = await caller.answered(document)
            await again.until(1)
            await again.stop()


async def test_a_locked_database_stops_no_call(rest: Rest, tmp_path: Path) -> None:
    """Greeting, turns and hang-up go on; once the lock is gone, all of it is written."""
    with serving(tmp_path, rest, replies=LEAD) as bot:
        lock = sqlite3.connect(tmp_path / "callbot.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        caller = Caller(bot)
        began = time.monotonic()
        document = await caller.ring()
        assert time.monotonic() - began < 3.0
        stream = await caller.answered(document)
        await stream.say("I am Dana")
        await stream.until(2, 4.0)
        await eventually(lambda: bot.logs("the store took no writes, which wait in memory"))
        lock.execute("ROLLBACK")
        with open_store(bot.database_url) as store:
            await eventually(lambda: store.leads.get(caller.call_sid))
            await eventually(lambda: bot.logs("a turn was committed late"))  # said after the commit
            copy = await caller.answered(document)
            await copy.over()
            assert copy.socket.close_code == 1008, "the nonce was used, lock or not"
            await stream.say("six one seven")
            await stream.over()
            call = store.calls.get(caller.call_sid)
            record = store.calls.load_record(caller.call_sid)
        assert (call.ended_by, call.end_reason, call.turns) == ("model", "lead_complete", 2)
        assert len(list(record.of(CallStarted))) == len(list(record.of(HangUp))) == 1
        lock.close()


def test_a_document_for_a_call_that_nobody_knows(bot: Bot) -> None:
    """An old CallSid, a store that was lost: the caller is not left in silence."""
    caller = Caller(bot)
    for path in ("/webhook/after_stream", "/webhook/after_dial"):
        assert Document(caller.post(path)[1]).verbs == ["Hangup"]
    for path in ("/webhook/call_status", "/webhook/stream_status"):
        assert Document(caller.post(path, CallStatus="completed", StreamEvent="stream-error")[1]).verbs == []
