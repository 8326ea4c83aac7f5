"""Which calls are worth a look, and why: from a Record, in the store, and on the command line."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable

import pytest
from alembic import command
from store_samples import NOON, numbered

from callbot import events as ev
from callbot.cli.app import main
from callbot.events import EndedBy, SpeechKind
from callbot.record import Record, header
from callbot.rules import Rules
from callbot.store.database import Store, open_store
from callbot.store.engine import connect
from callbot.store.live import Finish
from callbot.store.migrate import alembic_config
from callbot.suspicion import TRANSFERRED, Tell, tells_of

CALLER, ANOTHER = "+972541112233", "+972541112244"
HELLO = [ev.CallStarted(), ev.SpeechStarted(), ev.UserSpoke("hello"), ev.AskModel(1, (), {}, ())]
LEAD = ev.SaveLead({"name": "Dana"}, "complete")
BYE, HEARD = ev.Speak(2, "Goodbye."), ev.Played(2)
COMPLETE = [*HELLO, LEAD, BYE]
HANG_UP = ev.HangUp(EndedBy.MODEL, "lead_complete")


def record(*happenings: object, call_id: str = "c", caller: str | None = CALLER, **more: object) -> Record:
    """A Record in which these things happened, a second apart."""
    rules = Rules(greeting="Hello.", required=("name",))
    head = header(
        call_id=call_id, rules=rules, business="ruti", business_version=3, line="twilio", caller_number=caller
    )
    made = Record({**head, **more})
    for t, what in enumerate(happenings):
        if isinstance(what, ev.Note):
            made.note(float(t), what.type, **what.data)
        elif isinstance(what, (ev.Speak, ev.AskModel, ev.SaveLead, ev.HangUp)):
            made.command(float(t), what)
        else:
            made.event(float(t), what)
    return made


SPOKE = [ev.SpeechStarted(), ev.UserSpoke("wait, one more thing")]
NOISE = [ev.SpeechStarted(), ev.UserSpoke(" ")]


@pytest.mark.parametrize(
    ("happenings", "ended_by", "tells"),
    [
        pytest.param([*COMPLETE, HEARD, HANG_UP], "model", [], id="as it should be"),
        pytest.param([*COMPLETE, HEARD, *SPOKE, HANG_UP], "model", [Tell.TALKING], id="words in vain"),
        pytest.param([*COMPLETE, *SPOKE, HEARD, HANG_UP], "model", [Tell.TALKING], id="over the farewell"),
        pytest.param([*COMPLETE, HEARD, SPOKE[0], HANG_UP], "model", [Tell.TALKING], id="in mid-speech"),
        pytest.param([*COMPLETE, HEARD, ev.KeyPressed("1"), HANG_UP], "model", [Tell.TALKING], id="a key"),
        pytest.param([*COMPLETE, HEARD, *NOISE, HANG_UP], "model", [], id="a cough"),
        pytest.param(
            [*COMPLETE, HEARD, *SPOKE, ev.AskModel(2, (), {}, ()), HANG_UP], "model", [], id="words answered"
        ),
        pytest.param([*COMPLETE, HEARD, *SPOKE, ev.CallerHungUp()], "caller", [], id="the caller left"),
        pytest.param([*COMPLETE, HANG_UP], "model", [Tell.FAREWELL], id="no mark came back"),
        pytest.param([*COMPLETE, ev.Played(1), HANG_UP], "model", [Tell.FAREWELL], id="an older mark"),
        pytest.param(
            [*COMPLETE, ev.VoiceFailed(2, "no voice"), HANG_UP], "model", [Tell.FAREWELL], id="no voice"
        ),
        pytest.param([*HELLO, BYE, HEARD, HANG_UP], "model", [Tell.NO_LEAD], id="nothing captured"),
        pytest.param(
            [*HELLO, ev.SaveLead({}, "declined"), BYE, HEARD, HANG_UP], "model", [Tell.NO_LEAD], id="declined"
        ),
        pytest.param([ev.CallStarted(), BYE, HEARD, HANG_UP], "silence", [], id="nobody ever spoke"),
        pytest.param(
            [*HELLO, BYE, HEARD, HANG_UP, ev.Note(TRANSFERRED, {})], "model", [], id="put through to a person"
        ),
        pytest.param([*HELLO], "failure", [Tell.NO_LEAD], id="given up after the line was lost"),
        pytest.param([*HELLO], None, [], id="broke off"),
        pytest.param(
            [*COMPLETE, ev.Note("end_refused", {"why": "no"}), ev.CallerHungUp()],
            "caller",
            [Tell.REFUSED],
            id="a refused request",
        ),
        pytest.param(
            [ev.CallStarted(), ev.Speak(1, "Hello.", SpeechKind.GREETING), ev.CallerHungUp()],
            "caller",
            [Tell.GREETING],
            id="greeted twice",
        ),
    ],
)
def test_a_record_shows_what_makes_its_call_worth_a_look(happenings, ended_by, tells):
    """Read from events and commands alone, never from anybody's words."""
    assert tells_of(record(*happenings), ended_by) == tuple(tells)


