"""Scenario files: who calls which business, what they say, and when the call should end."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from callbot.evals.casting import (
    AdaptiveSpec,
    CallerSpec,
    CallerTurn,
    Cast,
    PersonaSpec,
    ScriptedSpec,
    milestones_of,
)
from callbot.evals.oracle import EndExpect, Expect
from callbot.evals.shapes import Fault, Location, OneOrMore, a_mapping, refuse, shaped, with_words
from callbot.evals.transcripts import Transcript
from callbot.yamlfile import OptionalText, StrictModel, Text

BEYOND_OFFLINE = "beyond-offline"
"""Tag of scenarios that the offline model is known to fail: excused for it, and for it alone."""
CRITICAL = "critical"
"""Tag of scenarios in which no attempt may end the call early."""
DEFAULT_NOW = dt.datetime(2026, 11, 29, 10, 0)
"""A Sunday morning: the fixed moment of scenarios that name none, so that runs can be repeated."""

__all__ = ["CallerTurn", "EndExpect", "Expect", "Scenario", "ScenarioFile"]

_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")


class Variant(StrictModel):
    """The same scenario with one turn's words changed, and perhaps its own oracle."""

    at: int = Field(ge=1)
    """Turn that is changed."""
    say: Annotated[Text, AfterValidator(with_words)]
    """What is said instead."""
    expect: Expect | None = None
    """Its own oracle; the one of the scenario if left out."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return a_mapping(value, "a variant such as {at: 2, say: no thanks}")


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


ScenarioName = shaped(
    r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name of Latin letters, digits and . _ - that begins with neither sign"
)
LocalTime = Annotated[dt.datetime, BeforeValidator(_local_time, json_schema_input_type=str)]


class ScenarioFile(StrictModel):
    """One scenario as it is written."""

    name: ScenarioName  # type: ignore[valid-type]
    """Unique among all scenarios of a run."""
    description: OptionalText = None
    """What it shows, in a sentence."""
    business: Annotated[list[str], OneOrMore, Field(min_length=1)]
    """Id of the business called, several, or ``any``."""
    tags: Annotated[list[Text], OneOrMore] = Field(default_factory=list)
    """For ``--tag``; ``critical``: may never end early; ``beyond-offline``: excused for the offline model."""
    now: LocalTime = DEFAULT_NOW
    """ISO 8601, local time of the business."""
    from_: shaped(r"\+[1-9]\d{6,14}", "a phone number such as +972541112233") | None = Field(  # type: ignore[valid-type]
        default=None, alias="from"
    )
    """The caller's number; withheld if left out."""
    caller: Cast
    """Who calls."""
    expect: Expect
    """When the call should end."""
    variants: list[Variant] = Field(default_factory=list)
    """Minimal pairs."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return a_mapping(value, "a scenario: a mapping with name, business, caller and expect")

    @field_validator("business", mode="before")
    @classmethod
    def _some_business(cls, value: object) -> object:
        if value in (None, [], [None]):
            raise ValueError("must be the id of a business, a list of ids, or any (with --business)")
        return value

    @model_validator(mode="after")
    def _oracle_fits_the_caller(self) -> ScenarioFile:
        faults = list(_window_faults((), self.expect, self.caller))
        for index, variant in enumerate(self.variants):
            faults.extend(_variant_faults(index, variant, self.caller))
        refuse(faults)
        return self


def _variant_faults(index: int, variant: Variant, caller: CallerSpec) -> Iterator[Fault]:
    place: Location = ("variants", index)
    at = (*place, "at")
    if not isinstance(caller, ScriptedSpec):
        yield at, "variants change a turn of a scripted caller, and this one follows no script", variant.at
    elif variant.at > len(caller.turns):
        yield at, f"{variant.at} lies outside {_turns(caller.turns)}", variant.at
    else:
        if caller.turns[variant.at - 1].say is None:
            yield at, f"changes what is said, but turn {variant.at} says nothing", variant.at
        if variant.expect is not None:
            turns = caller.turns
            said = CallerTurn(say=variant.say, milestone=turns[variant.at - 1].milestone)
            changed = [*turns[: variant.at - 1], said, *turns[variant.at :]]
            yield from _window_faults(place, variant.expect, caller.model_copy(update={"turns": changed}))


def _turns(turns: Sequence[CallerTurn]) -> str:
    return "the caller's only turn" if len(turns) == 1 else f"the caller's {len(turns)} turns"


def _window_faults(place: Location, expect: Expect, caller: CallerSpec) -> Iterator[Fault]:
    """Why a window could never be met by this caller."""
    end = expect.end
    here = (*place, "expect", "end")
    if end is None:
        return
    if end.after is not None and end.after not in (possible := milestones_of(caller)):
        if isinstance(caller, ScriptedSpec):
            message = f"no turn of the caller says milestone: {end.after}"
        else:
            message = f"{end.after} never comes with this caller; {' or '.join(sorted(possible))} may"
        yield (*here, "after"), message, end.after
    if end.turns is None:
        return
    if not isinstance(caller, ScriptedSpec):
        message = "nobody knows beforehand in which turn this caller is done; write after: goodbye, within: 1"
        yield (*here, "turns"), message, None
        return
    first, last = end.turns
    if last > len(caller.turns):
        yield (*here, "turns"), f"[{first}, {last}] lies outside {_turns(caller.turns)}", None
    elif any(turn.when is not None for turn in caller.turns):
        return  # in which order they will come is not known
    elif all(turn.expect.open for turn in caller.turns[first - 1 : last]):
        message = "every turn of this window says expect: {open: true}; it could never be met"
        yield (*here, "turns"), message, None


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
    """What a scripted caller does; empty for other callers."""
    expect: Expect
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where keys of the oracle are written, by dotted key."""
    caller: AdaptiveSpec | PersonaSpec | None = None
    """Who calls, if nobody follows a script."""
    transcript: Transcript | None = None
    """A real call: both sides are fixed, and the model is asked at each of its caller's turns."""
