"""Leads reach their businesses: signed, at least once under one key, past every fault of a webhook."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cli import callbot, start
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from store_samples import business_yaml, call_record, numbered
from webhook_receiver import Receiver

from callbot.server.delivery import GIVE_UP, HOLD_SECONDS, LAST_WAIT, Courier, retry_after
from callbot.store.database import Store, open_store
from callbot.store.live import CallWrite, Finish

SECRET = "a secret of the business"
ENVIRONMENT = {"RUTI_SECRET": SECRET}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook of its own."""
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def prompts(tmp_path: Path, receiver: Receiver) -> Path:
    """A folder with a business that wants its leads."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    deliver = f"deliver: {{webhook: '{receiver.url}', secret_env: RUTI_SECRET}}\n"
    (folder / "ruti.yaml").write_text(business_yaml() + deliver, encoding="utf-8")
    return folder


def soon(seconds: float = 60.0) -> dt.datetime:
    """A moment from now."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def phone_call(store: Store, call_id: str = "CA1", *, deliver: bool = True, finish: bool = True) -> None:
    """A call that ran on a stream and ended, as a server writes it."""
    record = call_record(call_id, at=dt.datetime.now(dt.UTC))
    store.live.begin(call_id, {**record.header, "deliver": deliver}, f"n-{call_id}", soon())
    store.live.admit(call_id, f"n-{call_id}", "me", soon())
    end = Finish("model", "lead_complete", "complete", 1) if finish else None
    store.live.commit("me", [CallWrite(call_id, numbered(record), finish=end, release=finish)])


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)

    def __call__(self) -> dt.datetime:
        return self.time

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.time += dt.timedelta(seconds=seconds)


@contextlib.contextmanager
def courier(store: Store, folder: Path, clock: Clock, **settings: Any) -> Iterator[Courier]:
    """A process that sends."""
    settings = {"environment": ENVIRONMENT, "holder": "sender", "chance": random.Random(1), **settings}
    with ThreadPoolExecutor(4) as threads:
        yield Courier(store, folder, threads, now=clock, **settings)


async def test_a_lead_arrives_signed_and_once(store: Store, prompts: Path, receiver: Receiver) -> None:
    """A library by others verifies it; nothing is left to send."""
    phone_call(store)
    with courier(store, prompts, Clock()) as sender:
        [attempt] = await sender.send_due()
        assert (attempt.call_id, attempt.error) == ("CA1", None)
        assert await sender.send_due() == []
    [(headers, body)] = receiver.posts
    key = Webhook(base64.b64encode(SECRET.encode()).decode())
    assert key.verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        key.verify(body.replace(b"complete", b"declined"), headers)
    assert headers["webhook-id"] == "CA1"
    posted = json.loads(body)
    assert posted["final"] is True
    assert posted["lead"] == {"full_name": "דנה לוי"}
    assert (posted["lead_status"], posted["caller_number"]) == ("complete", "+972541112233")
    assert (posted["ended_by"], posted["end_reason"]) == ("model", "lead_complete")
    [listed] = store.outbox.list()
    assert (listed.state, listed.attempts) == ("delivered", 1)


async def test_a_secret_of_standard_webhooks_is_understood(
    store: Store, prompts: Path, receiver: Receiver
) -> None:
    """``whsec_`` and base64, as receivers' dashboards make them."""
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
    phone_call(store)
    with courier(store, prompts, Clock(), environment={"RUTI_SECRET": secret}) as sender:
        await sender.send_due()
    [(headers, body)] = receiver.posts
    assert Webhook(secret).verify(body, headers)


def test_only_the_end_of_a_call_is_delivered_and_only_if_wanted(store: Store) -> None:
    """Not a running call's lead, not a business's without ``deliver``; a lead in progress at the end is."""
    phone_call(store, "CA1", finish=False)
    phone_call(store, "CA2", deliver=False)
    assert store.outbox.list() == ()
    assert store.live.commit("me", [CallWrite("CA1", finish=Finish("caller", None, "in_progress"))]) == set()
    [listed] = store.outbox.list()
    assert listed.call_id == "CA1"
    [due] = store.outbox.claim("one", soon(), soon(), 10)
    assert (due.body["lead_status"], due.body["ended_by"]) == ("in_progress", "caller")


def test_a_call_that_ends_twice_is_delivered_once(store: Store) -> None:
    """A finish that is written again writes no second delivery, not even after the first arrived."""
    phone_call(store, finish=False)
    for _ in range(2):
        store.live.commit("me", [CallWrite("CA1", finish=Finish("caller", None))])
    store.outbox.delivered("CA1", soon())
    store.live.commit("me", [CallWrite("CA1", finish=Finish("caller", None))])
    assert [one.state for one in store.outbox.list()] == ["delivered"]


