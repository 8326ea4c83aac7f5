"""Hebrew: heb-tts-normalizer reads numbers, times, money, dates and units; these are the rules it lacks.

Each rule writes what the library reads well, or words.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import heb_tts_normalizer

from callbot.speech.speakable.numbers import digits, words_of

_WORDS = words_of("he")

_GERSHAYIM = re.compile(r"(?<=[\u05d0-\u05ea])[\"\u201c\u201d](?=[\u05d0-\u05ea](?![\u05d0-\u05ea]))")
_GERESH = re.compile(r"(?<=[\u05d0-\u05ea])['\u2018\u2019]")
_DAYS = re.compile(
    r"(?P<head>(?<![\u05d0-\u05ea])[\u05d1\u05dc\u05de\u05d4\u05d5\u05db\u05e9]{0,2}(?:יום|ימים|ימי))"
    r"(?P<days>(?:[\s,\u2013-]+\u05d5?-?[א-וש]\u05f3)+|\s+[א-וש]\s*[-\u2013]\s*[א-וש](?![\u05d0-\u05ea]))"
)
_DAY = re.compile(r"(?<![\u05d0-\u05ea])(?P<and>\u05d5?)-?(?P<day>[א-וש])(?:\u05f3|(?![\u05d0-\u05ea]))")
_TIME_RANGE = re.compile(r"(\d{1,2}:\d\d)\s*[-\u2013]\s*(?=\d{1,2}:\d\d)")
_MARKED_RANGE = re.compile(r"(\d\s*[%₪$€])\s*[-\u2013]\s*(?=[₪$€]?\d)")
_PRICE_RANGE = re.compile(r"(?<![\d-])(\d+)\s*[-\u2013]\s*(?=\d+\s*(?:ש\u05f4ח|₪))")
_MIDNIGHT = re.compile(r"(?<!\d)24:00(?!\d)")
_SLASHED = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?![\d/])")
_BY = re.compile(r"(?<=\d)\s*[xX×]\s*(?=\d)")
_CODE = re.compile(r"(?<![\d.,:/])(?:0\d+|\d{7,}|\d+(?:-\d+){2,})(?![\d:/]|[.,]\d)")
_DOTTED = re.compile(r"\d+(?:\.\d+){2,}")
_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.(?:\d{2}|\d{4})")
_NUMBER_SIGN = re.compile(r"#\s*(?=\d)")
_JOINED = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[A-Za-z])(?=\d)")
_DAY_RANGE = re.compile(
    r"(?<=[א-וש]\u05f3)\s*[-\u2013]\s*(?=[א-וש])|(?<=\s[א-ו])\s*[-\u2013]\s*(?=[א-וש](?!\u05f3))"
)
_DAY_OF_HOURS = re.compile(r"(?<![\u05d0-\u05ea])(?P<day>[א-וש])\u05f3(?=[\s:,]*\d{1,2}:\d\d)")
_PREFIX = re.compile(r"(?<![\u05d0-\u05ea])([ובכלמהש]{1,3})-(?=[\u05d0-\u05ea])")
_AND = re.compile(r"(?<!\S)\u05d5\s+(?=[\u05d0-\u05ea])")


def said(text: str, region: str) -> str:
    """A Hebrew text in words."""
    text = _GERSHAYIM.sub("\u05f4", _GERESH.sub("\u05f3", text))
    for rule in _RULES:
        text = rule(text)
    text = _abbreviations(heb_tts_normalizer.normalize(_JOINED.sub(" ", text.replace("&", " ו"))))
    return _AND.sub("ו", _PREFIX.sub(r"\1", text))


def _weekdays(text: str) -> str:
    """``ימים א׳-ה׳``: the library would read the letters."""

    def name(found: re.Match[str]) -> str:
        return f"{found['and']}{_WORDS.weekdays[found['day']]}"

    def named(found: re.Match[str]) -> str:
        days = _DAY_RANGE.sub(f" {_WORDS.to} ", found["days"])
        return f"{found['head']}{_DAY.sub(name, days)}"

    text = _DAYS.sub(named, text)
    return _DAY_OF_HOURS.sub(lambda found: f"יום {_WORDS.weekdays[found['day']]}", text)


def _ranges(text: str) -> str:
    text = _MIDNIGHT.sub("00:00", text)
    for pattern in (_TIME_RANGE, _MARKED_RANGE, _PRICE_RANGE):
        text = pattern.sub(rf"\1 {_WORDS.to} ", text)
    return text


def _slashed(text: str) -> str:
    """``27/11`` is a date and ``1/2`` a half."""

    def read(found: re.Match[str]) -> str:
        if found[0] == "24/7":
            return _WORDS.around_the_clock
        if found[0] in _WORDS.fractions:
            return _WORDS.fractions[found[0]]
        day, month = int(found[1]), int(found[2])
        if 1 <= day <= 31 and 1 <= month <= 12:
            return f"{day} ב{_WORDS.months[month - 1]}"
        return f"{found[1]} {found[2]}"

    return _SLASHED.sub(read, text.replace("\u2044", "/"))


def _codes(text: str) -> str:
    """Numbers that are names of things rather than amounts: one digit after the other."""
    dotted = _DOTTED.sub(
        lambda found: found[0] if _DATE.fullmatch(found[0]) else f" {_WORDS.dot} ".join(found[0].split(".")),
        text,
    )
    return _CODE.sub(lambda found: digits(found[0], "he"), dotted)


def _signs(text: str) -> str:
    text = _NUMBER_SIGN.sub(f"{_WORDS.number} ", text)
    return _BY.sub(f" {_WORDS.times} ", text)


def _abbreviations(text: str) -> str:
    for short, full in _WORDS.abbreviations.items():
        text = re.sub(rf"(?<![\u05d0-\u05ea]){short}(?![\u05d0-\u05ea])", full, text)
    return text


_RULES: tuple[Callable[[str], str], ...] = (_weekdays, _slashed, _ranges, _signs, _codes)
