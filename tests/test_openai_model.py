"""The OpenAI model against a real server that answers, refuses, stalls and breaks off."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from email.utils import format_datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai_server import Answer, Drop, OpenAIServer, Refuse, Reply, Stall, reply_json

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.events import BotSaid, CallerSaid, Occasion
from callbot.models.base import Delta, Finished, Misconfigured, ProviderError, Request
from callbot.models.openai import DEFAULT_MODEL, OpenAIModel
from callbot.reply import reply_schema

BUSINESS = Business.model_validate(
    {
        "id": "movers",
        "name": "Oren Movers",
        "language": "en",
        "greeting": {"text": "Oren Movers, how can I help?"},
        "fields": [
            {"name": "full_name", "required": True},
            {"name": "rooms", "type": "choice", "choices": ["one", "more"], "required": True},
        ],
        "prompt": "You answer for {{ business.name }}.",
    }
)
TEXT = reply_json(
    "Hello. How many rooms?", missing=["full_name", "rooms"], lead={"full_name": None, "rooms": "one"}
)
KEY = "sk-test-1234567890abcdef"


def question(seconds_left: float = 5.0) -> Request:
    return Request(
        business=BUSINESS,
        history=(BotSaid("Oren Movers, how can I help?"), CallerSaid("I am moving")),
        lead={},
        missing=("full_name", "rooms"),
        occasion=Occasion.CALLER_SPOKE,
        detail="",
        now=dt.datetime(2026, 11, 27, 10, 0),
        caller_number=None,
        seconds_left=seconds_left,
    )


Make = Callable[..., OpenAIModel]


@pytest.fixture
async def make(openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Make models that talk to the server; they are closed afterwards."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    made: list[OpenAIModel] = []

    def make_one(model: str = "m", **options: Any) -> OpenAIModel:
        made.append(OpenAIModel(model, base_url=openai_server.base_url, **options))
        return made[-1]

    yield make_one
    for model in made:
        await model.close()


async def answer(model: OpenAIModel, seconds_left: float = 5.0) -> tuple[str, Finished]:
    """The whole text of an answer, and how it finished."""
    *deltas, finished = [piece async for piece in model.stream(question(seconds_left))]
    assert all(isinstance(piece, Delta) for piece in deltas)
    assert isinstance(finished, Finished)
    return "".join(piece.text for piece in deltas if isinstance(piece, Delta)), finished


async def failure(model: OpenAIModel, seconds_left: float = 5.0) -> tuple[str, ProviderError, float]:
    """The text before an answer failed, the failure, and the seconds it took."""
    started, text = time.monotonic(), ""
    with pytest.raises(ProviderError) as caught:
        async for piece in model.stream(question(seconds_left)):
            text += piece.text if isinstance(piece, Delta) else ""
    assert KEY not in str(caught.value)
    return text, caught.value, time.monotonic() - started


# --- what is asked and what comes back --------------------------------------------------------------
async def test_an_answer_streams(openai_server: OpenAIServer, make: Make) -> None:
    """Text in pieces as it is written, then the end with its token counts."""
    openai_server.will(Reply(TEXT, chunk=10, tokens=(321, 45)))
    pieces = [piece async for piece in make().stream(question())]
    assert len(pieces) == -(-len(TEXT) // 10) + 1
    assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)) == TEXT
    assert pieces[-1] == Finished("stop", 321, 45)


async def test_the_first_words_do_not_wait_for_the_last(openai_server: OpenAIServer, make: Make) -> None:
    """A sentence can be spoken while the rest of the reply is still being written."""
    openai_server.will(Reply(TEXT, chunk=40, gap=0.06))
    started, times = time.monotonic(), []
    async for _ in make().stream(question()):
        times.append(time.monotonic() - started)
    assert times[-1] - times[0] > 0.2


async def test_what_is_asked(openai_server: OpenAIServer, make: Make) -> None:
    """One streamed request with the strict schema of the business, and nothing that was not asked for."""
    await answer(make("m", seed=7))
    (received,) = openai_server.requests
    schema = received.body["response_format"]["json_schema"].pop("schema")
    messages = received.body.pop("messages")
    assert received.body == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "strict": True}},
        "seed": 7,
    }
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert [message["role"] for message in messages] == ["system", "assistant", "user"]
    assert messages[0]["content"] == "You answer for Oren Movers."
    assert schema == reply_schema(BUSINESS)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(TEXT))


@pytest.mark.parametrize(
    ("name", "effort"),
    [
        ("gpt-6-luna", "none"),
        ("gpt-5-mini", "none"),
        ("gpt-5.4-mini-2026-03-17", "none"),
        ("openai/gpt-6.2-sol", "none"),
        ("o4-mini", "none"),
        ("gpt-5.3-chat-latest", None),
        ("gpt-4.1-mini", None),
        ("gpt-oss:20b", None),
        ("qwen3", None),
    ],
)
async def test_reasoning_families_are_asked_not_to_reason(
    openai_server: OpenAIServer, make: Make, name: str, effort: str | None
) -> None:
    """Thinking costs seconds of silence; models that are not known to reason are not told anything."""
    await answer(make(name))
    body = openai_server.requests[0].body
    assert body.get("reasoning_effort") == effort
    assert "temperature" not in body


# --- what a server cannot do ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("efforts", "asked"),
    [
        (["minimal", "low"], ["none", "minimal", "minimal"]),
        (["low", "high"], ["none", "minimal", "low", "low"]),
        (["high"], ["none", "minimal", "low", None, None]),
    ],
)
async def test_the_lowest_effort_is_found_once(
    openai_server: OpenAIServer, make: Make, efforts: list[str], asked: list[str | None]
) -> None:
    """Which efforts a model takes differs: the next is tried until one is taken, and then remembered."""
    openai_server.efforts = efforts
    model = make(DEFAULT_MODEL)
    assert (await answer(model))[1].reason == "stop"
    assert (await answer(model))[1].reason == "stop"
    assert [received.body.get("reasoning_effort") for received in openai_server.requests] == asked


async def test_a_model_without_efforts_is_asked_twice(openai_server: OpenAIServer, make: Make) -> None:
    """A parameter that is unknown altogether is not tried in other values."""
    openai_server.refuses = {"any reasoning_effort"}
    await answer(make(DEFAULT_MODEL))
    assert [received.body.get("reasoning_effort") for received in openai_server.requests] == ["none", None]


async def test_without_json_schema_the_schema_is_stated(openai_server: OpenAIServer, make: Make) -> None:
    """Plain JSON mode with the schema in the system message, remembered for the next question."""
    openai_server.refuses = {"json_schema"}
    model = make()
    assert (await answer(model))[0] == reply_json()
    await answer(model)
    formats = [received.body["response_format"]["type"] for received in openai_server.requests]
    assert formats == ["json_schema", "json_object", "json_object"]
    system = openai_server.requests[1].body["messages"][0]["content"]
    assert json.dumps(reply_schema(BUSINESS), ensure_ascii=False) in system


async def test_a_grammar_that_cannot_be_built(openai_server: OpenAIServer, make: Make) -> None:
    """llama.cpp turns schemas into grammars, and fails with 500 on what it cannot turn."""
    openai_server.will(Refuse(500, "failed to parse grammar"))
    assert (await answer(make()))[0] == reply_json()
    assert openai_server.requests[1].body["response_format"] == {"type": "json_object"}


async def test_a_server_that_takes_nothing_is_still_asked(openai_server: OpenAIServer, make: Make) -> None:
    """Every option is dropped when it is refused, by whatever words and status, and only then."""
    openai_server.refuses = {
        *("json_schema", "json_object", "stream_options", "seed", "any reasoning_effort", "unordered roles")
    }
    model = make(DEFAULT_MODEL, seed=1)
    assert (await answer(model))[0] == reply_json()
    openai_server.requests.clear()
    assert (await answer(model))[1] == Finished("stop", 0, 0)
    (received,) = openai_server.requests
    assert set(received.body) == {"model", "messages", "stream"}
    assert [m["role"] for m in received.body["messages"]] == ["system", "user", "assistant", "user"]


async def test_questions_in_flight_together_learn_once(openai_server: OpenAIServer, make: Make) -> None:
    """Ten refusals of the same option take away one step, not ten."""
    openai_server.refuses = {"json_schema"}
    model = make()
    await asyncio.gather(*(answer(model) for _ in range(10)))
    openai_server.requests.clear()
    await answer(model)
    assert openai_server.requests[0].body["response_format"] == {"type": "json_object"}


async def test_an_option_refused_inside_the_stream(openai_server: OpenAIServer, make: Make) -> None:
    """Some servers send 200 first and the refusal as the stream's only event."""
    refusal = {"error": {"message": "json_schema is not supported", "code": 400}}
    openai_server.will(Reply(raw=f"data: {json.dumps(refusal)}\n\n".encode()))
    assert (await answer(make()))[0] == reply_json()
    assert openai_server.requests[1].body["response_format"] == {"type": "json_object"}