def test_a_transaction_that_fails_leaves_no_delivery(store: Store) -> None:
    """The end and its delivery are written together or not at all."""
    phone_call(store, finish=False)
    taken = numbered(call_record("CA1"))[:1]
    with pytest.raises(Exception, match="already written"):
        store.live.commit("me", [CallWrite("CA1", taken, finish=Finish("caller", None))])
    assert store.outbox.list() == ()


async def test_two_replicas_do_not_both_send(store: Store, prompts: Path, receiver: Receiver) -> None:
    """Whoever claims first sends; the other finds nothing."""
    for n in range(8):
        phone_call(store, f"CA{n}")
    barrier = threading.Barrier(4)
    claimed: list[str] = []

    def claim(holder: str) -> None:
        barrier.wait()
        claimed.extend(due.call_id for due in store.outbox.claim(holder, soon(), soon(600), 20))

    threads = [threading.Thread(target=claim, args=(f"replica{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [f"CA{n}" for n in range(8)]


async def test_failures_are_tried_again_later_and_later(
    store: Store, prompts: Path, receiver: Receiver
) -> None:
    """500s and a redirect are waited out; the key is the same every time."""
    phone_call(store)
    receiver.answers = [(500, {}), (503, {}), (302, {"Location": "/elsewhere"})]
    clock = Clock()
    waits = []
    with courier(store, prompts, clock) as sender:
        for _ in range(3):
            [attempt] = await sender.send_due()
            assert attempt.due_at is not None
            assert await sender.send_due() == []
            waits.append((attempt.due_at - clock()).total_seconds())
            clock.time = attempt.due_at
        [attempt] = await sender.send_due()
    assert attempt.error is None
    for n, wait in enumerate(waits):
        assert 2.5 * 2**n <= wait <= 5 * 2**n
    assert {headers["webhook-id"] for headers, _ in receiver.posts} == {"CA1"}
    assert len({body for _, body in receiver.posts}) == 1
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.posts]
    assert stamps == sorted(set(stamps))


async def test_a_receiver_that_asks_for_time_gets_it(store: Store, prompts: Path, receiver: Receiver) -> None:
    """429 with Retry-After, in seconds and as a date."""
    phone_call(store)
    clock = Clock()
    date = clock() + dt.timedelta(seconds=1200)
    receiver.answers = [
        (429, {"Retry-After": "600"}),
        (429, {"Retry-After": format_datetime(date, usegmt=True)}),
    ]
    with courier(store, prompts, clock) as sender:
        [attempt] = await sender.send_due()
        assert attempt.due_at == clock() + dt.timedelta(seconds=600)
        clock.time = attempt.due_at
        [attempt] = await sender.send_due()
        assert attempt.due_at is not None
        assert abs((attempt.due_at - date).total_seconds()) < 1.5


async def test_it_is_given_up_in_the_end_says_so_and_comes_back_by_hand(
    store: Store, prompts: Path, receiver: Receiver
) -> None:
    """After three days of failures; and at once when the receiver says 410 Gone."""
    phone_call(store)
    clock = Clock()
    receiver.answers = [(500, {})] * 1000
    began = clock()
    with courier(store, prompts, clock) as sender:
        [attempt] = await sender.send_due()
        while attempt.due_at is not None:
            assert (attempt.due_at - clock()).total_seconds() <= LAST_WAIT
            clock.time = attempt.due_at
            [attempt] = await sender.send_due()
        assert abs((clock() - began) - GIVE_UP) < dt.timedelta(seconds=5)
        [listed] = store.outbox.list(open_only=True)
        assert (listed.state, listed.error) == ("given up", "answered 500")
        assert (sender.given_up, sender.failures) == (1, listed.attempts)
        clock.move(1e6)
        assert await sender.send_due() == []
        receiver.answers = [(410, {})]
        assert store.outbox.retry(clock(), "ruti") == 1
        [attempt] = await sender.send_due()
        assert attempt.due_at is None
        assert store.outbox.retry(clock(), "other") == 0
        assert store.outbox.retry(clock()) == 1
        [attempt] = await sender.send_due()
        assert attempt.error is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("RUTI_SECRET", "the environment variable OTHER is not set"),
        ("http://", "no deliver.webhook any more"),
        ("ruti", "is neither in the database nor in files"),
    ],
)
async def test_what_cannot_be_sent_now_waits_and_says_why(
    change: str, said: str, store: Store, prompts: Path, receiver: Receiver
) -> None:
    """A secret that is gone, a business without a webhook or gone altogether."""
    phone_call(store)
    path = prompts / "ruti.yaml"
    text = path.read_text(encoding="utf-8")
    if change == "ruti":
        path.unlink()
    elif change == "RUTI_SECRET":
        path.write_text(text.replace("RUTI_SECRET", "OTHER"), encoding="utf-8")
    else:
        path.write_text(business_yaml(), encoding="utf-8")
    with courier(store, prompts, Clock()) as sender:
        [attempt] = await sender.send_due()
    assert said in str(attempt.error)
    assert attempt.due_at is not None
    assert receiver.posts == []


