"""How far a run is, while it runs: a live line on a terminal, a line each quarter anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

_SPARSE_FROM = 20
"""Shorter runs print nothing on the way where nobody watches."""


class LiveProgress:
    """Counts what a run has finished and shows it. Use as a context; leaving it clears the live line.

    ``finished`` and ``asked`` may be called from one thread at a time, in any order of scenarios.
    ``judged``: whether what finishes passes or fails.
    """

    def __init__(
        self, console: Console, total: int, requests: int | None = None, *, judged: bool = True
    ) -> None:
        self.console, self.total, self.requests, self._judged = console, total, requests, judged
        self.done = self.passed = self.failed = self.infra = self.sent = 0
        self._live: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Progress(
                TextColumn("{task.completed:.0f}/{task.total:.0f}", style="bold"),
                BarColumn(bar_width=None),
                _Counts(self),
                TimeElapsedColumn(),
                console=console,
                transient=True,
                expand=True,
                refresh_per_second=8,
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._task = self._live.add_task("run", total=self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def asked(self, requests: int = 1) -> None:
        """Say that requests were sent to the model."""
        self.sent += requests

    def finished(self, name: str, passed: bool | None, verdict: str) -> None:
        """Say that a run is over. ``passed`` is None for infra; on a terminal a failure leaves a line."""
        self.done += 1
        if passed is None:
            self.infra += 1
        elif passed:
            self.passed += 1
        else:
            self.failed += 1
        if self._live is not None:
            self._live.update(self._task, completed=self.done)
        elif self.total >= _SPARSE_FROM and self._quarter_reached():
            self.console.print(
                Text(f"{self.done}/{self.total}  {self.counts().plain}"), soft_wrap=True, highlight=False
            )

    def _quarter_reached(self) -> bool:
        return self.done * 4 // self.total > (self.done - 1) * 4 // self.total

    def counts(self) -> Text:
        """Passed, failed, infra and requests so far."""
        text = Text()
        if self._judged:
            text.append(f"{self.passed} passed  ", "green")
            text.append(f"{self.failed} failed", "red" if self.failed else "dim")
        if self.infra:
            text.append(f"  {self.infra} infra", "yellow")
        if self.sent:
            of = f"/{self.requests}" if self.requests else ""
            text.append(f"  {self.sent}{of} requests", "dim")
        return text


class _Counts(ProgressColumn):
    """The counts, drawn fresh at each refresh, so that requests move between finished runs."""

    max_refresh = 0.1

    def __init__(self, progress: LiveProgress) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._progress = progress

    def render(self, task: Task) -> Text:
        return self._progress.counts()


def progress(
    console: Console, total: int, requests: int | None = None, *, judged: bool = True
) -> LiveProgress:
    """The progress of a run of ``total`` attempts and about ``requests`` requests: a context manager."""
    return LiveProgress(console, total, requests, judged=judged)
