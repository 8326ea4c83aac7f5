"""Answers to callers' questions, from the business's facts and hours and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from callbot.models.offline import extraction
from callbot.models.offline.phrases import lexicon, table
from callbot.models.offline.prepared import Fact, Prepared, content_stems, stop_words
from callbot.models.offline.state import State
from callbot.models.offline.text import is_hebrew, key_stems, same, stems, utterance
from callbot.models.offline.understanding import Reading

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHORT = 4
"""Words of a question that is about nothing but a name."""
_LONG_VALUE_WORDS = 6
"""A fact of so many words is a sentence of its own and is said without its key."""
_TIME_RANGE = re.compile(r"^\s*(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})\s*$")


def answer(state: State, reading: Reading) -> str | None:
    """What the business file says to the question, in words to speak; None if it says nothing."""
    prepared, language = state.prepared, state.language
    topics = reading.topics - {"explain", "services"}
    facts = _best_facts(prepared, reading, topics, state.lead)
    about_hours = "hours" in topics and prepared.business.hours
    if about_hours and not any(fact.topics & topics or _named(fact, reading) for fact in facts):
        return hours_text(state, reading)
    if not facts and not topics and prepared.business.hours and _day_asked(state, reading):
        return hours_text(state, reading)
    if facts:
        return " ".join(fact_text(fact, language) for fact in facts)
    if options := _options_asked(prepared, reading):
        return str(replies(language)["say"]["offer"][0]).format(options=joined(options, language))
    if "services" in reading.topics and (options := _services(prepared)):
        return str(replies(language)["say"]["offer"][0]).format(options=joined(options, language))
    return _capability(prepared, reading, language)


def _best_facts(
    prepared: Prepared, reading: Reading, topics: frozenset[str], lead: Mapping[str, str]
) -> list[Fact]:
    spoken = [stems(word) for word in reading.said.words if word not in stop_words()]
    context = [stems(word) for value in lead.values() for word in utterance(value).words]
    scored = []
    for fact in prepared.facts:
        shared = fact.topics & topics
        key = sum(not word.isdisjoint(fact.key_stems) for word in spoken)
        value = sum(not word.isdisjoint(fact.value_stems) for word in spoken)
        if not shared and (topics and not key):
            continue
        score = 4 * bool(shared) + 2 * key + min(value, 2)
        if score >= 2 or (value and not topics):
            bonus = sum(not word.isdisjoint(fact.key_stems) for word in context)
            scored.append((score, bonus, fact))
    if not scored:
        asks = topics and (reading.question or reading.said.question_mark)
        return _best_facts(prepared, reading, frozenset(), lead) if asks else []
    top = max(item[:2] for item in scored)
    best = [fact for score, bonus, fact in scored if (score, bonus) == top]
    return best[:3] if len(best) <= 3 else best[:2]


def _named(fact: Fact, reading: Reading) -> bool:
    return any(
        not stems(word).isdisjoint(fact.key_stems) for word in reading.said.words if word not in stop_words()
    )


def fact_text(fact: Fact, language: str) -> str:
    """A fact as a sentence."""
    value = fact.value.strip().rstrip(".")
    same_script = is_hebrew(fact.key) == (language == "he")
    if len(value.split()) >= _LONG_VALUE_WORDS or not same_script or "_" in fact.key:
        return f"{value[:1].upper()}{value[1:]}."
    return f"{fact.key[:1].upper()}{fact.key[1:]}: {value}."


def _options_asked(prepared: Prepared, reading: Reading) -> tuple[str, ...]:
    """The choices of the field whose label the question names ("which languages are there?")."""
    if not {"what", "wh"} & lexicon("questions").tags(reading.said):
        return ()
    for view in prepared.fields.values():
        label = [key_stems(word) for word in view.label_words if word not in stop_words()]
        if view.kind == "choice" and any(
            not stems(w).isdisjoint(k) for w in reading.said.words for k in label
        ):
            return tuple(view.field.choices)
    return ()


def names_business(state: State, reading: Reading) -> bool:
    """Whether the turn says the business's own name ("Is that Ruti's?")."""
    if len(reading.said.words) > _SHORT:
        return False
    own = content_stems(state.prepared.business.name)
    return any(not stems(word).isdisjoint(own) for word in reading.said.words if word not in stop_words())


def none_word(language: str) -> str:
    """What is written down when the caller has no such thing."""
    return str(replies(language)["none"])


