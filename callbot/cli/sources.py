"""Where ``callbot eval`` finds the businesses of its scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callbot.config import Settings
from callbot.evals.selection import BusinessLookup, Found
from callbot.lookup import DEFAULT_PROMPTS_DIR, UnknownBusiness, business_files, find_business


def business_lookup(settings: Settings, paths: Sequence[Path], *, active: bool) -> BusinessLookup:
    """Where the scenarios' businesses come from: files, or with ``active`` the database alone."""
    if active:
        return _active_lookup(settings.database)
    folder = prompts_folder(settings, paths)

    def find(business_id: str) -> Found:
        business = find_business(business_id, folder, settings.database)
        if business_id in business_files(folder or DEFAULT_PROMPTS_DIR):
            return Found(business)
        return _active_lookup(settings.database)(business_id)

    return find


def _active_lookup(database: str) -> BusinessLookup:
    from callbot.store.database import open_store

    def find(business_id: str) -> Found:
        with open_store(database, create=False) as store:
            active = {info.id: info.active for info in store.businesses.list() if info.active is not None}
            if business_id not in active:
                known = ", ".join(sorted(active)) or "none; import them with callbot prompts import"
                message = f'no version of "{business_id}" is active in {store.name}; active there: {known}'
                raise UnknownBusiness(message)
            return Found(store.businesses.get(business_id), active[business_id])

    return find


def prompts_folder(settings: Settings, paths: Sequence[Path]) -> Path | None:
    """Where business files are looked for; None for ``prompts/`` in the current folder."""
    return settings.prompts_dir or _prompts_beside(paths)


def _prompts_beside(paths: Sequence[Path]) -> Path | None:
    """``prompts/`` beside the scenarios or above them, if there is none in the current folder."""
    if DEFAULT_PROMPTS_DIR.is_dir():
        return None
    folders = [folder for path in paths for folder in (path.resolve(), *path.resolve().parents)]
    return next((folder / "prompts" for folder in folders if (folder / "prompts").is_dir()), None)
