"""Turns exports of other systems into transcripts, by a map that says where things stand in them.

One row an utterance, grouped by call, or one row a call with a list of turns. A path is the name of
a column or key, or else a JMESPath expression (https://jmespath.org). Segments of one side that
follow one another are one turn: a turn lasts until the other side speaks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.evals.tabular import Row
from callbot.evals.transcripts import ENDED_BY, Speaker, Transcript, checked_transcript
from callbot.plainly import suggestion

PATHS = {
    "id": "the call's id",
    "business": "the id of the business called",
    "turns": "the list of turns, where one row is one call",
    "speaker": "who speaks",
    "text": "the words",
    "order": "what the turns of a call are sorted by",
    "end": "true at the turn after which the call was over, where that is known already",
    "end_reason": "the reason that is right",
    "observed": "true at the turn in which the system ended the call",
    "observed_reason": "the reason it gave",
    "observed_by": "who ended the call; alone, it means that the last turn ended it",
}
VALUES = {
    "caller": "how the caller is called",
    "bot": "how the bot is called",
    "skip": "a speaker whose turns are left out",
}
REASON = "reason."
"""``reason.lead_complete=done``: what another system calls an end reason."""
_MOST_PROBLEMS = 20
_YES = {"true", "1", "yes", "y", "x", "t", "on"}
_NO = {"", "false", "0", "no", "n", "f", "off", "none", "null"}


@dataclass(frozen=True, slots=True)
class Field:
    """Where something stands in a row: a key as it is, else a JMESPath expression."""

    path: str
    expression: Any = None

    def of(self, row: Mapping[str, Any]) -> Any:
        """The value there, or None."""
        if self.path in row:
            return row[self.path]
        return None if self.expression is None else self.expression.search(row)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A whole ``--map``."""

    paths: Mapping[str, Field]
    speakers: Mapping[str, Speaker | None]
    """By what the export calls them, in lower case; None: left out."""
    reasons: Mapping[str, str]
    named: frozenset[str]
    """Keys that the user gave; the others stand at their own names."""


def parse_map(options: Sequence[str]) -> Mapped:
    """Read ``KEY=PATH`` and ``KEY=VALUE`` options. Raises CallbotError."""
    paths = {key: _field(key, key) for key in PATHS}
    speakers: dict[str, Speaker | None] = {
        "caller": "caller",
        "user": "caller",
        "bot": "bot",
        "assistant": "bot",
    }
    reasons: dict[str, str] = {}
    named: set[str] = set()
    for option in options:
        key, sign, value = (part.strip() for part in option.partition("="))
        if not sign or not key or not value:
            raise CallbotError(f'--map "{option}" is not KEY=PATH, for example text=message.content')
        if key.startswith(REASON):
            reasons[value] = key.removeprefix(REASON)
        elif key in VALUES:
            speakers[value.casefold()] = None if key == "skip" else "caller" if key == "caller" else "bot"
        elif key in PATHS:
            paths[key] = _field(key, value)
            named.add(key)
        else:
            known = [*PATHS, *VALUES, f"{REASON}NAME"]
            raise CallbotError(
                f'--map: unknown key "{key}"' + (suggestion(key, known) or f"; known: {', '.join(known)}")
            )
    return Mapped(paths, speakers, reasons, frozenset(named))


def _field(key: str, path: str) -> Field:
    try:
        return Field(path, jmespath.compile(path))
    except JMESPathError:
        return Field(path)  # the name of a column, such as "Call ID"; a row that lacks it says so


@dataclass(slots=True)
class Imported:
    """The calls of an export, and what of it was left out."""

    calls: list[Transcript] = field(default_factory=list)
    blank: int = 0
    """Turns without words, or of speakers that are to be skipped."""
    silent: list[str] = field(default_factory=list)
    """Ids of calls in which the caller says nothing."""


@dataclass(slots=True)
class _Said:
    """One row that is a turn. ``line`` is None where the file has no lines to speak of."""

    line: int | None
    row: Mapping[str, Any]


def import_calls(rows: Iterable[Row], mapped: Mapped, path: Path) -> Imported:
    """Read an export. ``path`` is for messages. Raises InvalidInput with the first faults of its rows."""
    return _Importer(mapped, path).read(rows)


