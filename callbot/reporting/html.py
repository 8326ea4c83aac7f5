"""A run as one page, ``report.html``: one file, no network, failing calls first and open.

Drawn by ``templates/report.html.j2`` from what ``view.py`` and ``overview.py`` say; callers' words are
data there: escaped, and a content security policy lets no script run but the page's own. What a call
unfolds to stands in a ``<noscript>``: plain HTML where scripts are off, and one string that costs
nothing until it is opened where they are on. It prints as it is shown: open calls open.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from callbot.evals.report import HazardCurve, Report, RunReport, ScenarioReport
from callbot.files import write_whole
from callbot.reporting import comparison as told
from callbot.reporting import markup, overview, view
from callbot.reporting.earlier import comparison_beside
from callbot.reporting.hazard import hazard_svg, summary
from callbot.reporting.metrics import metrics

_RIGHT_TO_LEFT = {"he", "iw", "ar", "fa", "ur", "yi"}
_OPEN = 25
"""Failing calls that are open at first: more would take the browser longer than a reader wants to wait."""


def write_html(report: Report, path: Path, folder: Path | None = None) -> None:
    """Write the page of a run. ``folder``: where the run's files are, if not beside the page."""
    write_whole(
        path, page(report, folder or path.parent, os.path.relpath(folder or path.parent, path.parent))
    )


def page(report: Report, folder: Path, prefix: str = ".") -> str:
    """The page of a run, as HTML. ``prefix``: the way from the page to the run's folder."""
    templates = markup.environment()
    templates.filters["worded"] = view.worded
    style = "\n".join(map(markup.source, ("transcript.css", "report.css")))
    script = markup.source("report.js")
    anchor = _anchors()
    calls = [
        _call(scenario, anchor(scenario.name), prefix)
        for outcome in view.OUTCOMES
        for scenario in view.with_outcome(report, outcome)
    ]
    return templates.get_template("report.html.j2").render(
        report=report,
        view=view,
        overview=overview,
        told=told,
        comparison=comparison_beside(folder),
        prefix=quote(prefix.replace(os.sep, "/")),
        calls=calls,
        open_at_first=_OPEN,
        matrix=view.matrix(report),
        metrics=metrics,
        curves=[(curve, _curve(curve), summary(curve)) for curve in report.hazards],
        outcomes=[outcome for outcome in view.OUTCOMES if view.with_outcome(report, outcome)],
        verdicts=sorted({run.verdict for scenario in report.scenarios for run in scenario.runs}),
        businesses=sorted({scenario.business for scenario in report.scenarios}),
        tags=sorted({tag for scenario in report.scenarios for tag in scenario.tags}),
        style=style,
        script=script,
        policy=f"default-src 'none'; img-src data:; media-src 'self' file:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}",
    )


def _call(scenario: ScenarioReport, anchor: str, prefix: str) -> dict[str, Any]:
    shown = view.telling_run(scenario)
    others = [run for run in scenario.runs if run is not shown]
    return {
        "scenario": scenario,
        "anchor": anchor,
        "outcome": view.outcome(scenario),
        "dir": "rtl" if scenario.language.split("-")[0] in _RIGHT_TO_LEFT else "ltr",
        "verdict": view.verdict_of(scenario, shown) if shown else "did not run",
        "shown": _attempt(scenario, shown, prefix) if shown else None,
        "others": [_attempt(scenario, run, prefix) for run in others],
    }


def _attempt(scenario: ScenarioReport, run: RunReport, prefix: str) -> dict[str, Any]:
    window = run.window or scenario.end.turns
    return {
        "run": run,
        "to_come": _to_come(run, window),
        "verdict": view.verdict_of(scenario, run),
        "turns": view.turn_views(scenario, run),
        "window": window,
        "audio": _audio(run.audio, prefix),
    }


def _to_come(run: RunReport, window: tuple[int, int] | None) -> list[int]:
    """The turns up to the window's last that never came, for the call was over before."""
    if window is None or run.verdict == "infra" or not run.turns:
        return []
    return list(range(run.turns[-1].n + 1, window[1] + 1))


def _audio(recording: str | None, prefix: str) -> str | None:
    """The address of a recording from the page; None for anything but a file in the run's own folder."""
    if not recording:
        return None
    path = PurePosixPath(recording)
    if path.is_absolute() or ".." in path.parts:
        return None
    return quote(f"{prefix.replace(os.sep, '/')}/{path}")


def _curve(curve: HazardCurve) -> Markup:
    """The curve without its style: it follows the page's, whose choice of light or dark it shares."""
    return Markup(re.sub(r"<style>.*?</style>", "", hazard_svg(curve)))  # noqa: S704  # escaped where it is made


def _anchors() -> Callable[[str], str]:
    """Give each name an id that is still its own on the page of another run."""
    used: dict[str, int] = {}

    def anchor(name: str) -> str:
        slug = "call-" + (re.sub(r"[^\w.]+", "-", name.lower()).strip("-") or "unnamed")
        used[slug] = used.get(slug, 0) + 1
        return slug if used[slug] == 1 else f"{slug}--{used[slug]}"

    return anchor


def _hash(source: str) -> str:
    """What a content security policy calls an inline script or style by."""
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return f"'sha256-{digest}'"
