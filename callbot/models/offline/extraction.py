"""Values of fields in one utterance: phone numbers, choices, e-mail addresses, labelled and free text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from callbot.fields import phone_e164
from callbot.models.offline.numbers import Run, digit_runs
from callbot.models.offline.phrases import Found, lexicon, words
from callbot.models.offline.prepared import Choice, FieldView, choice_stems, stop_words
from callbot.models.offline.text import Utterance, is_hebrew, key_stems, stems, utterance
from callbot.models.offline.times import time_words

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_NEGATIONS = frozenset(["לא", "ולא", "not", "isnt", "without", "בלי", "אין"])
_SHORTEST_PHONE = 7
"""Digits below which a run is a part of a number at most."""


# --- phones ------------------------------------------------------------------------------------
def phone_of(run: Run, region: str) -> str | None:
    """The run as a valid phone number in E.164, or None."""
    return next(
        (phone for digits in run.readings if (phone := phone_from(digits, region, plus=run.plus))), None
    )


def phone_from(digits: str, region: str, *, plus: bool = False) -> str | None:
    """Digits as a valid phone number in E.164, or None."""
    if not _SHORTEST_PHONE <= len(digits) <= 16:
        return None
    if plus:
        return phone_e164("+" + digits, region)
    if digits.startswith("00"):
        return phone_e164("+" + digits[2:], region)
    phone = phone_e164(digits, region)
    if phone is None and digits.startswith(_calling_code(region)) and len(digits) > 10:
        phone = phone_e164("+" + digits, region)
    return phone


def find_phone(runs: Iterable[Run], said: Utterance, region: str) -> tuple[str, Run] | None:
    """The phone number that the caller means: the last one that is not negated."""
    found = None
    for run in _pieces(runs, said, region):
        phone = phone_of(run, region)
        if phone is not None and not negated(said, run.start):
            found = (phone, run)
    return found


def _pieces(runs: Iterable[Run], said: Utterance, region: str) -> Iterable[Run]:
    """The runs; of one that is no number as a whole, the longest part between breaks that is one."""
    for run in runs:
        cuts = [i for i in range(run.start + 1, run.end) if said.breaks[i]]
        if cuts and (phone_of(run, region) is None or any("." in _gap(said, cut) for cut in cuts)):
            bounds = [run.start, *cuts, run.end]
            ranges = [
                (a, b)
                for i, a in enumerate(bounds)
                for b in bounds[i + 1 :]
                if (a, b) != (run.start, run.end)
            ]
            parts = [
                part for a, b in sorted(ranges, key=lambda r: r[0] - r[1]) for part in _part_run(said, a, b)
            ]
            whole = [part for part in parts if phone_of(part, region)]
            if whole:
                yield whole[0]
                continue
        yield run


def _gap(said: Utterance, index: int) -> str:
    return said.clean[said.ends[index - 1] : said.starts[index]]


def _part_run(said: Utterance, start: int, end: int) -> list[Run]:
    part = utterance(said.clean[said.starts[start] : said.ends[end - 1]])
    return [Run(start + r.start, start + r.end, r.readings, r.plus) for r in digit_runs(part)]


@lru_cache(maxsize=256)
def _calling_code(region: str) -> str:
    import phonenumbers

    return str(phonenumbers.country_code_for_region(region))


def negated(said: Utterance, index: int) -> bool:
    """Whether the word before ``index`` says no to what stands there."""
    return index > 0 and said.words[index - 1] in _NEGATIONS and not said.breaks[index]


# --- choices -------------------------------------------------------------------------------------
def find_choice(
    view: FieldView, said: Utterance, taken: Collection[int] = ()
) -> tuple[str | None, tuple[str, ...], bool]:
    """The choice that is meant; all that fit equally well; whether a whole phrase of it was said.

    ``taken``: words that are known to be something else.
    """
    spoken = [
        frozenset()
        if (word in stop_words() and len(said.words) > 2) or _contracted(said, index)
        else choice_stems(word, stems(word))
        for index, word in enumerate(said.words)
    ]
    dropped = _negated_words(said) | frozenset(taken)
    best: dict[str, tuple[int, int]] = {}
    for choice in view.choices:
        score = max(_score(choice, spoken, dropped), _denies(choice, said))
        if score[0] > 0:
            best[choice.name] = score
    if not best:
        return None, (), False
    top = max(best.values())
    winners = tuple(name for name, score in best.items() if score == top)
    return (winners[0] if len(winners) == 1 else None), winners, top[1] == 1 or top[0] > 1


def _contracted(said: Utterance, index: int) -> bool:
    """Whether the word is a pronoun and its verb: "we'd" is not to wed, "she'll" no shell."""
    return said.clean[said.starts[index] : said.ends[index]].lower().endswith(("'d", "'ll", "'re", "'ve"))


def _denies(choice: Choice, said: Utterance) -> tuple[int, int]:
    """The score of a phrase that says "not" itself, said word for word."""
    for phrase in choice.denying:
        for index in range(len(said.words) - len(phrase) + 1):
            if said.words[index : index + len(phrase)] == phrase:
                return len(phrase), 1
    return 0, 0


def _negated_words(said: Utterance) -> frozenset[int]:
    """Words that "not" stands before ("לא דירה, ספות").

    What others left undone ("לא החזירו לי פיקדון") is what the caller speaks of.
    """
    dropped: set[int] = set()
    for index, word in enumerate(said.words):
        if word in _NEGATIONS and index + 1 < len(said.words) and not said.breaks[index + 1]:
            left_undone = word in ("לא", "ולא") and said.words[index + 1].endswith("ו")
            end = index + 2 if left_undone else said.clause_end(index + 1)
            dropped.update(range(index + 1, end))
    return frozenset(dropped)


def _score(choice: Choice, spoken: list[frozenset[str]], dropped: frozenset[int]) -> tuple[int, int]:
    """(how many words of its best phrase were said, whether that is all of them).

    A part of a phrase counts only with a word that no other choice has.
    """
    own = any(i not in dropped and not form.isdisjoint(choice.own - _LIGHT) for i, form in enumerate(spoken))
    best = (0, 0)
    for phrase in choice.phrases:
        hits = sum(
            any(i not in dropped and not form.isdisjoint(word) for i, form in enumerate(spoken))
            for word in phrase
        )
        if hits == len(phrase):
            best = max(best, (sum(word.isdisjoint(_LIGHT) for word in phrase) or 1, 1))
        elif hits and own:
            best = max(best, (hits, 0))
    return best


_LIGHT = frozenset(["all", "just", "only", "new", "one", "other", "any", "every", "כל", "רק", "חדש", "אחר"])
"""Words of choices that alone mean no choice ("I'm all set")."""


# --- e-mail -------------------------------------------------------------------------------------
def find_email(said: Utterance, *, asked: bool = False) -> tuple[str, int, int] | None:
    """An e-mail address, written or spoken ("dana at gmail dot com", "דנה שטרודל ג'ימייל נקודה קום").

    With the words that it takes.
    """
    if match := _EMAIL.search(said.clean):
        inside = [i for i in range(len(said.words)) if match.start() <= said.starts[i] < match.end()]
        return match.group().rstrip("."), inside[0], inside[-1] + 1
    parts = [_SPOKEN_EMAIL.get(word, word) for word in said.words]
    if "@" not in parts or "." not in parts[parts.index("@") :]:
        return None
    at = parts.index("@")
    start = at - 1
    spelt = asked or not words("email", "word").isdisjoint(said.words)
    while start >= 1 and not (said.breaks[start] or parts[start - 1] in words("email", "before")):
        if parts[start - 1] in (".", "_", "-") and start >= 2:
            start -= 2
        elif spelt and parts[start] not in words("email", "before"):
            start -= 1
        else:
            break
    end = at + 2
    while spelt and end < len(parts) and parts[end] != "." and not said.breaks[end]:
        end += 1
    while end + 1 < len(parts) and parts[end] == ".":
        end += 2
    text = "".join(parts[max(start, 0) : end])
    return (text, max(start, 0), end) if at and _EMAIL.fullmatch(text) else None


_SPOKEN_EMAIL = {
    "at": "@", "שטרודל": "@", "כרוכית": "@", "dot": ".", "נקודה": ".", "underscore": "_", "dash": "-",
    "ג'ימייל": "gmail", "גימייל": "gmail", "קום": "com", "הוטמייל": "hotmail", "יאהו": "yahoo", "וואלה": "walla",
    "קו": "-", "אאוטלוק": "outlook", "איל": "il", "קו-תחתון": "_", "נט": "net",
}  # fmt: skip


# --- addresses ----------------------------------------------------------------------------------
def find_address(said: Utterance) -> tuple[int, int] | None:
    """Words of a street address: a number before a street's kind, or a street's kind before its name."""
    kinds, before = words("address", "after_number"), words("address", "before_name")
    for index, word in enumerate(said.words):
        clause = said.clause_end(index)
        if word.isdecimal() and len(word) <= 5:
            street = next(
                (i for i in range(index + 1, min(index + 5, clause)) if said.words[i] in kinds), None
            )
            if street is not None:
                return index, _with_town(said, street + 1)
        elif (word in before or word[1:] in before) and index + 1 < clause:
            number = next(
                (i for i in range(index + 1, min(index + 6, clause)) if said.words[i].isdecimal()), None
            )
            if number is not None:
                return index, _with_town(said, number + 1)
    return None


def find_bare_address(said: Utterance) -> tuple[int, int] | None:
    """A street without its kind, its number and its town: "בן גוריון 7 באשקלון"."""
    for index in range(1, len(said.words) - 1):
        word = said.words[index]
        if (
            not word.isdecimal()
            or len(word) > 3
            or said.breaks[index]
            or not is_hebrew(said.words[index - 1])
        ):
            continue
        start = index
        while start and not said.breaks[start]:
            start -= 1
        if not 1 <= index - start <= _TOWN + 1 or said.breaks[index + 1]:
            continue
        plain = all(w not in words("stop", "name") for w in said.words[start:index])
        if plain and _in_town(said.words[index + 1]) and time_words(said).isdisjoint(range(start, index + 2)):
            return start, _with_town(said, index + 1)
    return None


def _with_town(said: Utterance, end: int) -> int:
    """The end of an address whose street ends at ``end``, its town included ("in Boston", ", חולון")."""
    times = time_words(said)
    count = len(said.words)
    if end < count and not said.breaks[end] and end not in times and _in_town(said.words[end]):
        end += 1
        if end < count and not said.breaks[end] and end not in times and not _ordinary(said.words[end]):
            end += 1
        return end
    if end + 1 < count and said.words[end] == "in":
        return min(end + 2, count)
    while (
        end < count and end not in times and not said.breaks[end] and said.clean[said.starts[end]].isupper()
    ):
        end += 1
    if end < count and said.breaks[end] and "," in _gap(said, end) and said.clause_end(end) - end <= _TOWN:
        clause = said.clause_end(end)
        if times.isdisjoint(range(end, clause)) and not lexicon("acts").find(
            utterance(said.slice(end, clause))
        ):
            return clause
    return end


def _in_town(word: str) -> bool:
    return word[0] == "ב" and len(word) > 3 and word not in words("with_in", "not") and not _ordinary(word)


def _ordinary(word: str) -> bool:
    """Whether the word goes on with something else than a place."""
    return (
        word in words("stop", "name")
        or word in words("acts", "need")
        or word[0] == "ו"
        or not is_hebrew(word)
    )


_TOWN = 2
"""Most words of a town's name."""


