"""Transcripts of real calls: JSON lines, one call a line, with the turn after which each was over.

``{"id", "business"?, "turns": [{"speaker": "caller"|"bot", "text"}], "end_turn", "end_reason"?,
"observed"?}``. ``end_turn`` is the 0-based index in ``turns`` of the caller turn after which the call
is over, null if it should have stayed open; a call without the key is not labelled yet.
``observed`` says when the system that held the call ended it, for ``callbot score``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from callbot.errors import InvalidInput, Problem
from callbot.files import write_whole
from callbot.plainly import in_plain_words, suggestion
from callbot.yamlfile import OptionalWords, StrictModel, Words, refuse

Speaker = Literal["caller", "bot"]
ENDED_BY = ("bot", "silence", "caller", "failure", "limit")
"""Who ends observed calls; only the first two are decisions of the bot's."""


def _reasons(value: object) -> object:
    return [] if value is None else [value] if isinstance(value, str) else value


class TranscriptTurn(StrictModel):
    """What one side said."""

    speaker: Speaker
    """``caller`` or ``bot``."""
    text: Words
    """The words."""


class Observed(StrictModel):
    """How the call ended in the system that held it."""

    end_turn: int | None = Field(ge=0)
    """0-based index in turns of the bot turn that ended the call, or of the caller turn that it answered;
    null: the bot never ended it."""
    reason: OptionalWords = None
    """Why, in the words of the business's end reasons; not judged if left out."""
    by: Literal["bot", "silence", "caller", "failure", "limit"] = "bot"
    """Who ended it; ``silence``: the bot gave up on a caller who no longer spoke (``no_response``)."""


class Transcript(StrictModel):
    """One call."""

    id: Words
    """Unique in its file."""
    business: OptionalWords = None
    """Id of the business called; may stand in the scenario file instead."""
    turns: list[TranscriptTurn]
    """What was said, in order."""
    end_turn: int | None = Field(default=None, ge=0)
    """0-based index in turns of the caller turn after which the call is over; null: it should stay open."""
    end_reason: Annotated[
        list[Words], BeforeValidator(_reasons, json_schema_input_type=str | list[str] | None)
    ] = Field(default_factory=list)
    """Reasons that are right, one or several; any if left out."""
    observed: Observed | None = None
    """How the call ended in the system that held it."""

    @model_validator(mode="after")
    def _ends_at_a_turn_of_the_caller(self) -> Transcript:
        refuse(_misplaced(self))
        return self

    @property
    def is_labelled(self) -> bool:
        """Whether somebody has said when it should have ended (never is an answer)."""
        return "end_turn" in self.model_fields_set

    @property
    def caller_turns(self) -> tuple[int, ...]:
        """Indexes in ``turns`` of what the caller said."""
        return tuple(index for index, turn in enumerate(self.turns) if turn.speaker == "caller")

    def number_of(self, index: int) -> int:
        """The caller turn, counted from 1, at or before an index in ``turns``; 0 before the first."""
        return sum(turn.speaker == "caller" for turn in self.turns[: index + 1])


def _misplaced(call: Transcript) -> Iterator[tuple[tuple[str, ...], str]]:
    if not any(turn.speaker == "caller" for turn in call.turns):
        yield ("turns",), "must hold at least one turn of the caller"
        return
    last = len(call.turns) - 1
    for place, index in (
        (("end_turn",), call.end_turn),
        (("observed", "end_turn"), call.observed.end_turn if call.observed else None),
    ):
        if index is not None and index > last:
            yield place, f"{index} lies behind the last turn, {last} (they count from 0)"
    end = call.end_turn
    if end is not None and end <= last and call.turns[end].speaker != "caller":
        earlier = [index for index in call.caller_turns if index < end]
        hint = f"; the caller turn before it is {earlier[-1]}" if earlier else ""
        yield ("end_turn",), f"{end} is a turn of the bot's; it must be one of the caller's{hint}"
    if end is None and call.end_reason:
        yield ("end_reason",), "goes with an end_turn; a call that should stay open has no reason to end"