# --- answers that are not what was hoped for ---------------------------------------------------------
@pytest.mark.parametrize(
    ("reply", "text", "finished"),
    [
        (Reply(refusal="I cannot help"), "", Finished("refusal", 120, 30, "I cannot help ")),
        (Reply(TEXT[:50], finish="length"), TEXT[:50], Finished("length", 120, 30)),
        (Reply(TEXT[:50], finish="content_filter"), TEXT[:50], Finished("content_filter", 120, 30)),
        (Reply("I'm sorry, I can't."), "I'm sorry, I can't.", Finished("stop", 120, 30)),
        (Reply(f"```json\n{TEXT}\n```"), f"```json\n{TEXT}\n```", Finished("stop", 120, 30)),
        (Reply(""), "", Finished("stop", 120, 30)),
        (Reply("", finish="tool_calls"), "", Finished("stop", 120, 30)),
        (Reply(TEXT, done=False), TEXT, Finished("stop", 120, 30)),
        (Reply(TEXT, finish=None), TEXT, Finished("stop", 120, 30)),
    ],
    ids=[
        "refusal",
        "length",
        "filter",
        "plain text",
        "fence",
        "empty",
        "tool call",
        "no [DONE]",
        "no finish_reason",
    ],
)
async def test_how_answers_end(
    openai_server: OpenAIServer, make: Make, reply: Reply, text: str, finished: Finished
) -> None:
    """The text is passed on as it is: what to make of it is for the reply contract to say."""
    openai_server.will(reply)
    assert await answer(make()) == (text, finished)
    assert len(openai_server.requests) == 1


