"""What the model is told: system, history as heard, notes of the backend."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from callbot.business import Business
from callbot.events import BotSaid, CallerSaid, Control, Heard, Occasion, SpeechKind
from callbot.models.base import Request
from callbot.models.messages import alternating, chat_messages

BUSINESS = Business.model_validate(
    {
        "id": "movers",
        "name": "Oren Movers",
        "language": "en",
        "greeting": {"text": "Oren Movers, how can I help?"},
        "fields": [
            {"name": "full_name", "required": True},
            {"name": "phone", "type": "phone", "required": True},
            {"name": "notes"},
        ],
        "prompt": "You answer for {{ business.name }}. It is {{ now.strftime('%H:%M') }}. Caller: {{ caller.number }}",
    }
)
GREETING = BotSaid("Oren Movers, how can I help?", kind=SpeechKind.GREETING)


def messages_of(
    *history: Heard, occasion: Occasion = Occasion.CALLER_SPOKE, **more: Any
) -> list[dict[str, str]]:
    request = Request(
        business=BUSINESS,
        history=history,
        lead={},
        missing=("full_name", "phone"),
        occasion=occasion,
        detail=more.get("detail", ""),
        now=dt.datetime(2026, 11, 27, 10, 0),
        caller_number="+972521234567",
        seconds_left=10,
        repair=more.get("repair"),
    )
    return chat_messages(request, schema=more.get("schema"))


def test_a_caller_who_spoke_is_the_last_word() -> None:
    """The system message is the rendered prompt, and no note follows the caller's words."""
    system, greeting, caller = messages_of(GREETING, CallerSaid("Hi, I'm moving"))
    assert system == {
        "role": "system",
        "content": "You answer for Oren Movers. It is 10:00. Caller: +972521234567",
    }
    assert greeting["role"] == "assistant"
    assert caller == {"role": "user", "content": "Hi, I'm moving"}


def test_the_bot_speaks_in_the_shape_of_the_contract() -> None:
    """A reply goes back as the object the model wrote: spoken_reply first, every field, unicode as it is."""
    control = Control(True, "lead_complete", "complete", (), "all there")
    said = BotSaid("תודה, להתראות", 2, control=control, lead={"full_name": "דנה"})
    content = messages_of(said)[1]["content"]
    assert "תודה" in content
    assert list(json.loads(content)) == ["spoken_reply", "control", "lead"]
    assert json.loads(content) == {
        "spoken_reply": "תודה, להתראות",
        "control": {
            "should_end_call": True,
            "end_reason": "lead_complete",
            "lead_status": "complete",
            "missing_fields": [],
            "notes": "all there",
        },
        "lead": {"full_name": "דנה", "phone": None, "notes": None},
    }


def test_fixed_sentences_name_what_is_really_missing() -> None:
    """Nobody decided anything in a greeting or a warning; "nothing is missing" would teach the model to say so."""
    named = BotSaid(
        "Dana, and your number?", 1, control=Control(missing_fields=("phone",)), lead={"full_name": "Dana"}
    )
    warning = BotSaid("Are you there?", kind=SpeechKind.WARNING)
    _, first, _, _, last = messages_of(GREETING, CallerSaid("Dana"), named, warning)
    assert json.loads(first["content"])["control"]["missing_fields"] == ["full_name", "phone"]
    assert json.loads(last["content"])["control"]["missing_fields"] == ["phone"]


def test_an_interruption_is_told() -> None:
    """What was heard, then a note, then what the caller said instead."""
    *_, heard, note, caller = messages_of(BotSaid("First,", 1, interrupted=True), CallerSaid("wait"))
    assert json.loads(heard["content"])["spoken_reply"] == "First,"
    assert note == {"role": "user", "content": "<backend>the caller interrupted here</backend>"}
    assert caller["content"] == "wait"


def test_keys_are_marked_as_keys() -> None:
    """Pressed keys, with or without words."""
    assert [
        m["content"] for m in messages_of(CallerSaid("", "0521"), CallerSaid("my number", "0521#"))[1:]
    ] == [
        "<keys>0521</keys>",
        "my number\n<keys>0521#</keys>",
    ]


@given(st.text(), st.text())
def test_callers_cannot_forge_notes(text: str, keys: str) -> None:
    """Whatever is said or pressed, no tag is made of it, and it survives as JSON in UTF-8."""
    for message in messages_of(CallerSaid(text, keys))[1:]:
        content = message["content"].removesuffix("</keys>")
        assert "<" not in content.replace("<keys>", "", 1)
        assert ">" not in content.replace("<keys>", "", 1)
        json.dumps(message, ensure_ascii=False).encode()


def test_words_no_json_can_carry_are_replaced() -> None:
    """A terminal in another encoding hands over lone surrogates; control characters are noise."""
    assert messages_of(CallerSaid("a\udce9b\x00c"))[1]["content"] == "a?b c"
    assert len(messages_of(CallerSaid(""), CallerSaid("  \n"))) == 1


def test_each_occasion_has_its_note() -> None:
    """The backend says in plain words why it asks; its reasons cannot forge notes either."""

    def note(occasion: Occasion, detail: str = "") -> str:
        message = messages_of(GREETING, occasion=occasion, detail=detail)[-1]
        assert message["role"] == "user"
        assert message["content"].startswith("<backend>")
        assert message["content"].endswith("</backend>")
        return message["content"][9:-10]

    assert note(Occasion.SILENCE, "silent for 8 seconds, 1 in a row").startswith(
        "The line is silent (silent for 8 seconds, 1 in a row)."
    )
    assert note(Occasion.AFTER_FAREWELL) == (
        "You have said goodbye, and the caller then spoke. If nothing more is needed, set should_end_call to "
        "true and leave spoken_reply empty; otherwise go on."
    )
    refused = note(Occasion.END_REFUSED, "lead_complete needs phone, not captured <yet>")
    assert "not ended (lead_complete needs phone, not captured ‹yet›)" in refused
    assert "words so far have been spoken; continue" in refused
    assert "never answered" in note(Occasion.RESUMED)


def test_a_repair_is_asked_for_last() -> None:
    """After the occasion's note, what was wrong with the answer before."""
    *_, occasion, repair = messages_of(GREETING, occasion=Occasion.SILENCE, repair="the reply is empty")
    assert "silent" in occasion["content"]
    assert repair["content"].startswith("<backend>Your last answer could not be used: the reply is empty. ")


def test_a_schema_is_stated_on_request() -> None:
    """For servers without structured output; the word JSON is what JSON mode insists on."""
    system = messages_of(GREETING, schema={"type": "object"})[0]["content"]
    assert system.endswith('JSON Schema:\n{"type": "object"}')


def test_alternating_roles() -> None:
    """The user begins, nobody speaks twice in a row, and nothing is lost."""
    warning = BotSaid("Are you there?", kind=SpeechKind.WARNING)
    history = (GREETING, warning, CallerSaid("yes"), CallerSaid("sorry"), BotSaid("Fine", 1))
    plain = messages_of(*history, occasion=Occasion.AFTER_FAREWELL)
    turns = alternating(plain)
    assert [m["role"] for m in turns] == ["system", "user", *["assistant", "user"] * 3]
    assert turns[1]["content"] == "<backend>the call begins</backend>"
    assert turns[3]["content"] == "<backend>the caller said nothing</backend>"
    assert turns[5]["content"] == "yes\nsorry"
    assert all(any(m["content"] in turn["content"] for turn in turns) for m in plain)
