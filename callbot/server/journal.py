"""One call's pen: what its Record gains goes to the writer, with a snapshot after each settled turn."""

from __future__ import annotations

from callbot import events as ev
from callbot.call import Call
from callbot.record import Record
from callbot.server.writer import Writer
from callbot.store.live import Admission, Finish

_SETTLES = (ev.CallStarted, ev.CallResumed, ev.UserSpoke, ev.KeyPressed, ev.ReplyDone, ev.Played)
"""Events after which the call stands where it should go on from if its server dies."""
_DECIDES = (ev.CallStarted, ev.CallResumed, ev.ReplyDone, ev.CallerHungUp)
_URGENT = (ev.AskModel, ev.SaveLead, ev.HangUp)


class Journal:
    """Writes one call down as it happens; never waits. ``first``: the number of its next entry."""

    def __init__(
        self, call_id: str, record: Record, writer: Writer, first: int, admission: Admission | None
    ) -> None:
        self._call_id, self._record, self._writer, self._first = call_id, record, writer, first
        self._admission = admission
        self._written = 0
        self.told = False
        """The caller has heard that they are recorded; whoever goes on with the call may record on."""
        self.closed = False

    def observe(self, t: float, what: ev.Event | ev.Command, call: Call) -> None:
        """Put down what has just happened; see ``driver.Observer``."""
        if isinstance(what, _SETTLES):
            snapshot = {**call.snapshot(t), "phase": call.phase.value, "told": self.told}
            self._put(snapshot=snapshot, urgent=isinstance(what, _DECIDES))
        else:
            self._put(urgent=isinstance(what, (*_URGENT, *_DECIDES)))

    def finish(self, finish: Finish) -> None:
        """The call is over: put down the rest and how it ended, and give up its lease."""
        self._close(finish=finish)

    def suspend(self) -> None:
        """The line is lost, the call may go on elsewhere: put down the rest and give up its lease."""
        self._close()

    def abandon(self) -> None:
        """Somebody else writes this call now."""
        self.closed = True

    async def written(self, seconds: float) -> bool:
        """Wait until all of it is committed; false if that takes longer."""
        return await self._writer.written(self._call_id, seconds)

    def _close(self, finish: Finish | None = None) -> None:
        if not self.closed:
            self._put(finish=finish, release=True, urgent=True)
            self.closed = True

    def _put(
        self,
        *,
        snapshot: dict[str, object] | None = None,
        finish: Finish | None = None,
        release: bool = False,
        urgent: bool = False,
    ) -> None:
        if self.closed:
            return
        new = self._record.entries[self._written :]
        numbered = list(enumerate(new, self._first + self._written))
        self._written += len(new)
        admission, self._admission = self._admission, None
        self._writer.put(
            self._call_id,
            numbered,
            snapshot=snapshot,
            finish=finish,
            release=release,
            admission=admission,
            urgent=urgent,
        )