async def test_a_filtered_prompt(openai_server: OpenAIServer, make: Make) -> None:
    """Azure refuses a prompt by its content with a 400: that is an answer, not a failure of the provider."""
    openai_server.will(Refuse(400, "The prompt was filtered", "content_filter"))
    text, finished = await answer(make())
    assert (text, finished.reason) == ("", "content_filter")


async def test_a_whole_answer_survives_a_bad_end(openai_server: OpenAIServer, make: Make) -> None:
    """After the finish_reason only token counts can be lost, and nobody waits long for them."""
    deltas = -(-len(TEXT) // 16)
    openai_server.will(
        Reply(TEXT, cut_after=deltas + 1),
        Reply(TEXT, stall_after=deltas + 1, stall=3),
    )
    model, started = make(), time.monotonic()
    assert await answer(model) == (TEXT, Finished("stop"))
    assert await answer(model) == (TEXT, Finished("stop"))
    assert time.monotonic() - started < 2


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
    openai_server: OpenAIServer, make: Make, fault: Answer
) -> None:
    """A second try, soon, and nothing of the first is heard."""
    openai_server.will(fault, Reply(TEXT))
    started = time.monotonic()
    assert (await answer(make()))[0] == TEXT
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("fault", [Refuse(503, body="busy " * 200), Refuse(429, "wait \n please"), Drop()])
async def test_the_second_failure_is_the_last(openai_server: OpenAIServer, make: Make, fault: Answer) -> None:
    """One retry on the phone; then one line that says who failed and how."""
    openai_server.will(fault, fault, Reply(TEXT))
    text, error, took = await failure(make())
    assert (text, len(openai_server.requests)) == ("", 2)
    assert took < 1
    assert str(error).isprintable()
    assert "127.0.0.1" in str(error)
    assert len(str(error)) < 400


