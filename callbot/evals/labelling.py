"""Going through transcripts and marking when each call should have ended: what the keys of a screen do.

Knows nothing of screens. Every mark is handed to ``save`` before anything else happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from callbot.evals.transcripts import Transcript

Save = Callable[[Sequence[Transcript]], None]


@dataclass(slots=True)
class Labelling:
    """A file of calls, the one that is looked at, and the caller turn that is pointed at."""

    calls: list[Transcript]
    save: Save
    at: int = 0
    """Index of the call that is shown."""
    turn: int = 0
    """Index, in its turns, of the caller turn that is pointed at."""
    asks_reason: bool = False
    """The end is marked, and the reason is still to be said."""
    _undo: list[tuple[int, Transcript]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with the first call that is not labelled; with the first of all if there is none."""
        self._show(self._unlabelled_from(0) or 0)

    @property
    def call(self) -> Transcript:
        """The call that is shown."""
        return self.calls[self.at]

    @property
    def done(self) -> int:
        """How many calls are labelled."""
        return sum(call.is_labelled for call in self.calls)

    # --- moving ---------------------------------------------------------------------------------
    def move(self, by: int) -> None:
        """Point at a later or an earlier turn of the caller."""
        if self.asks_reason:
            return
        turns = self.call.caller_turns
        self.turn = turns[min(max(turns.index(self.turn) + by, 0), len(turns) - 1)]

    def skip(self, by: int) -> None:
        """Look at a later or an earlier call."""
        self._show(min(max(self.at + by, 0), len(self.calls) - 1))

    def _show(self, at: int) -> None:
        self.at, self.asks_reason = at, False
        call = self.call
        self.turn = call.caller_turns[-1] if call.end_turn is None else call.end_turn

    def _unlabelled_from(self, start: int) -> int | None:
        order = [*range(start, len(self.calls)), *range(start)]
        return next((index for index in order if not self.calls[index].is_labelled), None)

    # --- marking --------------------------------------------------------------------------------
    def ends_here(self) -> None:
        """The call is over after the turn pointed at; ``because`` says why."""
        self.asks_reason = True

    def because(self, reason: str | None) -> None:
        """The reason that is right (None: any) completes the mark."""
        if self.asks_reason:
            self._mark({"end_turn": self.turn, "end_reason": [reason] if reason else []})

    def never_mind(self) -> None:
        """Do not mark after all."""
        self.asks_reason = False

    def stays_open(self) -> None:
        """The call should not have been ended."""
        if not self.asks_reason:
            self._mark({"end_turn": None, "end_reason": []})

    def undo(self) -> None:
        """Take the last mark back and show its call again."""
        if self.asks_reason:
            self.asks_reason = False
            return
        if self._undo:
            at, before = self._undo.pop()
            self.calls[at] = before
            self.save(self.calls)
            self._show(at)

    def _mark(self, label: dict[str, object]) -> None:
        before = self.call
        self.calls[self.at] = before.model_copy(update=label)
        try:
            self.save(self.calls)
        except BaseException:
            self.calls[self.at] = before
            raise
        self._undo.append((self.at, before))
        following = self._unlabelled_from(self.at + 1)
        self._show(self.at if following is None else following)
