"""Corrections: "לא 052, 054", "not Dana, Dina": what is wrong names the field, what is left is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbot.models.offline import extraction
from callbot.models.offline.names import find_name, first_names
from callbot.models.offline.numbers import Run
from callbot.models.offline.prepared import FieldView, stop_words
from callbot.models.offline.sorts import listed
from callbot.models.offline.text import Utterance, key_stems, same, stems, utterance
from callbot.models.offline.understanding import Reading

if TYPE_CHECKING:
    from callbot.models.offline.state import State

_NOT = frozenset(["לא", "ולא", "not", "isnt", "no"])
_LIKE = 0.5
"""Share of letters in common from which a single corrected word is the same name misheard."""


def corrections(state: State, reading: Reading) -> dict[str, str]:
    """New values of fields that the turn corrects, by name."""
    if not reading.said.words or reading.question or not state.lead or "decline_firm" in reading.acts:
        return {}
    negations = [i for i, word in enumerate(reading.said.words) if word in _NOT]
    if not negations and "correction" not in reading.acts:
        return {}
    fixed: dict[str, str] = {}
    for name, old in state.lead.items():
        view = state.prepared.fields.get(name)
        if view is None:
            continue
        if view.kind == "phone":
            new = _phone(old, reading, state.prepared.region)
        elif view.kind in ("name", "other_name"):
            new = _name(old, reading.said, negations)
        elif view.kind == "choice":
            new = _choice(view, old, reading.said, negations)
        elif view.sort in ("number", "age"):
            continue
        elif view.kind in ("address", "city", "service", "text"):
            new = _text(old, reading.said)
        else:
            continue
        if new is not None and (valid := view.field.normalised(new, state.prepared.region)) and valid != old:
            fixed[name] = valid
    return fixed


# --- phones -------------------------------------------------------------------------------------
def _phone(old: str, reading: Reading, region: str) -> str | None:
    """The captured number with the part that was corrected replaced."""
    said = reading.said
    runs = _split_at_breaks(reading)
    if not runs or extraction.find_phone(reading.runs, said, region):
        return None
    national = _national(old)
    wrong = [run for run in runs if extraction.negated(said, run.start)]
    right = [run for run in runs if run not in wrong and 2 <= len(run.digits) <= 6]
    if len(right) != 1:
        return None
    new = right[0].digits
    if wrong:
        return _swapped(national, wrong[0].digits, new)
    if any(word in _AT_END for word in said.words):
        return national[: -len(new)] + new
    if new[0] == "0" and len(new) == 3 and national[0] == "0":
        return new + national[3:]
    return None


def _swapped(national: str, wrong: str, new: str) -> str | None:
    if national.startswith(wrong):
        return new + national[len(wrong) :]
    if wrong in national:
        head, tail = national.rsplit(wrong, 1)
        return head + new + tail
    return None


_AT_END = frozenset(["בסוף", "הסוף", "end", "ends", "last", "האחרונות", "נגמר"])


def _split_at_breaks(reading: Reading) -> list[Run]:
    """Runs of digits, cut where a clause breaks: "לא 052, 054" is two."""
    runs: list[Run] = []
    said = reading.said
    for run in reading.runs:
        start = run.start
        for index in range(run.start + 1, run.end + 1):
            if index == run.end or said.breaks[index]:
                piece = utterance(said.slice(start, index))
                runs.extend(
                    Run(start + part.start, start + part.end, part.readings, part.plus)
                    for part in extraction.runs_of(piece)
                )
                start = index
    return runs


def _national(phone: str) -> str:
    import phonenumbers

    number = phonenumbers.parse(phone)
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(char for char in text if char.isdecimal())


# --- names --------------------------------------------------------------------------------------
def _name(old: str, said: Utterance, negations: list[int]) -> str | None:
    """The captured name with the corrected part replaced."""
    parts = utterance(old).words
    for index in negations:
        rest = said.words[index + 1 :]
        wrong = 0
        while wrong < len(rest) and any(same(rest[wrong], part) for part in parts):
            wrong += 1
        if wrong:
            right = _right_name(said, index, index + 1 + wrong)
            if right:
                return _replaced(old, said.slice(index + 1, index + 1 + wrong), right)
        elif rest and index == 0 and len(rest) <= 2:
            return _misheard(old, said, index + 1)
    return None


def _right_name(said: Utterance, negation: int, after: int) -> str:
    """The name that stands after the wrong one, or before the "not"."""
    if after < len(said.words):
        rest = utterance(said.clean[said.starts[after] :])
        found = find_name(rest, asked=True)
        if found is not None:
            return rest.slice(found.start, found.end)
    if negation:
        before = utterance(said.slice(0, negation))
        found = find_name(before, asked=True)
        if found is not None:
            return before.slice(found.start, found.end)
    return ""


def _replaced(old: str, wrong: str, right: str) -> str:
    """One word corrects one word of a longer name; more replace it all."""
    if len(right.split()) > 1 or len(old.split()) == len(wrong.split()):
        return right
    kept = [right if same(word, wrong) else word for word in utterance(old).clean.split()]
    return " ".join(kept)


def _misheard(old: str, said: Utterance, start: int) -> str | None:
    """A first name much like the one that was taken down: "no, Dina" after "Dana"."""
    rest = utterance(said.clean[said.starts[start] :])
    found = find_name(rest, asked=True)
    if found is None or found.end - found.start != len(rest.words):
        return None
    new = rest.slice(found.start, found.end)
    words = utterance(old).words
    if len(rest.words) == 1:
        near = max(words, key=lambda word: _likeness(word, rest.words[0]))
        if _likeness(near, rest.words[0]) >= _LIKE:
            return " ".join(new if word.lower() == near else word for word in utterance(old).clean.split())
        return None
    return new if rest.words[0] in first_names() or _likeness(words[0], rest.words[0]) >= _LIKE else None


# --- choices ------------------------------------------------------------------------------------
def _choice(view: FieldView, old: str, said: Utterance, negations: list[int]) -> str | None:
    """Another choice of the field, where the captured one is denied ("not manual, automatic")."""
    captured = frozenset().union(*(key_stems(word) for word in utterance(old).words))
    for index in negations:
        if index + 1 < len(said.words) and not stems(said.words[index + 1]).isdisjoint(captured):
            return extraction.find_choice(view, said)[0]
    return None


# --- text ---------------------------------------------------------------------------------------
def _text(old: str, said: Utterance) -> str | None:
    """The clause that says part of the captured text again, and the rest differently."""
    if address := extraction.find_address(said):
        return said.slice(*address)
    before = frozenset(utterance(old).words)
    start = 0
    while start < len(said.words):
        end = said.clause_end(start)
        clause = said.words[start:end]
        kept = sum(word in before and len(word) > 1 and not _empty(word) for word in clause)
        if kept and not set(clause) <= before and clause[0] not in _NOT and len(clause) > kept:
            first, last = extraction.trimmed(said, start, end)
            swapped = last - first == 1 and "instead" in clause and said.words[first] not in before
            if last - first >= _FEWEST_WORDS or swapped:
                return said.slice(first, last)
        start = end
    return None


def _empty(word: str) -> bool:
    """Whether a word that was said before says nothing about what it was said of."""
    return word in stop_words() or word in listed("none")


_FEWEST_WORDS = 2


def _likeness(one: str, other: str) -> float:
    """Common letters in order, as a share of the longer word."""
    rows = [0] * (len(other) + 1)
    for char in one:
        last = 0
        for index, match in enumerate(other, 1):
            last, rows[index] = rows[index], last + 1 if char == match else max(rows[index], rows[index - 1])
    return rows[-1] / max(len(one), len(other))
