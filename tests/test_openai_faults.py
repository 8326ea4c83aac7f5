"""The OpenAI model against a real server that refuses, stalls and breaks off."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import time
from email.utils import format_datetime

import pytest
from openai_server import Answer, Drop, OpenAIServer, Refuse, Reply, Stall, reply_json
from openai_talk import KEY, TEXT, MakeModel, answer, failure, question

from callbot.errors import CallbotError
from callbot.models.base import Delta, Misconfigured, ProviderError
from callbot.models.openai import DEFAULT_MODEL, OpenAIModel


# --- failures and the retry ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    "fault",
    [
        Refuse(429),
        Refuse(429, headers={"retry-after": "0.1"}),
        Refuse(429, headers={"retry-after-ms": "100", "retry-after": "60"}),
        Refuse(
            429, headers={"retry-after": format_datetime(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), usegmt=True)}
        ),
        Refuse(429, headers={"retry-after": "soon"}),
        Refuse(429, headers={"retry-after": "nan"}),
        Refuse(500, body="<html>oops</html>"),
        Refuse(503, body=""),
        Drop(),
        Reply(raw=b'data: {"error": {"message": "overloaded"}}\n\n'),
        Reply(raw=b"data: {not json\n\n"),
        Reply(raw=b"data: \xff\xfe\n\n"),
        Reply(raw=b'data: "text"\n\ndata: [1]\n\ndata: null\n\ndata: {"choices": "no"}\n\n'),
        Reply(raw=b"<html>hello</html>", content_type="text/html"),
        Reply(cut_after=0, text=TEXT),
    ],
    ids=lambda fault: f"{type(fault).__name__}{getattr(fault, 'status', '')}",
)
async def test_a_failure_before_the_first_word_is_retried_once(
    openai_server: OpenAIServer, openai_model: MakeModel, fault: Answer
) -> None:
    """A second try, soon, and nothing of the first is heard."""
    openai_server.will(fault, Reply(TEXT))
    assert (await answer(openai_model()))[0] == TEXT
    first, second = openai_server.requests
    assert second.at - first.at < 2.5


@pytest.mark.parametrize("fault", [Refuse(503, body="busy " * 200), Refuse(429, "wait \n please"), Drop()])
async def test_the_second_failure_is_the_last(
    openai_server: OpenAIServer, openai_model: MakeModel, fault: Answer
) -> None:
    """One retry on the phone; then one line that says who failed and how."""
    openai_server.will(fault, fault, Reply(TEXT))
    text, error, took = await failure(openai_model())
    assert (text, len(openai_server.requests)) == ("", 2)
    assert took < 2.5
    assert str(error).isprintable()
    assert "127.0.0.1" in str(error)
    assert len(str(error)) < 400


async def test_retry_after_is_honoured(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """The server is not asked again before it wishes."""
    openai_server.will(Refuse(429, headers={"retry-after": "0.5"}), Reply(TEXT))
    assert (await answer(openai_model()))[0] == TEXT
    first, second = openai_server.requests
    assert 0.45 < second.at - first.at < 4


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "20"},
        {"retry-after-ms": "20000"},
        {"retry-after": "1e308"},
        {"retry-after": format_datetime(dt.datetime(2100, 1, 1, tzinfo=dt.UTC), usegmt=True)},
    ],
)
async def test_a_wait_that_does_not_fit_fails_at_once(
    openai_server: OpenAIServer, openai_model: MakeModel, headers: dict[str, str]
) -> None:
    """The turn has no 20 seconds: better to fall back now."""
    openai_server.will(Refuse(429, headers=headers))
    _, error, took = await failure(openai_model())
    assert took < 2.5
    assert len(openai_server.requests) == 1
    assert "asks to wait" in str(error)


async def test_more_retries_when_there_is_time(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """Evaluation may be more patient than a caller."""
    openai_server.will(Refuse(503), Refuse(503), Reply(TEXT))
    assert (await answer(openai_model(retries=2)))[0] == TEXT


async def test_nothing_is_retried_after_the_first_word(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """What was said was said: a broken stream fails, and the words before it stand."""
    openai_server.will(Reply(TEXT, cut_after=2), Reply(TEXT))
    text, error, _ = await failure(openai_model())
    assert text == TEXT[:32]
    assert len(openai_server.requests) == 1
    assert "connection" in str(error)


async def test_an_error_in_the_middle_of_a_stream(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """Even one that names an option is no reason to say the same words again."""
    delta = json.dumps({"choices": [{"index": 0, "delta": {"content": "{"}}]})
    error = json.dumps({"error": {"message": "json_schema grammar is exhausted"}})
    openai_server.will(Reply(raw=f"data: {delta}\n\ndata: {error}\n\n".encode()))
    text, caught, _ = await failure(openai_model())
    assert text == "{"
    assert "exhausted" in str(caught)
    assert len(openai_server.requests) == 1


async def test_a_stream_that_just_ends(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """Half an object without a finish_reason is no answer."""
    openai_server.will(Reply(TEXT[:40], finish=None, done=False))
    text, error, _ = await failure(openai_model())
    assert text == TEXT[:40]
    assert "broke off" in str(error)


# --- time ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "slow",
    [
        Stall(3),
        Reply(TEXT, stall_after=0, stall=3),
        Reply(TEXT, stall_after=2, stall=3),
        Reply(TEXT * 3, chunk=1, gap=0.02),
        Refuse(200, body=""),
    ],
    ids=["before the headers", "after the role", "in the middle", "drip", "an empty 200"],
)
async def test_the_budget_holds(openai_server: OpenAIServer, openai_model: MakeModel, slow: Answer) -> None:
    """Whatever the server does, the turn is over when its time is."""
    openai_server.will(slow, slow)
    _, error, took = await failure(openai_model(), 0.35)
    assert took < 2.5
    assert "127.0.0.1" in str(error)


@pytest.mark.parametrize("slow", [Stall(3), Reply(TEXT, stall_after=0, stall=3)])
async def test_a_stall_leaves_time_for_another_try(
    openai_server: OpenAIServer, openai_model: MakeModel, slow: Answer
) -> None:
    """A request that seems lost is given up while the budget still holds a second one."""
    openai_server.will(slow, Reply(TEXT))
    started = time.monotonic()
    assert (await answer(openai_model(stall_after=0.2), 2.5))[0] == TEXT
    assert time.monotonic() - started < 2.8


async def test_patience_is_for_silence_not_for_length(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """A long answer that keeps coming is not taken for lost; one that stops is, before the budget is gone."""
    openai_server.will(Reply(TEXT, chunk=24, gap=0.1), Reply(TEXT, stall_after=2, stall=3))
    model = openai_model(stall_after=0.1)
    started = time.monotonic()
    assert (await answer(model, 4))[0] == TEXT
    assert time.monotonic() - started > 0.9
    text, error, _ = await failure(model, 0.5)
    assert text == TEXT[:32]
    assert "went quiet" in str(error)


async def test_no_time_at_all(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """A budget already spent is a failure, not a hang."""
    _, _, took = await failure(openai_model(), 0)
    assert took < 2.5


async def test_a_caller_who_does_not_wait(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """A cancelled answer lets go of its connection, and the model goes on answering."""
    openai_server.will(Reply(TEXT, chunk=4, gap=0.05), Reply(TEXT), Reply(TEXT))
    model = openai_model()
    stream = model.stream(question())
    assert isinstance(await anext(stream), Delta)
    await stream.aclose()
    task = asyncio.create_task(answer(model))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await answer(model))[1].reason == "stop"


async def test_the_time_of_the_consumer_is_its_own(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """A consumer that dwells on a piece is never interrupted by the model's clock."""
    openai_server.will(Reply(TEXT, stall_after=1, stall=3))
    stream = openai_model().stream(question(0.4))
    await anext(stream)
    await asyncio.sleep(0.6)
    with pytest.raises(ProviderError):
        async for _ in stream:
            pass


