"""A lead that a caller leaves reaches the business's webhook while the server goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import CLINIC, LEAD, Bot, Caller, Rest, eventually, serving
from webhook_receiver import Receiver

from callbot.store.database import open_store


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """The clinic's webhook, which fails at first."""
    server = Receiver()
    server.answers = [(503, {})]
    yield server
    server.close()


@pytest.fixture(scope="module")
def bot(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot that takes a lead and delivers it."""
    rest = Rest()
    business = f"{CLINIC}deliver: {{webhook: '{receiver.url}'}}\n"
    with serving(tmp_path_factory.mktemp("bot"), rest, replies=LEAD, business=business) as running:
        yield running
    rest.close()


async def test_the_lead_of_a_call_arrives_past_a_failure(bot: Bot, receiver: Receiver) -> None:
    """Posted when the call ends, and again by itself; once it has arrived, never again."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.say("my number is six one seven five five five oh one seven seven")
    await stream.over()

    def state() -> str:
        with open_store(bot.database_url) as store:
            return "".join(one.state for one in store.outbox.list())

    await eventually(lambda: state() == "delivered", 30)
    assert [headers["webhook-id"] for headers, _ in receiver.posts] == [caller.call_sid] * 2
    posted = json.loads(receiver.posts[1][1])
    assert posted["lead"] == {"name": "Dana", "phone": "+16175550177"}
    assert (posted["ended_by"], posted["lead_status"], posted["final"]) == ("model", "complete", True)
    assert posted["business"] == "clinic"


async def test_a_caller_who_leaves_is_told_of_too(bot: Bot, receiver: Receiver, tmp_path: Path) -> None:
    """The carrier's last word ends a call that never had a stream; its partial lead is the number."""
    caller = Caller(bot)
    await caller.ring()
    await caller.ring("/webhook/call_status", CallStatus="completed")
    await eventually(lambda: any(h["webhook-id"] == caller.call_sid for h, _ in receiver.posts), 20)
    [body] = [body for headers, body in receiver.posts if headers["webhook-id"] == caller.call_sid]
    posted = json.loads(body)
    assert (posted["ended_by"], posted["lead"], posted["lead_status"]) == ("caller", {}, "in_progress")
    assert posted["caller_number"] == caller.caller
