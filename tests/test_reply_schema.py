"""The reply's schema keeps to the rules of strict structured output, and what keeps to it is read."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from callbot.business import BUILT_IN_REASONS, Business, read_business
from callbot.fields import folded
from callbot.reply import Reply, ReplyReader, end_reasons, reply_schema

PROMPTS = [
    path
    for path in (Path(__file__).parent.parent / "prompts").glob("*.yaml")
    if not path.name.startswith("_")
]

ALLOWED = {"type", "properties", "required", "additionalProperties", "items", "enum"}
"""Of what strict mode knows, the little that the contract needs: no default, format, pattern or length."""
MOST_LEVELS, MOST_PROPERTIES, MOST_ENUM_VALUES, MOST_CHARACTERS = 10, 5000, 1000, 120_000


def faults_of(schema: Any, level: int = 1) -> list[str]:
    """What in ``schema`` breaks the rules of strict structured output."""
    faults = [f"{key} is not allowed" for key in schema.keys() - ALLOWED]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if level > MOST_LEVELS:
        faults.append("nested too deeply")
    if "object" in kinds:
        if schema.get("additionalProperties") is not False:
            faults.append("additionalProperties is not false")
        if schema["required"] != list(schema["properties"]):
            faults.append("a key is not required")
        for value in schema["properties"].values():
            faults += faults_of(value, level + 1)
    if "array" in kinds:
        faults += faults_of(schema["items"], level + 1)
    if "enum" in schema:
        if ("null" in kinds) != (None in schema["enum"]):
            faults.append("null is in the type or in the enum, but not in both")
        if len(set(schema["enum"])) != len(schema["enum"]) or not schema["enum"]:
            faults.append("an enum is empty or repeats a value")
    return faults


def sizes_of(schema: Any) -> tuple[int, int, int]:
    """Properties, enum values, and characters in the names of both."""
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    values = [value for value in schema.get("enum", []) if value is not None]
    names = [*schema.get("properties", {}), *values]
    properties, enum_values, characters = len(names) - len(values), len(values), sum(map(len, names))
    for below in map(sizes_of, inner):
        properties, enum_values, characters = (
            properties + below[0],
            enum_values + below[1],
            characters + below[2],
        )
    return properties, enum_values, characters


def assert_strict(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)
    assert faults_of(schema) == []
    properties, values, characters = sizes_of(schema)
    assert properties <= MOST_PROPERTIES
    assert values <= MOST_ENUM_VALUES
    assert characters <= MOST_CHARACTERS
    assert list(schema["properties"]) == ["spoken_reply", "control", "lead"], "words come first"


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.stem)
def test_the_schemas_of_the_shipped_businesses_are_strict(path: Path) -> None:
    assert_strict(reply_schema(read_business(path)))


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "object", "properties": {}, "required": []},
        {
            "type": "object",
            "properties": {"a": {"type": "null"}},
            "required": [],
            "additionalProperties": False,
        },
        {"type": "string", "default": ""},
        {"type": ["string", "null"], "enum": ["a"]},
        {"type": "string", "enum": ["a", "a"]},
    ],
)
def test_the_checker_sees_faults(fault: Any) -> None:
    assert faults_of(fault)


# --- businesses of any kind ----------------------------------------------------------------------
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
PRINTED = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12
)
CHOICES = st.lists(PRINTED.filter(folded), unique_by=folded, min_size=1, max_size=8).map(
    lambda words: {word: words[index + 1 : index + 2] for index, word in enumerate(words) if index % 2 == 0}
)
FIELDS = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["text", "phone", "time"]), "required": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("choice"), "choices": CHOICES, "required": st.booleans()}),
)
REASONS = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True).filter(
    lambda name: name not in BUILT_IN_REASONS
)


@st.composite
def businesses(draw: st.DrawFn) -> Business:
    fields = draw(st.dictionaries(NAMES, FIELDS, min_size=1, max_size=6))
    reasons = draw(st.lists(REASONS, unique=True, max_size=3))
    return Business.model_validate(
        {
            "id": "any",
            "name": "any",
            "language": draw(st.sampled_from(["he", "en"])),
            "greeting": {"text": "שלום"},
            "fields": [{"name": name, **field} for name, field in fields.items()],
            "end_reasons": [{"name": name, "when": "so"} for name in reasons],
            "prompt": "x",
        }
    )


@st.composite
def conforming(draw: st.DrawFn, business: Business) -> dict[str, Any]:
    """A reply that keeps to the schema and does not contradict itself."""
    ends = draw(st.booleans())
    names = [field.name for field in business.fields]
    reason = draw(st.sampled_from(end_reasons(business))) if ends else None
    words = st.sampled_from(["תודה.", "One moment. What is your name?", 'ד"ר כהן\nיחזור אליך'])
    return {
        "spoken_reply": draw(words | st.just("") if ends else words),
        "control": {
            "should_end_call": ends,
            "end_reason": reason,
            "lead_status": draw(st.sampled_from(["in_progress", "complete", "declined"])),
            "missing_fields": [] if reason == "lead_complete" else draw(st.lists(st.sampled_from(names))),
            "notes": draw(st.text(max_size=10)),
        },
        "lead": {
            field.name: draw(
                st.none()
                | st.sampled_from(
                    list(field.choices) or ["+972521234567" if field.type == "phone" else "דנה לוי"]
                )
            )
            for field in business.fields
        },
    }


@settings(max_examples=60, deadline=None)
@given(businesses(), st.data())
def test_what_keeps_to_the_schema_is_read_without_a_fault(business: Business, data: st.DataObject) -> None:
    """And comes back as it was, but for phones, which are kept in E.164."""
    schema = reply_schema(business)
    assert_strict(schema)
    answer = data.draw(conforming(business))
    Draft202012Validator(schema).validate(answer)

    reader = ReplyReader(business)
    raw = json.dumps(answer, ensure_ascii=data.draw(st.booleans()))
    middle = random.Random(0).randrange(len(raw))
    said = reader.feed(raw[:middle]) + reader.feed(raw[middle:])
    rest, reply = reader.finish()

    assert isinstance(reply, Reply)
    assert (reply.faults, reply.invalid, rest) == ((), {}, [])
    assert " ".join(said) == " ".join(answer["spoken_reply"].split())
    control = answer["control"]
    assert reply.control.should_end_call is control["should_end_call"]
    assert reply.control.end_reason == control["end_reason"]
    assert reply.control.lead_status == control["lead_status"]
    assert list(reply.control.missing_fields) == control["missing_fields"]
    phones = {field.name for field in business.fields if field.type == "phone"}
    expected = {name: value for name, value in answer["lead"].items() if value is not None}
    assert reply.lead.keys() == expected.keys()
    assert all(reply.lead[name] == value for name, value in expected.items() if name not in phones)
