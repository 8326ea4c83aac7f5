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
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from callbot.business import BUILT_IN_REASONS, Business
from callbot.ending import LEAD_COMPLETE
from callbot.events import Control
from callbot.fields import LeadField

LEAD_STATUSES = ("in_progress", "complete", "declined")
_KEYS = ("spoken_reply", "should_end_call", "end_reason", "lead_status", "missing_fields")

_OBJECT_START = re.compile(r'\{\s*"')
_SENTENCE_END = re.compile(r"(?:[.!?\u2026]+[\"'\u201d\u05f4)]*)(?=\s)|\n")
_ABBREVIATION = re.compile(r"(?:^|\s)(?:Dr|Mr|Mrs|Ms|St|No|vs|\w)\.$")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LINE_MARKUP = re.compile(r"^\s*(?:#{1,6}\s+|[-*\u2022]\s+|>\s+|\d+[.)]\s+(?=\D))", re.MULTILINE)
_INLINE_MARKUP = re.compile(r"\*+|`+|~~|(?<!\w)_+|_+(?!\w)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_UNSPEAKABLE = re.compile(r"[{}\[\]<>|\\]")
_WORD = re.compile(r"\w")
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
        self._start: int | None = None
        self._spoken_length = 0
        self._faults: list[str] = []
        self._leak = False

    def feed(self, text: str) -> list[str]:
        """Take the next piece of the stream; return the sentences that are complete with it."""
        self._buffer += text
        if self._start is None:
            found = _OBJECT_START.search(self._buffer)
            if found is None:
                return []
            self._start = found.start()
        try:
            partial = from_json(self._buffer[self._start :], allow_partial="trailing-strings")
        except ValueError:
            partial = _whole_object(self._buffer, self._start)
        if not isinstance(partial, dict):
            return []
        words = partial.get("spoken_reply")
        return self._sentences(words, whole=len(partial) > 1) if isinstance(words, str) else []

    def finish(self, reason: str = "stop", detail: str = "") -> tuple[list[str], Reply]:
        """The rest of the sentences and the reply itself. ``reason``: as in ``models.base.Finished``.

        Raises BrokenReply.
        """
        if reason != "stop":
            raise BrokenReply(_UNFINISHED.get(reason, reason) + (f": {detail}" if detail else ""))
        raw, start = self._whole()
        if self._buffer[:start].strip() or self._buffer[start:].rstrip()[-1:] != "}":
            self._faults.append("text around the JSON object")
        envelope = _envelope(raw, self._faults)
        rest = self._sentences(envelope.spoken_reply, whole=True)
        if self._leak:
            raise BrokenReply("spoken_reply holds JSON or names of the contract; it must be plain speech")
        control = _control(envelope, self._business, self._faults)
        if not control.should_end_call and not _WORD.search(envelope.spoken_reply):
            raise BrokenReply("spoken_reply is empty although the call goes on")
        lead, invalid = _lead(envelope.lead, self._business, self._faults)
        return rest, Reply(control, lead, invalid, tuple(self._faults))

    def _whole(self) -> tuple[dict[str, Any], int]:
        if not self._buffer.strip():
            raise BrokenReply("the reply is empty")
        for found in _OBJECT_START.finditer(self._buffer):
            whole = _whole_object(self._buffer, found.start())
            if whole is not None and "spoken_reply" in whole:
                return whole, found.start()
        if self._start is None:
            raise BrokenReply("the reply is not a JSON object")
        raise BrokenReply(
            "the reply is not one complete, valid JSON object with spoken_reply, control and lead"
        )

    def _sentences(self, words: str, *, whole: bool) -> list[str]:
        """New complete sentences of ``words``, cleaned; nothing more once contract text appears."""
        sentences = []
        for start, end in _boundaries(words, self._spoken_length, whole):
            raw = words[start:end]
            if "{" in raw or any(key in raw for key in _KEYS):
                self._leak = True
            self._spoken_length = end
            cleaned = speakable(raw)
            if cleaned != " ".join(raw.split()) and "markup in spoken_reply" not in self._faults:
                self._faults.append("markup in spoken_reply")
            if not self._leak and _WORD.search(cleaned):
                sentences.append(cleaned)
        return sentences


_UNFINISHED = {
    "length": "the reply was cut off at the token limit",
    "content_filter": "the reply was stopped by the content filter",
    "refusal": "the model refused to answer",
}


def speakable(text: str) -> str:
    """``text`` without markdown, links, tags and braces, in one line."""
    text = _MARKDOWN_LINK.sub(r"\1", text)
    text = _URL.sub("", text)
    text = _LINE_MARKUP.sub("", text)
    text = _TAG.sub("", text)
    text = _INLINE_MARKUP.sub("", text)
    return " ".join(_UNSPEAKABLE.sub(" ", text).split())


def _boundaries(words: str, start: int, whole: bool) -> list[tuple[int, int]]:
    found = []
    for match in _SENTENCE_END.finditer(words, start):
        if not _ABBREVIATION.search(words[start : match.end()]):
            found.append((start, match.end()))
            start = match.end()
    if whole and words[start:].strip():
        found.append((start, len(words)))
    return found


def _whole_object(buffer: str, start: int) -> dict[str, Any] | None:
    try:
        value, _ = json.JSONDecoder().raw_decode(buffer, start)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# --- validation ---------------------------------------------------------------------------------
class _RawControl(BaseModel):
    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)
    should_end_call: bool
    end_reason: str | None = None
    lead_status: Literal["in_progress", "complete", "declined"] = "in_progress"
    missing_fields: list[str] = []
    notes: str | None = ""


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)
    spoken_reply: str
    control: _RawControl
    lead: dict[str, str | None] | None = None


