"""Runs the real ``callbot`` command as a subprocess, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_OURS = ("CALLBOT_", "OPENAI_", "CI", "VTE_", "COLUMNS")


def callbot(
    *arguments: str | Path, cwd: Path, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; no key and no setting of the surroundings reaches it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return subprocess.run(
        [sys.executable, "-m", "callbot", *map(str, arguments)],
        cwd=cwd,
        env={**clean, "COLUMNS": "200", "PYTHONUTF8": "1", **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