# --- text ---------------------------------------------------------------------------------------
def find_labelled(view: FieldView, said: Utterance) -> str | None:
    """Text that the caller announces by the field's own label: "the model is Corolla"."""
    label = [word for word in view.label_words if word not in stop_words()]
    if not label:
        return None
    forms = [key_stems(word) for word in label]
    for index in range(len(said.words) - len(label)):
        window = said.words[index : index + len(label)]
        if all(not stems(word).isdisjoint(form) for word, form in zip(window, forms, strict=True)):
            start = index + len(label)
            linked = False
            while start < len(said.words) and said.words[start] in _LINKS:
                start, linked = start + 1, True
            end = said.clause_end(index)
            if start < end and (linked or len(label) > 1):
                return said.slice(start, end)
    return None


_LINKS = frozenset(["זה", "הוא", "היא", "שלי", "שלנו", "is", "its", "are", "זו", "זאת"])


def trimmed(said: Utterance, start: int, end: int, *, section: str = "values") -> tuple[int, int]:
    """Words ``start`` to ``end`` without what callers say around a value."""
    found = lexicon(section).find(said)
    polite = lexicon("names").find(said)
    leads = _ends_by_start(found, ("lead",)) | _ends_by_start(polite, ("after",))
    tails = _starts_by_end(found, ("tail",)) | _starts_by_end(polite, ("before",))
    while start < end and start in leads and leads[start] < end:
        start = leads[start]
    while end > start and end in tails and tails[end] > start:
        end = tails[end]
    return start, end


def _ends_by_start(found: Iterable[Found], tags: Collection[str]) -> dict[int, int]:
    return {item.start: item.end for item in found if item.tag in tags}


def _starts_by_end(found: Iterable[Found], tags: Collection[str]) -> dict[int, int]:
    return {item.end: item.start for item in found if item.tag in tags}


def runs_of(said: Utterance) -> tuple[Run, ...]:
    """Digit runs of the utterance."""
    return digit_runs(said)
