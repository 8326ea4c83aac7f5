"""Reads what is set up here: settings, businesses, and from them the modes that are meant to work.

- eval and chat: there is a business, or a model is chosen.
- serve: a public URL or Twilio's credentials are set.
- talk: there is a business, callbot[talk] is installed, and this is not a machine that serves (which
  needs no sound card).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from callbot.business import Business, read_business
from callbot.config import PREFIX, Settings, load_settings
from callbot.doctor.bounded import within
from callbot.doctor.finding import EVERY, SERVE, TALK, TEXT, Finding, Mode, Setup
from callbot.errors import CallbotError
from callbot.lookup import DEFAULT_PROMPTS_DIR, business_files, check_named

STORE_SECONDS = 12.0
"""For the database to say which businesses it holds."""
TWILIO = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")


def read_setup(
    environ: Mapping[str, str], *, prompts_dir: Path | None = None, database: str | None = None
) -> tuple[Setup, list[Finding]]:
    """The set-up, and what was found while reading it. What cannot be read is left out, and said."""
    settings, about_settings = _settings(environ, prompts_dir, database)
    folder = settings.prompts_dir or DEFAULT_PROMPTS_DIR
    serves = bool(settings.public_url or any(environ.get(name, "").strip() for name in TWILIO))
    businesses, about_businesses = _businesses(folder, settings, serves=serves)
    modes = _modes(settings, businesses, serves=serves)
    setup = Setup(settings=settings, environ=environ, prompts_dir=folder, businesses=businesses, modes=modes)
    return setup, [_about_modes(modes), about_settings, *about_businesses]


def _settings(
    environ: Mapping[str, str], prompts_dir: Path | None, database: str | None
) -> tuple[Settings, Finding]:
    name = "settings"
    try:
        settings = load_settings(prompts_dir=prompts_dir, database=database)
    except CallbotError as error:
        remedy = "mend it; until then everything below goes by the defaults"
        return Settings.model_construct(), Finding(name, "fail", str(error), remedy)
    chosen = sorted(settings.model_fields_set)
    variables = sorted(key for key in environ if key.upper().startswith(PREFIX) and environ[key])
    said = f"set: {', '.join(chosen)}" if chosen else "the defaults: no callbot.toml here, no option set"
    return settings, Finding(name, "ok", said + (f" (by {', '.join(variables)})" if variables else ""))


def _businesses(
    folder: Path, settings: Settings, *, serves: bool
) -> tuple[tuple[Business, ...], list[Finding]]:
    """All that can be read: files first, as talk goes by them; where it ``serves`` the store first."""
    found: dict[str, Business] = {}
    findings: list[Finding] = []
    try:
        files = business_files(folder)
    except CallbotError as error:
        files, findings = {}, [Finding("businesses", "fail", str(error), "rename one of them")]
    for name, path in files.items():
        try:
            found[name] = read_business(path)
            check_named(found[name], path)
        except CallbotError as error:
            found.pop(name, None)
            findings.append(Finding(f"business {name}", "fail", str(error), "mend its file"))
    try:
        stored = within(STORE_SECONDS, lambda: _stored(settings.database))
    except Exception:  # noqa: BLE001 - the database's own check says why
        stored = {}
    if not serves:
        stored = {name: business for name, business in stored.items() if name not in files}
    found |= stored
    if not found and not findings:
        remedy = "in an empty folder: callbot init; elsewhere: --prompts-dir, or callbot prompts import"
        return (), [Finding("businesses", "warn", f"there are none in {folder}/ or the database", remedy)]
    if found:
        active = f", of them {len(stored)} from the database" if stored else ""
        findings.insert(0, Finding("businesses", "ok", f"{', '.join(sorted(found))}{active}"))
    return tuple(found[name] for name in sorted(found)), findings


def _stored(database: str) -> dict[str, Business]:
    """Active businesses of the store. Nothing is made or migrated by looking."""
    from callbot.store.database import open_store, store_revision
    from callbot.store.engine import database_exists
    from callbot.store.tables import REVISION

    if not database_exists(database) or store_revision(database)[1] != REVISION:
        return {}
    with open_store(database, create=False) as store:
        active = [info.id for info in store.businesses.list() if info.active is not None]
        return {name: store.businesses.get(name) for name in active}


def _modes(settings: Settings, businesses: tuple[Business, ...], *, serves: bool) -> frozenset[Mode]:
    modes: frozenset[Mode] = frozenset()
    if businesses or settings.model:
        modes |= TEXT
    if serves:
        modes |= SERVE
    elif businesses and find_spec("sounddevice"):
        modes |= TALK
    return modes


def _about_modes(modes: frozenset[Mode]) -> Finding:
    if not modes:
        said = "nothing is set up here yet; what is missing below is only told"
        return Finding("modes", "warn", said, "callbot init makes a business to talk to")
    named = [mode for mode in ("eval", "chat", "talk", "serve") if mode in modes]
    left = [mode for mode in ("talk", "serve") if mode in EVERY - modes]
    rest = f"; not {' or '.join(left)}" if left else ""
    return Finding("modes", "ok", f"set up here: {', '.join(named)}{rest}")
