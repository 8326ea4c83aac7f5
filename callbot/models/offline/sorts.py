"""What a text field holds (an age, a number, a vehicle, a reason ...), and words that are such a thing.

``kind`` says how a field is asked for; its sort says which words can be its value at all, so that a
detail is filed where it belongs, whatever was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache

from callbot.models.offline.numbers import number_word
from callbot.models.offline.phrases import table, words
from callbot.models.offline.text import Utterance, is_hebrew, stems, utterance

_SORTS = ("age", "id", "number", "vehicle", "brand", "company", "place", "problem")
_COUNTED = frozenset(["number", "age"])
_MODEL_WORDS = 3
"""Most words of a vehicle's model."""
_YEAR = 4
_DIGITS = 6
"""Most digits of a count."""


@cache
def listed(name: str) -> frozenset[str]:
    """A list of general words of sorts.yaml."""
    return frozenset(table("sorts")[name])


def sort_of(name: str, label: str, ask: str) -> str:
    """The sort of a text field, or nothing."""
    tokens = set(name.lower().split("_"))
    spoken = utterance(label).words
    forms = {*spoken, *(word[1:] for word in spoken if len(word) > 3 and word[0] == "ה")}
    asks = utterance(ask).words
    entries = table("sorts")["sorts"]
    for sort in _SORTS:
        entry = entries[sort]
        if tokens & set(entry["names"]) or (forms | (tokens - {"number"})) & set(entry["labels"]):
            if sort == "number" and not _counts(tokens, forms, asks):
                continue
            return sort
        if any(word in entry["asks"] for word in asks):
            return sort
    return ""


def _counts(tokens: set[str], forms: set[str], asks: Collection[str]) -> bool:
    """Whether "number" is how many and not which ("מספר אורחים", but not "מספר הזמנה")."""
    entry = table("sorts")["sorts"]["number"]
    if tokens & set(entry["names"]) or set(asks) & set(entry["asks"]):
        return True
    return any(word[-2:] in ("ים", "ות") or word.endswith("s") for word in forms)


def fits(sort: str, said: Utterance, start: int, end: int) -> bool:
    """Whether the words can be a value of that sort."""
    if sort not in _COUNTED and sort != "id":
        return True
    inside = range(start, end)
    if sort in _COUNTED and sum(len(said.words[i]) for i in inside if said.words[i].isdecimal()) > _DIGITS:
        return False
    if any(_number(said, i) or said.words[i] in listed("amounts") for i in inside):
        return True
    return sort == "id" and any(not is_hebrew(w) and len(w) < _YEAR for w in said.words[start:end])


def _number(said: Utterance, index: int) -> bool:
    word = said.words[index]
    if number_word(word) is not None:
        return True
    if not is_hebrew(word) or len(word) < _YEAR:
        return False
    return word[0] in "וכבהל" and (number_word(word[1:]) is not None or word[1:] in listed("amounts"))


# --- what gives itself away, asked for or not ---------------------------------------------------
def find_age(said: Utterance) -> tuple[int, int] | None:
    """Words that tell an age: "בת 11", "בן תשע וחצי", "she is seven years old"."""
    for index in range(len(said.words)):
        if not _number(said, index):
            continue
        led = index > 0 and said.words[index - 1] in listed("age_before") and not said.breaks[index]
        end = index + 1
        clause = said.clause_end(index)
        unit = end < clause and said.words[end] in listed("age_after")
        old = "old" in said.words[end : min(end + 3, clause)]
        if not led and not (unit and old):
            continue
        while end < clause and (said.words[end] in listed("age_unit") or _number(said, end)):
            end += 1
        while said.words[end - 1] in ("and", "a"):
            end -= 1
        return (index - 1 if led else index), end
    return None


def find_quantity(said: Utterance, counted: Callable[[str], bool]) -> tuple[int, int] | None:
    """A number before (or in front of a word about) what is counted: "בערך 150 אורחים"."""
    for index in range(len(said.words)):
        if not _number(said, index):
            continue
        end = index + 1
        clause = said.clause_end(index)
        while end < clause and (
            _number(said, end)
            or said.words[end] in ("and", "hundred", "אלף", "thousand", "מאות", "אלפים", "אלפי")
        ):
            end += 1
        if end >= clause or not counted(said.words[end]):
            continue
        start = index
        while start and not said.breaks[start] and said.words[start - 1] in listed("about"):
            start -= 1
        while start < index and said.words[start] in ("איזה", "like", "some", "כמו", "אולי", "maybe"):
            start += 1
        all_of = said.words[end] == "of" and end + 1 < clause
        return start, end + 1 + all_of
    return None


