"""Finds a business by its id: first its file ``<id>.yaml``, then its active version in the store."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from callbot.business import Business, read_business
from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.fields import phone_e164

if TYPE_CHECKING:
    from callbot.store.database import Store

DEFAULT_PROMPTS_DIR = Path("prompts")


class UnknownBusiness(CallbotError):
    """No file and no stored business has this id."""


def business_files(folder: Path) -> dict[str, Path]:
    """The business files of a folder by id (their name), in order; files beginning with ``_`` are bases.

    A folder that does not exist has none. Raises InvalidInput if two files have one id.
    """
    files: dict[str, Path] = {}
    found = sorted(path for pattern in ("*.yaml", "*.yml") for path in folder.glob(pattern))
    for path in found:
        if path.name.startswith(("_", ".")) or not path.is_file():
            continue
        if path.stem in files:
            raise InvalidInput([Problem(path, None, "", f"{files[path.stem].name} has the same id")])
        files[path.stem] = path
    return files


def check_named(business: Business, path: Path) -> None:
    """A file found by its name must hold the business of that name. Raises InvalidInput."""
    if business.id != path.stem:
        message = f'must be "{path.stem}", the name of its file; found "{business.id}"'
        raise InvalidInput([Problem(path, None, "id", message)])


def find_business(id: str, prompts_dir: Path | None, database: str | None) -> Business:
    """The business's file in ``prompts_dir`` (None: ``prompts/`` in the current folder), else the store's.

    ``database``: URL of a store that may exist, or None for files only; it is never created here.
    Raises UnknownBusiness listing the known ids, InvalidInput for a file that cannot be used, and
    CallbotError for a folder or a database that cannot be read.
    """
    folder = prompts_dir if prompts_dir is not None else DEFAULT_PROMPTS_DIR
    if prompts_dir is not None and not prompts_dir.is_dir():
        raise CallbotError(f"{prompts_dir}: there is no such folder of business files")
    files = business_files(folder)
    if id in files:
        business = read_business(files[id])
        check_named(business, files[id])
        return business
    known = set(files)
    if database and _may_exist(database):
        from callbot.store.database import open_store

        with open_store(database, create=False) as store:
            stored = {info.id for info in store.businesses.list() if info.active is not None}
            if id in stored:
                return store.businesses.get(id)
            known |= stored
    raise UnknownBusiness(_unknown(id, known, folder, bool(database)))


def answering_business(id: str, prompts_dir: Path, store: Store) -> Business | None:
    """The business as ``serve`` answers for it: its active version, else its file; None if it is neither.

    Raises CallbotError for one that cannot be read.
    """
    if any(info.id == id and info.active is not None for info in store.businesses.list()):
        return store.businesses.get(id)
    path = business_files(prompts_dir).get(id)
    return None if path is None else read_business(path)


def _may_exist(database: str) -> bool:
    """Whether there can be something to look in: always on a server, a file only if it is there."""
    kind, _, path = database.partition(":///")
    if not kind.startswith("sqlite"):
        return True
    return Path(path.partition("?")[0]).exists()


def _unknown(id: str, known: set[str], folder: Path, with_store: bool) -> str:
    places = f"{folder}/" + (" and in the database" if with_store else "")
    if not known:
        return f'unknown business "{id}": there are none in {places}'
    names = sorted(known)
    near = difflib.get_close_matches(id, names, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    return f'unknown business "{id}": {hint}known in {places}: {", ".join(names)}'


def numbers_of(business: Business) -> list[str]:
    """The dialled numbers that reach a business, in E.164."""
    return [phone_e164(text, business.phone_region) or text for text in business.phone_numbers]
