"""Sets a duplex stream right that an interruption has broken.

Once its machine was busy elsewhere for longer than its buffers last, a duplex stream of PortAudio's may go on
to poll without ever waiting, for a third of a core and more, and may give nothing at all any more (seen with
PortAudio 19.6 on PulseAudio's ALSA plugin, whenever the process was stopped for 0.4 s). Started anew, which
takes some milliseconds, it is well.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

PERIOD_SECONDS = 0.5
"""Between looks; after a restart twice as long each time, for a machine on which none helps."""
BUSY_SHARE = 0.15
"""Of a core, in the card's thread: an exchange of blocks takes a hundredth."""
QUIET_SECONDS = 1.0
"""Without a block, of a stream that has given some."""
_LONGEST_SECONDS = 30.0


class StreamWatch:
    """Looks after one stream. ``restart`` is called from its thread; ``lost`` if that raises anything."""

    def __init__(
        self, restart: Callable[[], None], lost: Callable[[], None], *, period: float = PERIOD_SECONDS
    ) -> None:
        self._restart, self._lost, self._period = restart, lost, period
        self._last: tuple[float, float] | None = None
        """When a block passed last, and the processor time of the card's thread until then."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sound card's watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def passed(self) -> None:
        """A block has passed: called in the card's own thread."""
        self._last = time.monotonic(), time.thread_time()

    def stop(self) -> None:
        """Look no more. Idempotent."""
        self._stopped.set()
        with contextlib.suppress(RuntimeError):  # it was never started
            self._thread.join(QUIET_SECONDS)

    def _watch(self) -> None:
        before, wait = self._last, self._period
        while not self._stopped.wait(wait):
            last = self._last
            if not self._is_ill(before, last):
                before, wait = last, self._period
                continue
            self._last = before = None
            try:
                self._restart()
            except Exception:  # noqa: BLE001 - whatever it was, there is no card any more
                self._lost()
                return
            wait = min(2 * wait, _LONGEST_SECONDS)

    def _is_ill(self, before: tuple[float, float] | None, last: tuple[float, float] | None) -> bool:
        if last is None:
            return False  # it has just begun: whether it ever gives anything is the line's concern
        if time.monotonic() - last[0] > QUIET_SECONDS:
            return True
        if before is None or last[0] <= before[0]:
            return False
        return (last[1] - before[1]) / (last[0] - before[0]) > BUSY_SHARE
