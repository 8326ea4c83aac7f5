"""``callbot eval --watch``: run, wait for a file to change, run again what the change can have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from callbot.cli.evaluation import INTERRUPTED, Evaluation, run_evaluation
from callbot.errors import CallbotError
from callbot.evals.fingerprints import fingerprint
from callbot.evals.selection import Selection
from callbot.evals.selection import fingerprint as business_fingerprint

if TYPE_CHECKING:
    from watchfiles.main import FileChange

BAD_INPUT = 2
_ARMED_MILLISECONDS = 200
"""How often the watcher looks up, and so how soon it is known to be listening."""


def watch_evaluation(prepare: Callable[[], Evaluation], places: Sequence[Path]) -> int:
    """Evaluate now, and the scenarios concerned whenever a file under ``places`` changes, until Ctrl-C.

    The exit code is that of the last run. A file that cannot be used as it is just now is said, not
    raised: its author is about to go on typing. Raises CallbotError without watchfiles.
    """
    _require()
    rounds = _Rounds(prepare, Console(highlight=False, emoji=False))
    try:
        code = rounds.run()
        while code != INTERRUPTED:
            with _changes(places) as changes:
                next(changes)  # listening: what changed before is found by looking, what comes after by it
                while rounds.is_due():
                    code = rounds.run()
                    if code == INTERRUPTED:
                        return code
                rounds.waits(places)
                rounds.told(next(each for each in changes if each))
    except KeyboardInterrupt:
        code = rounds.code
    return code


class _Rounds:
    """Runs what has changed since it last ran."""

    def __init__(self, prepare: Callable[[], Evaluation], console: Console) -> None:
        self._prepare, self._console = prepare, console
        self._known: dict[str, tuple[str, str]] = {}
        self._next: Evaluation | None = None
        self._said = ""
        self.code = self._ran = 0

    def is_due(self) -> bool:
        """Whether any scenario, or a business that it calls, is not as it was when it last ran."""
        try:
            evaluation = self._prepare()
        except CallbotError as error:
            self._say_once(f"Error: {error}")
            self.code = BAD_INPUT
            return False
        self._said, self.code = "", self._ran  # what was broken is mended
        now = _hashes(evaluation.selection)
        changed = [name for name, hashes in now.items() if self._known.get(name) != hashes]
        self._known = {name: hashes for name, hashes in self._known.items() if name in now}
        if changed:
            # A gate's further conditions are for the whole selection; a part of it would mislead.
            whole = len(changed) == len(now)
            selection = evaluation.selection if whole else evaluation.selection.only(changed)
            thresholds = evaluation.thresholds if whole else ()
            self._next = replace(evaluation, selection=selection, thresholds=thresholds)
        return bool(changed)

    def run(self) -> int:
        """Run what is due."""
        if self._next is None and not self.is_due():
            return self.code
        assert self._next is not None
        evaluation, self._next = self._next, None
        self._known |= _hashes(evaluation.selection)
        try:
            self.code = run_evaluation(evaluation)
        except CallbotError as error:
            self._console.print(f"Error: {error}", markup=False, soft_wrap=True)
            self.code = BAD_INPUT
        self._ran = self.code
        return self.code

    def told(self, changes: set[FileChange]) -> None:
        """Say which files changed."""
        names = sorted({Path(path).name for _, path in changes})
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        self._console.rule(f"changed: {listed}", align="left", characters="-")

    def waits(self, places: Sequence[Path]) -> None:
        """Say that nothing is left to run for now."""
        listed = ", ".join(map(str, places))
        self._console.print(
            f"Watching {listed}; a change runs the scenarios it concerns, Ctrl-C leaves",
            markup=False,
            soft_wrap=True,
        )

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._console.print(text, markup=False, soft_wrap=True)
        self._said = text


def _hashes(selection: Selection) -> dict[str, tuple[str, str]]:
    businesses = {id_: business_fingerprint(business) for id_, business in selection.businesses.items()}
    return {each.name: (fingerprint(each), businesses[each.business]) for each in selection.scenarios}


@contextmanager
def _changes(places: Sequence[Path]) -> Iterator[Iterator[set[FileChange]]]:
    """Changes under these places; an empty set while there are none.

    Made anew after every change, for an editor that puts a new file in a watched one's place ends its watch.
    """
    from watchfiles import watch

    found = watch(
        *(path for path in places if path.exists()), rust_timeout=_ARMED_MILLISECONDS, yield_on_timeout=True
    )
    try:
        yield found
    finally:
        found.close()


def _require() -> None:
    try:
        import watchfiles  # noqa: F401 - only to find out before anything runs
    except ImportError as error:
        raise CallbotError(
            "--watch needs watchfiles, which is not installed: pip install 'callbot[watch]'"
        ) from error
