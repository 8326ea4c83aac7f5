"""Numbers in speech: digits, number words in Hebrew and English, and both mixed, as digit strings.

Numbers are read the way phone numbers are dictated: digit by digit, in pairs, in hundreds. Where two
readings are possible ("חמישים שתיים": 52 or 50-2) both are given and the caller of this module picks
the one that makes a phone number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from callbot.models.offline.phrases import table
from callbot.models.offline.text import Utterance, is_hebrew


@dataclass(frozen=True, slots=True)
class Run:
    """Words ``start`` to ``end`` (exclusive) are digits; ``readings`` are what they may say."""

    start: int
    end: int
    readings: tuple[str, ...]
    plus: bool = False

    @property
    def digits(self) -> str:
        """The likeliest reading."""
        return self.readings[0]


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    value: str
    linked: bool = False
    """Said with "and" (Hebrew ו) before it."""
    english: bool = False


@cache
def _words() -> dict[str, tuple[str, str]]:
    data = table("numbers")
    known: dict[str, tuple[str, str]] = {}
    for kind in ("units", "teens", "tens", "hundred", "repeat"):
        for value, spoken in data[kind].items():
            known.update(dict.fromkeys(spoken, (kind, value)))
    for kind in ("hundreds", "plus", "filler"):
        known.update({word: (kind, "") for word in data[kind] if word not in known})
    return known


@cache
def teen_endings() -> frozenset[str]:
    """Words that make a teen of the unit before them."""
    return frozenset(table("numbers")["teen_ending"])


def number_word(word: str) -> str | None:
    """The digits of a single number word, or of a word of digits; None for any other word."""
    if word.isdecimal():
        return word
    kind, value = _words().get(word, ("", ""))
    return value if kind in ("units", "teens", "tens") else None


def _part(word: str) -> _Part | None:
    if word.isascii() and word.isdecimal():
        return _Part("digits", word)
    known = _words()
    if entry := known.get(word):
        return _Part(*entry, english=not is_hebrew(word))
    if word[0] == "ו" and (entry := known.get(word[1:])) and entry[0] != "filler":
        return _Part(*entry, linked=True)
    return None


def digit_runs(said: Utterance) -> tuple[Run, ...]:
    """All runs of digits, in order. Words such as "dash" between digits do not break a run."""
    runs: list[Run] = []
    parts: list[_Part] = []
    start = end = 0
    for index, word in enumerate(said.words):
        part = _part(word)
        if part is None:
            if parts:
                runs.extend(_run(parts, start, end))
                parts = []
        elif part.kind == "filler":
            continue
        else:
            if not parts:
                start = index
            plain_plus = part.kind == "digits" and said.clean[: said.starts[index]].endswith("+")
            if plain_plus and not parts:
                parts.append(_Part("plus", ""))
            parts.append(_merged_teen(parts, part, word))
            end = index + 1
    if parts:
        runs.extend(_run(parts, start, end))
    return tuple(runs)


def _merged_teen(parts: list[_Part], part: _Part, word: str) -> _Part:
    """A teen of two words ("שתים עשרה") is one number: the unit before it is taken back."""
    if word in teen_endings() and parts and parts[-1].kind == "units" and parts[-1].value != "0":
        return _Part("teens", "1" + parts.pop().value)
    return part


def _run(parts: list[_Part], start: int, end: int) -> list[Run]:
    readings = list(dict.fromkeys((_digits(parts, loose=True), _digits(parts, loose=False))))
    plus = parts[0].kind == "plus"
    return [Run(start, end, tuple(readings), plus)] if readings[0] else []


def _digits(parts: list[_Part], *, loose: bool) -> str:
    """Digits of a run. ``loose``: tens and a unit make one number even without "and" between them."""
    out: list[str] = []
    index = 0
    while index < len(parts):
        part = parts[index]
        following = parts[index + 1] if index + 1 < len(parts) else None
        if part.kind in ("digits", "teens"):
            out.append(part.value)
        elif part.kind == "units":
            if following is not None and following.kind == "hundreds":
                number, index = _hundreds(parts, index + 2, int(part.value))
                out.append(number)
                continue
            out.append(part.value)
        elif part.kind == "tens":
            if _joins(part, following, loose=loose):
                assert following is not None
                out.append(part.value[0] + following.value)
                index += 1
            else:
                out.append(part.value)
        elif part.kind == "hundred":
            number, index = _hundreds(parts, index + 1, int(part.value))
            out.append(number)
            continue
        elif part.kind == "repeat" and following is not None and following.kind in ("units", "digits"):
            out.append(following.value * int(part.value))
            index += 1
        index += 1
    return "".join(out)


def _joins(tens: _Part, following: _Part | None, *, loose: bool) -> bool:
    if following is None or following.kind != "units" or following.value == "0":
        return False
    return loose or following.linked or tens.english


def _hundreds(parts: list[_Part], index: int, hundreds: int) -> tuple[str, int]:
    """A number from its hundreds on; smaller parts belong to it when "and" links the last of them."""
    value = hundreds * 100
    if index < len(parts) and parts[index].kind in ("tens", "teens"):
        after = parts[index + 1] if index + 1 < len(parts) else None
        value += int(parts[index].value)
        index += 1
        if (
            after is not None
            and parts[index - 1].kind == "tens"
            and after.kind == "units"
            and after.value != "0"
        ):
            value += int(after.value)
            index += 1
    elif index < len(parts) and parts[index].kind == "units" and parts[index].linked:
        value += int(parts[index].value)
        index += 1
    return str(value), index
