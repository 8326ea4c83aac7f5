"""Errors a user can mend: each says what was found, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class CallbotError(Exception):
    """Anything whose message is meant for the user's eyes; the CLI prints it and exits with 2."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file. ``line`` is 1-based; ``key`` is the dotted path of the value."""

    file: Path | None
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = str(self.file) if self.file else "input"
        if self.line is not None:
            place += f":{self.line}"
        return f"{place}: {self.key + ': ' if self.key else ''}{self.message}"


class InvalidInput(CallbotError):
    """A file that cannot be used, with everything that is wrong in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
