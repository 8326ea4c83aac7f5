"""Hebrew as espeak can say it: vowels put in by Nakdimon, read by phonikud, written as espeak's phonemes.

Left alone, espeak reads unvocalised Hebrew as mere consonants, and names the points of vocalised one.
Nakdimon comes in the wheel of piper-tts (GPL-3.0), phonikud is CC-BY-4.0: both only with the extra
``hebrew``. Thread-bound work of some 50 ms a sentence.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from callbot.errors import CallbotError

_HEBREW = re.compile(r"[\u0591-\u05f4]+(?:[\s\u05be,.!?;:'\"-]+[\u0591-\u05f4]+)*")
_WORD = re.compile(r"[^\s,.!?;:]+")
_MNEMONICS = str.maketrans({"ʃ": "S", "ʒ": "Z", "ʁ": "R", "χ": "X", "ʔ": "?", "ɡ": "g", "ˈ": "'"})
"""IPA of phonikud's to the phoneme names of espeak's Hebrew voice; the other letters are the same in both."""
_ENDS = (".", "?", "!")
_KNOWN = re.compile(r"[^a-zA-Z?']")


def phonemes(text: str) -> str:
    """``text`` with each Hebrew word as ``[[...]]``, for ``espeak_Synth`` with its phoneme flag.

    Raises CallbotError where the extra is not installed.
    """
    diacritise, phonemise = _parts()

    def spoken(found: re.Match[str]) -> str:
        return _WORD.sub(_mnemonics, str(phonemise(found[0])))

    plain = text.replace("[", " ").rstrip()
    if not plain.endswith(_ENDS):
        plain += "."  # Nakdimon learnt from sentences: a last word without a stop gets wrong vowels
    return _HEBREW.sub(spoken, str(diacritise(plain)))


def _mnemonics(word: re.Match[str]) -> str:
    said = _KNOWN.sub("", word[0].translate(_MNEMONICS))
    return f"[[{said}]]" if said else ""


@cache
def _parts() -> tuple[Any, Any]:
    try:
        from phonikud import phonemize
        from piper.hebrew import NakdimonDiacritizer
    except ImportError as error:
        raise CallbotError(
            f"the voice espeak-hebrew needs {error.name}: pip install 'callbot[hebrew]' (its parts are GPL and CC-BY)"
        ) from error
    return NakdimonDiacritizer(), phonemize


def load() -> None:
    """Load the models. Raises CallbotError where the extra is not installed."""
    _parts()
