"""``/metrics`` of a real ``callbot serve`` that is rung, scraped over HTTP and read by Prometheus' own parser."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import CLINIC, Bot, Caller, Rest, eventually, free_port, reply, serving

ADMIN = "correct-horse-battery"
REPLIES = [
    reply("Hello Dana.", end="lead_complete", name="Dana"),  # refused: the number is missing
    reply("Your number?"),
    reply("Goodbye.", end="customer_declined", status="declined"),
]
BUSINESS = f"{CLINIC}deliver: {{webhook: 'http://127.0.0.1:{free_port()}/nobody-listens'}}\n"
CALL = {"business": "clinic", "version": "file"}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A bot whose model wants to hang up too early, and whose business cannot be told."""
    rest = Rest()
    folder = tmp_path_factory.mktemp("bot")
    environment = {"CALLBOT_ADMIN_TOKEN": ADMIN}
    with serving(folder, rest, replies=REPLIES, business=BUSINESS, environment=environment) as running:
        yield running
    rest.close()


class Figures:
    """One scrape."""

    def __init__(self, bot: Bot) -> None:
        status, headers, body = bot.get("/metrics", Authorization=f"Bearer {ADMIN}")
        assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
        self.text = body.decode()
        self.samples = [
            sample for family in text_string_to_metric_families(self.text) for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name with these labels; -1 if there is none."""
        found = [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else -1


async def test_an_early_hang_up_can_be_read_from_the_figures(bot: Bot) -> None:
    """A refused request, a decline without a lead, and the caller who rings again, by business and version."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    assert Figures(bot)("callbot_calls_in_progress") == 1
    await stream.say("no thanks")
    await stream.over()
    again = Caller(bot)
    stream = await again.answered()
    await stream.stop()
    figures = await eventually(lambda: (f := Figures(bot))("callbot_deliveries_failed_total") >= 2 and f)

    assert figures("callbot_calls_in_progress") == 0
    assert figures("callbot_calls_begun_total", **CALL) == 2
    declined = {"ended_by": "model", "end_reason": "customer_declined"}
    assert figures("callbot_calls_ended_total", **CALL, **declined) == 1
    assert figures("callbot_calls_ended_total", **CALL, ended_by="caller", end_reason="none") == 1
    silent = {"ended_by": "silence", "end_reason": "no_response"}
    assert figures("callbot_calls_ended_total", **CALL, **silent) == 0, "so that its first rise counts"
    told = {tell: figures("callbot_suspicious_calls_total", **CALL, tell=tell) for tell in TELLS}
    assert told == TELLS
    assert figures("callbot_guard_refusals_total", **CALL, reason="lead_complete") == 1
    assert figures("callbot_call_faults_total", **CALL, fault="drift") >= 1
    certificates = {"mode": "play", "result": "fail"}  # this carrier opens its streams at once
    assert figures("callbot_greeting_certificates_total", **CALL, **certificates) == 2
    assert figures("callbot_deliveries_waiting") == 2
    assert figures("callbot_deliveries_given_up_total") == 0


TELLS = {
    "talking": 0,
    "redial": 1,
    "no_lead": 1,
    "end_refused": 1,
    "farewell_unheard": 0,
    "greeting_failed": 2,
}


async def test_each_stage_of_an_answer_is_timed(bot: Bot) -> None:
    """Once an answer: words, first sentence, first audio; together never longer than the whole."""
    before = Figures(bot)
    stream = await Caller(bot, caller="+16175550188").answered()
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.stop()
    after = Figures(bot)

    def gained(name: str, **labels: str) -> float:
        return after(name, business="clinic", **labels) - max(0, before(name, business="clinic", **labels))

    assert gained("callbot_answer_seconds_count") == 1
    for stage in ("words", "sentence", "voice"):
        assert gained("callbot_answer_stage_seconds_count", stage=stage) == 1, stage
    assert 0 < gained("callbot_answer_stage_seconds_sum") <= gained("callbot_answer_seconds_sum") + 0.001
    assert after("callbot_webhook_seconds_count", path="/webhook/incoming_call") >= 1
    commits = "callbot_turn_commit_seconds_count"
    await eventually(lambda: Figures(bot)(commits) > before(commits))
    assert after("callbot_loop_lag_seconds_count") > 0


async def test_what_was_refused_is_counted_from_nought(bot: Bot) -> None:
    """A forged webhook is one refusal; what has not happened stands there as 0."""
    before = Figures(bot)("callbot_incidents_total", incident="webhooks_refused")
    assert Caller(bot).post(token="another")[0] == 403
    figures = Figures(bot)
    assert figures("callbot_incidents_total", incident="webhooks_refused") == before + 1
    assert figures("callbot_incidents_total", incident="hang_up_failed") == 0
    assert figures("callbot_calls_limit") == 200


async def test_a_locked_database_raises_the_writers_alarm(bot: Bot) -> None:
    """A turn that could not be committed in time counts as late, and the call goes on."""
    stream = await Caller(bot, caller="+16175550189").answered()
    await stream.say("I am Dana")
    await stream.until(2)
    late = Figures(bot)("callbot_late_commits_total")
    other = sqlite3.connect(bot.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await stream.say("no thanks")
    await eventually(lambda: Figures(bot)("callbot_failed_commits_total") > 0)
    other.execute("ROLLBACK")
    other.close()
    await stream.over()
    assert Figures(bot)("callbot_late_commits_total") > late


async def test_nothing_personal_stands_in_a_label(bot: Bot) -> None:
    """Numbers, ids of calls and words do not."""
    caller = Caller(bot)
    stream = await caller.answered()
    await stream.say("I am Dana")
    await stream.until(2)
    await stream.stop()
    text = Figures(bot).text
    for secret in (caller.call_sid, caller.caller, "6175550", "Dana", "Goodbye", ADMIN):
        assert secret not in text
        assert secret not in bot.log_text() or secret == caller.call_sid


async def test_only_the_operator_sees_figures(bot: Bot, tmp_path: Path) -> None:
    """Another token, none, or one in the address get nothing; without a token set there is no such address."""
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {ADMIN}"}):
        status, answered, body = bot.get("/metrics", **headers)
        assert (status, answered["www-authenticate"], body) == (401, "Bearer", b"unauthorized")
    assert bot.get(f"/metrics?token={ADMIN}")[0] == 401
    asked = {"Authorization": f"Bearer {ADMIN}", "Accept": "application/openmetrics-text;version=1.0.0"}
    assert bot.get("/metrics", **asked)[2].endswith(b"# EOF\n")
    rest = Rest()
    with serving(tmp_path, rest) as open_bot:
        assert open_bot.get("/metrics", Authorization=f"Bearer {ADMIN}")[0] == 404
    rest.close()
