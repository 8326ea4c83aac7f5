"""What all pages share: templates that escape everything, and words that are read in their own direction."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from callbot.reporting.bidi import Direction, direction, pieces, printable

TEMPLATES = Path(__file__).parent / "templates"


def environment(*more: Path) -> Environment:
    """The templates of this folder, and of ``more`` before it, with the filters ``said`` and ``dir``."""
    made = Environment(
        loader=FileSystemLoader([*more, TEMPLATES]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {"said": said, "dir": direction_of}
    return made


def source(name: str, folder: Path = TEMPLATES) -> str:
    """The text of a style sheet or script."""
    return (folder / name).read_text(encoding="utf-8").strip()


def said(text: object) -> Markup:
    """A text of which dialled numbers stand alone, so that right-to-left words leave their order be."""
    parts = pieces(printable(str(text)))
    return Markup("").join(
        Markup('<bdi dir="ltr">{}</bdi>').format(p) if number else escape(p) for p, number in parts
    )


def direction_of(text: object, otherwise: Direction = "ltr") -> Direction:
    """The direction of a text that anybody may have said."""
    return direction(printable(str(text)), otherwise)