def _envelope(raw: dict[str, Any], faults: list[str]) -> _Envelope:
    try:
        envelope = _Envelope.model_validate(raw, strict=True)
    except ValidationError as strict:
        try:
            envelope = _Envelope.model_validate(raw)
        except ValidationError as error:
            raise BrokenReply("; ".join(_describe(fault) for fault in error.errors())) from error
        faults.extend(_describe(fault) for fault in strict.errors())
    faults.extend(
        f"extra key {key}" for key in (*(envelope.model_extra or ()), *(envelope.control.model_extra or ()))
    )
    present = envelope.model_fields_set | envelope.control.model_fields_set
    expected = _Envelope.model_fields.keys() | _RawControl.model_fields.keys()
    faults.extend(f"missing key {key}" for key in sorted(expected - present))
    return envelope


def _describe(fault: Mapping[str, Any]) -> str:
    return f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}"


def _control(envelope: _Envelope, business: Business, faults: list[str]) -> Control:
    raw = envelope.control
    reason = raw.end_reason
    if reason is not None and reason.casefold() in _NULL_WORDS:
        faults.append("end_reason is a word for null")
        reason = None
    if reason is not None and reason not in end_reasons(business):
        raise BrokenReply(f"end_reason {reason!r} is none of {', '.join(end_reasons(business))}")
    if raw.should_end_call and reason is None:
        raise BrokenReply("should_end_call is true but end_reason is null")
    if not raw.should_end_call and reason is not None:
        raise BrokenReply(f"should_end_call is false but end_reason is {reason}")
    if reason == LEAD_COMPLETE and raw.missing_fields:
        raise BrokenReply(
            f"end_reason is lead_complete but missing_fields names {', '.join(raw.missing_fields)}"
        )
    return Control(raw.should_end_call, reason, raw.lead_status, tuple(raw.missing_fields), raw.notes or "")


def _lead(
    raw: Mapping[str, str | None] | None, business: Business, faults: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    valid: dict[str, str] = {}
    invalid: dict[str, str] = {}
    fields = {field.name: field for field in business.fields}
    for name, value in (raw or {}).items():
        if name not in fields:
            faults.append(f"extra key lead.{name}")
        elif value is not None and value.strip().casefold() in _NULL_WORDS:
            faults.append(f"lead.{name} is a word for null")
        elif value is not None:
            normalised = fields[name].normalised(value, business.phone_region)
            (invalid if normalised is None else valid)[name] = value if normalised is None else normalised
    faults.extend(f"missing key lead.{name}" for name in fields if name not in (raw or {}))
    return valid, invalid
