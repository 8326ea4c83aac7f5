"""What a check says, and in which mode of callbot it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from callbot.business import Business
    from callbot.config import Settings

Status = Literal["ok", "warn", "fail"]
Mode = Literal["eval", "chat", "talk", "serve"]

TEXT: frozenset[Mode] = frozenset({"eval", "chat"})
TALK: frozenset[Mode] = frozenset({"talk"})
SERVE: frozenset[Mode] = frozenset({"serve"})
EVERY: frozenset[Mode] = TEXT | TALK | SERVE
STORING: frozenset[Mode] = frozenset({"chat", "talk", "serve"})
"""Modes that write calls to the database."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis. ``remedy``: what to do, empty where nothing is to be done."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is set up here, as far as it can be read. ``modes``: those that are meant to work."""

    settings: Settings
    environ: Mapping[str, str]
    prompts_dir: Path
    businesses: tuple[Business, ...] = ()
    modes: frozenset[Mode] = frozenset()

    def broken(self, modes: frozenset[Mode]) -> Status:
        """How bad it is that something is broken which only ``modes`` need."""
        return "fail" if self.modes & modes else "warn"


@dataclass(frozen=True, slots=True)
class Check:
    """One concern. ``modes``: those that need it, in case it cannot be finished at all."""

    name: str
    modes: frozenset[Mode]
    examine: Callable[[Setup], Iterable[Finding]]
