"""Replaces what would tell who a caller is, the same thing by the same thing throughout a call.

Phone numbers (dictated in pieces or in words too) become fictional ones, names others of the same
language and gender, e-mail addresses example.com's, streets and long numbers other ones. What a
business says of itself is kept. Names are found where callers say them (as the embedded model
finds them) or where the lead holds them: a name that appears in no such place stays, so a person
should read the result before it is shared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import phonenumbers
import yaml

from callbot.evals.transcripts import Transcript
from callbot.fields import phone_e164
from callbot.models.offline.names import find_name, first_names, may_be_name, third_name
from callbot.models.offline.numbers import Run, digit_runs
from callbot.models.offline.text import Utterance, is_hebrew, utterance

_EMAIL = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9][\w.+-]*@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_STREETS = (
    re.compile(
        r"(?P<keep>(?:רחוב|רח'|סמטת)\s+)[א-ת'\"-]+(?:\s+[א-ת'\"-]+){0,2}(?P<number>\s+\d{1,4})"
        r"|(?P<street>(?:רחוב|רח'|סמטת)\s+)[א-ת'\"-]+"
        r"|(?P<avenue>(?:שדרות|שד')\s+)[א-ת'\"-]+(?:\s+[א-ת'\"-]+)?\s+\d{1,4}"  # a town is called so too
    ),
    re.compile(
        r"(?P<number>\b\d{1,5}\s+)(?:[A-Z][A-Za-z']+\s+){1,3}"
        r"(?P<keep>(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd)\b)"
    ),
)
_TIME = re.compile(r"\d{1,2}:\d\d|\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?|\d{4}-\d\d-\d\d")
_ASKS_NAME = re.compile(
    r"קוראים ל|השם ש|שמך|שם מלא|מה השם|מי מדבר|your (?:full )?name|name please|speaking with", re.IGNORECASE
)
_LETTER = re.compile(r"[^\W\d_]")
_PIECE = 4
"""Digits from which a number may be a piece of a phone number."""
_LONG = 6
"""Digits from which a number may name somebody: an identity card, an account, an order."""
_EVERYDAY = frozenset({"שלום", "בן", "שני", "יפה", "טובה"})
"""Names that are words of every call: replaced only beside the rest of the name, or where nothing else is said."""
_OFTEN = 100
"""Fictional numbers that end in 55501 and two digits."""


@cache
def _people() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(
        (Path(__file__).parent / "fictional.yaml").read_text(encoding="utf-8")
    )
    return data


class Anonymiser:
    """Replaces one call's personal data. ``learn`` everything first, then ``replaced`` each text.

    ``region``: whose phone numbers are written without a country code. ``keep``: texts in which
    nothing is anybody's secret, such as the business's own numbers.
    """

    def __init__(self, region: str, keep: Iterable[str] = ()) -> None:
        self._region = region
        self._keep = " ".join(keep)
        self._kept_digits = set(_digits_of(self._keep, region))
        self._phones: dict[str, str] = {}
        self._words: dict[str, str] = {}
        """What stands for a name or another value, by what was said."""
        self._emails: dict[str, str] = {}

    # --- learning -------------------------------------------------------------------------------
    def learn(self, text: str, *, asked: str = "") -> None:
        """Take the phone numbers and names of something a caller said, ``asked`` by the bot before."""
        for match, number in self._written(text):
            self.learn_phone(number)
            text = text.replace(match.raw_string, " ")
        said = utterance(text)
        for run in digit_runs(said):
            self._phone_of(said, run)
        name = find_name(said, asked=bool(_ASKS_NAME.search(asked)))
        alone = name is not None and (name.start, name.end) == (0, len(said.words))
        if name is not None and (name.announced or alone or said.words[name.start] in first_names()):
            self.learn_name(said.slice(name.start, name.end))
        if (third := third_name(said)) is not None:
            self.learn_name(said.slice(*third[1:]))

    def learn_phone(self, number: str) -> None:
        """Take a phone number in E.164."""
        if number not in self._phones and number.removeprefix("+") not in self._kept_digits:
            self._phones[number] = _fictional_phone(number, len(self._phones))

    def learn_name(self, name: str) -> None:
        """Take a person's name: first name first."""
        first, *rest = name.split()
        people = _people()["he" if is_hebrew(first) else "en"]
        self._replace_name(first, people["women" if _is_womans(first, people) else "men"])
        if rest:
            last = " ".join(rest)
            self._replace_name(last, people["last"])
            self.learn_value(
                f"{first} {last}", f"{self._words.get(first, first)} {self._words.get(last, last)}"
            )

    def learn_value(self, value: str, replacement: str) -> None:
        """Take any other text and what is to stand for it."""
        self._words.setdefault(value, replacement)

    def _replace_name(self, name: str, pool: list[str]) -> None:
        if name in self._words or (len(name) < 2 or name in self._keep):
            return
        taken = {*self._words, *self._words.values(), name}
        spare = pool[len(self._words) % len(pool) :] + pool
        self._words[name] = next((other for other in spare if other not in taken), spare[0])

    # --- replacing ------------------------------------------------------------------------------
    def replaced(self, text: str) -> str:
        """The text with everything replaced that was learnt, and what shows by itself."""
        text = _EMAIL.sub(self._email, text)
        text = self._numbers(text)
        for pattern in _STREETS:
            text = pattern.sub(_street, text)
        return self._names(text)

    def phone(self, number: str | None) -> str | None:
        """What stands for a number in E.164."""
        if number is None:
            return None
        self.learn_phone(number)
        return self._phones.get(number, number)

    def _email(self, match: re.Match[str]) -> str:
        if match[0] in self._keep:
            return match[0]
        return self._emails.setdefault(match[0], f"caller{len(self._emails) + 1}@example.com")

    def _names(self, text: str) -> str:
        known = sorted(self._words, key=len, reverse=True)
        if not known:
            return text
        prefix = "[והשלמבכ]{0,2}"
        forms = [
            (prefix if is_hebrew(name) and len(name) > 2 else "") + f"(?:{re.escape(name)})" for name in known
        ]

        def put(match: re.Match[str]) -> str:
            name = next(name for name in known if match[0].casefold().endswith(name.casefold()))
            doubtful = " " not in name and (name in _EVERYDAY or not may_be_name(utterance(name)))
            if doubtful and text.strip(" .,!?") != match[0]:
                return match[0]
            return match[0][: len(match[0]) - len(name)] + self._words[name]

        return re.sub(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", put, text, flags=re.IGNORECASE)

    def _written(self, text: str) -> list[tuple[phonenumbers.PhoneNumberMatch, str]]:
        """Phone numbers written in digits, whatever stands beside them, each in E.164 too."""
        possible = phonenumbers.Leniency.POSSIBLE
        found = phonenumbers.PhoneNumberMatcher(text, self._region, leniency=possible)
        numbered = [(match, phone_e164(match.raw_string, self._region)) for match in found]
        return [
            (match, number) for match, number in numbered if number and not _TIME.search(match.raw_string)
        ]

    def _numbers(self, text: str) -> str:
        for match, number in reversed(self._written(text)):
            if number in self._phones:
                digits = re.sub(r"\D", "", match.raw_string)
                new = _in_layout(match.raw_string, self._as_written(number, (digits,)))
                text = text[: match.start] + new + text[match.end :]
        said = utterance(text)
        changes = list(self._changes(said))
        if not changes:
            return text
        clean = said.clean
        for start, end, new in reversed(changes):
            clean = clean[:start] + new + clean[end:]
        return clean

    def _changes(self, said: Utterance) -> Iterator[tuple[int, int, str]]:
        """Start and end in the clean text of each number that goes, and what comes for it."""
        for run in digit_runs(said):
            start, end = said.starts[run.start], said.ends[run.end - 1]
            old = said.clean[start:end]
            if _TIME.search(old) or run.digits in self._kept_digits or self._is_fictional(run):
                continue
            phone = self._phone_of(said, run)
            if phone is not None:
                new = self._as_written(phone, run.readings)
            elif (piece := self._piece(run.digits)) is not None:
                new = piece
            elif len(run.digits) >= _LONG and not _LETTER.search(old):
                new = _other_digits(run.digits)
            else:
                continue
            yield start, end, _in_layout(old, new)

    def _phone_of(self, said: Utterance, run: Run) -> str | None:
        """The phone number that a run of digits is, learnt."""
        written = said.clean[said.starts[run.start] : said.ends[run.end - 1]]
        if _TIME.search(written):
            return None
        for reading in run.readings:
            number = (
                phone_e164(f"+{reading}" if run.plus else reading, self._region) if len(reading) > 6 else None
            )
            if number is not None:
                self.learn_phone(number)
                return number if number in self._phones else None
        return None

    def _is_fictional(self, run: Run) -> bool:
        return any(form in run.readings for fake in self._phones.values() for form in _forms(fake))

    def _as_written(self, number: str, readings: tuple[str, ...]) -> str:
        """The number that stands for another, with a country code or without as that was written."""
        fake = self._phones[number]
        for old, new in zip(_forms(number), _forms(fake), strict=True):
            if old in readings:
                return new
        return _forms(fake)[1]

    def _piece(self, digits: str) -> str | None:
        """The same piece of the number that stands for a known one."""
        for number, fake in self._phones.items():
            old, new = _forms(number)[1], _forms(fake)[1]
            at = old.find(digits)
            if at >= 0 and len(digits) >= _PIECE and len(old) == len(new):
                return new[at : at + len(digits)]
        return None


def _digits_of(text: str, region: str) -> Iterator[str]:
    """Every number of a text, in each form that it may be said in."""
    for written in re.findall(r"[+\d][\d -]*\d", text):
        yield re.sub(r"\D", "", written)
        if (number := phone_e164(written, region)) is not None:
            yield from _forms(number)


def _is_womans(name: str, people: Mapping[str, Any]) -> bool:
    plain = name.casefold()
    if plain in people["masculine"]:
        return False
    return plain in people["feminine"] or plain.endswith(tuple(people["feminine_endings"]))


def _street(match: re.Match[str]) -> str:
    parts = match.groupdict()
    if parts.get("street"):
        return f"{parts['street']}הדקל"
    keep = parts["keep"] or parts["avenue"]
    return f"{keep}הדקל 12" if is_hebrew(keep.split()[0]) else f"12 Palm {keep}"


def _forms(number: str) -> tuple[str, str, str]:
    """A number in E.164 as digits: with its country code, as dialled at home, without the leading zero."""
    parsed = phonenumbers.parse(number)
    home = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return number[1:], re.sub(r"\D", "", home), phonenumbers.national_significant_number(parsed)


def _fictional_phone(number: str, count: int) -> str:
    """A number that is nobody's, valid, of the same country and kind.

    North America keeps 555-0100 to 555-0199 for fiction (ATIS-0300115), Britain 07700 900000 to 900999
    (Ofcom, numbers for drama use). Elsewhere nothing is set aside: there it is the same prefix and 55501xx.
    """
    parsed = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(parsed)
    if parsed.country_code == 44:
        return f"+447700900{100 + count % 900}"
    keep = national[: max(1, len(national) - 7)]
    made = f"+{parsed.country_code}{keep}55501{count % _OFTEN:02}"
    if phone_e164(made, "ZZ") is not None:
        return made
    region = phonenumbers.region_code_for_number(parsed) or "IL"
    kind = phonenumbers.number_type(parsed)
    example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    if example is None:
        return made
    return phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)


def _other_digits(digits: str) -> str:
    """As many digits, the same for the same."""
    seed = int.from_bytes(hashlib.sha256(digits.encode()).digest())
    return str(seed)[1 : len(digits) + 1]


def _in_layout(written: str, digits: str) -> str:
    """New digits with the spaces and dashes of the old ones; without where they do not fit."""
    if sum(char.isdigit() for char in written) != len(digits) or _LETTER.search(written):
        return digits
    rest = iter(digits)
    return "".join(next(rest) if char.isdigit() else char for char in written)


def anonymised_transcript(call: Transcript, anonymiser: Anonymiser) -> Transcript:
    """A call with the personal data of its caller replaced on both sides."""
    asked = ""
    for turn in call.turns:
        if turn.speaker == "caller":
            anonymiser.learn(turn.text, asked=asked)
        asked = turn.text
    turns = [turn.model_copy(update={"text": anonymiser.replaced(turn.text)}) for turn in call.turns]
    return call.model_copy(update={"turns": turns})