# --- in the store ---------------------------------------------------------------------------------
def keep(store: Store, call_id: str, at: dt.datetime, *, lead: bool = True, **more: object) -> None:
    """A call of some seconds that the model ended."""
    happenings = [*(COMPLETE if lead else [*HELLO, BYE]), HEARD, HANG_UP]
    store.calls.save_record(record(*happenings, call_id=call_id, started_at=at.isoformat(), **more))


def suspects(store: Store) -> dict[str, tuple[str, ...]]:
    """Suspicious calls and their tells, as listed."""
    return {call.id: call.tells for call in store.calls.list(suspect=True)}


def test_a_caller_who_rings_again_within_ten_minutes_was_hung_up_on(store: Store):
    """The same number and business, after an end of the bot's; whichever call is written down first."""
    for n, (minutes, more) in enumerate(
        [(9, {}), (11, {}), (5, {"caller": ANOTHER}), (5, {"business": "dan"}), (5, {"caller": None})]
    ):
        at = NOON + dt.timedelta(days=n)
        keep(store, f"first-{n}", at)
        keep(store, f"again-{n}", at + dt.timedelta(minutes=minutes), **more)
    assert suspects(store) == {"first-0": ("redial",)}
    keep(store, "late", NOON - dt.timedelta(minutes=5))
    keep(store, "too-early", NOON - dt.timedelta(minutes=16))
    assert suspects(store) == {"first-0": ("redial",), "late": ("redial",)}


def test_a_caller_who_hung_up_and_rings_again_tells_of_nothing(store: Store):
    """The bot has not ended that call; and two calls at once are two people at one switchboard."""
    left = record(*COMPLETE, ev.CallerHungUp(), call_id="left", started_at=NOON.isoformat())
    store.calls.save_record(left)
    keep(store, "again", NOON + dt.timedelta(minutes=1))
    keep(store, "meanwhile", NOON + dt.timedelta(minutes=1, seconds=2))
    assert suspects(store) == {}


def test_what_was_found_stays_when_the_words_and_the_number_go(store: Store):
    """Purged and forgotten calls are listed with their tells; no later call is tied to them any more."""
    keep(store, "first", NOON, lead=False)
    keep(store, "again", NOON + dt.timedelta(minutes=3))
    store.personal.purge(["first", "again"])
    assert suspects(store) == {"first": ("redial", "no_lead")}
    store.personal.forget(CALLER)
    keep(store, "third", NOON + dt.timedelta(minutes=6))
    assert suspects(store) == {"first": ("redial", "no_lead")}
    assert store.calls.get("first").caller_number is None


def test_a_call_that_no_process_runs_is_judged_when_it_is_given_up(store: Store):
    """By all that was written of it before its server died."""
    begun = record(*HELLO, call_id="lost")
    store.live.begin("lost", begun.header, "nonce", NOON + dt.timedelta(days=900))
    store.calls.append("lost", numbered(begun))
    assert store.live.finish_unheld("lost", Finish("failure", None))
    assert suspects(store) == {"lost": ("no_lead",)}


def test_a_call_that_cannot_be_judged_ends_all_the_same(store: Store, caplog: pytest.LogCaptureFixture):
    """Another version of callbot wrote an entry that this one does not know; the log repeats none of it."""
    head = record(call_id="new").header
    head["rules"] = {**head["rules"], "greeting_streamed": True}
    store.live.begin("new", head, "nonce", NOON + dt.timedelta(days=900))
    store.calls.append("new", numbered(record(ev.SaveLead({"name": "Dana"}, "half-way"), ev.UserSpoke("hi"))))
    assert store.live.finish_unheld("new", Finish("model", "lead_complete"))
    assert store.calls.get("new").ended_by == "model"
    assert "a call could not be judged" in caplog.text
    assert "half-way" not in caplog.text


