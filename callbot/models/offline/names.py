"""Names of people in what callers say."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from callbot.models.offline.numbers import number_word
from callbot.models.offline.phrases import Found, lexicon, table, words
from callbot.models.offline.sorts import listed
from callbot.models.offline.text import Utterance, is_hebrew, utterance
from callbot.models.offline.times import find_time

_MOST_WORDS = 4
_HOUSE_NUMBER = 4
"""Most digits of a house's number."""


class NameSpan(NamedTuple):
    """Words ``start`` to ``end`` (exclusive). ``announced``: the caller said that it is a name."""

    start: int
    end: int
    announced: bool


@cache
def first_names() -> frozenset[str]:
    """Common first names, both languages."""
    data = table("names")
    return frozenset(data["first"]) | frozenset(data["first_en"])


@cache
def _doubtful() -> frozenset[str]:
    """First names that are everyday words as well."""
    return frozenset(table("names")["also_words"])


@cache
def _openers() -> frozenset[str]:
    """Words whose capital is the beginning of a sentence, and of no name."""
    return frozenset(table("names")["openers_en"])


def _blocked(word: str) -> bool:
    if word in words("stop", "name") or (
        len(word) > 4 and word[0] == "ה" and word[1:] in words("stop", "name")
    ):
        return word not in _doubtful()
    return (number_word(word) is not None and word not in first_names()) or word.isdecimal()


def find_name(
    said: Utterance,
    *,
    asked: bool,
    taken: frozenset[int] = frozenset(),
    doubt: bool = False,
    third: bool = True,
) -> NameSpan | None:
    """The caller's name, or None.

    ``taken``: words that are known to be something else. ``doubt``: the caller does other things in
    this turn, so that bare words must be a well-known name. ``third``: "his name is" announces it too.
    """
    cues = lexicon("names").find(said)
    tags = ("cue", "weak", "third") if third else ("cue", "weak")
    announced = _after_cue(said, cues, tags, asked=asked, taken=taken) or _alone(said, cues, taken)
    if announced is not None or not asked:
        return announced
    return _bare(said, cues, taken, doubt=doubt)


def third_name(said: Utterance, taken: frozenset[int] = frozenset()) -> tuple[int, int, int] | None:
    """Somebody else's name, announced ("קוראים לו רקס", "a cat called Tom", "my son Adam").

    Where the words begin that announce it, where the name begins and where it ends.
    """
    found = None
    for cue in lexicon("names").find(said):
        if cue.tag != "third" or (cue.start and said.words[cue.start - 1] in ("לא", "not", "dont", "i")):
            continue
        start = cue.end
        if start < len(said.words) and said.words[start] in ("לו", "לה", "להם", "הוא", "היא", "is"):
            start += 1
        span = _run(said, start, taken, said.clause_end(cue.start)) if start < len(said.words) else None
        if span is not None:
            found = cue.start, *span
    return found or _relation(said, taken)


def _relation(said: Utterance, taken: frozenset[int]) -> tuple[int, int, int] | None:
    """A well-known name right after "my son", "לבת שלי"."""
    for index, word in enumerate(said.words):
        if word not in listed("relations") and word[1:] not in listed("relations"):
            continue
        start = index + 1
        if is_hebrew(word):
            if start >= len(said.words) or said.words[start] not in ("שלי", "שלנו"):
                continue
            start += 1
        elif not index or said.words[index - 1] not in ("my", "our"):
            continue
        if start < len(said.words) and said.words[start] in first_names():
            span = _run(said, start, taken, said.clause_end(start))
            if span is not None:
                return index, *span
    return None


def name_run(said: Utterance, start: int, end: int) -> tuple[int, int] | None:
    """The longest run of words from ``start`` that can be a name."""
    while start < end and said.words[start] in words("names", "after"):
        start += 1
    return _run(said, start, frozenset(), end) if start < end else None


def doubled(said: Utterance, span: NameSpan) -> NameSpan:
    """The fuller name where a name is said twice: "נירית, נירית סלע"."""
    start = span.end
    if start < len(said.words) and said.breaks[start]:
        again = _run(said, start, frozenset(), said.clause_end(start))
        fuller = again is not None and span.end - span.start < again[1] - again[0] <= _FULL_NAME
        if again is not None and fuller and said.words[span.start] in said.words[again[0] : again[1]]:
            return NameSpan(*again, announced=span.announced)
    return span


_FULL_NAME = 3


def _after_cue(
    said: Utterance, cues: list[Found], tags: tuple[str, ...], *, asked: bool, taken: frozenset[int]
) -> NameSpan | None:
    """A name after "my name is", "קוראים לי" and their like."""
    weak: NameSpan | None = None
    for cue in cues:
        if cue.tag not in tags or (cue.start and said.words[cue.start - 1] in ("לא", "not", "dont")):
            continue
        span = _run(said, cue.end, taken, said.clause_end(cue.start))
        if span is None:
            continue
        strong = cue.tag != "weak"
        known = said.words[span[0]] in first_names()
        if strong or known:
            if said.words[span[0]] in _doubtful() and not strong and not asked:
                continue
            return NameSpan(*span, announced=True)
        if (
            (asked or _written_as_name(said, span, said.words[cue.end - 1]))
            and weak is None
            and _closed(said, span)
        ):
            weak = NameSpan(*span, announced=True)
    return weak


