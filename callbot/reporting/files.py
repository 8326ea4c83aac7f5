"""Reports are written whole: who reads one while it is written sees the old file, never half of the new."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step, its folder with it. A failure leaves what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(text.encode("utf-8", "replace"))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
