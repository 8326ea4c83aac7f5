"""What simulated callers understand and say, one file a language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "he")


@dataclass(frozen=True, slots=True)
class Hears:
    """What a caller makes of one sentence of a bot's."""

    requests: re.Pattern[str]
    confirms: re.Pattern[str]
    anything_else: re.Pattern[str]
    open: re.Pattern[str]
    """A question that leaves open what to answer, such as how to help."""
    kinds: Mapping[str, re.Pattern[str]]
    """Questions for a kind of detail."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language."""

    hears: Hears
    reveals: re.Pattern[str]
    """What nobody says but a model that plays a part."""
    serves: re.Pattern[str]
    """What the one who answers the phone says, never the caller."""
    says: Mapping[str, Mapping[str, Sequence[str]]]
    """By occasion, then by kind of detail or temper (``other``: whatever is not named)."""

    def options(self, occasion: str, which: str = "other") -> Sequence[str]:
        """The wordings for an occasion."""
        wordings = self.says[occasion]
        return wordings[which] if which in wordings else wordings["other"]


def written(language: str) -> dict[str, Any]:
    """A language's file as it is written."""
    text = (Path(__file__).parent / f"{language}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


@cache
def phrases(language: str) -> Phrases:
    """The phrases of a language."""
    data = written(language)
    hears = data["hears"]
    return Phrases(
        Hears(
            requests=_any(hears["requests"]),
            confirms=_any(hears["confirms"]),
            anything_else=_any(hears["anything_else"]),
            open=_any(hears["open"]),
            kinds={kind: _any(patterns) for kind, patterns in hears["kinds"].items()},
        ),
        _any(data["breaks"]["reveals"]),
        _any(data["breaks"]["serves"]),
        {
            occasion: wordings if isinstance(wordings, dict) else {"other": wordings}
            for occasion, wordings in data["says"].items()
        },
    )


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
