"""What YAML and Pydantic complain about, said so that whoever wrote the file can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

TEXT_NESTED = 'must be text; if it holds [ ] { } or ": ", quote it: "..."'


@dataclass(frozen=True, slots=True)
class Unit:
    """On a number's field: what it counts, for messages."""

    name: str


@dataclass(frozen=True, slots=True)
class Expected:
    """On a field: what is due there, to somebody who does not read regular expressions."""

    what: str


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean ...?`` when a known word is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


# --- YAML ---
_PLAINLY = {
    "undefined alias": 'text that begins with * must be quoted: "*..."',
    "tab character": "is indented with a tab; use spaces",
    "mapping values are not allowed": 'quote text that holds ": "; else the line is indented wrongly',
    "while scanning a quoted scalar": "the quote that opens here is never closed",
    "while scanning an anchor": 'text that begins with & must be quoted: "&..."',
    "while scanning a tag": 'text that begins with ! must be quoted: "!..."',
    "while scanning an alias": 'text that begins with * must be quoted: "*..."',
    "while parsing a flow": "a bracket that opens here is not closed, or a comma is missing",
    "while scanning a simple key": 'a key is followed by ":" and a space',
    "while parsing a block": "the indentation fits nothing above it, or a quote ends too early",
    "another document": "holds more than one document; remove the line ---",
}
"""What PyYAML says, and what it means to somebody who has never read the YAML specification."""
_SAID_OF_THE_OPENING = (
    "while scanning a quoted scalar",
    "while parsing a flow",
    "while scanning a simple key",
)
"""Complaints whose cause stands where the quote, bracket or key begins, not where the parser gave up."""


def yaml_fault(error: yaml.MarkedYAMLError, text: str) -> tuple[int | None, str]:
    """The line of the fault, and what to do about it."""
    said = f"{error.context or ''} {error.problem or ''}"
    mark = error.problem_mark or error.context_mark
    found = (
        text.splitlines()[mark.line][mark.column :][:1] if mark and mark.line < len(text.splitlines()) else ""
    )
    meaning = said.strip()
    if "cannot start any token" in said and found != "\t":
        meaning = f'text that begins with {found} must be quoted: "{found}..."'
    elif "cannot start any token" in said:
        meaning = "is indented with a tab; use spaces"
    elif key := next((key for key in _PLAINLY if key in said), None):
        meaning = _PLAINLY[key]
        mark = (error.context_mark or mark) if key in _SAID_OF_THE_OPENING else mark
    return mark.line + 1 if mark else None, f"not valid YAML: {meaning}"


# --- values ---
_NUMBERS = ("float", "int", "greater", "less", "finite")


def in_plain_words(fault: Mapping[str, Any], field: FieldInfo | None, owner: type[BaseModel] | None) -> str:
    """What is wrong with a value, without a word of Pydantic's."""
    kind, found = str(fault["type"]), fault["input"]
    message = str(fault["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        return "is missing"
    if kind in {"value_error", "assertion_error"} or kind.startswith(("text_", "no_sentences")):
        return message
    if (expected := _expected(kind, message, field, owner, fault.get("ctx") or {})) is None:
        return message[:1].lower() + message[1:]
    if found is None:
        return f"is empty; must be {expected}"
    if isinstance(found, (list, dict)) and expected == "text":
        return TEXT_NESTED
    return f"must be {expected}; found {_named(found)}"


def _expected(
    kind: str,
    message: str,
    field: FieldInfo | None,
    owner: type[BaseModel] | None,
    context: Mapping[str, Any],
) -> str | None:
    notes: Sequence[Any] = field.metadata if field else ()
    if what := next((note.what for note in notes if isinstance(note, Expected)), None):
        return str(what)
    group = kind.partition("_")[0]
    if group in _NUMBERS:
        return _number(field, notes) if field else message.removeprefix("Input should be ")
    if group in {"model", "dict"}:
        known = ", ".join(owner.model_fields) if owner and group == "model" else "key: value"
        return f"keys with values ({known})"
    if kind == "literal_error":
        return str(context.get("expected"))
    if kind == "too_short":
        return "a list of at least one"
    return {
        "string": "text",
        "bool": "true or false",
        "list": "a list: one item a line after -, or [a, b]",
    }.get(group)


def _number(field: FieldInfo, notes: Sequence[Any]) -> str:
    """What a number's field takes: ``a whole number from 0 to 10``, ``a number of seconds above 0``."""
    unit = next((f" of {note.name}" for note in notes if isinstance(note, Unit)), "")
    low = next((note.ge for note in notes if isinstance(note, annotated_types.Ge)), None)
    above = next((note.gt for note in notes if isinstance(note, annotated_types.Gt)), None)
    high = next((note.le for note in notes if isinstance(note, annotated_types.Le)), None)
    whole = "whole " if field.annotation is int else ""
    limits = f" above {above}" if above is not None else "" if low is None else f" from {low}"
    if high is not None:
        limits += f" to {high}"
    elif low is not None:
        limits += " up"
    return f"a {whole}number{unit}{limits}"


def _named(found: object) -> str:
    if isinstance(found, (list, dict)):
        return "keys with values" if isinstance(found, dict) else "a list" if found else "an empty list"
    text = str(found)
    return f'"{text}"' if len(text) <= 60 else f'"{text[:60]}\u2026"'
