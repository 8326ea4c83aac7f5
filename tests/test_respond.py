"""One turn of a model: its words, one more chance for what cannot be read, and a safe end of it all."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from reply_samples import BUSINESS, ENDING, text

from callbot.events import Control, Note, Occasion, ReplyDone, ReplyFailed, SentenceReady
from callbot.models.base import Delta, Finished, Misconfigured, Model, ProviderError, Request
from callbot.models.scripted import ScriptedModel
from callbot.respond import Answer, respond

REQUEST = Request(
    business=BUSINESS,
    history=(),
    lead={},
    missing=("full_name", "phone"),
    occasion=Occasion.CALLER_SPOKE,
    detail="",
    now=dt.datetime(2026, 1, 1, 12, 0),
    caller_number=None,
    seconds_left=5.0,
    turn=3,
)
GOOD = text()
FIRST, SECOND = "תודה, רשמתי.", "מה הטלפון?"
BROKEN = text({"control.should_end_call": None})
"""Speaks both sentences before it turns out to be broken."""
MUTE = "no JSON here"
HALF = '{"spoken_reply": "רגע. אני'
REPEAT = BUSINESS.sentence("repeat")
SAFE = Control(missing_fields=("full_name", "phone"))
FOREVER = "forever"


@dataclass
class Playing:
    """Answers each request with its list of things to do: yield, raise, or wait for ever."""

    answers: list[list[Any]]
    latency: float | None = None
    name: str = "playing"
    uses_prompt: bool = False
    requests: list[Request] = field(default_factory=list)
    closed: int = 0

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        self.requests.append(request)
        try:
            for step in self.answers[len(self.requests) - 1]:
                if step == FOREVER:
                    await asyncio.Event().wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield Delta(step) if isinstance(step, str) else step
        finally:
            self.closed += 1

    async def close(self) -> None:
        pass


def says(raw: str, finished: Finished | None = None) -> list[Any]:
    return [raw[:20], raw[20:], finished or Finished()]


async def answers(model: Model, request: Request = REQUEST) -> list[Answer]:
    return [answer async for _, answer in respond(model, request, request.turn)]


def spoken(given: list[Answer]) -> list[str]:
    return [answer.text for answer in given if isinstance(answer, SentenceReady)]


def notes(given: list[Answer], type_: str) -> list[dict[str, Any]]:
    return [dict(answer.data) for answer in given if isinstance(answer, Note) and answer.type == type_]


def scripted(folder: Path, *items: Any) -> ScriptedModel:
    file = folder / "replies.jsonl"
    file.write_text("\n".join(json.dumps(item, ensure_ascii=False) for item in items), encoding="utf-8")
    return ScriptedModel(file)


# --- what goes well ------------------------------------------------------------------------------
async def test_a_good_reply_is_said_and_done(tmp_path: Path) -> None:
    given = await answers(scripted(tmp_path, {"raw": list(GOOD)}))
    assert spoken(given) == [FIRST, SECOND]
    done = given[-1]
    assert isinstance(done, ReplyDone)
    assert done.turn == 3
    assert done.lead == {"full_name": "דנה לוי"}
    assert not done.control.should_end_call
    assert notes(given, "contract_fault") == []


async def test_an_answer_leaves_its_tokens_and_its_time() -> None:
    given = await answers(Playing([says(GOOD, Finished("stop", 812, 64))]))
    (note,) = notes(given, "model_answered")
    assert 0 <= note.pop("seconds") < 5
    assert note == {
        "turn": 3,
        "attempt": 1,
        "finish_reason": "stop",
        "input_tokens": 812,
        "output_tokens": 64,
        "cached_tokens": 0,
    }


async def test_faults_of_a_readable_reply_are_noted_and_its_invalid_values_too() -> None:
    given = await answers(Playing([says(text({"control.notes": None, "lead.phone": "12"}))]))
    assert notes(given, "contract_fault") == [
        {"turn": 3, "attempt": 1, "fault": "control.notes must be text, not null", "usable": True}
    ]
    assert notes(given, "invalid_value") == [{"turn": 3, "field": "phone", "value": "12"}]
    assert isinstance(given[-1], ReplyDone)
    assert given[-1].lead == {"full_name": "דנה לוי"}


async def test_a_model_that_names_its_latency_takes_it_once_for_each_answer() -> None:
    model = Playing([says(MUTE), says(GOOD)], latency=0.7)
    times = [(seconds, type(answer)) async for seconds, answer in respond(model, REQUEST, 3)]
    assert {seconds for seconds, _ in times[:2]} == {0.7}
    assert {seconds for seconds, _ in times[2:]} == {1.4}


# --- once more -----------------------------------------------------------------------------------
async def test_what_cannot_be_read_is_asked_once_more_and_told_why(tmp_path: Path) -> None:
    given = await answers(scripted(tmp_path, "x", "x", {"attempts": [MUTE, json.loads(GOOD)]}))
    assert spoken(given) == [FIRST, SECOND]
    (fault,) = notes(given, "contract_fault")
    assert (fault["attempt"], fault["usable"]) == (1, False)
    assert fault["fault"].startswith("the reply is not a JSON object")
    assert [note["attempt"] for note in notes(given, "model_answered")] == [1, 2]
    assert isinstance(given[-1], ReplyDone)


async def test_the_second_question_is_the_first_one_with_the_fault_and_less_time() -> None:
    model = Playing([says(BROKEN), says(GOOD)])
    await answers(model)
    first, second = model.requests
    assert first is REQUEST
    assert second.repair == "control.should_end_call must be true or false, not null"
    assert 0 < second.seconds_left < first.seconds_left
    assert second.history is first.history
    assert (second.turn, second.missing) == (first.turn, first.missing)


@pytest.mark.parametrize("raw", [BROKEN, HALF])
async def test_after_words_were_said_only_the_second_answers_control_and_lead_count(raw: str) -> None:
    other = text({**ENDING, "lead.phone": "0521234567", "spoken_reply": "אחרת לגמרי. ביי."})
    given = await answers(Playing([says(raw), says(other)]))
    assert spoken(given) == ([FIRST, SECOND] if raw == BROKEN else ["רגע."])
    done = given[-1]
    assert isinstance(done, ReplyDone)
    assert done.control.end_reason == "lead_complete"
    assert done.lead == {"full_name": "דנה לוי", "phone": "+972521234567"}


async def test_words_already_said_stay_said_when_the_second_answer_is_broken_too() -> None:
    given = await answers(Playing([says(BROKEN), says(HALF)]))
    assert spoken(given) == [FIRST, SECOND]
    assert given[-1] == ReplyDone(3, SAFE)


@pytest.mark.parametrize("second", [MUTE, "", "{}", text(spoken_reply="")])
async def test_two_broken_answers_end_in_a_safe_reply_that_decides_nothing(
    second: str, tmp_path: Path
) -> None:
    given = await answers(scripted(tmp_path, {"attempts": [MUTE, second]}))
    assert spoken(given) == [REPEAT]
    assert given[-1] == ReplyDone(3, SAFE)
    assert [note["usable"] for note in notes(given, "contract_fault")] == [False, False]


@pytest.mark.parametrize("finish", ["length", "content_filter", "refusal"])
async def test_an_end_in_an_unfinished_reply_is_none(finish: str, tmp_path: Path) -> None:
    cut = {"raw": text(ENDING), "finish": finish}
    given = await answers(scripted(tmp_path, cut))
    assert spoken(given) == [FIRST, SECOND], "said once, though asked twice"
    assert given[-1] == ReplyDone(3, SAFE)


# --- the provider --------------------------------------------------------------------------------
async def test_a_failing_provider_is_no_fault_of_the_model(tmp_path: Path) -> None:
    given = await answers(scripted(tmp_path, {"error": "503 from the server"}))
    assert given == [ReplyFailed(3, "503 from the server")]


async def test_a_provider_that_fails_in_the_middle_leaves_the_words_said() -> None:
    model = Playing([[GOOD[:40], ProviderError("connection lost")]])
    given = await answers(model)
    assert given == [SentenceReady(3, FIRST), ReplyFailed(3, "connection lost")]
    assert len(model.requests) == model.closed == 1


async def test_a_provider_that_fails_in_the_second_answer_fails_the_turn() -> None:
    given = await answers(Playing([says(MUTE), [ProviderError("429")]]))
    assert given[-1] == ReplyFailed(3, "429")
    assert spoken(given) == []


@pytest.mark.parametrize("pieces", [[], [GOOD]])
async def test_a_stream_that_never_says_it_is_finished_has_failed(pieces: list[str]) -> None:
    given = await answers(Playing([pieces]))
    assert given[-1] == ReplyFailed(3, "the stream ended without saying that it was finished")


async def test_a_wrong_key_is_raised_as_it_is() -> None:
    with pytest.raises(Misconfigured, match="no credit"):
        await answers(Playing([[Misconfigured("no credit")]]))


async def test_a_wrong_key_in_the_second_answer_is_raised_too() -> None:
    with pytest.raises(Misconfigured):
        await answers(Playing([says(MUTE), [Misconfigured("no credit")]]))


# --- the budget ----------------------------------------------------------------------------------
SHORT = replace(REQUEST, seconds_left=0.2)


@pytest.mark.parametrize("before", [[], [GOOD[:40]], [GOOD]], ids=["silent", "stalls", "never finishes"])
async def test_a_model_that_takes_too_long_has_failed_in_time(before: list[str]) -> None:
    model = Playing([[*before, FOREVER]])
    async with asyncio.timeout(20):
        given = await answers(model, SHORT)
    assert given[-1] == ReplyFailed(3, "no answer within the turn's budget")
    assert model.closed == 1, "nobody listens to it any more"


async def test_the_second_answer_has_only_what_is_left() -> None:
    model = Playing([says(MUTE), [FOREVER]])
    async with asyncio.timeout(20):
        given = await answers(model, SHORT)
    assert given[-1] == ReplyFailed(3, "no answer within the turn's budget")
    assert model.requests[1].seconds_left < 0.2


async def test_with_no_time_left_a_broken_reply_is_not_asked_again() -> None:
    """It was the model that took the time and broke the reply; the provider did not fail."""
    model = Playing([says(MUTE), says(GOOD)])
    given = await answers(model, replace(REQUEST, seconds_left=0))
    assert len(model.requests) == 1
    assert spoken(given) == [REPEAT]
    assert given[-1] == ReplyDone(3, SAFE)


async def test_a_listener_that_leaves_closes_the_stream() -> None:
    model = Playing([[GOOD[:40], FOREVER]])
    turn = respond(model, REQUEST, 3)
    _, first = await anext(turn)
    await turn.aclose()
    assert first == SentenceReady(3, FIRST)
    assert model.closed == 1
