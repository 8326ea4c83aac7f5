"""Who answers which dialled number: the store's active versions first, then files.

A version that is activated answers the next call. Its sentences are rendered as soon as it is seen;
a call that comes before they are is greeted by the call itself instead of by the carrier.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from callbot.business import Business, read_business
from callbot.errors import CallbotError
from callbot.lookup import business_files, check_named, numbers_of
from callbot.server.delivery import check_promises
from callbot.server.recording import check_folder
from callbot.server.speaking import Audio, Speech, Spoken
from callbot.server.threads import in_thread
from callbot.store.businesses import Version
from callbot.store.database import Store, StoreError

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Answering:
    """A business as it answers. ``version``: None for a file."""

    business: Business
    version: int | None
    spoken: Spoken | None = None
    """None until its sentences are rendered."""


@dataclass(slots=True)
class Directory:
    """The businesses of a server. Blocking work runs in ``threads``."""

    store: Store
    speech: Speech
    threads: Executor
    _files: dict[str, Answering] = field(default_factory=dict)
    _file_numbers: dict[str, Answering] = field(default_factory=dict)
    _versions: dict[tuple[str, int], Answering] = field(default_factory=dict)
    _active: dict[str, Answering] = field(default_factory=dict)
    """By dialled number, as last seen in the store: for when it cannot be asked."""
    _audio: dict[str, Audio] = field(default_factory=dict)
    _rendering: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _looking: asyncio.Task[None] | None = None
    """For audio that is not known here; one look serves all who ask."""

    async def load(self) -> None:
        """Read all businesses and render what they say. Raises CallbotError for what cannot answer a call."""
        folder = self.speech.options.prompts_dir
        for business in await in_thread(self.threads, _read_files, folder):
            answering = Answering(business, None)
            self._files[business.id] = answering
            for number in numbers_of(business):
                if other := self._file_numbers.get(number):
                    raise CallbotError(
                        f"{number} is answered by {other.business.id} and by {business.id}; only one can"
                    )
                self._file_numbers[number] = answering
        await self.refresh()
        everybody = self._everybody()
        if not any(numbers_of(answering.business) for answering in everybody):
            raise CallbotError(
                f"no business answers a phone number: give one phone_numbers in {folder}/, or import it "
                "with: callbot prompts import"
            )
        for answering in everybody:
            self.speech.check(answering.business)
            check_promises(answering.business, os.environ)
            if answering.business.privacy.record_audio:
                check_folder(self.speech.options.calls_dir)
        for answering in everybody:
            spoken = await self._render(answering)
            if spoken.greeting is None:
                raise CallbotError(
                    f"{answering.business.id}: its greeting could not be rendered: "
                    f"{spoken.clips.missing[answering.business.greeting.text]}"
                )

    @property
    def businesses(self) -> list[Business]:
        """Everybody who answers calls now."""
        return [answering.business for answering in self._everybody()]

    async def refresh(self) -> None:
        """See what is active in the store now. Raises CallbotError."""
        for version in await in_thread(self.threads, _active_versions, self.store):
            answering = await self._of_version(version)
            for number in numbers_of(answering.business):
                self._active[number] = answering

    async def keep_up(self) -> None:
        """Refresh, and render what is new; what cannot be had now is logged."""
        try:
            await self.refresh()
        except CallbotError as error:
            _log.warning("cannot see what is active", extra={"error": str(error)})
        for answering in self._everybody():
            if answering.spoken is None:
                self._render_soon(answering)

    async def by_number(self, number: str) -> Answering | None:
        """Who answers a dialled number (E.164)."""
        try:
            version = await in_thread(self.threads, self.store.businesses.find_by_number, number)
        except StoreError as error:
            _log.warning("the store cannot say who answers; going by memory", extra={"error": str(error)})
            found = self._active.get(number)
        else:
            found = None if version is None else await self._of_version(version)
        found = found or self._file_numbers.get(number)
        if found is not None and found.spoken is None:
            self._render_soon(found)
        return found

    async def by_id(self, business_id: str, version: int | None) -> Answering | None:
        """The business of a call that goes on, in the version that it began with."""
        if version is None:
            return self._files.get(business_id)
        if (known := self._versions.get((business_id, version))) is not None:
            return known
        try:
            return await self._of_version(
                await in_thread(self.threads, self.store.businesses.version, business_id, version)
            )
        except CallbotError:
            return None

    async def audio(self, audio_id: str) -> Audio | None:
        """A file that the carrier may play; one that another process has announced is looked for.

        Anybody may ask, and for anything: so there is one look at a time, whoever waits for it. The
        second that somebody waits for has begun after they came.
        """
        for _ in range(2):
            if audio_id in self._audio:
                break
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            await asyncio.shield(self._looking)
        return self._audio.get(audio_id)

    async def _look(self) -> None:
        await self.keep_up()
        await asyncio.gather(*self._rendering.values())

    async def close(self) -> None:
        """Stop rendering."""
        for task in (*self._rendering.values(), *filter(None, [self._looking])):
            task.cancel()

    async def _of_version(self, version: Version) -> Answering:
        key = (version.business_id, version.number)
        if key not in self._versions:
            business = await in_thread(self.threads, version.business)
            self._versions.setdefault(key, Answering(business, version.number))
        return self._versions[key]

    def _render_soon(self, answering: Answering) -> None:
        key = id(answering)
        if key not in self._rendering:
            task = asyncio.create_task(self._try_to_render(answering))
            self._rendering[key] = task
            task.add_done_callback(lambda _: self._rendering.pop(key, None))

    async def _try_to_render(self, answering: Answering) -> None:
        try:
            await self._render(answering)
        except CallbotError as error:
            extra = {"business": answering.business.id, "error": str(error)}
            _log.error("sentences not rendered", extra=extra)

    async def _render(self, answering: Answering) -> Spoken:
        spoken = answering.spoken = await self.speech.spoken(answering.business)
        for audio in (spoken.greeting, spoken.failure):
            if audio is not None:
                self._audio[audio.id] = audio
        return spoken

    def _everybody(self) -> list[Answering]:
        stored = {id(answering): answering for answering in self._active.values()}
        return [*stored.values(), *self._files.values()]


def _read_files(folder: Path) -> list[Business]:
    businesses = []
    for path in business_files(folder).values():
        business = read_business(path)
        check_named(business, path)
        businesses.append(business)
    return businesses


def _active_versions(store: Store) -> list[Version]:
    return [store.businesses.version(info.id) for info in store.businesses.list() if info.active is not None]
