"""Requests at the provider's pace: fewer after refusals, more after answers, no wait in any latency."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cli import callbot
from hypothesis import given
from hypothesis import strategies as st
from openai_server import Drop, Limit, OpenAIServer, Refuse, Reply, Stall, reply_json
from openai_talk import MakeModel, question

from callbot.evals.pace import TRIES, Pace, Paced
from callbot.models.base import Delta, Finished, Misconfigured, ProviderError

SHOP = """\
id: shop
name: Shop
language: en
greeting: {text: "Hello, this is the shop."}
fields: [{name: full_name, required: true}]
prompt: You answer the phone.
"""
CALL = """\
name: declines
business: shop
caller: {turns: [{say: hello}, {say: no thanks}]}
expect: {end: {turns: [2, 2], reason: customer_declined}}
"""


def respond(body: dict[str, Any]) -> Reply:
    """A polite model that lets go of callers who want nothing."""
    declined = body["messages"][-1]["content"] == "no thanks"
    end = {"end": "customer_declined", "status": "declined"} if declined else {}
    return Reply(reply_json("Bye." if declined else "Yes?", **end), latency=0.02)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in (("prompts/shop.yaml", SHOP), ("scenarios/call.yaml", CALL)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def evaluated(project: Path, server: OpenAIServer, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report, and what was printed."""
    model = f"openai:m@{server.base_url}"
    done = callbot("eval", "scenarios", "--model", model, *options, "--json", "report.json", cwd=project)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads((project / "report.json").read_text(encoding="utf-8")), done.stdout


# --- at the command line --------------------------------------------------------------------------
def test_a_rate_limit_is_waited_for_and_costs_no_run(project: Path) -> None:
    """32 questions to a server that takes 20 a second: all are answered, none is slower for it."""
    with OpenAIServer(respond=respond, limit=Limit(20, 1.0)) as server:
        code, report, printed = evaluated(project, server, "--repeat", "16", "--concurrency", "8")
    assert code == 0, printed
    assert report["summary"] | {"runs": 16, "infra": 0, "passed": 1} == report["summary"]
    assert report["run"]["refusals"] == len(server.refused) > 0
    assert report["run"]["requests"] == 32, "a question asked again is one request of the run"
    assert report["run"]["waited_seconds"] > 0.4
    latencies = [ms for run in report["scenarios"][0]["runs"] for ms in run["latencies_ms"]]
    assert len(latencies) == 32
    assert max(latencies) < 400, "the shortest wait is 500 ms, and none of it is the model's"
    assert "rate limits" in printed


def test_retry_after_holds_the_whole_pool(project: Path) -> None:
    """Nobody asks while the provider said to wait, whoever it said it to."""
    with OpenAIServer(respond=respond, limit=Limit(4, 1.0, says=True)) as server:
        code, report, _ = evaluated(project, server, "--repeat", "4", "--concurrency", "4")
    assert code == 0
    assert report["summary"]["infra"] == 0
    first = server.refused[0]
    burst = [at for at in server.refused if at < first + 0.5]
    again = [request.at for request in server.requests if request.at > max(burst) + 0.001]
    assert min(again) >= first + 1.0, "Retry-After: 1"


def test_a_limit_that_never_lifts_is_infra(project: Path) -> None:
    """Waiting longer than makes sense: the run ends, its calls are neither passed nor failed."""
    refusal = Refuse(429, "Rate limit reached", headers={"retry-after": "3600"})
    with OpenAIServer(respond=lambda _body: refusal) as server:
        code, report, _ = evaluated(project, server, "--repeat", "2")
    assert code == 3
    runs = report["scenarios"][0]["runs"]
    assert [run["verdict"] for run in runs] == ["infra", "infra"]
    assert "is limiting requests (429)" in runs[0]["detail"]
    assert len(server.requests) == 2


def test_no_credit_is_no_rate_limit(project: Path) -> None:
    """A 429 that waiting cannot mend ends the run at once."""
    refusal = Refuse(429, "You exceeded your current quota", "insufficient_quota")
    with OpenAIServer(respond=lambda _body: refusal) as server:
        model = f"openai:m@{server.base_url}"
        done = callbot("eval", "scenarios", "--model", model, cwd=project)
    assert (done.returncode, len(server.requests)) == (2, 1)
    assert "no credit left" in done.stderr