class _Importer:
    def __init__(self, mapped: Mapped, path: Path) -> None:
        self.mapped, self.path = mapped, path
        self.imported = Imported()
        self.problems: list[Problem] = []
        self.strangers: Counter[str] = Counter()
        self.lacks: dict[str, list[Row]] = {}
        """Rows in which nothing stands where a key is said to stand."""
        self.texts, self.textless = 0, list[Row]()

    def read(self, rows: Iterable[Row]) -> Imported:
        for call_id, head, turns in self.calls(rows):
            self.call(call_id, head, turns)
        if self.textless and not self.texts:
            self.lacks["text"] = self.textless
        self.problems.extend(self.lacking(key, rows) for key, rows in self.lacks.items())
        if self.strangers:
            self.problems.append(self.unknown_speakers())
        if self.problems:
            raise InvalidInput(self.problems[:_MOST_PROBLEMS])
        if not self.imported.calls and not self.imported.silent:
            raise InvalidInput([Problem(self.path, None, "", "holds no calls")])
        return self.imported

    # --- calls ----------------------------------------------------------------------------------
    def calls(self, rows: Iterable[Row]) -> Iterator[tuple[str, Row, list[_Said]]]:
        """Id, a row that tells of the whole call, and its turns, in the order of the file."""
        grouped: dict[str, tuple[Row, list[_Said]]] = {}
        for number, row in enumerate(rows, 1):
            turns = self.listed(row)
            if turns is not None:
                named = self.text("id", row.data)
                call_id = named or (None if "id" in self.mapped.named else str(number))
                if call_id is None:
                    self.lacks.setdefault("id", []).append(row)
                elif call_id in grouped:
                    self.problems.append(Problem(self.path, row.line, "id", f'"{call_id}" stands here twice'))
                else:
                    grouped[call_id] = row, turns
                continue
            call_id = self.text("id", row.data)
            if call_id is None:
                self.lacks.setdefault("id", []).append(row)
                continue
            grouped.setdefault(call_id, (row, []))[1].append(_Said(row.line, row.data))
        for call_id, (head, said) in grouped.items():
            yield call_id, head, self.sorted(said)

    def listed(self, row: Row) -> list[_Said] | None:
        """The turns of a row that is a whole call; None if it is an utterance."""
        turns = self.mapped.paths["turns"].of(row.data)
        if isinstance(turns, str) and turns.lstrip()[:1] == "[":
            try:
                turns = json.loads(turns)
            except ValueError:
                turns = None
        if isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns):
            return [_Said(row.line, turn) for turn in turns]
        if "turns" in self.mapped.named:
            self.problems.append(
                Problem(self.path, row.line, "turns", f'"{self.path_of("turns")}" holds no list of turns')
            )
            return []
        return None

    def sorted(self, said: list[_Said]) -> list[_Said]:
        if "order" not in self.mapped.named:
            return said
        keys = [self.text("order", turn.row) for turn in said]
        for key, turn in zip(keys, said, strict=True):
            if key is None:
                self.lacks.setdefault("order", []).append(Row(turn.line, dict(turn.row)))
                return said
        try:
            ranks: list[Any] = [float(key or "") for key in keys]
        except ValueError:
            ranks = list(keys)
        return [said[index] for index in sorted(range(len(said)), key=ranks.__getitem__)]

    def call(self, call_id: str, head: Row, said: list[_Said]) -> None:
        turns: list[dict[str, str]] = []
        marks: dict[str, int] = {}
        for one in said:
            turn = self.turn(one)
            if turn is None:
                continue
            if turns and turns[-1]["speaker"] == turn["speaker"]:
                turns[-1]["text"] += f" {turn['text']}"
            else:
                turns.append(turn)
            for key in ("end", "observed"):
                if self.flagged(key, one):
                    marks.setdefault(key, len(turns) - 1)
        if not any(turn["speaker"] == "caller" for turn in turns):
            if turns or not self.strangers:
                self.imported.silent.append(call_id)
            return
        rows = [head.data, *(one.row for one in said)]
        data: dict[str, Any] = {"id": call_id, "turns": turns}
        if business := self.first("business", rows):
            data["business"] = business
        self.label(data, marks, rows)
        self.observe(data, marks, rows, head.line)
        try:
            self.imported.calls.append(checked_transcript(data, self.path, head.line))
        except InvalidInput as error:
            self.problems.extend(error.problems)

    def label(
        self, data: dict[str, Any], marks: Mapping[str, int], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """When the call should have ended, if the export knows. A bot's turn marks the one before it."""
        if "end" not in marks:
            return
        callers = [
            i for i, turn in enumerate(data["turns"][: marks["end"] + 1]) if turn["speaker"] == "caller"
        ]
        if callers:
            data["end_turn"] = callers[-1]
            if reason := self.first("end_reason", rows):
                data["end_reason"] = self.mapped.reasons.get(reason, reason)

    def observe(
        self,
        data: dict[str, Any],
        marks: Mapping[str, int],
        rows: Sequence[Mapping[str, Any]],
        line: int | None,
    ) -> None:
        """How the call ended there, if the map says where that stands."""
        if not {"observed", "observed_by"} & self.mapped.named:
            return
        by = self.ended_by(self.first("observed_by", rows), line)
        end: int | None = marks.get("observed")
        if end is None and ("observed" not in self.mapped.named and by is not None):
            end = len(data["turns"]) - 1
        observed: dict[str, Any] = {"end_turn": end}
        if end is not None:
            observed["by"] = by or "bot"
            if reason := self.first("observed_reason", rows):
                observed["reason"] = self.mapped.reasons.get(reason, reason)
        data["observed"] = observed

    def ended_by(self, value: str | None, line: int | None) -> str | None:
        if value is None:
            return None
        by = self.mapped.speakers.get(value.casefold(), value.casefold())
        if by in ENDED_BY:
            return by
        message = (
            f'"{value}" is none of {", ".join(ENDED_BY)}; say which it is: --map "bot={value}" or caller='
        )
        self.problems.append(Problem(self.path, line, "observed_by", message))
        return None

    # --- turns ----------------------------------------------------------------------------------
    def turn(self, one: _Said) -> dict[str, str] | None:
        """Speaker and words, or None for what is left out."""
        who = self.text("speaker", one.row)
        if who is None:
            self.lacks.setdefault("speaker", []).append(Row(one.line, dict(one.row)))
            return None
        if who.casefold() not in self.mapped.speakers:
            self.strangers[who] += 1
            return None
        speaker, text = self.mapped.speakers[who.casefold()], self.text("text", one.row)
        if text is None and self.mapped.paths["text"].of(one.row) is None:
            self.textless.append(Row(one.line, dict(one.row)))
        self.texts += text is not None
        if speaker is None or text is None:
            self.imported.blank += 1
            return None
        return {"speaker": speaker, "text": text}

    def flagged(self, key: str, one: _Said) -> bool:
        value = self.mapped.paths[key].of(one.row) if key in self.mapped.named else None
        text = str(value).strip().casefold() if value is not None else ""
        if text not in _YES | _NO:
            message = f'must be true or false (or 1 and 0, yes and no); found "{value}"'
            self.problems.append(Problem(self.path, one.line, self.path_of(key), message))
        return text in _YES

    def text(self, key: str, row: Mapping[str, Any]) -> str | None:
        """The text at a path in one line, or None if there is none; numbers count as text."""
        value = self.mapped.paths[key].of(row)
        if value is None or isinstance(value, (dict, list)):
            return None
        return " ".join(str(value).split()) or None

    def first(self, key: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
        return next((text for row in rows if (text := self.text(key, row)) is not None), None)

    # --- faults ---------------------------------------------------------------------------------
    def path_of(self, key: str) -> str:
        return self.mapped.paths[key].path

    def lacking(self, key: str, rows: Sequence[Row]) -> Problem:
        row, path = rows[0], self.path_of(key)
        found = (
            "is empty here" if path in row.data else f"is not here, only {', '.join(row.data) or 'nothing'}"
        )
        more = f" (and in {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        message = f'"{path}" {found}{more}; say where {PATHS[key]} stands: --map {key}=PATH'
        return Problem(self.path, row.line, key, message)

    def unknown_speakers(self) -> Problem:
        names = ", ".join(f'"{name}" ({count})' for name, count in self.strangers.most_common(8))
        example = next(iter(self.strangers))
        message = (
            f'who is {names}? Say --map "caller={example}", --map "bot={example}" or --map "skip={example}"'
        )
        return Problem(self.path, None, "speaker", message)
