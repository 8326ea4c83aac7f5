"""Exports of other systems as rows: CSV with any delimiter, JSON lines, or one JSON list.

Every row keeps the line of its file on which it begins, for messages.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callbot.errors import CallbotError, InvalidInput, Problem

_DELIMITERS = ",;\t|"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's, so it is tried first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_CELL = 10_000_000
"""Characters; a whole conversation may stand in one cell."""


@dataclass(frozen=True, slots=True)
class Row:
    """One object of an export, and the 1-based line on which it begins (None in a JSON list)."""

    line: int | None
    data: dict[str, Any]


def read_rows(path: Path, encoding: str | None = None) -> Iterator[Row]:
    """The rows of a CSV, TSV, JSON or JSON lines file, whichever it holds.

    ``encoding``: UTF-8, or what the file's byte order mark says, if None. Raises InvalidInput.
    """
    text = _decoded(path, encoding)
    start = text.lstrip()[:1]
    if not start:
        raise InvalidInput([Problem(path, None, "", "is empty")])
    if start == "[":
        return _json_list(text, path)
    return _json_lines(text, path) if start == "{" else _csv(text, path)


def _decoded(path: Path, encoding: str | None) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput([Problem(path, None, "", f"cannot be read: {error.strerror}")]) from error
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    try:
        return raw.decode(encoding or marked or "utf-8")
    except LookupError as error:
        raise CallbotError(f'--encoding: there is no "{encoding}"; try cp1255, cp1252 or utf-16') from error
    except UnicodeError as error:
        line = raw[: getattr(error, "start", 0)].count(b"\n") + 1
        used = encoding or marked or "UTF-8"
        message = f"is not {used} text; say --encoding, such as cp1255 (Hebrew Windows) or cp1252"
        raise InvalidInput([Problem(path, line, "", message)]) from error


def _json_lines(text: str, path: Path) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield Row(number, _object(_loaded(line, path, number), path, number))


def _json_list(text: str, path: Path) -> Iterator[Row]:
    for item in _loaded(text, path, None):
        yield Row(None, _object(item, path, None))


def _loaded(text: str, path: Path, number: int | None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = number or error.lineno
        raise InvalidInput([Problem(path, line, "", f"is not JSON: {error.msg}")]) from error
    except RecursionError as error:
        raise InvalidInput([Problem(path, number, "", "is nested too deep")]) from error


def _object(value: Any, path: Path, number: int | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput([Problem(path, number, "", "must be an object, {...}")])
    return value


def _csv(text: str, path: Path) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    head: list[str] = []
    line = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidInput([Problem(path, line, "", f"is not CSV: {error}")]) from error
        if not any(cell.strip() for cell in cells):
            continue
        if not head:
            head = _head(cells, path, line)
            continue
        if len(cells) != len(head):
            message = f"has {len(cells)} cells, but the first row names {len(head)} columns"
            raise InvalidInput([Problem(path, line, "", message)])
        yield Row(line, dict(zip(head, cells, strict=True)))


def _head(cells: list[str], path: Path, line: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput([Problem(path, line, "", f'two columns are named "{twice}"')])
    return names


def _delimiter(text: str) -> str:
    """What separates cells: guessed from the first row, which names columns."""
    first = next(line for line in text.splitlines() if line.strip())
    try:
        return csv.Sniffer().sniff(first, _DELIMITERS).delimiter
    except csv.Error:
        return max(_DELIMITERS, key=first.count)
