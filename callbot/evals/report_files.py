"""Reads reports of earlier runs: ``report.json``, or the folder of a run that holds it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from callbot.errors import InvalidInput, Problem
from callbot.evals.report import SCHEMA, Report


def read_report(path: Path) -> Report:
    """The report of a run. Raises InvalidInput for what is not there, not JSON, or not such a report."""
    file = path / "report.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "; name a run's folder or its report.json" if file != path else ""
        raise _unusable(file, f"cannot be read: {error.strerror}{hint}") from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise _unusable(file, f"is not a report of callbot eval: no valid JSON ({error})") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith("callbot.report/"):
            raise _unusable(file, f"is {schema}, and this callbot reads {SCHEMA}; run it again with this one")
        found = f'its schema is "{schema}"' if schema else "it names no schema"
        raise _unusable(file, f"is not a report of callbot eval: {found}, expected {SCHEMA}")
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        problems = [
            Problem(
                file, None, ".".join(map(str, fault["loc"])), f"{fault['msg'][:1].lower()}{fault['msg'][1:]}"
            )
            for fault in error.errors(include_url=False)
        ]
        raise InvalidInput(problems[:10]) from error


def _unusable(file: Path, message: str) -> InvalidInput:
    return InvalidInput([Problem(file, None, "", message)])
