"""Option types that several commands share."""

from __future__ import annotations

from enum import StrEnum


class Bidi(StrEnum):
    """How right-to-left text is put on a terminal."""

    auto = "auto"
    visual = "visual"
    logical = "logical"
