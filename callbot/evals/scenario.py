"""Scenario files: who calls which business, what they say, and when the call should end."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from callbot.yamlfile import OptionalText, StrictModel, Text

BEYOND_OFFLINE = "beyond-offline"
"""Tag of scenarios that the offline model is known to fail: excused for it, and for it alone."""
CRITICAL = "critical"
"""Tag of scenarios in which no attempt may end the call early."""
DEFAULT_NOW = dt.datetime(2026, 11, 29, 10, 0)
"""A Sunday morning: the fixed moment of scenarios that name none, so that runs can be repeated."""

NOT_YET = "cannot be used yet; only scripted callers (caller: turns) can"

_ACTS = ("say", "silence", "press", "noise", "hang_up")
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")

_Location = tuple[int | str, ...]


def _refuse(faults: Sequence[tuple[_Location, str, object]]) -> None:
    """Report faults (place below the validated model, message, what was found), if there are any."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", "{m}", {"m": message}), loc=place, input=found
        )
        for place, message, found in faults
    ]
    if details:
        raise ValidationError.from_exception_data("scenario", details)


def _mapping(value: object, what: str, later: Mapping[str, str] | None = None) -> object:
    """Say what was due where there is no mapping, and which keys of the format are for later."""
    if isinstance(value, str) or not isinstance(value, (Mapping, StrictModel)):
        found = "nothing" if value is None else "a list" if isinstance(value, list) else f'"{value}"'
        raise ValueError(f"must be {what}; found {found}")  # noqa: TRY004  # pydantic reports ValueErrors
    if isinstance(value, Mapping):
        _refuse([((key,), message, value[key]) for key, message in (later or {}).items() if key in value])
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


_OneOrMore = BeforeValidator(_listed, json_schema_input_type=str | list[str])


