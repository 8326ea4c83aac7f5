"""The lead's fields: what a value of each type must be, and the form it is kept in.

Phones are kept in E.164 (ITU-T E.164; parsed by Google's libphonenumber data), choices by their
name in the business file, times and free text in the caller's own words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from callbot.errors import CallbotError
from callbot.plainly import Expected
from callbot.yamlfile import OptionalWords, StrictModel, Words, refuse


def _named_choices(value: object) -> object:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value)
    return value


def _synonyms(value: object) -> object:
    return [] if value is None else [value] if isinstance(value, str) else value


_Synonyms = Annotated[list[Words], BeforeValidator(_synonyms, json_schema_input_type=str | list[str] | None)]
Choices = Annotated[
    dict[Words, _Synonyms],
    BeforeValidator(_named_choices, json_schema_input_type=dict[str, str | list[str] | None] | list[str]),
]


class LeadField(StrictModel):
    """One field of the lead."""

    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
        Expected("a name of Latin letters, digits and _, such as full_name"),
    ]
    """Its key in the lead."""
    type: Literal["text", "phone", "choice", "time"] = "text"
    """``text``, ``phone`` (kept in E.164), ``choice``, or ``time`` (kept in the caller's own words)."""
    label: OptionalWords = None
    """What it is called in speech and in the prompt."""
    required: bool = False
    """Whether ``lead_complete`` needs it."""
    ask: OptionalWords = None
    """The question that asks for it."""
    choices: Annotated[
        Choices,
        Expected("names, such as [small, large], or names and other words for them: {small: [little]}"),
    ] = Field(default_factory=dict)
    """Name of each choice and what else callers call it."""

    @model_validator(mode="after")
    def _choices_belong_to_choice(self) -> LeadField:
        if self.type == "choice" and not self.choices:
            raise ValueError("type: choice needs choices, such as choices: [small, large]")
        if self.choices and self.type != "choice":
            refuse([(("choices",), f"choices go with type: choice, not with type: {self.type}")])
        refuse(_ambiguities(self.choices))
        return self

    def normalised(self, value: str, region: str) -> str | None:
        """The value in the form it is kept in, or None when it is not valid for this field."""
        if value in self.choices:
            return value
        text = " ".join(printable(value).split())
        if not text:
            return None
        if self.type == "phone":
            return phone_e164(text, region)
        if self.type == "choice":
            return _choice(self.choices, text)
        return text


def _ambiguities(choices: Mapping[str, Sequence[str]]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Words that would name two choices."""
    named: dict[str, str] = {}
    for name, synonyms in choices.items():
        for word in (name, *synonyms):
            other = named.setdefault(folded(word), name)
            if other != name:
                yield ("choices", name), f'"{word}" stands for "{other}" already'


_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """``text`` without what no store keeps and no voice reads: control characters, halves of characters."""
    return _UNPRINTABLE.sub("", text)


def folded(text: str) -> str:
    """Text for comparing: no case, no accents or niqqud, single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def _choice(choices: Mapping[str, Sequence[str]], text: str) -> str | None:
    if text in choices:
        return text
    wanted = folded(text)
    for name, synonyms in choices.items():
        if wanted == folded(name) or any(wanted == folded(synonym) for synonym in synonyms):
            return name
    return None


@lru_cache(maxsize=4096)
def phone_e164(text: str, region: str) -> str | None:
    """A phone number as E.164, or None if it is no phone number when dialled from ``region``.

    Numbers in ranges that the library's data does not list as assigned pass at the length of a
    mobile number: numbering plans grow faster than the data, and fictional numbers live there.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        mobile = phonenumbers.PhoneNumberType.MOBILE
        possible = phonenumbers.is_possible_number_for_type_with_reason(number, mobile)
        zeros = phonenumbers.national_significant_number(number).startswith("0")
        if zeros or possible != phonenumbers.ValidationResult.IS_POSSIBLE:
            return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def check_caller_number(number: str | None) -> None:
    """Raise CallbotError unless the number is E.164, as carriers give it, or withheld (None)."""
    if number is not None and not re.fullmatch(r"\+[1-9]\d{6,14}", number):
        raise CallbotError(f'--from "{number}" is not a number with its country code, such as +972541112233')
