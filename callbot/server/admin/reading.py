"""Reads the store for the operator's pages, off the event loop and never many at once: calls come first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from callbot.record import Record
from callbot.server.admin import pages
from callbot.server.admin.pages import CallView, Certified, Found, Listing
from callbot.server.admin.turns import Course
from callbot.server.directory import Directory
from callbot.server.threads import in_thread
from callbot.store.database import Store
from callbot.store.overview import Cursor, News, Wanted

AT_ONCE = 4
"""Of the host's threads, and of the store's connections."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Reading:
    """What the pages are made of. Every method raises StoreError."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self._store, self._directory = store, directory
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def in_thread(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """What ``work`` returns, once it is its turn."""
        async with self._turn:
            return await in_thread(self._directory.threads, work, *arguments)

    async def found(self, wanted: Wanted, after: Cursor | None = None) -> Found:
        """Which calls there are."""
        return await self.in_thread(pages.found_calls, self._store, wanted, after)

    async def listing(
        self, found: Found, wanted: Wanted, after: Cursor | None, certified: Certified
    ) -> Listing:
        """What is told of them; see ``pages.listing``."""
        return await self.in_thread(pages.listing, self._store, found, wanted, after, certified)

    async def businesses(self) -> list[str]:
        """Every business that was ever called."""
        return sorted(await self.in_thread(self._store.personal.businesses))

    async def exists(self, call_id: str) -> bool:
        """Whether there is a call of this id."""
        return await self.in_thread(self._store.live.get, call_id) is not None

    async def call(self, call_id: str) -> CallView:
        """A call as it stands. Raises StoreError if it is unknown."""
        view = await self.in_thread(self._read, call_id)
        info = view.info
        answering = await self._directory.by_id(info.business_id, info.business_version)
        view.business = answering.business if answering else None
        return view

    async def catch_up(self, view: CallView) -> None:
        """Bring a view up to date."""
        news = await self.in_thread(self._store.overview.news, view.info.id, view.course.last + 1)
        _add(view, news)

    def _read(self, call_id: str) -> CallView:
        news = self._store.overview.news(call_id)
        header = self._store.overview.header(call_id)
        view = CallView(news.call, header, Course(header), Record(header))
        _add(view, news)
        view.lead = self._store.leads.get(call_id)
        return view


def _add(view: CallView, news: News) -> None:
    view.call = news.call
    for seq, entry in news.entries:
        view.course.take(seq, entry)
        view.record.entries.append(entry)
