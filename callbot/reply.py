"""The reply contract: what every model answers, read while it still streams.

One JSON object (design, section 3): ``spoken_reply``, ``control``, ``lead``. This module makes its
schema for a business, reads it from a stream sentence by sentence, and turns the whole into the
engine's types. Only ``spoken_reply`` is ever spoken. What deviates but can be read is used and
listed as a fault; what cannot be used raises ``BrokenReply``, and ``respond.py`` asks once more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from callbot.business import BUILT_IN_REASONS, Business
from callbot.ending import LEAD_COMPLETE
from callbot.events import Control
from callbot.fields import LeadField, printable
from callbot.spoken import Sentences, SpokenWords

LEAD_STATUSES = ("in_progress", "complete", "declined")

_MOST_CHARACTERS = 16_000
"""Of one reply: many times a long one. What comes after is not read."""
_MOST_OBJECTS = 20
"""Braces at which the reply's object is looked for."""

_OBJECT_START = re.compile(r'\{\s*"')
_NULL_WORDS = frozenset({"", "null", "none", "n/a", "unknown", "undefined"})


class BrokenReply(Exception):
    """A reply that cannot be used; the message tells the model what was wrong with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A readable reply. ``lead``: valid new values; ``invalid``: values of fields that are not valid.

    ``faults``: deviations from the contract that were read all the same.
    """

    control: Control
    lead: Mapping[str, str]
    invalid: Mapping[str, str]
    faults: tuple[str, ...]


# --- the schema ---------------------------------------------------------------------------------
def end_reasons(business: Business) -> tuple[str, ...]:
    """Every reason a model of this business may end a call for."""
    return (*BUILT_IN_REASONS, *business.reasons)


def reply_schema(business: Business) -> dict[str, Any]:
    """The contract as JSON Schema for strict structured output.

    Strict mode wants every key required, nullable as a union with null, null inside enums, no
    defaults or formats, and ``additionalProperties: false`` (OpenAI, Structured Outputs: supported
    schemas).
    """
    control = {
        "should_end_call": {"type": "boolean"},
        "end_reason": {"type": ["string", "null"], "enum": [*end_reasons(business), None]},
        "lead_status": {"type": "string", "enum": list(LEAD_STATUSES)},
        "missing_fields": {
            "type": "array",
            "items": {"type": "string", "enum": [field.name for field in business.fields]},
        },
        "notes": {"type": "string"},
    }
    return _object(
        {
            "spoken_reply": {"type": "string"},
            "control": _object(control),
            "lead": _object({field.name: _field_schema(field) for field in business.fields}),
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _field_schema(field: LeadField) -> dict[str, Any]:
    if field.type == "choice":
        return {"type": ["string", "null"], "enum": [*field.choices, None]}
    return {"type": ["string", "null"]}


# --- reading ------------------------------------------------------------------------------------
class ReplyReader:
    """Reads one reply as it streams: ``feed`` text, speak what it returns, then ``finish``."""

    def __init__(self, business: Business) -> None:
        self._business = business
        self._buffer = ""
        self._words = SpokenWords()
        self._sentences = Sentences()
        self._faults: list[str] = []

    def feed(self, text: str) -> list[str]:
        """Take the next piece of the stream; return the sentences that are complete with it."""
        readable = text.encode("utf-8", "replace").decode()  # no half of a character, which is no JSON
        self._buffer += readable[: _MOST_CHARACTERS + 1 - len(self._buffer)]
        self._words.read(self._buffer)
        return self._sentences.of(self._words.text, whole=self._words.closed)

    def finish(self, reason: str = "stop", detail: str = "") -> tuple[list[str], Reply]:
        """The rest of the sentences and the reply itself. ``reason``: as in ``models.base.Finished``.

        Raises BrokenReply.
        """
        if reason != "stop":
            raise BrokenReply(_UNFINISHED.get(reason, reason) + (f": {detail}" if detail else ""))
        if len(self._buffer) > _MOST_CHARACTERS:
            raise BrokenReply(f"the reply is longer than {_MOST_CHARACTERS} characters")
        envelope = _envelope(_only_object(self._buffer, self._faults), self._faults)
        if not envelope.spoken_reply.startswith(self._words.text):
            raise BrokenReply("the reply says spoken_reply twice, with different words")
        rest = self._sentences.of(envelope.spoken_reply, whole=True)
        if self._sentences.leak:
            raise BrokenReply("spoken_reply holds JSON or names of the contract; it must be plain speech")
        if self._sentences.markup:
            self._faults.append("markup in spoken_reply")
        control = _control(envelope, self._business, self._faults)
        if not control.should_end_call and not self._sentences.said:
            raise BrokenReply("spoken_reply is empty although the call goes on")
        lead, invalid = _lead(envelope.lead, self._business, self._faults)
        return rest, Reply(control, lead, invalid, tuple(self._faults))


_UNFINISHED = {
    "length": "the reply was cut off at the token limit",
    "content_filter": "the reply was stopped by the content filter",
    "refusal": "the model refused to answer",
}


def _only_object(buffer: str, faults: list[str]) -> dict[str, Any]:
    """The one reply object in ``buffer``. Raises BrokenReply."""
    if not buffer.strip():
        raise BrokenReply("the reply is empty")
    found, end = _find_object(buffer, 0)
    if found is None:
        has_object = _OBJECT_START.search(buffer)
        what = "one complete, valid JSON object" if has_object else "a JSON object"
        raise BrokenReply(f"the reply is not {what} with spoken_reply, control and lead")
    begin = end - len(found.text)
    if buffer[:begin].strip() or buffer[end:].strip():
        faults.append("text around the JSON object")
    if found.loose:
        faults.append("line breaks or control characters inside a JSON string")
    second, _ = _find_object(buffer, end)
    if second is not None and second.value != found.value:
        raise BrokenReply("the reply holds two different objects; it must be one")
    return found.value


@dataclass(frozen=True, slots=True)
class _Found:
    value: dict[str, Any]
    text: str
    loose: bool
    """Readable only with line breaks or control characters in strings."""


def _find_object(buffer: str, start: int) -> tuple[_Found | None, int]:
    """The first complete object with ``spoken_reply`` from ``start`` on, and where it ends."""
    for place in islice(_OBJECT_START.finditer(buffer, start), _MOST_OBJECTS):
        for decoder in (_STRICT, _LOOSE):
            try:
                value, end = decoder.raw_decode(buffer, place.start())
            except (ValueError, RecursionError):
                continue
            if "spoken_reply" in value:
                return _Found(value, buffer[place.start() : end], decoder is _LOOSE), end
            break
    return None, start


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise BrokenReply(f"the key {_shortened(key)} stands twice in one object")
        found[key] = value
    return found


_STRICT = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_unrepeated)
_LOOSE = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_unrepeated, strict=False)


