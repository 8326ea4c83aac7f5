"""Files that calls leave in ``recordings/calls/``: Records, transcripts and sound.

A call's files are in a folder of its id, or beside one another under its id with different endings.
"""

from __future__ import annotations

import datetime as dt
import glob
import json
from dataclasses import dataclass
from pathlib import Path

from callbot.errors import CallbotError

SOUND = {".wav", ".flac", ".ogg", ".mp3"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call's files, and what its Record's header says: None where it says nothing."""

    call_id: str
    files: tuple[Path, ...]
    business: str | None
    caller_number: str | None
    started_at: dt.datetime
    """The header's, else when the first file was written."""

    @property
    def audio(self) -> tuple[Path, ...]:
        """Its files of sound."""
        return tuple(path for path in self.files if path.suffix.lower() in SOUND)

    @property
    def words(self) -> tuple[Path, ...]:
        """Its other files: they hold what was said."""
        return tuple(path for path in self.files if path.suffix.lower() not in SOUND)


def recorded_calls(recordings_dir: Path) -> list[Recorded]:
    """Every call that has left files, by id. Raises CallbotError for what cannot be read."""
    calls = recordings_dir / "calls"
    files: dict[str, list[Path]] = {}
    try:
        for path in sorted(calls.iterdir()) if calls.is_dir() else []:
            if path.is_dir() and not path.is_symlink():
                files.setdefault(path.name, []).extend(p for p in sorted(path.rglob("*")) if not p.is_dir())
            elif not path.name.startswith("."):
                files.setdefault(path.stem, []).append(path)
        return [_recorded(call_id, tuple(found)) for call_id, found in files.items() if found]
    except OSError as error:
        raise CallbotError(f"{error.filename}: cannot be read: {error.strerror}") from error


def files_of(recordings_dir: Path, call_id: str) -> list[Path]:
    """The files that one call has left."""
    folder = recordings_dir / "calls"
    beside = (path for path in folder.glob(f"{glob.escape(call_id)}.*") if path.is_file())
    return sorted([*beside, *(path for path in (folder / call_id).rglob("*") if path.is_file())])


def remove(*paths: Path) -> None:
    """Remove files, and the folders of calls that are empty then. Raises CallbotError."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
            if path.parent.name != "calls" and not any(path.parent.iterdir()):
                path.parent.rmdir()
        except OSError as error:
            raise CallbotError(f"{path} cannot be removed: {error.strerror}") from error


def _recorded(call_id: str, files: tuple[Path, ...]) -> Recorded:
    header: dict[str, object] = {}
    for record in (path for path in files if path.suffix == ".jsonl"):
        with record.open(encoding="utf-8", errors="replace") as file:
            header |= _object(file.readline())
    return Recorded(
        call_id,
        files,
        _text(header.get("business")),
        _text(header.get("caller_number")),
        _time(header.get("started_at")) or dt.datetime.fromtimestamp(files[0].stat().st_mtime, dt.UTC),
    )


def _object(line: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: object) -> dt.datetime | None:
    try:
        time = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return time if time.tzinfo else None
