"""The operator's pages over real sockets: who gets them, and what they say of calls."""

from __future__ import annotations

import contextlib
import datetime as dt
import html
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from operating import ADMIN, ADMIN_TOKEN, FORM, Operator, log_in
from serving import CALLER, LEAD, Bot, Caller, Rest, eventually, reply, serving
from store_samples import NOON, call_record, numbered

from callbot import events as ev
from callbot.server.admin.sessions import SESSION_SECONDS, Sessions
from callbot.server.admin.watching import WATCHERS
from callbot.store.database import Store, open_store

REPLIES = [
    *LEAD[:1],
    reply("Goodbye.", end="lead_complete", status="complete"),  # the guard refuses it
    reply("And your number, please?"),
    reply("I connect you.", end="human"),
]


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bot(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot with an operator, and calls of another day in its store."""
    with serving(tmp_path_factory.mktemp("bot"), rest, replies=REPLIES, environment=ADMIN) as running:
        with open_store(running.database_url) as store:
            for n in range(30):
                store.calls.save_record(call_record(f"CAold{n:02}", at=NOON - dt.timedelta(minutes=n)))
        yield running


@pytest.fixture
def store(bot: Bot) -> Iterator[Store]:
    """Its store."""
    with open_store(bot.database_url) as opened:
        yield opened


@pytest.fixture
def operator(bot: Bot) -> Operator:
    """Somebody who has logged in."""
    return Operator.of(bot)


def said(page: str) -> str:
    """A page as text."""
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    return html.unescape(re.sub(r" (?=[,.])", "", words))


def listed(page: str) -> list[str]:
    """Ids of the calls of a list."""
    return re.findall(r'id="call-(\w+)"', page)


# --- who gets them --------------------------------------------------------------------------------
PATHS = ("/admin", "/admin/calls/CAold01", "/admin/events", "/admin/calls/CAold01/events", "/admin/calls/no")


@pytest.mark.parametrize("path", PATHS)
def test_nobody_without_the_token_gets_anything(bot: Bot, path: str) -> None:
    """No page, no event, and nothing that tells which calls there are; the answer is kept nowhere."""
    forged = Sessions("another token").begin()
    for given in ({}, {"Cookie": "callbot_admin=x"}, {"Cookie": f"callbot_admin={forged}"}):
        status, headers, body = bot.get(path, **given)
        assert status == 401
        assert b"The operator's token" in body.replace(b"&#39;", b"'")
        assert b"CAold" not in body.replace(b'value="/admin/calls/CAold01"', b"")
        assert not re.search(rb"97254|\xd7", body)
        assert headers["cache-control"] == "no-store"
    status, _, body = bot.get(path, Authorization="Bearer wrong")
    assert (status, b"CA" in body) == (401, False)


def test_the_token_opens_a_session_that_does_not_hold_it(bot: Bot) -> None:
    """A cookie for these pages alone, out of scripts' and other sites' reach, for twelve hours."""
    status, headers, _ = log_in(bot, back="/admin/calls/CAold03")
    assert (status, headers["location"]) == (303, "/admin/calls/CAold03")
    cookie = headers["set-cookie"]
    assert ADMIN_TOKEN not in cookie
    assert {part.strip() for part in cookie.lower().split(";")[1:]} >= {
        *("httponly", "samesite=strict", "path=/admin", f"max-age={SESSION_SECONDS}")
    }
    status, _, page = bot.get("/admin/calls/CAold03", Cookie=cookie.partition(";")[0])
    assert (status, "דנה לוי" in page.decode()) == (200, True)
    assert bot.get("/admin", Authorization=f"Bearer {ADMIN_TOKEN}")[0] == 200, "for curl"


def test_a_wrong_token_is_told_so(bot: Bot) -> None:
    """Nothing is set, and what was typed comes back nowhere."""
    status, headers, page = log_in(bot, 'guess"><script>')
    assert (status, "set-cookie" in headers) == (401, False)
    assert "not the token" in page
    assert "guess" not in page
    assert "guess" not in bot.log_text()


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/admin/calls/\\evil", "/healthz"]
)
def test_a_login_leads_nowhere_else(bot: Bot, back: str) -> None:
    """Whatever address a link has put into the form."""
    assert log_in(bot, back=back)[1]["location"] == "/admin"


def test_logging_out_takes_the_cookie_away(bot: Bot, operator: Operator) -> None:
    """Only of who has one: another site's form, which sends none, logs nobody out."""
    status, headers, _ = bot.request("POST", "/admin/logout", b"", {**FORM, "Cookie": operator.cookie})
    assert (status, headers["location"]) == (303, "/admin/login")
    assert 'callbot_admin=""' in headers["set-cookie"]
    assert "set-cookie" not in bot.request("POST", "/admin/logout", b"", FORM)[1]


def test_sessions_end_and_cannot_be_made_longer() -> None:
    """After their time, or with another token; nothing in them may be changed."""
    now = [1000.0]
    sessions = Sessions("token", clock=lambda: now[0])
    cookie = sessions.begin()
    assert sessions.holds(cookie)
    assert Sessions("token", clock=lambda: now[0]).holds(cookie), "at every replica"
    assert not Sessions("other", clock=lambda: now[0]).holds(cookie)
    expires, rest_of_it = cookie.split(".", 1)
    for forged in (
        "",
        ".",
        "..",
        "a.b.c",
        "é.é",
        f"{int(expires) + 9}.{rest_of_it}",
        cookie[:-1],
        cookie + "0",
    ):
        assert not sessions.holds(forged)
    now[0] += SESSION_SECONDS
    assert not sessions.holds(cookie)


async def test_guessing_is_slow_and_locks_nobody_out(rest: Rest, tmp_path: Path) -> None:
    """By form or by header; who is in stays in, and the right token works again in a moment."""
    with serving(tmp_path, rest, url="https://bot.example.com", environment=ADMIN) as public:
        operator = Operator.of(public)
        assert "; Secure" in log_in(public)[1]["set-cookie"], "behind https"
        tries = [log_in(public, f"guess {n}")[0] for n in range(30)]
        tries += [public.get("/admin", Authorization="Bearer guess")[0] for _ in range(30)]
        assert set(tries) == {401, 429}
        assert tries[:10] == [401] * 10
        assert operator.get("/admin")[0] == 200
        await eventually(lambda: log_in(public)[0] == 303)


def test_every_answer_forbids_scripts_frames_and_caches(bot: Bot, operator: Operator) -> None:
    """Also the form's, an error's and a file's."""
    for path in (
        "/admin",
        "/admin/login",
        "/admin/calls/CAold01",
        "/admin/calls/no",
        "/admin/static/admin.js",
    ):
        _, headers, _ = bot.get(path, Cookie=operator.cookie)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert ("immutable" in headers["cache-control"]) == ("static" in path)
        assert ("no-store" in headers["cache-control"]) == ("static" not in path)


# --- the list ---------------------------------------------------------------------------------------
def test_past_calls_come_by_the_page(operator: Operator) -> None:
    """The newest first; each once."""
    first = operator.page("/admin?business=ruti")
    assert listed(first) == [f"CAold{n:02}" for n in range(25)]
    older = html.unescape(re.findall(r'href="([^"]+)" rel="next"', first)[0])
    second = operator.page(older)
    assert listed(second) == [f"CAold{n:02}" for n in range(25, 30)]
    assert 'rel="next"' not in second
    assert "business=ruti" in older
    assert 'href="/admin?business=ruti">Newest' in second


def test_calls_are_found_and_told_in_a_line(operator: Operator) -> None:
    """By number, by the beginning of an id; an id itself leads to the call."""
    page = operator.page("/admin?q=CAold2&ended_by=model&lead=complete")
    assert listed(page) == [f"CAold{n}" for n in range(20, 30)]
    row = said(re.findall(r'<tr>\s*<td class="at">.*?</tr>', page, re.DOTALL)[0])
    for told in ("2026-11-27 11:40 UTC", "+972541112233", "ruti v1", "0:20", "1 turn", "complete", "the bot"):
        assert told in row
    assert "greeting heard" in row
    assert len(listed(operator.page("/admin?q=054-111-2233&business=ruti"))) == 25
    assert "No call here fits" in operator.page("/admin?q=CAold2&lead=declined")
    assert operator.get("/admin?q=CAold07")[0] == 303


def test_calls_worth_a_look_are_marked_and_found(operator: Operator) -> None:
    """Each of these callers rang again at once, but for the last."""
    page = operator.page("/admin?q=CAold0&suspect=1")
    assert listed(page) == [f"CAold{n:02}" for n in range(1, 10)]
    assert page.count(">redial</span>") == 9
    assert "the caller rang again within 10 minutes" in said(operator.page("/admin/calls/CAold01"))
    assert "worth a look" not in said(operator.page("/admin/calls/CAold00"))


@pytest.mark.parametrize("query", ["before=yesterday", "before=2026-11-27T12:00:00~CA", "before=~"])
def test_an_address_that_was_cut_says_so(operator: Operator, query: str) -> None:
    """And loses nothing."""
    status, page = operator.get(f"/admin?{query}")
    assert (status, "begin at the newest calls" in page) == (400, True)


# --- a call -----------------------------------------------------------------------------------------
async def test_a_call_is_told_turn_by_turn(bot: Bot, operator: Operator) -> None:
    """Control, guard, lead and times at each turn, the certificate with its faults, how it ended, where it went."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.say("that is all")
    await stream.until(4)
    await stream.say("let me talk to a person")
    await stream.over()
    page = operator.page(f"/admin/calls/{caller.call_sid}")
    text = said(page)
    for told in (
        "The bot ended it: human. The caller was passed on to +16175550199",
        "greeting faulty: the stream opened",
        "caller I am Dana bot Hi Dana. ✓ bot Your number? ✓ model keeps open",
        "lead name Dana",
        "ENDS lead complete says lead complete guard refused: lead_complete needs phone",
        "bot And your number, please? ✓ model keeps open asked again, told why",
        "ENDS human guard accepted",
        "from +16175550123 to +16175550100 business clinic, from its file",
    ):
        assert told in text, told
    assert re.search(r"took recognition \d\.\d\d s, first sentence \d\.\d\d s, first audio \d\.\d\d s", text)
    assert "data-events" not in page, "nothing more will happen"


async def test_a_call_in_progress_is_on_the_list_and_its_news_come_until_it_ends(
    bot: Bot, operator: Operator
) -> None:
    """A stream of events gives what has changed since the page was made, and ends with the call."""
    caller = Caller(bot, caller="+16175550188")
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    await eventually(lambda: "Your number?" in operator.page(f"/admin/calls/{caller.call_sid}"))
    listing = operator.page("/admin")
    running = listing[listing.index('id="running"') : listing.index('id="past"')]
    assert caller.call_sid in listed(running)
    assert "on the phone" in running
    page = operator.page(f"/admin/calls/{caller.call_sid}")
    last = re.findall(r'data-last="(\d+)"', page)[0]
    connection, events = operator.watch(f"/admin/calls/{caller.call_sid}/events?after={last}")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.headers["cache-control"] == "no-store"
    await stream.stop()
    news = events.read().decode()  # to its end
    connection.close()
    assert news.rstrip().rpartition("\n\n")[2].startswith("id:")
    assert "event: over" in news
    assert "The caller hung up." in news
    assert "turn-0" not in news, "that stood on the page already"


def test_a_call_whose_words_are_not_kept_says_so(operator: Operator, store: Store) -> None:
    """Its row and its lead stay."""
    store.calls.save_record(call_record("CApurged", at=NOON - dt.timedelta(days=400)))
    store.personal.purge(["CApurged"])
    text = said(operator.page("/admin/calls/CApurged"))
    assert "What was said on this call is not kept any more." in text
    assert "nothing is kept of it" in text
    assert "דנה לוי" in text


def test_a_call_that_broke_off_says_so(operator: Operator, store: Store) -> None:
    """Nobody knows how long it was; a greeting that went wrong is told in the list, too."""
    record = call_record("CAbroken", business="broken", at=NOON)
    record.event(121.0, ev.CallStarted())
    store.calls.start("CAbroken", record.header)
    store.calls.append("CAbroken", numbered(record))
    row = said(operator.page("/admin?business=broken&ended_by=nobody"))
    assert "– 1 turn complete broke off greeting faulty" in row
    text = said(operator.page("/admin/calls/CAbroken"))
    assert "It broke off: the line was lost" in text
    assert "faulty: the call started 2 times" in text


def test_a_call_that_never_was(operator: Operator) -> None:
    """Neither page nor events."""
    assert operator.get("/admin/calls/CAno")[0] == 404
    assert operator.get("/admin/calls/CAno/events")[0] == 404


def test_a_database_that_does_not_answer_is_said_so(bot: Bot, operator: Operator) -> None:
    """A page that can be reloaded, and no detail of the database; a moment later all is there again."""
    with contextlib.closing(sqlite3.connect(bot.database_url.removeprefix("sqlite:///"))) as database:
        database.execute("ALTER TABLE call_events RENAME TO elsewhere")
        try:
            for path in ("/admin", "/admin/calls/CAold01"):
                status, page = operator.get(path)
                assert (status, "The database does not answer" in page) == (503, True)
                assert "call_events" not in page
        finally:
            database.execute("ALTER TABLE elsewhere RENAME TO call_events")
    assert operator.get("/admin/calls/CAold01")[0] == 200


async def test_watchers_are_bounded_and_let_the_server_go(rest: Rest, tmp_path: Path) -> None:
    """One too many is told to come back, and may once another has left; when the server ends, every
    stream has a proper end."""
    with serving(tmp_path, rest, environment=ADMIN) as short:
        operator = Operator.of(short)
        watching = [operator.watch("/admin/events") for _ in range(WATCHERS)]
        assert [events.status for _, events in watching] == [200] * WATCHERS
        assert operator.get("/admin/events")[0] == 503
        for part in reversed(watching.pop()):
            part.close()

        def room() -> bool:
            connection, events = operator.watch("/admin/events")
            if events.status != 200:
                return False
            watching.append((connection, events))
            return True

        await eventually(room)
        assert short.stop() == 0
        assert all(b"retry" in events.read() for _, events in watching)  # raises if it was cut
        for connection, _ in watching:
            connection.close()


def test_pages_are_light(bot: Bot, operator: Operator) -> None:
    """All that a phone loads for a page of calls, without any compression."""
    page = operator.page("/admin?business=ruti")
    files = re.findall(r'(?:href|src)="(/admin/static/[^"]+)"', page)
    assert len(files) == 2
    sizes = [len(bot.get(file)[2]) for file in files]
    assert sum(sizes) < 20_000
    assert len(page.encode()) + sum(sizes) < 60_000
    assert not re.findall(r"https?://", page)


def test_who_called_is_told_only_here(bot: Bot, operator: Operator) -> None:
    """Looking at calls leaves no numbers in the log."""
    operator.page("/admin?q=0541112233")
    assert CALLER.removeprefix("+") not in bot.log_text()
    assert "541112233" not in bot.log_text()