async def test_a_webhook_that_is_down_costs_an_attempt(
    store: Store, prompts: Path, receiver: Receiver
) -> None:
    """A refused connection is a failure like another, and the lead arrives afterwards."""
    phone_call(store)
    path = prompts / "ruti.yaml"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace(receiver.url, "http://127.0.0.1:9/"), encoding="utf-8")
    clock = Clock()
    with courier(store, prompts, clock) as sender:
        [attempt] = await sender.send_due()
        assert "ConnectError" in str(attempt.error)
        path.write_text(good, encoding="utf-8")
        clock.move(10)
        [attempt] = await sender.send_due()
        assert attempt.error is None


async def test_who_was_thought_dead_cannot_undo_an_arrival(store: Store) -> None:
    """A failure that comes late, from a holder that lost its hold, changes nothing."""
    phone_call(store)
    store.outbox.claim("slow", soon(), soon(10), 1)
    [again] = store.outbox.claim("next", soon(20), soon(60), 1)
    assert again.attempts == 2
    store.outbox.failed("CA1", "slow", "late", None)
    [listed] = store.outbox.list()
    assert listed.state == "waiting"
    store.outbox.delivered("CA1", soon())
    store.outbox.failed("CA1", "next", "late", soon())
    assert store.outbox.list()[0].state == "delivered"


async def test_a_sender_that_is_killed_before_it_marks_is_followed_by_another(
    tmp_path: Path, prompts: Path, receiver: Receiver
) -> None:
    """``kill -9`` between post and mark: at least once, with the same key, and not before its hold runs out."""
    receiver.hold = threading.Event()
    url = f"sqlite:///{tmp_path}/callbot.db"
    clock = Clock()
    with open_store(url) as store:
        phone_call(store)
        process = start("leads", "deliver", "--database", url, cwd=tmp_path, env=ENVIRONMENT)
        assert receiver.came.wait(60)
        process.send_signal(signal.SIGKILL)
        process.done()
        receiver.hold.set()
        with courier(store, prompts, clock) as sender:
            clock.move(1)
            assert await sender.send_due() == []
            clock.move(HOLD_SECONDS + 10)
            [attempt] = await sender.send_due()
        assert attempt.error is None
    assert [headers["webhook-id"] for headers, _ in receiver.posts] == ["CA1", "CA1"]
    assert receiver.posts[0][1] == receiver.posts[1][1]


def test_by_hand(tmp_path: Path, prompts: Path, receiver: Receiver) -> None:
    """``leads deliver`` says what failed and exits with 1; ``--retry`` sends it at once; the listing tells."""
    receiver.answers = [(500, {"Retry-After": "600"})]
    with open_store(f"sqlite:///{tmp_path}/callbot.db") as store:
        phone_call(store)
    done = callbot("leads", "deliver", cwd=tmp_path, env=ENVIRONMENT)
    assert done.returncode == 1
    assert done.stdout == "0 delivered, 1 failed\n"
    assert "CA1: answered 500; next attempt 20" in done.stderr
    listed = callbot("leads", "deliveries", "--open", cwd=tmp_path)
    assert "waiting\t1\t" in listed.stdout
    assert callbot("leads", "deliver", cwd=tmp_path, env=ENVIRONMENT).stdout == "0 delivered, 0 failed\n"
    done = callbot("leads", "deliver", "--retry", cwd=tmp_path, env=ENVIRONMENT)
    assert (done.returncode, done.stdout) == (0, "1 delivered, 0 failed\n")
    assert len(callbot("leads", "deliveries", "--open", cwd=tmp_path).stdout.splitlines()) == 1


@given(st.text(max_size=40) | st.integers(0, 10**12).map(str))
def test_no_retry_after_breaks_a_sender(text: str) -> None:
    """Whatever a receiver writes there means some seconds, none of them negative."""
    assert retry_after(text, dt.datetime.now(dt.UTC)) >= 0
