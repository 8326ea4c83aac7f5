"""A comparison as one page: what flipped with both transcripts side by side, the numbers. No network.

Drawn by ``templates/comparison.html.j2`` in the looks of the page of transcripts. Callers' words are data
there: escaped, and a content security policy lets no script run at all.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from callbot.files import write_whole
from callbot.reporting import comparison as told
from callbot.reporting import markup, view
from callbot.reporting.comparison import Compared


def write_comparison_html(compared: Compared, path: Path) -> None:
    """Write the page of a comparison."""
    write_whole(path, comparison_html(compared))


def comparison_html(compared: Compared) -> str:
    """The page of a comparison, as HTML."""
    style = markup.source("comparison.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        markup.environment()
        .get_template("comparison.html.j2")
        .render(
            comparison=compared.comparison,
            groups=list(told.flips(compared)),
            told=told,
            view=view,
            style=style,
            policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'",
        )
    )
