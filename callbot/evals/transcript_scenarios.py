"""Scenario files that name transcripts: each call of the file becomes a scenario of its own.

A call's turns are fixed on both sides; the model is asked at every turn of the caller (``prefixes.py``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from callbot.errors import InvalidInput, Problem
from callbot.evals.casting import CallerTurn
from callbot.evals.oracle import EndExpect, Expect
from callbot.evals.scenario import DEFAULT_NOW, LocalTime, Scenario, ScenarioName
from callbot.evals.shapes import OneOrMore
from callbot.evals.transcripts import Line, Transcript, labelled, read_transcripts
from callbot.yamlfile import Document, Location, OptionalText, StrictModel, Text, validate


def _business(value: object) -> object:
    if isinstance(value, list):
        raise ValueError("must be the id of one business: a transcript is a call to one")  # noqa: TRY004  # as pydantic reports
    return value


class TranscriptsFile(StrictModel):
    """Scenarios from transcripts, as they are written: one for each call, named ``<name>/<id>``."""

    name: ScenarioName
    """Begins the names of its scenarios."""
    description: OptionalText = None
    """What the calls have in common, in a sentence."""
    business: Annotated[OptionalText, BeforeValidator(_business)] = None
    """Id of the business called, or ``any``; may stand in each call instead."""
    tags: Annotated[list[Text], OneOrMore] = Field(default_factory=list)
    """For ``--tag``; ``critical``: may never end early; ``beyond-offline``: excused for the offline model."""
    now: LocalTime = DEFAULT_NOW
    """ISO 8601, local time of the business."""
    transcripts: Text
    """Path of the transcripts, JSON lines, from the folder of this file."""
    within: int = Field(default=0, ge=0, le=20)
    """Turns of the caller after the true end in which a request is on time too."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where calls come from and what they have in common."""

    path: Path
    name: str
    description: str = ""
    business: str | None = None
    tags: tuple[str, ...] = ()
    now: dt.datetime = DEFAULT_NOW
    within: int = 0


def transcript_scenarios(
    document: Document, location: Location, any_business: Sequence[str]
) -> Iterator[Scenario]:
    """The scenarios of a file that says ``transcripts:``. Raises InvalidInput."""
    written = validate(TranscriptsFile, document, location)
    path = document.path.parent / written.transcripts
    if not path.is_file():
        line = document.place((*location, "transcripts"))[1]
        message = f"there is no file {path}; the path counts from the folder of this file"
        raise InvalidInput([Problem(document.path, line, "transcripts", message)])
    source = Source(
        path=path,
        name=written.name,
        description=written.description or "",
        business=written.business,
        tags=tuple(written.tags),
        now=written.now,
        within=written.within,
    )
    yield from scenarios_of(source, any_business)


def scenarios_of(source: Source, any_business: Sequence[str]) -> Iterator[Scenario]:
    """One scenario a call (and business, where it is ``any``). Raises InvalidInput."""
    for line in labelled(read_transcripts(source.path), source.path):
        named = line.call.business or source.business or "any"
        if named == "any" and not any_business:
            message = "is missing; write it here, in the scenario file, or say --business ID"
            raise InvalidInput([Problem(source.path, line.number, "business", message)])
        for business in any_business if named == "any" else [named]:
            several = named == "any" and len(any_business) > 1
            yield _scenario(source, line, business, f"@{business}" if several else "")


def _scenario(source: Source, line: Line, business: str, suffix: str) -> Scenario:
    call = line.call
    return Scenario(
        name=f"{source.name}/{call.id}{suffix}",
        description=source.description,
        file=source.path,
        line=line.number,
        business=business,
        tags=source.tags,
        now=source.now,
        caller_number=None,
        turns=tuple(CallerTurn(say=call.turns[index].text) for index in call.caller_turns),
        expect=expectation(call, source.within),
        lines={"business": line.number, "expect.end.reason": line.number},
        transcript=call,
    )


def expectation(call: Transcript, within: int = 0) -> Expect:
    """The oracle of a labelled call: a window from its true end to ``within`` caller turns later."""
    if call.end_turn is None:
        return Expect.model_validate({"end": "open"})
    number = call.number_of(call.end_turn)
    return Expect(end=EndExpect(turns=[number, number + within], reason=call.end_reason))