async def test_connections_are_kept_between_turns(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """No handshake before the words of the second turn."""
    model = openai_model()
    await answer(model)
    await answer(model)
    assert {received.connection for received in openai_server.requests} == {0}


async def test_a_connection_that_went_stale(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """A server may close what we kept open; the caller does not notice."""
    openai_server.will(Reply(TEXT, close=True))
    model = openai_model()
    await answer(model)
    await asyncio.sleep(0.05)
    assert (await answer(model))[0] == reply_json()
    assert [received.connection for received in openai_server.requests] == [0, 1]


async def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there is named."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model = OpenAIModel.from_spec(f"openai:qwen3@http://127.0.0.1:{port}/v1")
    _, error, took = await failure(model)
    assert str(error) == f"the connection to 127.0.0.1:{port} failed"
    assert took < 2
    await model.close()


# --- misconfigured ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        (Refuse(401, f"Incorrect API key provided: {KEY}"), "OPENAI_API_KEY"),
        (Refuse(403, f"Project of {KEY} has no access"), "rights"),
        (Refuse(404, "no such model", "model_not_found"), '"m"'),
        (Refuse(404, body="<html>Not here</html>"), "address"),
        (Refuse(429, "You exceeded your current quota", "insufficient_quota"), "billing"),
        (Refuse(402, "pay"), "billing"),
    ],
    ids=["key", "access", "model", "address", "quota", "payment"],
)
async def test_what_no_retry_mends(
    openai_server: OpenAIServer, openai_model: MakeModel, fault: Refuse, hint: str
) -> None:
    """Fatal at once, with what to do about it and without the key."""
    openai_server.will(fault)
    _, error, _ = await failure(openai_model())
    assert isinstance(error, Misconfigured)
    assert hint in str(error)
    assert len(openai_server.requests) == 1


