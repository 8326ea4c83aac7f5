"""JSON Schemas of callbot's file formats, for editors and other people's tools."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from callbot.business import Business
from callbot.evals.comparison import Comparison
from callbot.evals.report import Report
from callbot.evals.scenario import ScenarioFile
from callbot.evals.transcript_scenarios import TranscriptsFile
from callbot.evals.transcripts import Transcript
from callbot.record import SCHEMA, type_names
from callbot.yamlfile import StrictModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _ScenarioSet(StrictModel):
    scenarios: list[ScenarioFile | TranscriptsFile] = Field(min_length=1)
    """Several scenarios in one file."""


def business_schema() -> dict[str, Any]:
    """A business file; with ``extends``, keys that every business needs may come from the other file."""
    found = Business.model_json_schema()
    found["properties"]["extends"] = {"type": "string", "description": "a file that this one is laid over"}
    found["anyOf"] = [{"required": found.pop("required")}, {"required": ["extends"]}]
    return {"$schema": DIALECT, **found}


def scenario_schema() -> dict[str, Any]:
    """A scenario file: one scenario, or several under ``scenarios``; either may come from transcripts."""
    adapter: TypeAdapter[Any] = TypeAdapter(ScenarioFile | TranscriptsFile | _ScenarioSet)
    return {"$schema": DIALECT, "title": "Scenario file", **adapter.json_schema(by_alias=True)}


def transcript_schema() -> dict[str, Any]:
    """One line of a file of transcripts."""
    return {"$schema": DIALECT, **Transcript.model_json_schema()}


def report_schema() -> dict[str, Any]:
    """``report.json``."""
    return {"$schema": DIALECT, **Report.model_json_schema(by_alias=True)}


def comparison_schema() -> dict[str, Any]:
    """What ``callbot compare --json`` writes."""
    return {"$schema": DIALECT, **Comparison.model_json_schema(by_alias=True)}


def record_schema() -> dict[str, Any]:
    """One line of a Record: its header, or an entry."""
    header = {
        "type": "object",
        "properties": {"schema": {"const": SCHEMA}, "call": {"type": "string"}, "rules": {"type": "object"}},
        "required": ["schema", "call", "rules"],
    }
    happening = {
        "type": "object",
        "properties": {
            "t": {"type": "number", "description": "seconds after the driver's origin"},
            "kind": {"enum": ["event", "command"]},
            "type": {"enum": type_names()},
        },
        "required": ["t", "kind", "type"],
    }
    note = {
        "type": "object",
        "properties": {
            "t": {"type": "number"},
            "kind": {"const": "note"},
            "type": {"type": "string"},
            "data": {"type": "object"},
        },
        "required": ["t", "kind", "type", "data"],
        "additionalProperties": False,
    }
    return {"$schema": DIALECT, "title": "Line of a Record", "anyOf": [header, happening, note]}
