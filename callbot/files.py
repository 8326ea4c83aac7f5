"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO

from callbot.errors import CallbotError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name beside it, then put it in place. Raises CallbotError."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise
    except OSError as error:
        raise CallbotError(f"{path} cannot be written: {error.strerror}") from error


def claim(file: IO[str]) -> bool:
    """Lock an open file until it is closed or this process is gone; False if somebody else has it."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def in_use(path: Path) -> bool:
    """Whether somebody has claimed a file."""
    if not path.exists():
        return False
    with path.open() as file:
        return not claim(file)
