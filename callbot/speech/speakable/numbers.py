"""Digits, said one by one, and phone numbers, dictated in groups with pauses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import phonenumbers
import yaml

_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}")
_DIGITS = re.compile(r"\d+")
_LONGEST_GROUP = 4
"""Digits said in one breath."""
_LEAST_PHONE_DIGITS = 7


@dataclass(frozen=True)
class Words:
    """What a language says for signs; see ``words.yaml``."""

    star: str
    plus: str
    at: str
    dot: str
    to: str
    times: str
    number: str
    around_the_clock: str
    digits: tuple[str, ...]
    months: tuple[str, ...]
    signs: dict[str, str]
    weekdays: dict[str, str]
    fractions: dict[str, str]
    abbreviations: dict[str, str]
    currencies: dict[str, list[str]]
    units: dict[str, list[str]]


@cache
def words_of(language: str) -> Words:
    """The words of a language."""
    text = (Path(__file__).parent / "words.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)[language]
    return Words(
        **{"currencies": {}, "units": {}, **table, "digits": tuple(table["digits"])},
    )


def digits(text: str, language: str) -> str:
    """The digits of ``text`` one by one, a pause after each group of at most four."""
    table = words_of(language).digits
    groups = [piece for run in _DIGITS.findall(text) for piece in _breaths(run)]
    return ", ".join(" ".join(table[int(digit)] for digit in group) for group in groups)


def _breaths(run: str) -> list[str]:
    """A run of digits in groups of three, the last of two to four: 1234567 as 123 4567."""
    groups = []
    while len(run) > _LONGEST_GROUP:
        groups.append(run[:3])
        run = run[3:]
    return [*groups, run]


def phones(text: str, language: str, region: str) -> str:
    """``text`` with its phone numbers in words, grouped as their country writes them."""
    said: list[str] = []
    end = 0
    for found in phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.POSSIBLE):
        if not _is_phone(found):
            continue
        said += (text[end : found.start], _dictated(found, language, region))
        end = found.end
    return "".join([*said, text[end:]])


def _is_phone(found: phonenumbers.PhoneNumberMatch) -> bool:
    """Whether what could be a phone is one: dates, ranges and prices could be, too."""
    raw = found.raw_string
    if _DATE.fullmatch(raw) or sum(map(str.isdigit, raw)) < _LEAST_PHONE_DIGITS:
        return False
    return raw[0] in "+0(" or (not raw.isdigit() and phonenumbers.is_valid_number(found.number))


def _dictated(found: phonenumbers.PhoneNumberMatch, language: str, region: str) -> str:
    own = found.number.country_code == phonenumbers.country_code_for_region(region)
    form = phonenumbers.PhoneNumberFormat.NATIONAL if own else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    number = phonenumbers.format_number(found.number, form)
    spoken = digits(number, language)
    return spoken if own else f"{words_of(language).plus} {spoken}"