async def test_retry_after_is_honoured(openai_server: OpenAIServer, make: Make) -> None:
    """The server is not asked again before it wishes."""
    openai_server.will(Refuse(429, headers={"retry-after": "0.5"}), Reply(TEXT))
    assert (await answer(make()))[0] == TEXT
    first, second = openai_server.requests
    assert 0.45 < second.at - first.at < 1.5


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
    openai_server: OpenAIServer, make: Make, headers: dict[str, str]
) -> None:
    """The turn has no 20 seconds: better to fall back now."""
    openai_server.will(Refuse(429, headers=headers))
    _, error, took = await failure(make())
    assert took < 1
    assert len(openai_server.requests) == 1
    assert "asks to wait" in str(error)


async def test_more_retries_when_there_is_time(openai_server: OpenAIServer, make: Make) -> None:
    """Evaluation may be more patient than a caller."""
    openai_server.will(Refuse(503), Refuse(503), Reply(TEXT))
    assert (await answer(make(retries=2)))[0] == TEXT


async def test_nothing_is_retried_after_the_first_word(openai_server: OpenAIServer, make: Make) -> None:
    """What was said was said: a broken stream fails, and the words before it stand."""
    openai_server.will(Reply(TEXT, cut_after=2), Reply(TEXT))
    text, error, _ = await failure(make())
    assert text == TEXT[:32]
    assert len(openai_server.requests) == 1
    assert "connection" in str(error)


async def test_an_error_in_the_middle_of_a_stream(openai_server: OpenAIServer, make: Make) -> None:
    """Even one that names an option is no reason to say the same words again."""
    delta = json.dumps({"choices": [{"index": 0, "delta": {"content": "{"}}]})
    error = json.dumps({"error": {"message": "json_schema grammar is exhausted"}})
    openai_server.will(Reply(raw=f"data: {delta}\n\ndata: {error}\n\n".encode()))
    text, caught, _ = await failure(make())
    assert text == "{"
    assert "exhausted" in str(caught)
    assert len(openai_server.requests) == 1


async def test_a_stream_that_just_ends(openai_server: OpenAIServer, make: Make) -> None:
    """Half an object without a finish_reason is no answer."""
    openai_server.will(Reply(TEXT[:40], finish=None, done=False))
    text, error, _ = await failure(make())
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
async def test_the_budget_holds(openai_server: OpenAIServer, make: Make, slow: Answer) -> None:
    """Whatever the server does, the turn is over when its time is."""
    openai_server.will(slow, slow)
    _, error, took = await failure(make(), 0.35)
    assert took < 1
    assert "127.0.0.1" in str(error)


@pytest.mark.parametrize("slow", [Stall(3), Reply(TEXT, stall_after=0, stall=3)])
async def test_a_stall_leaves_time_for_another_try(
    openai_server: OpenAIServer, make: Make, slow: Answer
) -> None:
    """A request that seems lost is given up while the budget still holds a second one."""
    openai_server.will(slow, Reply(TEXT))
    started = time.monotonic()
    assert (await answer(make(stall_after=0.2), 0.9))[0] == TEXT
    assert time.monotonic() - started < 1.2


