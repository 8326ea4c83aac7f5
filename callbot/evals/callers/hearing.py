"""What a caller makes of a bot's words: which details they ask for, and what else they want.

Judged from the words alone, as a caller must: by the business's own questions and labels, the names
of choices, and phrases of the language for kinds of details. What the model decided is never looked
at, since any model may be the bot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from callbot.business import Business
from callbot.evals.callers.phrases import phrases
from callbot.fields import LeadField, folded

_SENTENCE = re.compile(r"[^.!?\n…]*(?:[.!?…]+|\n|$)")
_STRAIGHT = str.maketrans("’‘`“”״׳", "'''\"\"\"'")
_KINDS = {
    "name": "name",
    "address": "address",
    "street": "address",
    "location": "address",
    "city": "city",
    "town": "city",
    "email": "email",
    "mail": "email",
    "notes": "notes",
    "note": "notes",
    "comments": "notes",
}
"""Words of a field's name, and the kind of detail that it then holds."""


def kind_of(field: LeadField) -> str:
    """What kind of detail a field holds, for choosing words; ``text`` if nothing tells."""
    if field.type != "text":
        return field.type
    return next((_KINDS[word] for word in reversed(field.name.lower().split("_")) if word in _KINDS), "text")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a bot's words want of the caller."""

    asked: tuple[str, ...] = ()
    """Fields that are asked for, the last question first, in asking order within a question."""
    anything_else: bool = False
    open: bool = False
    """Asks what it can do for the caller."""
    confirms: bool = False
    """Asks whether something is right."""
    question: bool = False
    """Wants some answer at all."""


class Ears:
    """How a caller understands the bots of one business."""

    def __init__(self, business: Business) -> None:
        self._hears = phrases(business.language).hears
        self._fields = business.fields
        self._kinds = {field.name: kind_of(field) for field in business.fields}
        self._questions = {f.name: _plain(f.ask).strip(" .?!") for f in business.fields if f.ask}
        self._labels = {f.name: _phrase(f.label) for f in business.fields if f.label}
        self._choices = {
            f.name: [[_phrase(word) for word in (name, *also)] for name, also in f.choices.items()]
            for f in business.fields
            if f.choices
        }
        self._understood = lru_cache(maxsize=512)(self._understand)

    def hear(self, said: Sequence[str]) -> Heard:
        """What the words want; earlier ones are outdone by later ones that ask for something else."""
        return self._understood(" ".join(said))

    def _understand(self, text: str) -> Heard:
        asked: list[str] = []
        anything_else = is_open = confirms = question = False
        for sentence in reversed(list(_sentences(text))):
            if not (sentence.endswith("?") or self._hears.requests.search(sentence)):
                continue
            question = True
            if self._hears.anything_else.search(sentence):
                anything_else = True
            elif self._hears.confirms.search(sentence):
                confirms = True
            elif fields := list(self._asked_in(sentence)):
                asked.extend(name for name in fields if name not in asked)
            elif self._hears.open.search(sentence):
                is_open = True
        return Heard(tuple(asked), anything_else, is_open, confirms, question)

    def _asked_in(self, sentence: str) -> Iterator[str]:
        """The fields that one question asks for."""
        named = [name for name, question in self._questions.items() if _holds(sentence, question)]
        if named:  # the business's own question, which may be part of a longer one
            longest = max(len(self._questions[name]) for name in named)
            yield from (name for name in named if len(self._questions[name]) == longest)
            return
        labelled = [name for name, label in self._labels.items() if label.search(sentence)]
        offered = [name for name, choices in self._choices.items() if _offers(sentence, choices)]
        meant = [
            field.name
            for field in self._fields
            if (pattern := self._hears.kinds.get(self._kinds[field.name])) and pattern.search(sentence)
        ]
        yield from (f.name for f in self._fields if f.name in {*labelled, *offered, *meant})


def _sentences(text: str) -> Iterator[str]:
    for match in _SENTENCE.finditer(_plain(text)):
        if sentence := match.group().strip():
            yield sentence


def _plain(text: str) -> str:
    return folded(text.translate(_STRAIGHT))


def _holds(sentence: str, question: str) -> bool:
    """Whether a question stands in a sentence, at the borders of words."""
    return re.search(rf"(?<!\w){re.escape(question)}(?!\w)", sentence) is not None


def _phrase(text: str) -> re.Pattern[str]:
    """Words as a bot says them: any spaces between, Hebrew's small words written together with them."""
    words = re.findall(r"[\w'\"]+", _plain(text))
    return re.compile(r"(?<!\w)[והבלמשכ]{0,3}" + r"\W+ה?".join(map(re.escape, words)) + r"(?!\w)")


def _offers(sentence: str, choices: Sequence[Sequence[re.Pattern[str]]]) -> bool:
    return sum(any(word.search(sentence) for word in words) for words in choices) > 1
