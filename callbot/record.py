"""What happened on a call: every event, command and note with its time (``callbot.record/1``).

Every check, metric, report and replay reads Records, whatever line made them. As JSONL: a header
line, then one line an entry, ``{"t", "kind": "event"|"command"|"note", "type", ...}``. Feeding the
events to the same version of the engine gives the same commands (``replayed``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic_core import to_json

from callbot import events as ev
from callbot.call import Call
from callbot.errors import InvalidInput, Problem
from callbot.events import Command, Control, EndedBy, Event, Note, Occasion, SpeechKind
from callbot.rules import Rules

SCHEMA = "callbot.record/1"

Kind = Literal["event", "command", "note"]
Happening = Event | Command


class Entry(NamedTuple):
    """One thing that happened, ``t`` seconds after the driver's origin."""

    t: float
    kind: Kind
    what: Happening


@dataclass(slots=True)
class Record:
    """A call's header and everything that happened on it, in order."""

    header: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)

    def event(self, t: float, event: Event) -> None:
        """Write down what happened to the call."""
        self.entries.append(Entry(t, "event", event))

    def command(self, t: float, command: Command) -> None:
        """Write down what the call wanted done (a Note is written as one)."""
        self.entries.append(Entry(t, "note" if type(command) is Note else "command", command))

    def note(self, t: float, kind: str, **data: object) -> None:
        """Write down something that drivers, models or simulated callers know of the call."""
        self.entries.append(Entry(t, "note", Note(kind, data)))

    def of(self, *types: type) -> Iterator[tuple[float, Any]]:
        """Time and value of every entry of these types."""
        for entry in self.entries:
            if type(entry.what) in types:  # events and commands have no subclasses
                yield entry.t, entry.what

    def notes(self, kind: str) -> Iterator[tuple[float, Mapping[str, Any]]]:
        """Time and data of every note of a type."""
        for t, what in self.of(Note):
            if what.type == kind:
                yield t, what.data

    def to_jsonl(self) -> bytes:
        """The whole Record as UTF-8 JSON lines."""
        lines = [{"schema": SCHEMA, **self.header}, *map(entry_to_json, self.entries)]
        return b"\n".join(map(to_json, lines)) + b"\n"

    def write(self, path: Path) -> None:
        """Write the Record to a file."""
        path.write_bytes(self.to_jsonl())


def header(*, call_id: str, rules: Rules, **facts: object) -> dict[str, Any]:
    """A Record's header: the call, the rules it ran by, and what else identifies it."""
    return {"call": call_id, **facts, "rules": {name: getattr(rules, name) for name in _RULES}}


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """An entry as flat JSON data. An AskModel says how much history it carried, not all of it again."""
    t, kind, what = entry
    if type(what) is Note:
        return {"t": t, "kind": kind, "type": what.type, "data": what.data}
    cls = type(what)
    data: dict[str, Any] = {"t": t, "kind": kind, "type": _NAMES[cls]}
    for name in _FIELDS[cls]:
        data[name] = getattr(what, name)
    if cls is ev.AskModel:
        data["history"] = len(data["history"])
    return data


def read_record(path: Path) -> Record:
    """Read a Record file. Raises InvalidInput naming the line that is not one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        parsed = [(number, json.loads(line)) for number, line in enumerate(lines, 1) if line.strip()]
    except ValueError as error:
        raise InvalidInput([Problem(path, None, "", f"not JSON lines: {error}")]) from error
    if not parsed or parsed[0][1].get("schema") != SCHEMA:
        raise InvalidInput([Problem(path, 1, "schema", f"must be {SCHEMA}")])
    head = {key: value for key, value in parsed[0][1].items() if key != "schema"}
    record = Record(head)
    for number, data in parsed[1:]:
        try:
            record.entries.append(entry_from_json(data))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput([Problem(path, number, "", f"not an entry of a Record: {error}")]) from error
    return record


def entry_from_json(data: Mapping[str, Any]) -> Entry:
    """The entry that ``entry_to_json`` wrote (an AskModel without its history)."""
    if data["kind"] == "note":
        return Entry(data["t"], "note", Note(data["type"], data["data"]))
    cls = _TYPES[data["type"]]
    values = {name: _restored(name, data[name]) for name in _FIELDS[cls]}
    return Entry(data["t"], data["kind"], cls(**values))


_ENUMS: dict[str, type[StrEnum]] = {"occasion": Occasion, "by": EndedBy, "speech": SpeechKind}


def _restored(name: str, value: Any) -> Any:
    if name == "control":
        return Control(**{**value, "missing_fields": tuple(value["missing_fields"])})
    if name == "history":
        return ()
    if name == "missing":
        return tuple(value)
    if name in _ENUMS:
        return _ENUMS[name](value)
    return value


def rules_from_json(data: Mapping[str, Any]) -> Rules:
    """The rules of a Record's header."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    values["reasons"] = {reason: tuple(needs) for reason, needs in data["reasons"].items()}
    return Rules(**values)


def replayed(record: Record) -> list[Entry]:
    """Commands and engine notes that the engine of today gives for a Record's events."""
    call = Call(rules_from_json(record.header["rules"]))
    entries: list[Entry] = []
    for entry in record.entries:
        if entry.kind == "event":
            commands = call.receive(entry.what, entry.t)  # type: ignore[arg-type]
            entries.extend(
                Entry(entry.t, "note" if type(command) is Note else "command", command)
                for command in commands
            )
    return entries


def type_names() -> list[str]:
    """The ``type`` of every event and command but Note, as Records spell it."""
    return sorted(_NAMES[cls] for cls in _CLASSES if cls is not Note)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_CLASSES: tuple[type, ...] = (*get_args(Event), *get_args(Command))
_NAMES: dict[type, str] = {cls: _snake(cls.__name__) for cls in _CLASSES}
_TYPES: dict[str, type] = {name: cls for cls, name in _NAMES.items()}
_RULES = tuple(f.name for f in fields(Rules))
_FIELDS: dict[type, tuple[str, ...]] = {cls: tuple(f.name for f in fields(cls)) for cls in _CLASSES}
