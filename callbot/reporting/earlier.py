"""The comparison that a run was held to, where one lies in the run's folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from callbot.evals.comparison import Comparison


def comparison_beside(folder: Path) -> Comparison | None:
    """The comparison in a run's folder (``--baseline`` and ``--vs`` leave it there); None if there is none.

    One that cannot be read is none: the run's own report does not depend on it.
    """
    try:
        return Comparison.model_validate_json((folder / "comparison.json").read_bytes())
    except (OSError, ValidationError):
        return None