@dataclass(frozen=True, slots=True)
class Line:
    """A transcript, and the 1-based line of its file."""

    number: int
    call: Transcript


_NOT_JSON = "not JSON"


def read_transcripts(path: Path) -> list[Line]:
    """Every call of a file. Raises InvalidInput with every fault of every line."""
    lines: list[Line] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for number, text in enumerate(_text(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            call = parse_transcript(text, path, number)
        except InvalidInput as error:
            problems.extend(error.problems)
            continue
        if (first := seen.setdefault(call.id, number)) != number:
            problems.append(Problem(path, number, "id", f'"{call.id}" is also the id of line {first}'))
        lines.append(Line(number, call))
    if not lines and len(problems) > 1 and all(fault.message.startswith(_NOT_JSON) for fault in problems):
        raise InvalidInput(
            [
                Problem(
                    path,
                    None,
                    "",
                    "holds no JSON lines, one call each; callbot import makes them of other files",
                )
            ]
        )
    if problems:
        raise InvalidInput(problems)
    if not lines:
        raise InvalidInput([Problem(path, None, "", "holds no transcripts")])
    return lines


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput([Problem(path, None, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem(path, None, "", "is not UTF-8 text; save it as UTF-8")]) from error


def parse_transcript(text: str, path: Path, number: int) -> Transcript:
    """One line. Raises InvalidInput naming the line and the key of each fault."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"{_NOT_JSON}: {error}" if isinstance(error, ValueError) else "is nested too deep"
        raise InvalidInput([Problem(path, number, "", what)]) from error
    if not isinstance(data, dict):
        what = 'must be one call, {"id": ..., "turns": [...]}'
        raise InvalidInput([Problem(path, number, "", what)])
    return checked_transcript(data, path, number)


def checked_transcript(data: Mapping[str, Any], path: Path, number: int | None) -> Transcript:
    """A call from its keys. Raises InvalidInput."""
    try:
        return Transcript.model_validate(data)
    except ValidationError as error:
        problems = [
            Problem(path, number, ".".join(map(str, fault["loc"])), _said(dict(fault)))
            for fault in error.errors(include_url=False)
        ]
        raise InvalidInput(problems) from error


def _said(fault: Mapping[str, Any]) -> str:
    place = fault["loc"]
    owner = TranscriptTurn if "turns" in place else Observed if "observed" in place else Transcript
    if fault["type"] == "extra_forbidden":
        return "unknown key" + (
            suggestion(str(place[-1]), owner.model_fields) or f"; known keys: {', '.join(owner.model_fields)}"
        )
    field = owner.model_fields.get(str(place[-1])) if place else None
    return in_plain_words(fault, field, owner)


def write_transcripts(calls: Iterable[Transcript], path: Path) -> None:
    """Write calls, the whole file or nothing. Raises CallbotError."""
    write_whole(path, "".join(transcript_line(call) + "\n" for call in calls))


def transcript_line(call: Transcript) -> str:
    """A call as its line; keys that were never given are left out."""
    data = call.model_dump(exclude_unset=True)
    reasons = data.pop("end_reason", [])
    if reasons:
        data["end_reason"] = reasons[0] if len(reasons) == 1 else reasons
    return json.dumps(data, ensure_ascii=False)


def labelled(lines: Sequence[Line], path: Path) -> list[Line]:
    """The same lines, if every call says when it should have ended. Raises InvalidInput."""
    missing = [line for line in lines if not line.call.is_labelled]
    if missing:
        how = (
            f'is missing: nobody has said when the call "{missing[0].call.id}" should have ended; '
            f"mark it with: callbot label {path} (or write null if it should stay open)"
        )
        more = f"; {len(missing)} calls of {len(lines)} are not labelled" if len(missing) > 1 else ""
        raise InvalidInput([Problem(path, missing[0].number, "end_turn", how + more)])
    return list(lines)
