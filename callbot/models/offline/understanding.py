"""One caller turn, understood in its place: what the caller does with it, and the values it gives.

``read`` looks at the words and at what was asked last, at nothing else; so what it finds is kept and
found again for free. What depends on the rest of the call is ``state.py``'s and ``corrections.py``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from callbot.models.offline.numbers import Run, number_word
from callbot.models.offline.phrases import Found, expanded, lexicon, table, words
from callbot.models.offline.prepared import Prepared, reasons_shown, topic_lexicon
from callbot.models.offline.text import Utterance, utterance
from callbot.models.offline.times import time_words


class Asked(NamedTuple):
    """What the bot asked last. ``kind``: field, anything_else, help, callback or nothing."""

    kind: str = "nothing"
    field: str = ""
    offers_number: bool = False
    """The bot offered to take the number that the caller calls from."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one turn says. ``firm``: fields whose value was announced, so that it may replace another."""

    said: Utterance
    asked: Asked
    acts: frozenset[str] = frozenset()
    values: Mapping[str, str] = ()  # type: ignore[assignment]
    firm: frozenset[str] = frozenset()
    runs: tuple[Run, ...] = ()
    keys: str = ""
    question: bool = False
    topics: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    rivals: tuple[str, ...] = ()
    """Choices of the asked field that fit equally well."""
    content: str = ""
    """What the caller says beyond acts, fillers and questions, in the caller's words."""

    after_bye: str = ""
    """What the caller says after a goodbye."""

    @property
    def digits(self) -> str:
        """All digits of the turn, in order."""
        return "".join(run.digits for run in self.runs)

    @property
    def empty(self) -> bool:
        """Whether there was nothing that could be understood as words."""
        return not self.said.words and not self.keys


@dataclass(frozen=True, slots=True)
class Clause:
    """Words ``start`` to ``end`` (exclusive) between two breaks, and what they are."""

    start: int
    end: int
    question: bool
    wh: bool
    content: bool
    mark: bool = False
    """A question mark ends it."""


_NEEDS_END = frozenset(["no", "done", "have_none", "decline_soft", "repeat", "ack", "bye", "right"])
"""Acts that are such only when nothing of the clause follows: "nothing" but not "nothing works"."""

SPEECH_ACTS = frozenset(
    [
        "decline_firm",
        "not_interested",
        "person",
        "abuse",
        "wrong_number",
        "refuse_give",
        "refuse_bare",
        "call_later",
        "repeat",
        "dont_know",
        "wait",
        "no_callback",
        "which_business",
        "english",
        "decline_soft",
        "have_none",
        "number_was_wrong",
        "robot",
        "smalltalk",
        "bye",
        "callback_request",
        "self_call",
        "my_number",
        "reassure",
        "done",
        "injection",
    ]
)
"""Acts whose clause is no value of a field that takes free text."""


def read(prepared: Prepared, asked: Asked, text: str, keys: str = "") -> Reading:
    """Understand one turn. The same question gets the same object."""
    key = (asked, text, keys)
    known = prepared.memory.get(key)
    if isinstance(known, Reading):
        return known
    if len(prepared.memory) > 20_000:
        prepared.memory.clear()
    reading = _read(prepared, asked, text, keys)
    prepared.memory[key] = reading
    return reading


def _read(prepared: Prepared, asked: Asked, text: str, keys: str) -> Reading:
    from callbot.models.offline.values import collect

    said = utterance(text)
    found = _acts(said)
    acts = frozenset(item.tag for item in found) | _whole(said)
    if "{" in said.clean or "_" in said.clean.replace("@", ""):
        acts |= {"injection"} if "{" in said.clean or "end_" in said.clean or "_call" in said.clean else acts
    topics = topic_lexicon().find(said)
    clauses = _clauses(said, found, topics)
    question = any(clause.question for clause in clauses)
    if question and "repeat" in acts:
        if any(item.tag not in ("explain", "services") for item in topics) and said.question_mark:
            acts -= {"repeat"}
        else:
            question = False
    content = _content(said, clauses)
    reading = Reading(
        said,
        asked,
        acts,
        {},
        keys=keys,
        question=question,
        topics=frozenset(item.tag for item in topics),
        reasons=reasons_shown(prepared, said),
        content=said.slice(*content) if content else "",
        after_bye=_after_bye(said, found, clauses),
    )
    return collect(prepared, reading, clauses, found)


@cache
def _whole_turns() -> dict[tuple[str, ...], str]:
    return {
        phrase: tag
        for file in ("cues_he", "cues_en")
        for tag, texts in table(file)["whole"].items()
        for text in texts
        for phrase in expanded(text)
    }


def _whole(said: Utterance) -> frozenset[str]:
    """Acts that only a whole turn of just these words is ("מה?" is one, "מה המחיר" is not)."""
    tag = _whole_turns().get(said.words)
    return frozenset([tag]) if tag else frozenset()


