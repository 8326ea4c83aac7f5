"""The command line of a run that is gone on with: what was given then, unless it is given now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from callbot.errors import CallbotError
from callbot.evals.resume import Earlier, find_run, read_earlier, read_plan
from callbot.evals.resume import last_failed as failed_last
from callbot.evals.selection import Selection

_OF_ONE_CALL = frozenset({"resume", "list_only", "watch", "last_failed", "reports_dir", "cluster"})
"""Options that say nothing of what a run is."""

_RESTORED = "callbot.restored"

_IDENTITY = frozenset(
    {
        "paths",
        "select",
        "tag",
        "business",
        "prompt",
        "active",
        "caller_model",
        "judge_model",
        "stop_early",
        "run_on",
        "audio",
        "tts",
        "stt",
    }
)
"""What was selected, and how it was run, stays as it was: it cannot be given anew."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which of the selected scenarios are run: all, those that failed last, or those of a run gone on with.

    ``source``: the run that this is taken from.
    """

    names: Collection[str] | None = None
    source: Path | None = None
    earlier: Earlier | None = None

    @classmethod
    def by(cls, reports_dir: Path, *, last_failed: bool, resume: Path | None) -> Narrowed:
        """Read the run that is named, or the newest. Raises CallbotError."""
        if resume is not None:
            earlier = read_earlier(find_run(resume, reports_dir))
            return cls(earlier.plan.scenarios, earlier.folder, earlier)
        if not last_failed:
            return cls()
        folder, names = failed_last(reports_dir)
        return cls(names, folder)

    @property
    def is_empty(self) -> bool:
        """Nothing is left to run."""
        return self.names is not None and not self.names

    def of(self, selection: Selection) -> Selection:
        """The selection, narrowed. Raises CallbotError if nothing is left of it."""
        if self.names is None:
            return selection
        kept = selection.only(self.names)
        if not kept.scenarios:
            gone = f"{', '.join(sorted(self.names)[:5])}{', ...' if len(self.names) > 5 else ''}"
            raise CallbotError(f"none of the scenarios of {self.source} is selected here: {gone}")
        return kept


def resumed_call(ctx: typer.Context, run: Path, reports_dir: Path) -> Callable[[], None] | None:
    """The command as its run was started; None in that call itself. Raises CallbotError."""
    if ctx.meta.get(_RESTORED):
        return None
    ctx.meta[_RESTORED] = True
    callback = ctx.command.callback
    assert callback is not None
    params = restored(ctx, read_plan(find_run(run, reports_dir)).options)
    return lambda: callback(**params)


def given(ctx: typer.Context) -> dict[str, Any]:
    """What stands on the command line, as plain data."""
    return {
        name: _plain(value)
        for name, value in ctx.params.items()
        if name not in _OF_ONE_CALL and _was_given(ctx, name)
    }


def restored(ctx: typer.Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of the command, with those of an earlier call where none is given now.

    Raises CallbotError for what would select something else.
    """
    for name in sorted(_IDENTITY):
        if _was_given(ctx, name):
            raise CallbotError(
                f"--resume goes on with what its run selected, the way it ran it; leave out {_spelling(ctx, name)}"
            )
    params = dict(ctx.params)
    for parameter in ctx.command.params:
        name = parameter.name
        if name in options and not _was_given(ctx, name):
            params[name] = parameter.process_value(ctx, options[name])
    cassette = params.get("cassette")
    if cassette and cassette.startswith("write:"):  # to start over would drop what the run recorded
        params["cassette"] = "fill:" + cassette.removeprefix("write:")
    return params


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _spelling(ctx: typer.Context, name: str) -> str:
    parameter = next(each for each in ctx.command.params if each.name == name)
    return parameter.opts[0] if parameter.param_type_name == "option" else name.upper()


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
