"""Journeys: "from Acre to Haifa", "מעכו לחיפה", for businesses that ask for both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from callbot.models.offline.phrases import words
from callbot.models.offline.text import Utterance, is_hebrew
from callbot.models.offline.times import time_words

if TYPE_CHECKING:
    from callbot.models.offline.prepared import FieldView

_LONGEST_PLACE = 3


class Route(NamedTuple):
    """Both ends as they were said, and the words they take (``end`` exclusive)."""

    origin: str
    destination: str
    start: int
    end: int


def ends_of(views: dict[str, FieldView]) -> tuple[str, str] | None:
    """The names of the fields for origin and destination, if the business has both."""
    origin = next((name for name, view in views.items() if _is(view, "origin")), None)
    destination = next((name for name, view in views.items() if _is(view, "destination")), None)
    return (origin, destination) if origin and destination else None


def _is(view: FieldView, end: str) -> bool:
    if view.field.type != "text":
        return False
    spoken = {*view.label_words, *view.name.lower().split("_")}
    return not words("route", end).isdisjoint(spoken)


def find_route(said: Utterance) -> Route | None:
    """The last journey in the utterance."""
    found = None
    for index in range(len(said.words)):
        found = (_hebrew(said, index) if is_hebrew(said.words[index]) else _english(said, index)) or found
    return found


def _hebrew(said: Utterance, start: int) -> Route | None:
    word = said.words[start]
    if word[0] != "מ" or len(word) < 3 or _ordinary(word) or start in time_words(said):
        return None
    moves = words("route", "moves")
    opens = start == 0 or said.breaks[start] or said.words[start - 1] in moves
    clause = said.clause_end(start)
    for to in range(start + 1, min(start + 1 + (_LONGEST_PLACE if opens else 1), clause)):
        target = said.words[to]
        if target[0] == "ל" and len(target) > 2 and not _ordinary(target):
            end = to + 1
            times = time_words(said)
            if (
                end < clause
                and end not in times
                and not _ordinary(said.words[end])
                and said.words[end][0] not in "בומ"
            ):
                end += 1
            return Route(
                said.slice(start, to)[1:].lstrip("- "), said.slice(to, end)[1:].lstrip("- "), start, end
            )
    return None


def _english(said: Utterance, start: int) -> Route | None:
    if said.words[start] != "from":
        return None
    clause = said.clause_end(start)
    to = next((i for i in range(start + 2, clause) if said.words[i] == "to"), None)
    if to is None or to + 1 >= clause:
        return None
    end = to + 1
    times = time_words(said)
    while end < clause and end not in times and said.words[end] not in words("route", "stops"):
        end += 1
    if end == to + 1:
        return None
    return Route(said.slice(start + 1, to), said.slice(to + 1, end), start, end)


def _ordinary(word: str) -> bool:
    """Words that begin with the letters of "from" and "to" and are no places."""
    return (
        word in words("route", "ordinary") or word in words("acts", "need") or word in words("stop", "name")
    )
