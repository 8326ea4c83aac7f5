"""From a decision to the words that are spoken."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from callbot.models.offline.answers import joined
from callbot.models.offline.decision import Decision
from callbot.models.offline.phrases import lexicon, table
from callbot.models.offline.prepared import FieldView
from callbot.models.offline.state import State
from callbot.models.offline.text import is_hebrew, utterance

_LONGEST_SPOKEN_VALUE = 40
_ANY_LANGUAGE = ("name", "phone", "time", "email", "address", "city", "notes")
"""Kinds whose question exists in both languages."""
_ALWAYS_THE_SAME = ("name", "phone", "time", "email")
"""Kinds that the usual question fits, however the business itself asks; an address may be anything's."""


def spoken(state: State, decision: Decision) -> str:
    """The reply of a decision, ready to be spoken."""
    words = table(f"replies_{state.language}")
    if decision.end is not None:
        if not decision.farewell:
            return ""
        parts = [_said(state, words, key, values) for key, values in decision.say]
        return " ".join([*parts, _farewell(state, decision, words)])
    parts = [_said(state, words, key, values) for key, values in decision.say]
    question = _question(state, decision, decision.ask, words) if decision.ask else ""
    return " ".join(part for part in (*(p.strip() for p in parts), question) if part)


def _said(state: State, words: dict[str, Any], key: str, values: dict[str, str]) -> str:
    if key == "plain":
        return values["text"]
    if key == "recap":
        values = {"values": _recap(state, words)}
    if "options" in values:
        values = {**values, "options": joined(tuple(values["options"].split("|")), state.language)}
    if "field" in values:
        values = {**values, "value": _value(state, values["field"], words)}
    template = _variant(words["say"][key], state.turns - 1)
    if values.get("digits"):
        values = {**values, "digits": values["digits"]}
    return template.format(**values) if values else template


def _variant(templates: list[str], count: int) -> str:
    return templates[count % len(templates)]


def _farewell(state: State, decision: Decision, words: dict[str, Any]) -> str:
    name = next(
        (
            state.lead[v.name]
            for v in state.prepared.fields.values()
            if v.kind == "name" and v.name in state.lead
        ),
        "",
    )
    first = f" {name.split()[0]}" if name else ""
    return _variant(words["end"][decision.farewell], 0).format(name=first)


# --- questions ------------------------------------------------------------------------------------
def _question(state: State, decision: Decision, ask: str, words: dict[str, Any]) -> str:
    if not ask.startswith(":"):
        view = state.prepared.fields[ask]
        if decision.listed and view.kind == "choice":
            return view.field.ask or str(words["ask"]["which"][0])
        if decision.again and view.field.ask:
            return view.field.ask
        return field_question(state, view, words)
    key = ask[1:]
    if key == "anything_else":
        return _anything_else(state, words)
    if key == "stuck":
        view = state.prepared.fields[state.missing[0]]
        return str(words["ask"]["stuck"][0]).format(label=_label(view, state.language, words))
    return _variant(words["ask"][key], state.turns - 1)


def _anything_else(state: State, words: dict[str, Any]) -> str:
    notes = state.prepared.first("notes")
    unasked = (
        notes is not None and not state.wraps and not state.asks[notes.name] and notes.name not in state.lead
    )
    if notes is not None and notes.field.ask and unasked and state.language == state.prepared.language:
        return notes.field.ask
    return _variant(words["ask"]["anything_else"], state.wraps)


def field_question(state: State, view: FieldView, words: dict[str, Any]) -> str:
    """The question for a field: the business's own first, then other ways to put it."""
    count = state.asks[view.name]
    own = view.field.ask
    foreign = own is not None and is_hebrew(_first_letter(own)) != (state.language == "he")
    alone = sum(other.kind == view.kind for other in state.prepared.fields.values()) == 1
    known = alone and view.kind in _ANY_LANGUAGE
    if own and not (foreign and known):
        if count == 0:
            return own
        others = _others(state, view, words, known=known)
        return others[(count - 1) % len(others)]
    templates = (
        words["ask"][view.kind if known else "text"] if view.kind != "choice" else words["ask"]["choice"]
    )
    if view.kind == "service" and alone and not own:
        templates = words["ask"]["service"]
    return _fill(state, view, _variant(templates, count), words)


def _others(state: State, view: FieldView, words: dict[str, Any], *, known: bool) -> list[str]:
    """Ways to ask again for a field that has its own question."""
    own = str(view.field.ask)
    if view.kind == "choice":
        return [_fill(state, view, template, words) for template in words["ask"]["choice"]]
    if known and view.kind in _ALWAYS_THE_SAME:
        return [text for text in words["ask"][view.kind] if text != own]
    again = [str(template).format(ask=own) for template in words["ask"]["repeat"][1:]]
    if view.field.label and is_hebrew(_first_letter(view.field.label)) == (state.language == "he"):
        again.insert(0, _fill(state, view, words["ask"]["text"][1], words))
    return again


def _fill(state: State, view: FieldView, template: str, words: dict[str, Any]) -> str:
    options = joined(tuple(view.field.choices), state.language) if view.field.choices else ""
    return template.format(label=_label(view, state.language, words), options=options)


def _label(view: FieldView, language: str, words: dict[str, Any]) -> str:
    label = view.field.label
    if label and is_hebrew(_first_letter(label)) == (language == "he"):
        return label
    if language == "en":
        return view.name.replace("_", " ")
    known: str = words["label"].get(view.kind, words["label"]["text"])
    return label or known


def _first_letter(text: str) -> str:
    return next((char for char in text if char.isalpha()), "")


# --- values ---------------------------------------------------------------------------------------
def _recap(state: State, words: dict[str, Any]) -> str:
    values = [
        _value(state, view.name, words)
        for view in state.prepared.fields.values()
        if view.name in state.lead and _worth_saying(state.lead[view.name])
    ]
    return ", ".join(values[:6])


@lru_cache(maxsize=4096)
def _worth_saying(value: str) -> bool:
    """Whether a value means something by itself: "no" and "I don't know" do not."""
    said = utterance(value)
    hollow = lexicon("acts").tags(said) & {"yes", "no", "dont_know", "have_none"}
    return len(value) <= _LONGEST_SPOKEN_VALUE and not (hollow and len(said.words) <= 2)


def _value(state: State, name: str, words: dict[str, Any]) -> str:
    value = state.lead[name]
    if state.prepared.fields[name].kind == "phone":
        return f"{words['phone_label']}{_national(value, state.prepared.region)}"
    return value


@lru_cache(maxsize=4096)
def _national(phone: str, region: str) -> str:
    import phonenumbers

    number = phonenumbers.parse(phone)
    formats = phonenumbers.PhoneNumberFormat
    home = phonenumbers.country_code_for_region(region) == number.country_code
    return phonenumbers.format_number(number, formats.NATIONAL if home else formats.INTERNATIONAL)