async def test_other_refusals_are_failures(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """A request that is refused for no known reason is neither retried nor repeated in another form."""
    openai_server.will(Refuse(400, "the context is too long"))
    _, error, _ = await failure(openai_model())
    assert not isinstance(error, Misconfigured)
    assert "the context is too long" in str(error)
    assert len(openai_server.requests) == 1


async def test_errors_are_fit_to_be_shown(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """Neither a proxy's page nor a key of whatever make."""
    openai_server.will(
        Refuse(400, body="<html>Bad gateway</html>"), Refuse(400, f"bad: {'0123456789abcdef' * 2}")
    )
    model = openai_model()
    _, page, _ = await failure(model)
    assert "html" not in str(page)
    _, error, _ = await failure(model)
    assert str(error).endswith("bad: ***")


async def test_errors_do_not_repeat_what_callers_said(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """FastAPI servers echo the whole request in a 422; only what they say of it is passed on."""
    detail = [
        {"loc": ["body", "messages", 1], "msg": "wrong", "input": {"content": "I am moving", "seed": 1}}
    ]
    openai_server.will(Refuse(422, body=json.dumps({"detail": detail})))
    _, error, _ = await failure(openai_model(seed=1))
    assert "body.messages.1 wrong" in str(error)
    assert "moving" not in str(error)
    assert len(openai_server.requests) == 1


# --- specs ----------------------------------------------------------------------------------------------------
def test_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model, a named one, and any server's."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert OpenAIModel.from_spec("openai").name == f"openai:{DEFAULT_MODEL}"
    assert OpenAIModel.from_spec("openai:gpt-5.4-mini").name == "openai:gpt-5.4-mini"
    spec = "openai:@cf/meta/llama@https://example.com/v1"
    assert OpenAIModel.from_spec(spec).name == spec


async def test_a_base_url_of_the_environment(
    openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own variable is taken, shown in the name, and needs no key of OpenAI's."""
    monkeypatch.setenv("OPENAI_BASE_URL", openai_server.base_url)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model = OpenAIModel.from_spec("openai:qwen3")
    assert model.name == f"openai:qwen3@{openai_server.base_url}"
    assert (await answer(model))[0] == reply_json()
    await model.close()


@pytest.mark.parametrize(
    ("spec", "key", "hint"),
    [
        ("openai", "", "OPENAI_API_KEY"),
        ("openai:m@https://api.openai.com/v1", "", "OPENAI_API_KEY"),
        ("openai", "sk-with space", "OPENAI_API_KEY"),
        ("openai:", KEY, "names no model"),
        ("openai@http://localhost/v1", KEY, "names no model"),
        ("openai:qwen3@localhost:11434", KEY, "http://"),
        ("openai:qwen3@http:///v1", KEY, "address"),
        ("openai:qwen3@http://me:secret@host/v1", KEY, "password"),
        ("openai:qwen3@http://host/v1?key=secret", KEY, "query"),
    ],
)
def test_specs_that_cannot_be(monkeypatch: pytest.MonkeyPatch, spec: str, key: str, hint: str) -> None:
    """Found before anybody calls."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(CallbotError, match=hint) as caught:
        OpenAIModel.from_spec(spec)
    assert "secret" not in str(caught.value)