def _written_as_name(said: Utterance, span: tuple[int, int], cue: str) -> bool:
    """Whether two or three words with capitals ("I'm Becky Shaw") are all that the clause says."""
    if cue in listed("speaking") and span[1] - span[0] == _FULL_NAME - 1:
        return not lexicon("acts").find(utterance(said.slice(*span)))
    return span[1] - span[0] in (2, _FULL_NAME) and all(
        said.clean[said.starts[i]].isupper() and len(said.words[i]) > 1 for i in range(*span)
    )


def _alone(said: Utterance, cues: list[Found], taken: frozenset[int]) -> NameSpan | None:
    """A well-known first name that is all there is in its clause ("דנה לוי מדברת", "Dana Levi here")."""
    speaking = {found.start for found in cues if found.tag in ("before", "weak")}
    for start in range(len(said.words)):
        if said.words[start] not in first_names() or (
            start and not said.breaks[start] and start not in _after(cues)
        ):
            continue
        span = _run(said, start, taken, said.clause_end(start))
        if span is None or span[1] - start > 3 or (span[1] - start == 1 and said.words[start] in _doubtful()):
            continue
        whole = span[1] == len(said.words) and (start == 0 or start in _after(cues))
        if whole or (span[1] in speaking and _closed(said, span)):
            return NameSpan(*span, announced=False)
    return None


def _after(cues: list[Found]) -> set[int]:
    return {found.end for found in cues if found.tag == "after"}


def _closed(said: Utterance, span: tuple[int, int]) -> bool:
    """Whether nothing of the clause is left after the name but polite words."""
    rest = said.clause_end(span[0])
    tail = lexicon("names").find(said)
    ends = {found.end for found in tail if found.tag == "before" and found.start == span[1]}
    return span[1] == rest or rest in ends


def _run(said: Utterance, start: int, taken: frozenset[int], clause_end: int) -> tuple[int, int] | None:
    """The longest run of words from ``start`` that can be a name."""
    if start < len(said.words) and said.breaks[start]:
        clause_end = said.clause_end(start)
    end = start
    while end < clause_end and end - start < _MOST_WORDS and end not in taken:
        word = said.words[end]
        surname = end > start and said.clean[said.starts[end]].isupper() and word not in _openers()
        if (_blocked(word) and not surname) or (end > start and _opens_phrase(said, start, end)):
            break
        end += 1
    return (start, end) if end > start and any(len(said.words[i]) > 1 for i in range(start, end)) else None


def _opens_phrase(said: Utterance, start: int, index: int) -> bool:
    """Whether a later word begins something else: "מרמת גן", "ואני צריך", "from Haifa"."""
    word = said.words[index]
    if not is_hebrew(word):
        return False
    if word[0] == "ו" and len(word) > 3 and (_blocked(word[1:]) or word[1:] in words("acts", "need")):
        return True
    return (
        index - start >= 2
        and word[0] in "מבלש"
        and len(word) > 3
        and said.words[index - 1] not in ("בן", "בת", "בר")
    )


def _bare(said: Utterance, cues: list[Found], taken: frozenset[int], *, doubt: bool) -> NameSpan | None:
    """A name given without a word around it, because it was asked for."""
    before = {found.start: found.end for found in cues if found.tag in ("after", "cue")}
    index = 0
    while index < len(said.words):
        end = said.clause_end(index)
        start = index
        while start < end and start in before and said.words[start] not in first_names() - {"שלום"}:
            start = min(before[start], end)
        span = _run(said, start, taken, end) if start < end else None
        strange = doubt and start < len(said.words) and said.words[start] not in first_names()
        if span is not None and not strange and _plausible(said, span, end):
            return NameSpan(*span, announced=False)
        index = end
    return None


def _plausible(said: Utterance, span: tuple[int, int], clause_end: int) -> bool:
    """Whether a bare run of words is a name and not some other short answer."""
    start, end = span
    if said.words[start] in _doubtful() and end - start == 1 and said.words[start] == "שלום":
        return False
    if end == clause_end or _closed(said, span) or _phone_follows(said, end):
        return not (end - start > 2 and said.words[start] not in first_names())
    return said.words[start] in first_names()


def _phone_follows(said: Utterance, index: int) -> bool:
    """Whether what follows is dictated digits, and not the number of a house."""
    digits = [number_word(word) or "" for word in said.words[index:]]
    return bool(digits[0]) and len("".join(digits)) > _HOUSE_NUMBER


def may_be_name(said: Utterance) -> bool:
    """Whether the words could be a name at all: few, of letters, none of them an everyday word."""
    return 0 < len(said.words) <= _MOST_WORDS and not any(_blocked(word) for word in said.words)


def has_time(said: Utterance, span: NameSpan) -> bool:
    """Whether the would-be name is (part of) a time."""
    time = find_time(said, asked=True)
    return time is not None and time.start < span.end and span.start < time.end
