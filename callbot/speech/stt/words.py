"""What recognisers write, as the words of a telephone call.

Notes of sounds ("[noise]", "(music)") are no words; a full stop at the end says nothing. A number
that was dictated digit by digit is written in digits, as a phone number is read: recognisers do so
mostly, not always.
"""

from __future__ import annotations

import re

from callbot.fields import printable

_SOUNDS = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|\*[^*]*\*|<[^<>]*>|[♪♫]+")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_EDGES = " \t\n.,;:…-–—\"'“”„‘’"
_DIGITS = {
    "en": {
        **{
            word: str(digit)
            for digit, word in enumerate(
                ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
            )
        },
        "oh": "0",
        "o": "0",
    },
    "he": {
        "אפס": "0",
        **dict.fromkeys(("אחת", "אחד"), "1"),
        **dict.fromkeys(("שתיים", "שניים", "שתים", "שנים"), "2"),
        **dict.fromkeys(("שלוש", "שלושה"), "3"),
        **dict.fromkeys(("ארבע", "ארבעה"), "4"),
        **dict.fromkeys(("חמש", "חמישה"), "5"),
        **dict.fromkeys(("שש", "שישה"), "6"),
        **dict.fromkeys(("שבע", "שבעה"), "7"),
        **dict.fromkeys(("שמונה",), "8"),
        **dict.fromkeys(("תשע", "תשעה"), "9"),
    },
}
_SHORTEST_NUMBER = 4
"""Digits said one by one: fewer may be a count ("one or two")."""


def clean_words(text: str, language: str) -> str:
    """One line of what was said; empty if nothing was."""
    said = " ".join(_SOUNDS.sub(" ", _DIRECTION.sub("", printable(text))).split()).strip(_EDGES)
    return _dictated(said, _DIGITS.get(language, {}))


def _dictated(text: str, digits: dict[str, str]) -> str:
    """Runs of digit words (and of single digits among them) as one number."""
    out: list[str] = []
    run: list[str] = []
    for word in [*text.split(" "), ""]:
        bare = word.lower().strip(".,-")
        digit = digits.get(bare) or (bare if len(bare) == 1 and bare.isascii() and bare.isdigit() else None)
        if digit is not None:
            run.append(word)
            continue
        out += _number(run, digits)
        run = []
        out.append(word)
    return " ".join(out).rstrip()


def _number(run: list[str], digits: dict[str, str]) -> list[str]:
    bare = [word.lower().strip(".,-") for word in run]
    if len(run) < _SHORTEST_NUMBER:
        return run
    return ["".join(digits.get(word, word) for word in bare)]
