"""Files that a command is asked to write: found out beforehand whether they can be."""

from __future__ import annotations

import os
from pathlib import Path

from callbot.errors import CallbotError


def check_writable(*paths: Path | None) -> None:
    """Find out before anything is run or paid for. None: not asked for. Raises CallbotError."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise CallbotError(f"{path} cannot be written: it is a folder")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise CallbotError(f"{path} cannot be written: nothing can be written in {parent}")