async def test_patience_is_for_silence_not_for_length(openai_server: OpenAIServer, make: Make) -> None:
    """A long answer that keeps coming is not taken for lost; one that stops is, before the budget is gone."""
    openai_server.will(Reply(TEXT, chunk=24, gap=0.1), Reply(TEXT, stall_after=2, stall=3))
    model = make(stall_after=0.1)
    started = time.monotonic()
    assert (await answer(model, 1.5))[0] == TEXT
    assert time.monotonic() - started > 0.9
    text, error, _ = await failure(model, 0.5)
    assert text == TEXT[:32]
    assert "went quiet" in str(error)


async def test_no_time_at_all(openai_server: OpenAIServer, make: Make) -> None:
    """A budget already spent is a failure, not a hang."""
    _, _, took = await failure(make(), 0)
    assert took < 0.5


async def test_a_caller_who_does_not_wait(openai_server: OpenAIServer, make: Make) -> None:
    """A cancelled answer lets go of its connection, and the model goes on answering."""
    openai_server.will(Reply(TEXT, chunk=4, gap=0.05), Reply(TEXT), Reply(TEXT))
    model = make()
    stream = model.stream(question())
    assert isinstance(await anext(stream), Delta)
    await stream.aclose()
    task = asyncio.create_task(answer(model))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await answer(model))[1].reason == "stop"


async def test_the_time_of_the_consumer_is_its_own(openai_server: OpenAIServer, make: Make) -> None:
    """A consumer that dwells on a piece is never interrupted by the model's clock."""
    openai_server.will(Reply(TEXT, stall_after=1, stall=3))
    stream = make().stream(question(0.4))
    await anext(stream)
    await asyncio.sleep(0.6)
    with pytest.raises(ProviderError):
        async for _ in stream:
            pass


async def test_connections_are_kept_between_turns(openai_server: OpenAIServer, make: Make) -> None:
    """No handshake before the words of the second turn."""
    model = make()
    await answer(model)
    await answer(model)
    assert {received.connection for received in openai_server.requests} == {0}


async def test_a_connection_that_went_stale(openai_server: OpenAIServer, make: Make) -> None:
    """A server may close what we kept open; the caller does not notice."""
    openai_server.will(Reply(TEXT, close=True))
    model = make()
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
async def test_what_no_retry_mends(openai_server: OpenAIServer, make: Make, fault: Refuse, hint: str) -> None:
    """Fatal at once, with what to do about it and without the key."""
    openai_server.will(fault)
    _, error, _ = await failure(make())
    assert isinstance(error, Misconfigured)
    assert hint in str(error)
    assert len(openai_server.requests) == 1


async def test_other_refusals_are_failures(openai_server: OpenAIServer, make: Make) -> None:
    """A request that is refused for no known reason is neither retried nor repeated in another form."""
    openai_server.will(Refuse(400, "the context is too long"))
    _, error, _ = await failure(make())
    assert not isinstance(error, Misconfigured)
    assert "the context is too long" in str(error)
    assert len(openai_server.requests) == 1


async def test_errors_are_fit_to_be_shown(openai_server: OpenAIServer, make: Make) -> None:
    """Neither a proxy's page nor a key of whatever make."""
    openai_server.will(
        Refuse(400, body="<html>Bad gateway</html>"), Refuse(400, f"bad: {'0123456789abcdef' * 2}")
    )
    model = make()
    _, page, _ = await failure(model)
    assert "html" not in str(page)
    _, error, _ = await failure(model)
    assert str(error).endswith("bad: ***")


async def test_errors_do_not_repeat_what_callers_said(openai_server: OpenAIServer, make: Make) -> None:
    """FastAPI servers echo the whole request in a 422; only what they say of it is passed on."""
    detail = [
        {"loc": ["body", "messages", 1], "msg": "wrong", "input": {"content": "I am moving", "seed": 1}}
    ]
    openai_server.will(Refuse(422, body=json.dumps({"detail": detail})))
    _, error, _ = await failure(make(seed=1))
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