# --- one model, one pool ----------------------------------------------------------------------------
async def talk(model: Paced, seconds_left: float = 5.0) -> tuple[list[Delta | Finished], float]:
    started = time.monotonic()
    return [piece async for piece in model.stream(question(seconds_left))], time.monotonic() - started


async def test_failures_that_pass_are_tried_again_whole(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """An answer that broke off is dropped, words and all; the latency is that of the whole one."""
    openai_server.will(Drop(), Reply(reply_json("Broken."), cut_after=2), Reply(reply_json("Whole.")))
    pieces, took = await talk(Paced(openai_model(retries=0), Pace(4)))
    text = "".join(piece.text for piece in pieces if isinstance(piece, Delta))
    assert text == reply_json("Whole.")
    times = [piece.at for piece in pieces]
    assert times == sorted(times)  # type: ignore[type-var]
    assert times[-1] is not None
    assert times[-1] < 0.5 < took


async def test_failures_are_not_tried_for_ever(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    openai_server.respond = lambda _body: Refuse(500, "overloaded")
    with pytest.raises(ProviderError, match="failed \\(500\\)"):
        await talk(Paced(openai_model(retries=0), Pace(4)))
    assert len(openai_server.requests) == TRIES
    openai_server.will(Refuse(401, "no"))
    with pytest.raises(Misconfigured):
        await talk(Paced(openai_model(retries=0), Pace(4)))
    assert len(openai_server.requests) == TRIES + 1, "a wrong key stays wrong"


async def test_the_budget_of_a_turn_holds_for_each_try_and_not_for_waits(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """A second of Retry-After fits a turn of half a second; an answer that takes longer does not."""
    openai_server.will(Refuse(429, "slow down", headers={"retry-after": "1"}), Reply(reply_json("Yes.")))
    pieces, took = await talk(Paced(openai_model(retries=0), Pace(4)), seconds_left=0.5)
    assert took > 1.0
    assert pieces[-1].at is not None
    assert pieces[-1].at < 0.5
    openai_server.will(Stall(30))
    with pytest.raises(ProviderError, match="within the turn's budget"):
        await talk(Paced(openai_model(retries=0), Pace(4)), seconds_left=0.3)


async def test_no_more_are_in_flight_than_allowed(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    openai_server.respond = lambda _body: Reply(reply_json("Yes."), latency=0.02)
    paced = Paced(openai_model(retries=0), Pace(3))
    await asyncio.gather(*(talk(paced) for _ in range(12)))
    assert openai_server.most_in_flight == 3


# --- the rule -----------------------------------------------------------------------------------------
@given(
    ceiling=st.integers(1, 64),
    happens=st.lists(st.sampled_from(["answered", "refused"]), max_size=60),
)
def test_the_pool_stays_between_one_and_its_ceiling(ceiling: int, happens: Sequence[str]) -> None:
    """It grows by at most one a round of answers, and falls to half at a refusal."""

    async def play() -> None:
        pace = Pace(ceiling, patience=1e9)
        for what in happens:
            before = pace._allowed
            if what == "answered":
                pace.answered()
                assert before <= pace._allowed <= min(ceiling, before + 1 / before)
            else:
                pace.refused(asyncio.get_running_loop().time(), 0.0)
                assert pace._allowed == max(1.0, before / 2)
            assert 1 <= pace.allowed <= ceiling

    asyncio.run(play())


async def test_one_burst_of_refusals_halves_once() -> None:
    """Eight that were in flight together tell one thing, not eight."""
    pace = Pace(8)
    entered = [await pace.enter() for _ in range(8)]
    for each in entered:
        assert pace.refused(each, 0.0)
        await pace.leave()
    assert pace.allowed == 4
    assert pace.refused(await pace.enter(), 0.0)
    assert pace.allowed == 2


async def test_the_jitter_is_seeded() -> None:
    """The same seed waits the same, another does not."""

    async def wait(seed: int) -> float:
        pace = Pace(4, seed=seed)
        pace.refused(await pace.enter(), 10.0)
        return round(pace.waited, 3)

    assert await wait(1) == await wait(1) != await wait(2)
