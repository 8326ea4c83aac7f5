"""Times in the caller's own words: which words of an utterance say when."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from callbot.models.offline.numbers import number_word, teen_endings
from callbot.models.offline.phrases import Lexicon, table, words
from callbot.models.offline.text import Utterance, is_hebrew

_DAYS = frozenset(["ראשון", "שני", "שלישי", "רביעי", "חמישי", "שישי", "שבת"])


class TimeSpan(NamedTuple):
    """Words ``start`` to ``end`` (exclusive). ``firm``: a time even when nobody asked for one."""

    start: int
    end: int
    firm: bool


@cache
def _lexicon() -> Lexicon:
    data = table("times")
    return Lexicon({tag: data[tag] for tag in ("strong", "any", "now", "loose")}, prefixes="ושבלהמכ")


@cache
def _set(name: str) -> frozenset[str]:
    return frozenset(table("times")[name])


def find_time(
    said: Utterance, *, asked: bool, mends: bool = False, taken: Collection[int] = ()
) -> TimeSpan | None:
    """The words that say when, or None.

    ``asked``: a time was asked for, so that "five" is one. ``mends``: what was said first is taken
    back, so that the last time counts. ``taken``: words that are known to be something else.
    """
    tags = _tags(said, asked=asked)
    for index in taken:
        tags[index] = ""
    spans = _spans(said, tags, asked=asked)
    if not spans:
        return None
    merged = [spans[0]]
    for other in spans[1:]:
        last = merged[-1]
        if other.start - last.end > _GAP or (
            said.clause_end(last.start) != said.clause_end(other.start) and not _goes_on(said, last, other)
        ):
            merged.append(other)
        else:
            merged[-1] = TimeSpan(last.start, other.end, last.firm or other.firm)
    if mends:
        last, before = merged[-1], merged[-2] if len(merged) > 1 else None
        more = before and not _names_day(said, last) and _names_day(said, before)
        if more and before and said.words[last.end - 1] in _set("parts") and last.start - before.end <= 3:
            return TimeSpan(before.start, last.end, firm=True)
        return last
    return min(reversed(merged), key=lambda span: (not span.firm, _beside(said, span)))


_IT_IS = frozenset(["its", "a", "thats", "זה"])


def _goes_on(said: Utterance, last: TimeSpan, other: TimeSpan) -> bool:
    """Whether a time in the next clause says more of the same one ("next week, rather in the morning")."""
    gap = said.clean[said.ends[last.end - 1] : said.starts[other.start]]
    between = said.words[last.end : other.start]
    near = not any(said.breaks[i] for i in range(last.end + 1, other.start + 1)) or not between
    return (
        near
        and not (_names_day(said, last) and _names_day(said, other))
        and not any(mark in gap for mark in "?!.")
        and all(word in words("vague", "rather") or word in _IT_IS for word in between)
        and said.clause_end(other.start) - other.end <= 1
    )


def _names_day(said: Utterance, span: TimeSpan) -> bool:
    spoken = said.words[span.start : span.end]
    return any(word in _DAYS or word[1:] in _DAYS or word in _set("days") for word in spoken)


_GAP = 2
"""Words that may stand inside one time ("tomorrow if possible at five")."""


def _beside(said: Utterance, span: TimeSpan) -> int:
    """How much else is said in the clause: a time among a story is not the one that is meant."""
    start = span.start
    while start and not said.breaks[start]:
        start -= 1
    return max(said.clause_end(span.start), span.end) - start - (span.end - span.start)


def time_words(said: Utterance) -> frozenset[int]:
    """Words of phrases such as "whenever suits you", which are no questions."""
    return frozenset(
        index
        for item in _lexicon().find(said)
        if item.tag in ("any", "strong")
        for index in range(item.start, item.end)
    )


def _tags(said: Utterance, *, asked: bool) -> list[str]:
    """One letter a word: S strong, C clock time, H time only beside others or when asked, L link.

    N, a bare number, becomes H beside an S ("June 5") and nothing elsewhere.
    """
    words = said.words
    links = _set("link")
    tags = ["L" if word in links else "" for word in words]
    for index in range(len(words)):
        tags[index] = _number_tag(said, index, asked=asked) or tags[index]
        if _bare_day(words[index]):
            tags[index] = "H" if asked else "N"
    for found in _lexicon().find(said):
        tag = "S" if found.tag in ("strong", "any") else "H"
        for index in range(found.start, found.end):
            tags[index] = tag
    for index, tag in enumerate(tags):
        if tag == "N":
            tags[index] = "H" if "S" in tags[max(index - 1, 0) : index + 2] else ""
    hour_words = _set("hour_words")
    for index in range(1, len(words)):
        if tags[index - 1] == "H" and words[index] in teen_endings():
            tags[index] = "H"
    for index in range(1, len(words)):
        if words[index] in hour_words and tags[index - 1] in ("C", "H") and tags[index] in ("", "L"):
            tags[index] = "H"
            if words[index] in ("am", "pm", "oclock"):
                tags[index - 1] = "C"
    return tags


def _bare_day(word: str) -> bool:
    word = word[1:] if word[0] == "ו" and len(word) > 3 else word
    return word in _DAYS or (word[0] in "בל" and word[1:] in _DAYS)


def _number_tag(said: Utterance, index: int, *, asked: bool) -> str:
    """The tag of a number that may be an hour or a date, else nothing."""
    word = said.words[index]
    value = number_word(word)
    if value is None:
        attached = is_hebrew(word) and word[0] in "בלמוהכ" and number_word(word[1:])
        return "H" if attached and int(attached) <= 24 else ""
    if not 0 < int(value) <= 59 or len(value) > 2:
        return ""
    before = said.clean[said.ends[index - 1] : said.starts[index]] if index else ""
    after = said.clean[said.ends[index] : said.starts[index + 1]] if index + 1 < len(said.words) else ""
    if (before == ":" and _small(said, index - 1)) or (after == ":" and _small(said, index + 1)):
        return "C"
    if (before in "./" and before and _small(said, index - 1)) or (
        after in "./" and after and _small(said, index + 1)
    ):
        return "C" if asked else "H"
    if word.isdecimal() and len(word) > 1 and word[0] == "0":
        return ""
    led = index > 0 and said.words[index - 1] in _set("hour_lead")
    if not led and _counts(said, index):
        return "N"
    return "H" if asked or (index and said.words[index - 1] in _set("hour_lead")) else "N"


def _counts(said: Utterance, index: int) -> bool:
    """Whether the number counts the word after it ("five rooms")."""
    following = index + 1
    if following >= len(said.words) or said.breaks[following]:
        return False
    word = said.words[following]
    plain = word not in _set("link") and word not in _set("hour_words") and number_word(word) is None
    return plain and following not in time_words(said) and word not in words("names", "before")


def _small(said: Utterance, index: int) -> bool:
    return 0 <= index < len(said.words) and said.words[index].isdecimal() and len(said.words[index]) <= 2


def _spans(said: Utterance, tags: list[str], *, asked: bool) -> list[TimeSpan]:
    spans: list[TimeSpan] = []
    index, count = 0, len(tags)
    while index < count:
        if not tags[index]:
            index += 1
            continue
        end = index + 1
        denied = index > 0 and said.words[index - 1] in words("vague", "denies")
        while end < count and tags[end] and (not said.breaks[end] or (tags[end] in "SCH" and not denied)):
            end += 1
        span = _trimmed(said, tags, index, end, asked=asked)
        if span is not None:
            spans.append(span)
        index = end
    return spans


_TAILS = frozenset(
    ["הבא", "הקרוב", "הזה", "הבאה", "הקרובה", "לחודש", "st", "nd", "rd", "th", "oclock", "am", "pm"]
)
"""Links that belong to the time when they stand at its end."""


def _trimmed(said: Utterance, tags: list[str], start: int, end: int, *, asked: bool) -> TimeSpan | None:
    inside = tags[start:end]
    firm = "S" in inside or "C" in inside
    if not firm and not (asked and "H" in inside):
        return None
    lead = _set("lead")
    while tags[end - 1] == "L" and said.words[end - 1] not in _TAILS:
        end -= 1
    while tags[start] == "L" and not (said.words[start] in lead or said.words[start] in ("ב", "ל", "ה", "מ")):
        start += 1
    while start + 1 < end and said.words[start] == "in" and said.words[start + 1] in _set("no_in"):
        start += 1
    return TimeSpan(start, end, firm)