def _shortened(text: str) -> str:
    text = printable(text)
    return text if len(text) <= 60 else text[:60] + "\u2026"


# --- validation ---------------------------------------------------------------------------------
class _RawControl(BaseModel):
    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)
    should_end_call: bool
    end_reason: str | None = None
    lead_status: Literal["in_progress", "complete", "declined"] = "in_progress"
    missing_fields: list[str] = []
    notes: str = ""


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)
    spoken_reply: str
    control: _RawControl
    lead: dict[str, Any] | None = None


def _envelope(raw: dict[str, Any], faults: list[str]) -> _Envelope:
    try:
        envelope = _Envelope.model_validate(raw, strict=True)
    except ValidationError as strict:
        try:
            envelope = _Envelope.model_validate(_mended(raw))
        except ValidationError as error:
            raise BrokenReply("; ".join(_describe(fault) for fault in error.errors()[:5])) from error
        faults.extend(_describe(fault) for fault in strict.errors())
    given = (*raw, *(f"control.{key}" for key in raw["control"]))
    expected = (*_Envelope.model_fields, *(f"control.{key}" for key in _RawControl.model_fields))
    faults.extend(f"extra key {_shortened(key)}" for key in given if key not in expected)
    faults.extend(f"missing key {key}" for key in expected if key not in given)
    return envelope


def _mended(raw: dict[str, Any]) -> dict[str, Any]:
    """``raw`` with odd types read where nothing is decided by them: missing_fields and notes."""
    control = raw.get("control")
    if not isinstance(control, dict):
        return raw
    control = dict(control)
    missing = control.get("missing_fields", [])
    if missing is None or isinstance(missing, str):
        names = [name.strip() for name in (missing or "").split(",")]
        control["missing_fields"] = [name for name in names if name.casefold() not in _NULL_WORDS]
    if not isinstance(control.get("notes", ""), str):
        control["notes"] = ""
    return {**raw, "control": control}


_EXPECTED = {
    "bool": "true or false",
    "string": "text",
    "literal": f"one of {', '.join(LEAD_STATUSES)}",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
}


def _describe(fault: Mapping[str, Any]) -> str:
    place = ".".join(str(step) for step in fault["loc"])
    if fault["type"] == "missing":
        return f"{place} is missing"
    expected = _EXPECTED.get(fault["type"].partition("_")[0], "of another type")
    return f"{place} must be {expected}, not {_named(fault['input'])}"


def _named(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else _shortened(json.dumps(value, ensure_ascii=False))


def _control(envelope: _Envelope, business: Business, faults: list[str]) -> Control:
    raw = envelope.control
    reason = raw.end_reason
    if reason is not None and reason.strip().casefold() in _NULL_WORDS:
        faults.append("control.end_reason is a word for null")
        reason = None
    if reason is not None and reason not in end_reasons(business):
        known = ", ".join(end_reasons(business))
        raise BrokenReply(f'control.end_reason "{_shortened(reason)}" is none of {known}')
    if raw.should_end_call and reason is None:
        raise BrokenReply("should_end_call is true but end_reason is null")
    if not raw.should_end_call and reason is not None:
        raise BrokenReply(f"should_end_call is false but end_reason is {reason}")
    missing = tuple(_shortened(name) for name in raw.missing_fields)
    if reason == LEAD_COMPLETE and missing:
        raise BrokenReply(f"end_reason is lead_complete but missing_fields names {', '.join(missing)}")
    names = {field.name for field in business.fields}
    faults.extend(f"missing_fields names the unknown field {name}" for name in missing if name not in names)
    return Control(raw.should_end_call, reason, raw.lead_status, missing, printable(raw.notes))


def _lead(
    raw: Mapping[str, Any] | None, business: Business, faults: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    valid: dict[str, str] = {}
    invalid: dict[str, str] = {}
    fields = {field.name: field for field in business.fields}
    for name, value in (raw or {}).items():
        if name not in fields:
            faults.append(f"extra key lead.{_shortened(name)}")
        elif isinstance(value, (bool, dict, list)):
            raise BrokenReply(f"lead.{name} must be text or null, not {_named(value)}")
        elif value is not None:
            if not isinstance(value, str):
                faults.append(f"lead.{name} must be text, not a number")
            text = printable(str(value)).strip()
            normalised = fields[name].normalised(text, business.phone_region)
            if text.casefold() in _NULL_WORDS and normalised not in fields[name].choices:
                faults.append(f"lead.{name} is a word for null")
            elif normalised is None:
                invalid[name] = text
            else:
                valid[name] = normalised
    faults.extend(f"missing key lead.{name}" for name in fields if name not in (raw or {}))
    return valid, invalid
