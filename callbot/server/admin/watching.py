"""Pages that follow what happens: server-sent events, read from the store while somebody looks.

A message is the HTML of what has changed, by element. Nothing runs while nobody watches; each watcher
costs one short read of the store a moment, in a thread, and there are at most ``WATCHERS`` of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable

from callbot.server.admin.pages import Certified, Pages
from callbot.server.admin.reading import Reading
from callbot.store.database import StoreError
from callbot.store.overview import Wanted

WATCHERS = 32
CALL_SECONDS, LIST_SECONDS = 0.5, 2.0
"""How often is looked."""
QUIET_SECONDS = 15.0
"""A word now and then, so that a reader who left is noticed, and no proxy loses patience."""
LONGEST_SECONDS = 900.0
"""Then the browser asks again, and must still be allowed to."""

_log = logging.getLogger(__name__)


class Watching:
    """The watchers of one process. ``closing``: whether it is about to end."""

    def __init__(self, reading: Reading, pages: Pages, closing: Callable[[], bool]) -> None:
        self._reading, self._pages, self._closing = reading, pages, closing
        self._watchers = 0

    def enter(self) -> bool:
        """Let a watcher in, who will ``leave``; false if there are too many."""
        if self._watchers >= WATCHERS:
            return False
        self._watchers += 1
        return True

    def leave(self) -> None:
        """A watcher is gone."""
        self._watchers -= 1

    async def call(self, call_id: str, after: int) -> AsyncIterator[str]:
        """What happens on a call after an entry, until it is over. Raises StoreError if it is unknown."""
        view = await self._reading.call(call_id)
        shown = -1 if after > view.course.last else after
        known: object = None
        sent: dict[str, str] = {}
        async for beat in self._beats(CALL_SECONDS):
            if beat:
                yield beat
            try:
                await self._reading.catch_up(view)
                now = (view.call, view.course.last)
                if now == known:
                    continue
                blocks = await self._reading.in_thread(self._pages.blocks_of_call, view, shown)
            except StoreError as error:
                _log.warning("a watched call cannot be read", extra={"call": call_id, "error": str(error)})
                continue
            known, shown = now, view.course.last
            news = {name: html for name, html in blocks.items() if sent.get(name) != html}
            sent |= news
            if not view.live:
                yield _message("over", news, shown)
                return
            if news:
                yield _message("news", news, shown)

    async def calls(self, wanted: Wanted) -> AsyncIterator[str]:
        """How the list of calls changes, on its first page."""
        known: object = None
        certified: Certified = {}
        async for beat in self._beats(LIST_SECONDS):
            if beat:
                yield beat
            try:
                found = await self._reading.found(wanted)
                if found == known:
                    continue
                listing = await self._reading.listing(found, wanted, None, certified)
                blocks = await self._reading.in_thread(self._pages.blocks_of_list, listing)
            except StoreError as error:
                _log.warning("the watched list cannot be read", extra={"error": str(error)})
                continue
            known = found
            yield _message("news", blocks)

    async def _beats(self, seconds: float) -> AsyncIterator[str]:
        """One at once and one each so many seconds, while it may go on; what is to be sent for its own sake."""
        began = quiet_since = time.monotonic()
        yield "retry: 2000\n\n"
        while not self._closing() and time.monotonic() - began < LONGEST_SECONDS:
            await asyncio.sleep(seconds)
            if time.monotonic() - quiet_since > QUIET_SECONDS:
                quiet_since = time.monotonic()
                yield ":\n\n"
            else:
                yield ""


def _message(event: str, blocks: dict[str, str], last: int | None = None) -> str:
    place = "" if last is None else f"id: {last}\n"
    return f"{place}event: {event}\ndata: {json.dumps(blocks, ensure_ascii=False)}\n\n"
