"""A comparison as one page: what flipped with both transcripts side by side, the numbers. No network.

Drawn by ``templates/comparison.html.j2`` in the looks of the page of transcripts. Callers' words are data
there: escaped, and a content security policy lets no script run at all.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from callbot.files import write_whole
from callbot.reporting import comparison as told
from callbot.reporting import view
from callbot.reporting.bidi import Direction, direction, pieces, printable
from callbot.reporting.comparison import Compared

_TEMPLATES = Path(__file__).parent / "templates"


def write_comparison_html(compared: Compared, path: Path) -> None:
    """Write the page of a comparison."""
    write_whole(path, comparison_html(compared))


def comparison_html(compared: Compared) -> str:
    """The page of a comparison, as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"said": _said, "dir": _direction}
    style = (_TEMPLATES / "comparison.css").read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("comparison.html.j2").render(
        comparison=compared.comparison,
        groups=list(told.flips(compared)),
        told=told,
        view=view,
        style=style,
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'",
    )


def _said(text: object) -> Markup:
    """A text of which dialled numbers stand alone, so that right-to-left words leave their order be."""
    parts = pieces(printable(str(text)))
    return Markup("").join(
        Markup('<bdi dir="ltr">{}</bdi>').format(p) if number else escape(p) for p, number in parts
    )


def _direction(text: object, otherwise: Direction = "ltr") -> Direction:
    return direction(printable(str(text)), otherwise)
