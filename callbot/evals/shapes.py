"""Kinds of values that scenario files are made of, and how their faults are told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from callbot.yamlfile import StrictModel, Text

Location = tuple[int | str, ...]
Fault = tuple[Location, str, object]
"""Place below the validated model, message, what was found."""


def refuse(faults: Sequence[Fault]) -> None:
    """Report faults, if there are any."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", "{m}", {"m": message}), loc=place, input=found
        )
        for place, message, found in faults
    ]
    if details:
        raise ValidationError.from_exception_data("scenario", details)


def a_mapping(value: object, what: str, later: Mapping[str, str] | None = None) -> object:
    """Say what was due where there is no mapping, and which keys of the format are for later."""
    if isinstance(value, str) or not isinstance(value, (Mapping, StrictModel)):
        found = "nothing" if value is None else "a list" if isinstance(value, list) else f'"{value}"'
        raise ValueError(f"must be {what}; found {found}")  # noqa: TRY004  # pydantic reports ValueErrors
    if isinstance(value, Mapping):
        refuse([((key,), message, value[key]) for key, message in (later or {}).items() if key in value])
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


OneOrMore = BeforeValidator(_listed, json_schema_input_type=str | list[str])


def shaped(pattern: str, what: str) -> Any:
    """A text that has a form; ``what`` says which to somebody who does not read regular expressions."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f'must be {what}; found "{value}"')
        return value

    return Annotated[str, AfterValidator(check), Field(json_schema_extra={"pattern": f"^{pattern}$"})]


def with_words(value: str | None) -> str | None:
    """Refuse a text without words."""
    if value is not None and not value.strip():
        raise ValueError("holds no words; for a sound without words write noise: SECONDS")
    return value


def _checked_pattern(text: str) -> str:
    if text.startswith("~"):
        try:
            re.compile(text[1:])
        except re.error as error:
            raise ValueError(f'"{text}" is no regular expression: {error}') from error
    return text


Pattern = Annotated[Text, AfterValidator(_checked_pattern)]
"""A text, or after ``~`` a regular expression."""
