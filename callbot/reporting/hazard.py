"""Hazard curves, on the terminal and as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

from rich.console import Console
from rich.text import Text

from callbot.evals.hazard import onset
from callbot.evals.report import HazardCurve, HazardPoint
from callbot.reporting.bidi import Bidi, order_for, ordered, printable
from callbot.reporting.view import percent

_BAR = 20
"""Cells of a bar that is full."""


def print_curve(curve: HazardCurve, console: Console, bidi: Bidi) -> None:
    """Print one curve: a bar a turn, the turns in which the end is due between lines, where it sets in."""
    order = order_for(bidi, console.file.isatty())
    full, line = ("#", "|") if console.options.ascii_only else ("█", "│")
    console.print(Text(f"\n{curve.scenario}  {curve.business}", style="bold"))
    samples = f"{curve.samples} samples of each turn"
    console.print(Text(f"  wants to end: share of {samples}, with its 95% interval", style="dim"))
    for point in curve.points:
        due = curve.window is not None and curve.window[0] <= point.turn <= curve.window[1]
        bar = (full * round(point.rate.value * _BAR)).ljust(_BAR)
        numbers = f"{point.turn:>4} {line if due else ' '} {bar} {percent(point.rate.value):>6}"
        interval = f"  {percent(point.rate.low):>6}-{percent(point.rate.high):<6}"
        style = "red" if point.wanted and not due else "green" if due and point.wanted else ""
        words = ordered(printable(point.caller), order)
        row = Text.assemble((numbers, style), (interval, "dim"), f"  {words}")
        console.print(row, no_wrap=True, overflow="ellipsis", soft_wrap=not console.is_terminal)
    console.print(Text(f"  {summary(curve)}"), soft_wrap=True)


def summary(curve: HazardCurve) -> str:
    """One sentence: when the end is due, and where wanting it sets in too early."""
    if not any(point.answered for point in curve.points):
        return "the provider answered nothing"
    due = f"the end is due in {_turns(curve.window)}" if curve.window else "it should stay open"
    first = onset(curve)
    if first is None:
        return f"{due}; nothing before it makes the model want to end"
    return f'{due}; it first wants to end in turn {first.turn} ({percent(first.rate.value)}: {_reasons(first)}), at "{first.caller}"'


def _turns(window: tuple[int, int]) -> str:
    first, last = window
    return f"turn {first}" if first == last else f"turns {first} to {last}"


def _reasons(point: HazardPoint) -> str:
    return ", ".join(f"{reason} {number}" for reason, number in point.reasons.items())


_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 220, 44, 16, 16, 36


def hazard_svg(curve: HazardCurve) -> str:
    """The curve as an SVG element that brings its own colours, for a light and for a dark page.

    Each point has a title: what the caller said, and how many answers asked to end.
    """
    turns = [point.turn for point in curve.points] or [1]
    first, last = min(turns), max(turns)
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, last - first + 1)

    def x(turn: float) -> float:
        return _LEFT + (turn - first + 0.5) * step

    def y(rate: float) -> float:
        return _TOP + (1 - rate) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" class="hazard">',
        f"<title>{escape(f'{curve.scenario}: {summary(curve)}')}</title>",
        _STYLE,
        *_axes(y),
    ]
    if curve.window is not None:
        left, right = max(curve.window[0], first), min(curve.window[1], last)
        if left <= right:
            width = x(right + 0.5) - x(left - 0.5)
            box = f'x="{x(left - 0.5):.1f}" y="{_TOP}" width="{width:.1f}" height="{y(0) - _TOP:.1f}"'
            parts.append(f'<rect class="due" {box}><title>the end is due here</title></rect>')
    line = " ".join(f"{x(point.turn):.1f},{y(point.rate.value):.1f}" for point in curve.points)
    parts.append(f'<polyline class="rate" points="{line}"/>')
    for point in curve.points:
        due = curve.window is not None and curve.window[0] <= point.turn <= curve.window[1]
        parts.extend(_mark(point, x(point.turn), y, early=bool(point.wanted) and not due))
    return "".join([*parts, "</svg>"])


_STYLE = (
    "<style>.hazard{--ink:#1c1e21;--soft:#7a7f87;--due:#2e7d3233;--bad:#b3261e;max-width:100%;height:auto}"
    "@media (prefers-color-scheme:dark){.hazard{--ink:#e8eaed;--soft:#9aa0a6;--due:#81c78433;--bad:#f2b8b5}}"
    ".hazard text{fill:var(--soft);font:11px system-ui,sans-serif}.hazard line{stroke:var(--soft);stroke-width:.6}"
    ".hazard .due{fill:var(--due)}.hazard .rate{fill:none;stroke:var(--ink);stroke-width:1.5}"
    ".hazard .bound{stroke:var(--ink);stroke-width:1.2}.hazard circle{fill:var(--ink)}"
    ".hazard .early{fill:var(--bad)}</style>"
)


def _axes(y: Callable[[float], float]) -> Iterator[str]:
    for rate in (0.0, 0.5, 1.0):
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(rate):.1f}" y2="{y(rate):.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate:.0%}</text>'
    yield f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">turn of the caller</text>'


def _mark(point: HazardPoint, x: float, y: Callable[[float], float], *, early: bool) -> Iterator[str]:
    low, high = y(point.rate.low), y(point.rate.high)
    said = f"turn {point.turn}: {point.caller}; {point.wanted} of {point.answered} ask to end"
    wants = ' class="early"' if early else ""
    yield f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
    yield f'<circle cx="{x:.1f}" cy="{y(point.rate.value):.1f}" r="4"{wants}><title>{escape(said)}</title></circle>'
    yield f'<text x="{x:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{point.turn}</text>'


def write_svg(curve: HazardCurve, path: Path) -> None:
    """Write one curve as an SVG file."""
    from callbot.files import write_whole

    write_whole(path, hazard_svg(curve) + "\n")
