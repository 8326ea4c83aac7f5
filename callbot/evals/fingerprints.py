"""What a scenario is, as one number: so that runs of an edited scenario are not compared as the same."""

from __future__ import annotations

import hashlib

from pydantic import TypeAdapter

from callbot.evals.scenario import Scenario

_WORDING = {"name", "description", "file", "line", "lines", "tags"}
"""What may change while the scenario stays the same call with the same oracle."""


def fingerprint(scenario: Scenario) -> str:
    """SHA-256 of what the caller does and what is expected; keys at their defaults are left out."""
    content = TypeAdapter(Scenario).dump_json(scenario, exclude=_WORDING, exclude_defaults=True)
    return hashlib.sha256(content).hexdigest()