def find_vehicle(said: Utterance) -> tuple[int, int] | None:
    """A make and what follows it: "2015 Toyota Corolla", "יונדאי איי 20"."""
    for index, word in enumerate(said.words):
        plain = word[1:] if is_hebrew(word) and word[0] in "הבלמו" and word not in listed("makes") else word
        if plain not in listed("makes"):
            continue
        if word == "seat" and index and said.words[index - 1] in ("a", "the", "my"):
            continue
        start = index
        if start and not said.breaks[start] and _is_year(said.words[start - 1]):
            start -= 1
        end, clause = index + 1, said.clause_end(index)
        while end < clause and end - index <= _MODEL_WORDS and not _stops(said, end):
            end += 1
        return start, end
    return None


def _is_year(word: str) -> bool:
    return word.isdecimal() and len(word) == _YEAR and word[:2] in ("19", "20")


def _stops(said: Utterance, index: int) -> bool:
    word = said.words[index]
    if word in listed("model_stops") or word in words("stop", "name"):
        return not (number_word(word) is not None)
    return is_hebrew(word) and len(word) > 2 and word[0] in "וש" and number_word(word[1:]) is None


def about_counted(name: str, label: str, ask: str) -> Callable[[str], bool]:
    """Whether a word is what the field counts: words of its label, or people where it counts people."""
    own = frozenset().union(
        *(stems(w) for w in utterance(f"{label} {ask} {name.replace('_', ' ')}").words if len(w) > 2 and
          w not in listed("about")), ()
    )  # fmt: skip
    people = not {"איש", *(w for w in utterance(f"{label} {ask} {name.replace('_', ' ')}").words)}.isdisjoint(
        listed("people")
    )

    def counted(word: str) -> bool:
        return not stems(word).isdisjoint(own) or (people and word in listed("people"))

    return counted


# --- announced by the field's own words -----------------------------------------------------------
def heads(label: tuple[str, ...], stop: Collection[str]) -> tuple[frozenset[str], ...]:
    """The words of a label that carry it, as stems."""
    return tuple(stems(word) for word in label if word not in stop)


def announced(
    said: Utterance, forms: tuple[frozenset[str], ...], *, short: bool
) -> Iterator[tuple[int, int]]:
    """Words that follow "<label> is", "<label>?" or stand before "that's the <label>".

    ``short``: the label's first word is enough.
    """
    if not forms:
        return
    count = len(said.words)
    for index in range(count):
        if stems(said.words[index]).isdisjoint(forms[0]):
            continue
        after = index + 1
        full = 1
        while full < len(forms) and after < count and not said.breaks[after]:
            if stems(said.words[after]).isdisjoint(forms[full]):
                if said.words[after] not in listed("owned") and said.words[after] != "של":
                    break
                after += 1
                continue
            full, after = full + 1, after + 1
        if full < len(forms) and not short:
            continue
        yield from _value_beside(said, index, after)


def _value_beside(said: Utterance, index: int, after: int) -> Iterator[tuple[int, int]]:
    count = len(said.words)
    start = after
    while start < count and not said.breaks[start] and said.words[start] in listed("owned"):
        start += 1
    if start < count and said.breaks[start]:
        gap = said.clean[said.ends[start - 1] : said.starts[start]]
        first = index
        while first and not said.breaks[first]:
            first -= 1
        if ("?" in gap or ":" in gap or "-" in gap) and index - first <= 1:
            yield start, said.clause_end(start)
            return
    linked = start
    while linked < count and not said.breaks[linked] and said.words[linked] in listed("links"):
        linked += 1
    if linked > start and linked < count and not said.breaks[linked]:
        yield linked, said.clause_end(linked)
    elif linked == start and _wanted(said, index, start):
        yield start, said.clause_end(start)
    elif linked == start and index and not said.breaks[index] and said.words[index - 1] in listed("thats"):
        yield from _before(said, index - 1)
    elif (
        linked == start
        and index > 1
        and said.words[index - 1] in ("the", "my")
        and said.words[index - 2] in listed("thats") | {"is"}
    ):
        yield from _before(said, index - 2)


def _wanted(said: Utterance, index: int, start: int) -> bool:
    """Whether what is wanted is the label and one word: "I need size ten", "אני רוצה גודל בינוני"."""
    if not index or said.breaks[index] or start != index + 1 or start >= len(said.words):
        return False
    wants = said.words[index - 1] in listed("wants")
    return wants and not said.breaks[start] and said.clause_end(start) == start + 1


def _before(said: Utterance, end: int) -> Iterator[tuple[int, int]]:
    if end and said.words[end - 1] in ("and", "so"):
        end -= 1
    if end > 1:
        yield 0, end
