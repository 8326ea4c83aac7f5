"""Every transcript of a run on one page: one file, no network, failing calls first and open.

The page is drawn by ``templates/transcripts.html.j2`` from what ``view.py`` says; callers' words are
data there: escaped, and a content security policy lets no script run but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from callbot.evals.report import Report, RunReport, ScenarioReport
from callbot.files import write_whole
from callbot.reporting import view
from callbot.reporting.bidi import Direction, direction, pieces, printable

_TEMPLATES = Path(__file__).parent / "templates"
_RIGHT_TO_LEFT = {"he", "iw", "ar", "fa", "ur", "yi"}


def write_transcripts(report: Report, path: Path) -> None:
    """Write the page of a run's transcripts."""
    write_whole(path, transcripts(report))


def transcripts(report: Report) -> str:
    """The page of a run's transcripts, as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"said": _said, "dir": _direction, "worded": view.worded}
    style, script = (_source(name) for name in ("transcripts.css", "transcripts.js"))
    anchor = _anchors()
    calls = [
        _call(scenario, anchor(scenario.name))
        for outcome in view.OUTCOMES
        for scenario in view.with_outcome(report, outcome)
    ]
    return environment.get_template("transcripts.html.j2").render(
        report=report,
        view=view,
        calls=calls,
        matrix=view.matrix(report),
        outcomes=[outcome for outcome in view.OUTCOMES if view.with_outcome(report, outcome)],
        verdicts=sorted({run.verdict for scenario in report.scenarios for run in scenario.runs}),
        businesses=sorted({scenario.business for scenario in report.scenarios}),
        tags=sorted({tag for scenario in report.scenarios for tag in scenario.tags}),
        style=style,
        script=script,
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
    )


def _call(scenario: ScenarioReport, anchor: str) -> dict[str, Any]:
    shown = view.telling_run(scenario)
    others = [run for run in scenario.runs if run is not shown]
    return {
        "scenario": scenario,
        "anchor": anchor,
        "outcome": view.outcome(scenario),
        "dir": "rtl" if scenario.language.split("-")[0] in _RIGHT_TO_LEFT else "ltr",
        "verdict": view.verdict_of(scenario, shown) if shown else "did not run",
        "shown": _attempt(scenario, shown) if shown else None,
        "others": [_attempt(scenario, run) for run in others],
    }


def _attempt(scenario: ScenarioReport, run: RunReport) -> dict[str, Any]:
    return {"run": run, "verdict": view.verdict_of(scenario, run), "turns": view.turn_views(scenario, run)}


def _said(text: object) -> Markup:
    """A text of which dialled numbers stand alone, so that right-to-left words leave their order be."""
    parts = pieces(printable(str(text)))
    return Markup("").join(
        Markup('<bdi dir="ltr">{}</bdi>').format(p) if number else escape(p) for p, number in parts
    )


def _direction(text: object, otherwise: Direction = "ltr") -> Direction:
    return direction(printable(str(text)), otherwise)


def _anchors() -> Callable[[str], str]:
    """Give each name an id that is still its own on the page of another run."""
    used: dict[str, int] = {}

    def anchor(name: str) -> str:
        slug = "call-" + (re.sub(r"[^\w.]+", "-", name.lower()).strip("-") or "unnamed")
        used[slug] = used.get(slug, 0) + 1
        return slug if used[slug] == 1 else f"{slug}--{used[slug]}"

    return anchor


def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _hash(source: str) -> str:
    """What a content security policy calls an inline script or style by."""
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return f"'sha256-{digest}'"