def _shaped(pattern: str, what: str) -> Any:
    """A text that has a form; ``what`` says which to somebody who does not read regular expressions."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f'must be {what}; found "{value}"')
        return value

    return Annotated[str, AfterValidator(check), Field(json_schema_extra={"pattern": f"^{pattern}$"})]


def _with_words(value: str | None) -> str | None:
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


class TurnExpect(StrictModel):
    """What must hold of the model's reply to one turn."""

    open: Literal[True] | None = None
    """The model must not ask to end."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return _mapping(value, "{open: true}")

    @field_validator("open", mode="before")
    @classmethod
    def _true(cls, value: object) -> object:
        if str(value).lower() != "true":
            raise ValueError("must be true; to expect an end, use the scenario's expect.end")
        return True


class CallerTurn(StrictModel):
    """One entry of a scripted caller. Seconds where a number is wanted."""

    say: Annotated[OptionalText, AfterValidator(_with_words)] = None
    """What the caller says."""
    heard: OptionalText = None
    """What recognition makes of ``say``."""
    silence: float | None = Field(default=None, gt=0, le=3600)
    """Seconds without a word."""
    press: _shaped(r"[0-9*#]+", "keys: 0-9, * and #") | None = None  # type: ignore[valid-type]
    """Keys of the caller's phone."""
    noise: float | None = Field(default=None, gt=0, le=60)
    """Seconds of sound without words."""
    hang_up: bool | None = None
    """The caller hangs up."""
    barge_in: float | None = Field(default=None, ge=0, le=600)
    """Seconds into the bot's reply."""
    during: Literal["greeting", "farewell", "linger"] | None = None
    """Said over the greeting or the farewell, or in the moment after it."""
    expect: TurnExpect = TurnExpect()
    """What must hold of the reply to this turn."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        what = "a turn such as {say: hello}; quote text that holds : or ,"
        return _mapping(value, what, {"when": "when cannot be used yet; turns are said in order"})

    @model_validator(mode="after")
    def _does_one_thing(self) -> CallerTurn:
        acts = [act for act in _ACTS if getattr(self, act) not in (None, False)]
        if len(acts) != 1:
            found = f"found {' and '.join(acts)}" if acts else "found none of them"
            raise ValueError(f"a turn does exactly one of {', '.join(_ACTS)}; {found}")
        if self.heard is not None and self.say is None:
            raise ValueError("heard goes with say")
        if self.barge_in is not None and self.during is not None:
            raise ValueError("barge_in and during are two different cues; choose one")
        if (self.barge_in is not None or self.during) and acts[0] in ("silence", "hang_up"):
            raise ValueError(f"barge_in and during go with say, press or noise, not with {acts[0]}")
        return self

    def __str__(self) -> str:
        """The turn as a transcript shows it."""
        if self.say is not None:
            heard = f' (heard as "{self.heard}")' if self.heard is not None else ""
            return self.say + heard
        if self.silence is not None:
            return f"[silent for {self.silence:g} s]"
        if self.press is not None:
            return f"[presses {self.press}]"
        return f"[noise for {self.noise:g} s]" if self.noise is not None else "[hangs up]"


class Caller(StrictModel):
    """A scripted caller."""

    turns: list[CallerTurn] = Field(min_length=1)
    """What the caller does, in order; each entry is one turn, counted from 1."""

    @model_validator(mode="before")
    @classmethod
    def _scripted_only(cls, value: object) -> object:
        return _mapping(value, "a caller such as {turns: [{say: hello}]}", _OTHER_CALLERS)

    @field_validator("turns", mode="before")
    @classmethod
    def _some_turns(cls, value: object) -> object:
        if not isinstance(value, list) or not value:
            raise ValueError("must be a list of at least one turn, such as [{say: hello}]")
        return value

    @model_validator(mode="after")
    def _every_turn_can_come(self) -> Caller:
        _refuse(list(_out_of_order(self.turns)))
        return self


_OTHER_CALLERS = {
    **dict.fromkeys(("facts", "temper", "opening"), f"adaptive callers {NOT_YET}"),
    **dict.fromkeys(("persona", "goal", "max_turns"), f"adaptive and persona callers {NOT_YET}"),
    **dict.fromkeys(("transcript", "transcripts"), f"transcripts {NOT_YET}"),
}


def _out_of_order(turns: Sequence[CallerTurn]) -> Iterator[tuple[_Location, str, object]]:
    for index, turn in enumerate(turns):
        earlier = turns[:index]
        if earlier and earlier[-1].hang_up:
            yield ("turns", index), "nothing can be done after hang_up", None
        if turn.during == "greeting" and any(t.during != "greeting" and not t.silence for t in earlier):
            yield ("turns", index, "during"), "the greeting is over after the turns before this one", None


class EndExpect(StrictModel):
    """When the call should end: a window of turns, inclusive, and the reasons allowed."""

    turns: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]
    """First and last turn of the window, inclusive."""
    reason: Annotated[list[str], _OneOrMore] = Field(default_factory=list)
    """Reasons that are right; any if left out."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_window(cls, value: object) -> object:
        later = {
            key: f"end.{key} cannot be used yet; give a window of turns such as turns: [6, 7]"
            for key in ("after", "within", "before")
        }
        return _mapping(value, "open, or a window such as {turns: [6, 7]}", later)

    @field_validator("turns", mode="before")
    @classmethod
    def _first_and_last(cls, value: object) -> object:
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError("must be the first and the last turn of the window, such as [6, 7] or [6, 6]")
        return value

    @field_validator("turns")
    @classmethod
    def _first_before_last(cls, value: list[int]) -> list[int]:
        if value[0] > value[1]:
            raise ValueError(f"the window's first turn {value[0]} comes after its last {value[1]}")
        return value


def _none_if_open(value: object) -> object:
    if value is None:
        raise ValueError("is empty; write open, or a window such as {turns: [6, 7]}")
    return None if value == "open" else value


