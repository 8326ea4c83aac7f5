"""English: num2words says numbers; these rules say which of its ways applies."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from num2words import num2words

from callbot.speech.speakable.numbers import digits, words_of

_WORDS = words_of("en")
_OCLOCK = "o'clock"
_N = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"


def _any_of(keys: dict[str, str] | dict[str, list[str]]) -> str:
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))


_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _WORDS.months) + "|Sept"
_ABBREVIATION = re.compile(rf"(?<![\w.])(?:{_any_of(_WORDS.abbreviations)})(?!\w)", re.IGNORECASE)
_STREET = re.compile(r"(?<=[a-z]\s)St\.(?!\s+[A-Z][a-z])")
_SAINT = re.compile(r"\bSt\.(?=\s+[A-Z])")
_WEEKDAY = re.compile(
    rf"\b(?P<day>{_any_of(_WORDS.weekdays)})\b(?:\.(?=\s+\S))?"
    r"(?=\s*(?:[\d,;:&\u2013-]|to\b|through\b|and\b|or\b|at\b|from\b|\.?$))"
)
"""Only where a list, a range or a time follows: "Sun City" is a name."""
_WEEKDAYS = re.compile(r"(day)\s*[-\u2013]\s*(?=(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)")
_ISO_DATE = re.compile(r"(?<![\d-])(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?![\d-])")
_NUMERIC_DATE = re.compile(r"(?<![\d./-])(?P<a>\d{1,2})([./-])(?P<b>\d{1,2})\2(?P<y>\d{4}|\d{2})(?![\d/-])")
_SLASHED = re.compile(r"(?<![\d/])(?P<a>\d{1,2})/(?P<b>\d{1,2})(?![\d/])")
_MONTH_DAY = re.compile(
    rf"\b(?P<m>{_MONTH})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:.]\d|\d)(?:,?\s+(?P<y>\d{{4}})\b)?"
)
_DAY_MONTH = re.compile(
    rf"(?<!\d)(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m>{_MONTH})\b\.?(?:,?\s+(?P<y>\d{{4}})\b)?"
)
_TIME = re.compile(
    r"(?<![\d:])(?P<h>\d{1,2})(?::(?P<min>\d{2}))?(?P<half>\s*[ap]\.?\s?m\b\.?)|"
    r"(?<![\d:])(?P<h24>\d{1,2}):(?P<min24>\d{2})(?![\d:])",
    re.IGNORECASE,
)
_MONEY = re.compile(
    rf"(?P<before>{_any_of(_WORDS.currencies)})\s?(?P<n1>{_N})(?!\d)|"
    rf"(?<![\d.,])(?P<n2>{_N})\s?(?P<after>{_any_of(_WORDS.currencies)})(?![A-Za-z])"
)
_UNIT = re.compile(
    rf"(?<![\d.,])(?P<n>{_N})\s?(?P<unit>{_any_of(_WORDS.units)})(?![\w°])(?:\.(?=\s+[a-z\d]))?(?!\d)"
)
_RANGE = re.compile(r"(?<=\d)(?P<left>\s*(?:%|[ap]\.?m\.?)?)\s*[-\u2013]\s*(?=[$€£₪]?\d)", re.IGNORECASE)
_CHAIN = re.compile(r"(?<![\d-])\d+(?:-\d+){2,}(?![\d-])")
_YEAR = re.compile(
    r"(?P<lead>\b(?:in|since|until|from|by|year|of)\s+)(?P<y>(?:19|20)\d{2})(?![\d:%]|[.,]\d)", re.IGNORECASE
)
_ORDINAL = re.compile(r"(?<!\d)(?P<n>\d{1,4})(?:st|nd|rd|th)\b", re.IGNORECASE)
_CODE = re.compile(r"(?<![\d.,])(?:0\d+|\d{7,})(?![.,]?\d)")
_DOTTED = re.compile(r"\d+(?:\.\d+){2,}")
_NEGATIVE = re.compile(r"(?<![\w-])-(?=\d)")
_NUMBER = re.compile(_N)
_NUMBER_SIGN = re.compile(r"#\s*(?=\d)")
_BY = re.compile(r"(?<=\d)\s*[xX×]\s*(?=\d)")
_JOINED = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")


def said(text: str, region: str) -> str:
    """An English text in words; ``region`` says whether 3/4 is in March (US) or in April."""
    text = text.replace("\u2044", "/")
    for rule in _RULES:
        text = rule(text)
    text = _dates(text, month_first=region in {"US", "PH", "FM", "PW", "MH"})
    for rule in _LATER_RULES:
        text = rule(text)
    return text


def _number(text: str) -> str:
    """A number that is an amount."""
    plain = text.replace(",", "")
    if len(plain.partition(".")[0]) > 15 or len(plain) > 24:
        return digits(plain, "en")
    whole, _, part = plain.partition(".")
    words = str(num2words(int(whole))).replace(",", "")  # its commas would be pauses
    return f"{words} point {digits(part, 'en').replace(',', '')}" if part else words


def _counted(number: str, forms: list[str]) -> str:
    return f"{_number(number)} {forms[0] if number == '1' else forms[1]}"


def _abbreviations(text: str) -> str:
    table = {short.casefold(): full for short, full in _WORDS.abbreviations.items()}
    text = _SAINT.sub("Saint", _STREET.sub("Street", text))

    def full(found: re.Match[str]) -> str:
        word = table[found[0].casefold()]
        if found[0].casefold() == "no." and not re.match(r"\s*\d", found.string[found.end() :]):
            return found[0]  # "No." may be an answer
        return word

    text = _ABBREVIATION.sub(full, text)
    text = _WEEKDAY.sub(lambda found: _WORDS.weekdays[found["day"]], text)
    return _WEEKDAYS.sub(rf"\1 {_WORDS.to} ", text)


def _signs(text: str) -> str:
    text = _NUMBER_SIGN.sub(f"{_WORDS.number} ", text)
    return _BY.sub(f" {_WORDS.times} ", text)


def _chains(text: str) -> str:
    """``4-7-1`` is dictated, ``3-4 days`` is a range; dates with hyphens are neither."""

    def dictated(found: re.Match[str]) -> str:
        if _ISO_DATE.fullmatch(found[0]) or _NUMERIC_DATE.fullmatch(found[0]):
            return found[0]
        return digits(found[0], "en")

    return _CHAIN.sub(dictated, text)


def _dates(text: str, *, month_first: bool) -> str:
    def numeric(found: re.Match[str]) -> str:
        a, b = int(found["a"]), int(found["b"])
        year = int(found["y"]) + (2000 if len(found["y"]) == 2 else 0)
        day, month = (b, a) if month_first else (a, b)
        if month > 12:
            day, month = month, day
        return _date(day, month, year) or found[0]

    def slashed(found: re.Match[str]) -> str:
        if found[0] == "24/7":
            return _WORDS.around_the_clock
        if found[0] in _WORDS.fractions:
            return _WORDS.fractions[found[0]]
        a, b = int(found["a"]), int(found["b"])
        day, month = (b, a) if month_first else (a, b)
        if month > 12:
            day, month = month, day
        return _date(day, month, None) or f"{a} {b}"

    def named(found: re.Match[str]) -> str:
        month = next(n for n, name in enumerate(_WORDS.months, 1) if name.startswith(found["m"][:3]))
        return _date(int(found["d"]), month, int(found["y"]) if found["y"] else None) or found[0]

    text = _ISO_DATE.sub(
        lambda found: _date(int(found["d"]), int(found["m"]), int(found["y"])) or found[0], text
    )
    text = _NUMERIC_DATE.sub(numeric, text)
    text = _SLASHED.sub(slashed, text)
    return _DAY_MONTH.sub(named, _MONTH_DAY.sub(named, text))


def _date(day: int, month: int, year: int | None) -> str | None:
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    said = f"{_WORDS.months[month - 1]} {num2words(day, to='ordinal')}"
    return f"{said}, {num2words(year, to='year')}" if year else said


def _ranges(text: str) -> str:
    return _RANGE.sub(rf"\g<left> {_WORDS.to} ", text)


def _times(text: str) -> str:
    def read(found: re.Match[str]) -> str:
        hour, minute = int(found["h"] or found["h24"]), int(found["min"] or found["min24"] or 0)
        if minute > 59 or hour > 24 or (found["half"] and not 1 <= hour <= 12):
            return found[0]
        half = found["half"].strip()[0].upper() + " M" if found["half"] else ""
        if hour in {0, 24} and minute == 0:
            return "midnight"
        if hour > 12 or hour == 0:
            half, hour = "P M" if 12 < hour < 24 else "A M", hour % 12 or 12
        if minute:
            past = f"oh {num2words(minute)}" if minute < 10 else num2words(minute)
            return f"{num2words(hour)} {past} {half}".rstrip()
        return f"{num2words(hour)} {half or _OCLOCK}"

    return _TIME.sub(read, text)


def _money(text: str) -> str:
    def read(found: re.Match[str]) -> str:
        amount = (found["n1"] or found["n2"]).replace(",", "")
        one, many, cent, cents = _WORDS.currencies[found["before"] or found["after"]]
        whole, _, part = amount.partition(".")
        if len(part) > 2 or len(whole) > 15:
            return f"{_number(amount)} {many}"
        minor = int(Decimal(f"0.{part}") * 100) if part else 0
        said = [_counted(whole.lstrip("0") or "0", [one, many])] if int(whole) or not minor else []
        if minor:
            said.append(_counted(str(minor), [cent, cents]))
        return " and ".join(said)

    return _MONEY.sub(read, text)


def _units(text: str) -> str:
    return _UNIT.sub(lambda found: _counted(found["n"], _WORDS.units[found["unit"]]), text)


def _years(text: str) -> str:
    return _YEAR.sub(lambda found: f"{found['lead']}{num2words(int(found['y']), to='year')}", text)


def _codes(text: str) -> str:
    text = _DOTTED.sub(lambda found: f" {_WORDS.dot} ".join(found[0].split(".")), text)
    return _CODE.sub(lambda found: digits(found[0], "en"), text)


def _numbers(text: str) -> str:
    text = _ORDINAL.sub(lambda found: str(num2words(int(found["n"]), to="ordinal")), text)
    text = _NEGATIVE.sub("minus ", text)
    return _NUMBER.sub(lambda found: _number(found[0]), _JOINED.sub(" ", text))


_RULES: tuple[Callable[[str], str], ...] = (_abbreviations, _signs, _chains)
_LATER_RULES: tuple[Callable[[str], str], ...] = (
    _ranges,
    _times,
    _money,
    _units,
    _years,
    _codes,
    _numbers,
)