def _services(prepared: Prepared) -> tuple[str, ...]:
    return next((tuple(view.field.choices) for view in prepared.fields.values() if view.kind == "choice"), ())


def _capability(prepared: Prepared, reading: Reading, language: str) -> str | None:
    """Whether the business does it: "do you do sofas?" where sofas are a choice."""
    if reading.topics - {"area"}:
        return None
    for view in prepared.fields.values():
        if view.kind == "choice":
            choice, _, _ = extraction.find_choice(view, reading.said)
            if choice is not None:
                named = any(
                    same(word, part) for word in reading.said.words for part in utterance(choice).words
                )
                say = replies(language)["say"]
                return (
                    str(say["service_yes"][0]).format(value=choice) if named else str(say["service_some"][0])
                )
    return None


# --- hours --------------------------------------------------------------------------------------
def hours_text(state: State, reading: Reading) -> str:
    """The opening hours, or those of the day that was asked about."""
    words = replies(state.language)["hours"]
    hours = state.prepared.business.hours
    lines = [
        words["line"].format(days=_days(key, words), hours=_range(value, words))
        for key, value in hours.items()
    ]
    everything: str = words["all"].format(lines=", ".join(lines))
    day = _day_asked(state, reading)
    if day is None or not all(_covered(key) for key in hours):
        return everything
    for key, value in hours.items():
        if day in _covered(key):
            return str(words["day"].format(day=words["days"][day], hours=_range(value, words)))
    return str(words["closed"].format(day=words["days"][day], all=everything))


def _day_asked(state: State, reading: Reading) -> str | None:
    today = state.request.now.weekday()
    for word in reading.said.words:
        forms = {word, *(word[i:] for i in (1, 2) if is_hebrew(word) and word[0] in "בהלוש")}
        for form in forms:
            if form in _DAY_WORDS:
                return _DAY_WORDS[form]
        if forms & {"היום", "today"}:
            return _WEEK[today]
        if forms & {"מחר", "tomorrow"}:
            return _WEEK[(today + 1) % 7]
    return None


_DAY_WORDS = {
    "ראשון": "sun", "שני": "mon", "שלישי": "tue", "רביעי": "wed", "חמישי": "thu", "שישי": "fri", "שבת": "sat",
    "sunday": "sun", "monday": "mon", "tuesday": "tue", "wednesday": "wed", "thursday": "thu", "friday": "fri",
    "saturday": "sat", "sundays": "sun", "mondays": "mon", "fridays": "fri", "saturdays": "sat",
}  # fmt: skip


@cache
def _covered(key: str) -> tuple[str, ...]:
    """The days that a key of ``hours`` names ("sun-thu", "fri", "mon, wed"); none if it is free text."""
    days: list[str] = []
    for part in re.split(r"[,;/]\s*|\s+", key.strip().lower()):
        ends = [end.strip()[:3] for end in part.split("-")]
        if any(end not in _WEEK for end in ends) or len(ends) > 2:
            return ()
        first, last = _WEEK.index(ends[0]), _WEEK.index(ends[-1])
        days.extend(_WEEK[(first + step) % 7] for step in range((last - first) % 7 + 1))
    return tuple(days)


def _days(key: str, words: Mapping[str, Any]) -> str:
    names: Mapping[str, str] = words["days"]
    if not _covered(key):
        return key
    parts = []
    for part in re.split(r"[,;/]\s*|\s+", key.strip().lower()):
        ends = [names[end.strip()[:3]] for end in part.split("-")]
        parts.append(ends[0] if len(ends) == 1 else str(words["range"]).format(a=ends[0], b=ends[1]))
    return ", ".join(parts)


def _range(value: str, words: Mapping[str, Any]) -> str:
    match = _TIME_RANGE.match(value)
    if value.strip().lower() == "closed":
        return str(words["shut"])
    return str(words["time"]).format(a=match[1], b=match[2]) if match else value


# --- words --------------------------------------------------------------------------------------
def replies(language: str) -> dict[str, Any]:
    """The reply templates of a language."""
    return table(f"replies_{language}")


def joined(items: tuple[str, ...], language: str) -> str:
    """Items as speech: "a, b or c"."""
    if len(items) == 1:
        return items[0]
    join = replies(language)["join"]
    return str(join["list"]).join(items[:-1]) + str(join["last"]) + items[-1]
