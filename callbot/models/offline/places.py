"""Places in what callers say: where they go, where they live, where something happens."""

from __future__ import annotations

from callbot.models.offline.numbers import number_word
from callbot.models.offline.phrases import words
from callbot.models.offline.sorts import listed
from callbot.models.offline.text import Utterance, is_hebrew
from callbot.models.offline.times import time_words

_MOST_WORDS = 5
_LONGEST_HEBREW = 2


def find_place(said: Utterance, *, live: bool = False) -> tuple[int, int] | None:
    """The words of a place that a preposition announces: "to Cancun", "at the Old Mill", "אני מחיפה".

    ``live``: only where somebody is or lives.
    """
    times = time_words(said)
    for index in range(len(said.words)):
        if index + 1 >= len(said.words) or index + 1 in times:
            continue
        span = _latin(said, index, times) if not live else None
        span = span or _lives(said, index, times)
        if span is not None:
            return span
    return None


def _latin(said: Utterance, index: int, times: frozenset[int]) -> tuple[int, int] | None:
    if said.words[index] not in listed("place_before") or is_hebrew(said.words[index + 1]):
        return None
    start = index + 1
    while start + 1 < len(said.words) and said.words[start] in listed("hums"):
        start += 1
    if said.breaks[start] and start == index + 1:
        return None
    if said.words[start] in ("the", "a") and start + 1 < len(said.words):
        start += 1
    end, clause = start, said.clause_end(start)
    while end < clause and end - start < _MOST_WORDS and end not in times and not _ordinary(said, end):
        end += 1
    if end == start or not _capital(said, start):
        return None
    if (
        end < clause
        and said.words[end] in ("in", "near")
        and end + 1 < clause
        and end + 1 not in times
        and _capital(said, end + 1)
    ):
        end += 2
    return _named_before(said, index), end


def _named_before(said: Utterance, index: int) -> int:
    """Where a name begins that the place is of ("it's Coombe Lodge in Wells"), or the place itself."""
    first = index
    while said.words[index] == "in" and first and not said.breaks[first] and _capital(said, first - 1):
        first -= 1
    named = first < index and first and not said.breaks[first] and said.words[first - 1] in listed("links")
    start = first if named else index + 1
    while start < len(said.words) - 1 and said.words[start] in (*listed("hums"), "the", "a"):
        start += 1
    return start


def _ordinary(said: Utterance, index: int) -> bool:
    """Whether the word goes on with something else than the place."""
    word = said.words[index]
    return not _capital(said, index) and (word in listed("place_stops") or word in words("stop", "name"))


def _capital(said: Utterance, index: int) -> bool:
    word = said.words[index]
    first = said.clean[said.starts[index]]
    return first.isupper() and word not in words("stop", "name") and number_word(word) is None


def _lives(said: Utterance, index: int, times: frozenset[int]) -> tuple[int, int] | None:
    """Words with their preposition: "אני מחיפה", "גרה בראשון לציון"."""
    word = said.words[index + 1]
    if (
        said.breaks[index + 1]
        or not is_hebrew(word)
        or word in words("with_in", "not")
        or word in words("route", "ordinary")
    ):
        return None
    dwells = said.words[index] in listed("dwells")
    who = said.words[index] in words("with_in", "who")
    if len(word) <= _LONGEST_HEBREW or not ((dwells and word[0] in "במ") or (who and word[0] == "מ")):
        return None
    end, clause = index + 2, said.clause_end(index)
    if clause - end > _LONGEST_HEBREW and not dwells:
        return None
    present = who and word in listed("from_not")
    if present or word in words("stop", "name") or word in words("acts", "need") or index + 1 in times:
        return None
    if end < clause and end not in times and not _more(said.words[end]):
        end += 1
    return index + 1, end


def _more(word: str) -> bool:
    return word[0] == "ו" or word in words("stop", "name") or word in words("acts", "need")


def is_place(said: Utterance, start: int, end: int) -> bool:
    """Whether the words can name a place: no sentence of its own, no number and no time."""
    spoken = said.words[start:end]
    if start and said.words[start - 1] in listed("place_before") and end - start > 1:
        return True
    if (
        not spoken
        or spoken[0] in listed("sentence")
        or (number_word(spoken[0]) is not None and not spoken[0].isdecimal())
    ):
        return False
    if set(range(start, end)) & time_words(said):
        return False
    return not any(word in listed("people") - {"of"} for word in spoken)
