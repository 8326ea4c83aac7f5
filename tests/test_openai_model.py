"""The OpenAI model against a real server: what it asks, what it learns, how answers end."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from jsonschema import Draft202012Validator
from openai_server import OpenAIServer, Refuse, Reply, reply_json
from openai_talk import BUSINESS, KEY, TEXT, MakeModel, answer, question

from callbot.models.base import Delta, Finished
from callbot.models.openai import DEFAULT_MODEL
from callbot.reply import reply_schema


# --- what is asked and what comes back --------------------------------------------------------------
async def test_an_answer_streams(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """Text in pieces as it is written, then the end with its token counts."""
    openai_server.will(Reply(TEXT, chunk=10, tokens=(321, 45)))
    pieces = [piece async for piece in openai_model().stream(question())]
    assert len(pieces) == -(-len(TEXT) // 10) + 1
    assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)) == TEXT
    assert pieces[-1] == Finished("stop", 321, 45)


async def test_the_first_words_do_not_wait_for_the_last(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """A sentence can be spoken while the rest of the reply is still being written."""
    openai_server.will(Reply(TEXT, chunk=40, gap=0.06))
    times = [time.monotonic() async for _ in openai_model().stream(question())]
    assert times[-1] - times[0] > 0.2


async def test_what_is_asked(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """One streamed request with the strict schema of the business, and nothing that was not asked for."""
    await answer(openai_model("m", seed=7))
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
    openai_server: OpenAIServer, openai_model: MakeModel, name: str, effort: str | None
) -> None:
    """Thinking costs seconds of silence; models that are not known to reason are not told anything."""
    await answer(openai_model(name))
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
    openai_server: OpenAIServer, openai_model: MakeModel, efforts: list[str], asked: list[str | None]
) -> None:
    """Which efforts a model takes differs: the next is tried until one is taken, and then remembered."""
    openai_server.efforts = efforts
    model = openai_model(DEFAULT_MODEL)
    assert (await answer(model))[1].reason == "stop"
    assert (await answer(model))[1].reason == "stop"
    assert [received.body.get("reasoning_effort") for received in openai_server.requests] == asked


async def test_a_model_without_efforts_is_asked_twice(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """A parameter that is unknown altogether is not tried in other values."""
    openai_server.refuses = {"any reasoning_effort"}
    await answer(openai_model(DEFAULT_MODEL))
    assert [received.body.get("reasoning_effort") for received in openai_server.requests] == ["none", None]


async def test_without_json_schema_the_schema_is_stated(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """Plain JSON mode with the schema in the system message, remembered for the next question."""
    openai_server.refuses = {"json_schema"}
    model = openai_model()
    assert (await answer(model))[0] == reply_json()
    await answer(model)
    formats = [received.body["response_format"]["type"] for received in openai_server.requests]
    assert formats == ["json_schema", "json_object", "json_object"]
    system = openai_server.requests[1].body["messages"][0]["content"]
    assert json.dumps(reply_schema(BUSINESS), ensure_ascii=False) in system


async def test_a_grammar_that_cannot_be_built(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """llama.cpp turns schemas into grammars, and fails with 500 on what it cannot turn."""
    openai_server.will(Refuse(500, "failed to parse grammar"))
    assert (await answer(openai_model()))[0] == reply_json()
    assert openai_server.requests[1].body["response_format"] == {"type": "json_object"}


async def test_a_server_that_takes_nothing_is_still_asked(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """Every option is dropped when it is refused, by whatever words and status, and only then."""
    openai_server.refuses = {
        *("json_schema", "json_object", "stream_options", "seed", "any reasoning_effort", "unordered roles")
    }
    model = openai_model(DEFAULT_MODEL, seed=1)
    assert (await answer(model))[0] == reply_json()
    openai_server.requests.clear()
    assert (await answer(model))[1] == Finished("stop", 0, 0)
    (received,) = openai_server.requests
    assert set(received.body) == {"model", "messages", "stream"}
    assert [m["role"] for m in received.body["messages"]] == ["system", "user", "assistant", "user"]


async def test_questions_in_flight_together_learn_once(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """Ten refusals of the same option take away one step, not ten."""
    openai_server.refuses = {"json_schema"}
    model = openai_model()
    await asyncio.gather(*(answer(model) for _ in range(10)))
    openai_server.requests.clear()
    await answer(model)
    assert openai_server.requests[0].body["response_format"] == {"type": "json_object"}


async def test_an_option_refused_inside_the_stream(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """Some servers send 200 first and the refusal as the stream's only event."""
    refusal = {"error": {"message": "json_schema is not supported", "code": 400}}
    openai_server.will(Reply(raw=f"data: {json.dumps(refusal)}\n\n".encode()))
    assert (await answer(openai_model()))[0] == reply_json()
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
    openai_server: OpenAIServer, openai_model: MakeModel, reply: Reply, text: str, finished: Finished
) -> None:
    """The text is passed on as it is: what to make of it is for the reply contract to say."""
    openai_server.will(reply)
    assert await answer(openai_model()) == (text, finished)
    assert len(openai_server.requests) == 1


async def test_a_filtered_prompt(openai_server: OpenAIServer, openai_model: MakeModel) -> None:
    """Azure refuses a prompt by its content with a 400: that is an answer, not a failure of the provider."""
    openai_server.will(Refuse(400, "The prompt was filtered", "content_filter"))
    text, finished = await answer(openai_model())
    assert (text, finished.reason) == ("", "content_filter")


async def test_a_whole_answer_survives_a_bad_end(
    openai_server: OpenAIServer, openai_model: MakeModel
) -> None:
    """After the finish_reason only token counts can be lost, and nobody waits long for them."""
    deltas = -(-len(TEXT) // 16)
    openai_server.will(
        Reply(TEXT, cut_after=deltas + 1),
        Reply(TEXT, stall_after=deltas + 1, stall=3),
    )
    model, started = openai_model(), time.monotonic()
    assert await answer(model) == (TEXT, Finished("stop"))
    assert await answer(model) == (TEXT, Finished("stop"))
    assert time.monotonic() - started < 2.8
