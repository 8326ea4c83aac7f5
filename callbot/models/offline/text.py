"""Words of an utterance, and the forms of a word that count as the same.

Nothing here knows what words mean. ``Utterance`` keeps where each word stood, so that a value can be
returned in the caller's own spelling; ``stems`` folds Hebrew prefixes, plurals and English endings.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"\d+|[^\W\d_]+(?:['\"][^\W\d_]+)*'?")
_BREAK = re.compile(r"[,;!?\n()\[\]{}…]|[.:](?=\s|$)|\s-+\s|--")
_PLAIN: dict[int, str | None] = {
    **dict.fromkeys(range(0x0591, 0x05BE)),  # accents and niqqud
    **dict.fromkeys((0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7)),
    **dict.fromkeys((0xAD, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A))),
    **{ord(char): "'" for char in "’‘`׳´"},
    **{ord(char): '"' for char in "״“”"},
    **{ord(char): "-" for char in "־–—‑"},
}
"""What is dropped (marks that are not heard), and the one sign for signs that look alike."""
_FINALS = str.maketrans("ךםןףץ", "כמנפצ")
_HEBREW = re.compile(r"[א-ת]")
_LATIN = re.compile(r"[A-Za-z]")


class Utterance:
    """One text, cut into words. ``clean`` is the text that ``starts`` and ``ends`` point into."""

    __slots__ = ("breaks", "clean", "ends", "hebrew", "latin", "question_mark", "starts", "words")

    def __init__(self, text: str) -> None:
        self.clean = clean = _clean(text)
        words: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        breaks: list[bool] = []
        last = 0
        for match in _WORD.finditer(_lower(clean)):
            start = match.start()
            word = match.group()
            words.append(word.replace("'", "") if "'" in word and not is_hebrew(word) else word)
            starts.append(start)
            ends.append(match.end())
            breaks.append(bool(words) and start > last and _BREAK.search(clean, last, start) is not None)
            last = match.end()
        self.words, self.starts, self.ends, self.breaks = tuple(words), starts, ends, breaks
        self.question_mark = "?" in clean
        self.hebrew = sum(1 for word in words if _HEBREW.match(word))
        self.latin = sum(1 for word in words if _LATIN.match(word))

    def slice(self, start: int, end: int) -> str:
        """The text of words ``start`` to ``end`` (exclusive) as it was written."""
        return self.clean[self.starts[start] : self.ends[end - 1]] if start < end else ""

    def clause_end(self, start: int) -> int:
        """Index after the last word of the clause that ``start`` stands in."""
        for index in range(start + 1, len(self.words)):
            if self.breaks[index]:
                return index
        return len(self.words)


@lru_cache(maxsize=8192)
def utterance(text: str) -> Utterance:
    """The text cut into words; the same object for the same text."""
    return Utterance(text)


def _clean(text: str) -> str:
    """Without niqqud, direction marks and typographic quotes, spaces single, but case as it was."""
    return " ".join((text if text.isascii() else text.translate(_PLAIN)).split())


def _lower(text: str) -> str:
    """Lower case at the same length, so that offsets keep pointing at the same characters."""
    lower = text.lower()
    return (
        lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    )


def is_hebrew(word: str) -> bool:
    """Whether the word is written in Hebrew letters."""
    return "א" <= word[:1] <= "ת"


@lru_cache(maxsize=65536)
def stems(word: str) -> frozenset[str]:
    """Every form that ``word`` may stand for: itself, without prefixes, without endings."""
    if not is_hebrew(word):
        return frozenset(_english_stems(word))
    forms: set[str] = set()
    for base in _without_prefixes(word):
        forms |= _without_endings(base)
    return frozenset(forms)


@lru_cache(maxsize=65536)
def key_stems(word: str) -> frozenset[str]:
    """Forms of a word of a business file: only its article and ending may fall off."""
    if not is_hebrew(word):
        return frozenset(_english_stems(word))
    bases = {word}
    if word[0] == "ה" and len(word) > 3:
        bases.add(word[1:])
    return frozenset(form for base in bases for form in _without_endings(base))


def same(spoken: str, written: str) -> bool:
    """Whether a spoken word is a form of a written one."""
    return spoken == written or not stems(spoken).isdisjoint(key_stems(written))


def _without_prefixes(word: str) -> list[str]:
    bases = [word]
    rest = word
    for _ in range(3):
        if len(rest) < 4 or rest[0] not in "ובהלמשכ":
            break
        rest = rest[1:]
        bases.append(rest)
    if len(word) == 3 and word[0] in "ובהלמ":
        bases.append(word[1:])
    return bases


def _without_endings(word: str) -> set[str]:
    plain = word.translate(_FINALS)
    forms = {plain}
    for ending in ("יות", "ות", "ימ", "ית", "ת", "ה", "י"):
        if plain.endswith(ending) and len(plain) - len(ending) >= (
            2 if ending in ("ות", "ימ", "ה", "ת") else 3
        ):
            forms.add(plain[: -len(ending)])
    return forms


def _english_stems(word: str) -> set[str]:
    word = word.removesuffix("'s").rstrip("'").replace("'", "")
    forms = {word}
    for ending, least in (
        ("ies", 2),
        ("ing", 3),
        ("ed", 3),
        ("es", 3),
        ("s", 3),
        ("e", 3),
        ("ers", 3),
        ("er", 4),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith("ss"):
            base = word[: -len(ending)]
            forms.add(base + "y" if ending == "ies" else base)
            if ending in ("ing", "ed") and len(base) > 3 and base[-1] == base[-2]:
                forms.add(base[:-1])
    return forms