def test_a_store_of_an_older_callbot_is_upgraded_with_its_calls(store_url: str):
    """By itself (SQLite) or by ``callbot db upgrade``; what ended before was not judged, and is kept."""
    with open_store(store_url) as store:
        keep(store, "old", NOON, lead=False)
    database = connect(store_url, create=False)
    with database.writing_connection() as connection:
        command.downgrade(alembic_config(connection), "0003")
    database.engine.dispose()
    if store_url.startswith("postgresql"):
        callbot("db", "upgrade", "--database", store_url)
    with open_store(store_url) as store:
        assert [call.id for call in store.calls.list()] == ["old"]
        keep(store, "new", NOON + dt.timedelta(minutes=2), lead=False)
        assert suspects(store) == {"new": ("no_lead",), "old": ("redial",)}


# --- on the command line ----------------------------------------------------------------------------
def callbot(*arguments: str) -> None:
    """Run a command in this process; it must do well."""
    code: object = None
    before, sys.argv = sys.argv, ["callbot", *arguments]
    try:
        main()
    except SystemExit as done:
        code = done.code
    finally:
        sys.argv = before
    assert not code


@pytest.fixture
def listed(store_url: str, capfd: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Runs ``callbot calls`` on a store of four calls; gives the lines that it prints."""
    with open_store(store_url) as store:
        keep(store, "fine", NOON)
        keep(store, "cold", NOON + dt.timedelta(hours=1), lead=False, business="dan", caller=ANOTHER)
        keep(store, "first", NOON + dt.timedelta(hours=2), lead=False)
        keep(store, "again", NOON + dt.timedelta(hours=2, minutes=4))

    def run(*arguments: str) -> list[str]:
        capfd.readouterr()
        callbot("calls", *arguments, "--database", store_url)
        return capfd.readouterr().out.splitlines()

    return run


def test_suspicious_calls_are_listed_with_their_reasons(listed: Callable[..., list[str]]):
    """The newest first, with the filters and forms of every list."""
    head, *rows = [line.split("\t") for line in listed("list", "--suspect")]
    assert (head[0], head[-1]) == ("call", "suspect")
    assert [(row[0], row[-1]) for row in rows] == [("first", "redial, no_lead"), ("cold", "no_lead")]
    assert [line.split("\t")[0] for line in listed("list", "--suspect", "--business", "dan")][1:] == ["cold"]
    assert [line.split("\t")[0] for line in listed("list", "--suspect", "--limit", "1")][1:] == ["first"]
    assert len(listed("list", "--suspect", "--ended-by", "silence")) == 1
    [first, cold] = [json.loads(line) for line in listed("list", "--suspect", "--json")]
    assert (first["id"], first["tells"]) == ("first", ["redial", "no_lead"])
    assert (cold["id"], cold["tells"]) == ("cold", ["no_lead"])
    assert "suspect" not in listed("list")[0]


def test_a_shown_call_says_in_words_what_is_suspicious(listed: Callable[..., list[str]]):
    """And nothing where there is nothing."""
    told = "suspect: the caller rang again within 10 minutes; the bot ended it without a complete lead"
    assert listed("show", "first")[-1] == told
    assert not [line for line in listed("show", "fine") if "suspect" in line]
    assert json.loads("".join(listed("show", "first", "--json")))["call"]["tells"] == ["redial", "no_lead"]


def test_a_shown_call_that_was_never_judged_is_judged_now(store_url: str, capfd: pytest.CaptureFixture[str]):
    """It ended under an older callbot, which kept its Record and no tells."""
    with open_store(store_url) as store:
        keep(store, "old", NOON, lead=False)
    database = connect(store_url, create=False)
    with database.writing_connection() as connection:
        connection.exec_driver_sql("DELETE FROM call_tells")
    database.engine.dispose()
    callbot("calls", "show", "old", "--database", store_url)
    assert "suspect: the bot ended it without a complete lead" in capfd.readouterr().out