# --- acts ---------------------------------------------------------------------------------------
def _acts(said: Utterance) -> list[Found]:
    found = lexicon("acts").find(said)
    found = [item for item in found if not _not_meant(said, item)]
    kept = [item for item in found if item.tag not in _NEEDS_END or _ends(said, item.end, found)]
    for bare in lexicon("bare").find(said):
        if _not_meant(said, bare):
            continue
        if any(item.start <= bare.start and item.end > bare.end for item in found):
            continue
        tag = bare.tag if _ends(said, bare.end, found) or _keeps(said, bare.end) else "other_negation"
        kept = [item for item in kept if not (bare.start <= item.start and item.end <= bare.end)]
        kept.append(Found(tag, bare.start, bare.end))
    return kept


def _not_meant(said: Utterance, item: Found) -> bool:
    """Whether an end is only spoken of: forbidden ("don't hang up") or reported ("I told them goodbye")."""
    if item.tag not in _ENDS:
        return False
    start = item.start
    while start and not said.breaks[start]:
        start -= 1
    before = said.words[start : item.start]
    return bool(before) and (
        before[-1] in words("vague", "dont") or not words("vague", "told").isdisjoint(before)
    )


_ENDS = frozenset(["bye", "decline_firm", "decline_soft", "not_interested", "no", "done", "good_day"])


def _ends(said: Utterance, end: int, found: list[Found]) -> bool:
    """Whether the thought ends there: end of the clause, or another act begins."""
    while end < len(said.words) and not said.breaks[end] and said.words[end] in words("vague", "dear"):
        end += 1
    if end >= len(said.words) or said.breaks[end]:
        return True
    for item in found:
        if item.start == end and item.tag in _CLOSERS:
            return item.tag != "no" or item.end == len(said.words) or said.breaks[item.end]
    return False


_CLOSERS = frozenset(
    ["thanks", "bye", "done", "ack", "good_day", "no", "yes", "wait", "decline_soft", "call_later"]
)


def _keeps(said: Utterance, end: int) -> bool:
    return said.words[end] in words("bare_followers", "keep")


# --- clauses ------------------------------------------------------------------------------------
def _clauses(said: Utterance, found: list[Found], topics: list[Found]) -> list[Clause]:
    covered = {index for item in found for index in range(item.start, item.end)} | time_words(said)
    fillers = {
        index
        for item in lexicon("names").find(said)
        if item.tag in ("after", "before")
        for index in range(item.start, item.end)
    }
    speech = [item for item in found if item.tag in SPEECH_ACTS]
    asking = lexicon("questions").find(said)
    requests = lexicon("requests").find(said)
    clauses = []
    start = 0
    while start < len(said.words):
        end = said.clause_end(start)
        first = start
        while first < end - 1 and (first in fillers or _opener(first, found)):
            first += 1
        mark = "?" in said.clean[said.ends[end - 1] : said.starts[end] if end < len(said.words) else None]
        alone = end - first == 1 and mark and len(said.words) > 1
        wh = not alone and any(
            _asks(said, item, first, end, covered) and item.tag in ("wh", "what") for item in asking
        )
        refused = {i for f in found if f.tag in _REFUSED for i in range(f.start, f.end)}
        form = any(
            item.tag == "ask" and first <= item.start <= first + 1 and (mark or item.end - 1 not in refused)
            for item in asking
        )
        request = any(start <= item.start < end for item in requests)
        topic = any(start <= item.start < end for item in topics)
        opener = mark and said.words[first] in words("questions", "openers")
        question = (
            wh
            or (opener and not request)
            or ((form or (mark and topic)) and not request)
            or (topic and end - start <= 3 and mark)
        )
        none = not words("vague", "negates").isdisjoint(said.words[start:end])
        if topic and not none and end - first <= 2 and not covered.issuperset(range(first, end)):
            question = question or all(any(t.start <= i < t.end for t in topics) for i in range(first, end))
        acts_here = any(item.start < end and item.end > start for item in speech)
        content = not question and not acts_here and not (covered | fillers).issuperset(range(start, end))
        clauses.append(Clause(start, end, question, wh, content, mark))
        start = end
    return clauses


_REFUSED = frozenset(["decline_soft", "decline_firm", "not_interested"])
"""Acts whose words ask for nothing, though they may look like a question ("it's too expensive")."""


def _opener(index: int, found: list[Found]) -> bool:
    return any(
        item.start <= index < item.end
        and item.tag in ("greeting", "yes", "no", "ack", "thanks", "wait", "correction")
        for item in found
    )


def _asks(said: Utterance, item: Found, first: int, end: int, covered: set[int]) -> bool:
    """Whether a question word opens its clause (later it joins clauses: "I know who ..."; "איזה 70" is about 70)."""
    if said.words[item.start] in ("איזה", "איזו") and item.start + 1 < end:
        following = said.words[item.start + 1]
        if following.isdecimal() or number_word(following) is not None:
            return False
    return first <= item.start <= first + 1 and item.start < end and item.start not in covered


def _after_bye(said: Utterance, found: list[Found], clauses: list[Clause]) -> str:
    ends = [item.end for item in found if item.tag == "bye"]
    if not ends:
        return ""
    later = [clause for clause in clauses if clause.start >= ends[-1] and (clause.content or clause.question)]
    return said.slice(later[0].start, later[-1].end) if later else ""


def _content(said: Utterance, clauses: list[Clause]) -> tuple[int, int] | None:
    """From the first to the last word of the clauses that say something."""
    saying = [clause for clause in clauses if clause.content]
    return (saying[0].start, saying[-1].end) if saying else None