class Expect(StrictModel):
    """The oracle: what a thoughtful human operator would do."""

    end: Annotated[
        EndExpect | None, BeforeValidator(_none_if_open, json_schema_input_type=EndExpect | Literal["open"])
    ]
    """None: it should stay open, written ``open``."""
    lead: dict[str, Annotated[list[Pattern], _OneOrMore]] = Field(default_factory=dict)
    """Alternatives by field; ``~`` begins a regular expression, an empty list means not captured."""
    lead_status: Literal["in_progress", "complete", "declined"] | None = None
    """Status of the lead at the end."""
    never_says: Annotated[list[Pattern], _OneOrMore] = Field(default_factory=list)
    """What the bot must not say; ``~`` begins a regular expression."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return _mapping(value, "an oracle such as {end: {turns: [6, 7]}} or {end: open}")


class Variant(StrictModel):
    """The same scenario with one turn's words changed, and perhaps its own oracle."""

    at: int = Field(ge=1)
    """Turn that is changed."""
    say: Annotated[Text, AfterValidator(_with_words)]
    """What is said instead."""
    expect: Expect | None = None
    """Its own oracle; the one of the scenario if left out."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return _mapping(value, "a variant such as {at: 2, say: no thanks}")


def _local_time(value: object) -> object:
    if isinstance(value, str) and _LOCAL_TIME.fullmatch(value):
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f'"{value}" is no time: {error}') from error
    if isinstance(value, dt.datetime):
        return value
    found = "nothing" if value is None else f'"{value}"'
    raise ValueError(f"must be a local time of the business such as 2026-11-27T10:00; found {found}")


class ScenarioFile(StrictModel):
    """One scenario as it is written."""

    name: _shaped(  # type: ignore[valid-type]
        r"[A-Za-z0-9][A-Za-z0-9._-]*",
        "a name of Latin letters, digits and . _ - that begins with neither sign",
    )
    """Unique among all scenarios of a run."""
    description: OptionalText = None
    """What it shows, in a sentence."""
    business: Annotated[list[str], _OneOrMore, Field(min_length=1)]
    """Id of the business called, several, or ``any``."""
    tags: Annotated[list[Text], _OneOrMore] = Field(default_factory=list)
    """For ``--tag``; ``critical``: may never end early; ``beyond-offline``: excused for the offline model."""
    now: Annotated[dt.datetime, BeforeValidator(_local_time, json_schema_input_type=str)] = DEFAULT_NOW
    """ISO 8601, local time of the business."""
    from_: _shaped(r"\+[1-9]\d{6,14}", "a phone number such as +972541112233") | None = Field(  # type: ignore[valid-type]
        default=None, alias="from"
    )
    """The caller's number; withheld if left out."""
    caller: Caller
    """Who calls."""
    expect: Expect
    """When the call should end."""
    variants: list[Variant] = Field(default_factory=list)
    """Minimal pairs."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return _mapping(value, "a scenario: a mapping with name, business, caller and expect")

    @field_validator("business", mode="before")
    @classmethod
    def _some_business(cls, value: object) -> object:
        if value in (None, [], [None]):
            raise ValueError("must be the id of a business, a list of ids, or any (with --business)")
        return value

    @model_validator(mode="after")
    def _oracle_fits_the_script(self) -> ScenarioFile:
        turns = self.caller.turns
        faults = list(_window_faults((), self.expect, turns))
        for index, variant in enumerate(self.variants):
            at: _Location = ("variants", index, "at")
            if variant.at > len(turns):
                faults.append((at, f"{variant.at} lies outside {_turns(turns)}", variant.at))
                continue
            if turns[variant.at - 1].say is None:
                faults.append((at, f"changes what is said, but turn {variant.at} says nothing", variant.at))
            if variant.expect is not None:
                changed = [*turns[: variant.at - 1], CallerTurn(say=variant.say), *turns[variant.at :]]
                faults.extend(_window_faults(("variants", index), variant.expect, changed))
        _refuse(faults)
        return self


def _turns(turns: Sequence[CallerTurn]) -> str:
    return "the caller's only turn" if len(turns) == 1 else f"the caller's {len(turns)} turns"


def _window_faults(
    place: _Location, expect: Expect, turns: Sequence[CallerTurn]
) -> Iterator[tuple[_Location, str, object]]:
    if expect.end is None:
        return
    first, last = expect.end.turns
    here = (*place, "expect", "end", "turns")
    if last > len(turns):
        yield here, f"[{first}, {last}] lies outside {_turns(turns)}", None
    elif all(turn.expect.open for turn in turns[first - 1 : last]):
        yield here, "every turn of this window says expect: {open: true}; it could never be met", None


class ScenarioSet(StrictModel):
    """Several scenarios in one file."""

    scenarios: list[ScenarioFile] = Field(min_length=1)
    """Several scenarios in one file."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario for one business, ready to run."""

    name: str
    description: str
    file: Path
    line: int
    business: str
    tags: tuple[str, ...]
    now: dt.datetime
    caller_number: str | None
    turns: tuple[CallerTurn, ...]
    expect: Expect
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where keys of the oracle are written, by dotted key."""
