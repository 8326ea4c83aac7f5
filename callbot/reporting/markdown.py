"""A run as the comment of a pull request: the result, what flipped, the numbers, what failed, folded transcripts.

Written for GitHub and GitLab, which cut comments: transcripts are short and stop before the limit.
Callers' words are neither markup nor mentions there: ``@someone`` in a call notifies nobody.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from callbot.evals.comparison import Comparison, Flip
from callbot.evals.report import Report, ScenarioReport
from callbot.evals.scenario import CRITICAL
from callbot.files import write_whole
from callbot.reporting import comparison as told
from callbot.reporting import view
from callbot.reporting.bidi import Direction, direction, pieces, printable
from callbot.reporting.earlier import comparison_beside
from callbot.reporting.metrics import metrics
from callbot.reporting.view import TurnView

LIMIT = 60_000
"""Characters; GitHub refuses a comment of more than 65,536."""
_TURNS_AROUND = 3
"""Turns shown before and after the request to end and the window."""
_LISTED = 20


def write_markdown(report: Report, path: Path, folder: Path | None = None) -> None:
    """Write a run as a comment in Markdown. ``folder``: the run's own, where its comparison may lie."""
    write_whole(path, markdown(report, comparison_beside(folder) if folder else None))


def markdown(report: Report, against: Comparison | None = None) -> str:
    """A run as a comment in Markdown; what flipped since another run stands first."""
    state = {"PASS": "✅ **PASS**", "FAIL": "❌ **FAIL**", "NO VERDICT": "⚠️ **NO VERDICT**"}[
        view.state(report)
    ]
    head = [f"{state} {inline(view.gate_line(report))}", "", f"{inline(view.headline(report))}"]
    table = ["", "| | |", "|---|---|"]
    table += [f"| {inline(name)} | {inline(value)} |" for name, value in metrics(report)]
    for rule in report.gate.rules:
        detail = f" ({inline(rule.detail)})" if rule.detail else ""
        table.append(f"| gate {'holds' if rule.passed else '**fails**'} | {inline(rule.name)}{detail} |")
    tail = [
        *_listed("Infra: the provider failed", _names(view.with_outcome(report, "infra"))),
        *_listed("Passed, but not in every attempt", _names(view.unsteady(report))),
        *_listed("Not judged", [f"{s.name} ({line})" for s, line in view.open_questions(report)]),
        *_listed("Excused: tagged beyond-offline", _names(view.with_outcome(report, "excused"))),
    ]
    room = _Room(LIMIT - len("\n".join([*head, *table, *tail])) - 400)
    flipped = _flipped(report, against, room) if against is not None else []
    flips = {flip.name for flip in against.lost} if against is not None else set()
    failed = [scenario for scenario in view.with_outcome(report, "failed") if scenario.name not in flips]
    failed.sort(key=lambda scenario: CRITICAL not in scenario.tags)
    rest = []
    if failed:
        other = "other " if flips else ""
        rest += ["", f"### {view.count(len(failed), f'{other}failing scenario')}"]
        rest += room.blocks(map(_failure, failed), len(failed))
    return "\n".join([*head, *flipped, *table, *rest, *tail]) + "\n"


class _Room:
    """How many characters are left for transcripts."""

    def __init__(self, left: int) -> None:
        self._left = left

    def blocks(self, blocks: Iterable[str], number: int) -> Iterator[str]:
        """As many of the blocks as there is room for, and how many are left out."""
        for shown, block in enumerate(blocks):
            self._left -= len(block)
            if self._left < 0:
                yield f"\n… and {number - shown} more, in `report.html` of the run."
                return
            yield block


def _flipped(report: Report, against: Comparison, room: _Room) -> list[str]:
    """What became of scenarios since another run: critical losses, other losses, gains."""
    lost = sorted(against.lost, key=lambda flip: not flip.critical)
    parts = [
        f"{len(against.critical_lost)} critical lost" if against.critical_lost else "",
        f"{len(lost)} lost" if lost else "",
        f"{len(against.gained)} gained" if against.gained else "",
    ]
    counted = ", ".join(part for part in parts if part) or "nothing"
    lines = ["", f"### Flipped since {inline(against.a.id)}: {counted}"]
    rows = {scenario.name: scenario for scenario in report.scenarios}
    shown = [(flip, rows[flip.name]) for flip in lost if flip.name in rows]
    lines += room.blocks((_failure(row, before=_before(flip)) for flip, row in shown), len(shown))
    lines += _listed("Gained", [flip.name for flip in against.gained])
    return [
        *lines,
        "",
        f"All in all {inline(told.state(against).lower())}: {inline(told.verdict_line(against))}",
    ]


def _before(flip: Flip) -> str:
    critical = "critical: " if flip.critical else ""
    return f"{critical}{flip.passed_a} of {flip.made_a} passed before, {flip.passed_b} of {flip.made_b} now"


def _names(scenarios: list[ScenarioReport]) -> list[str]:
    return [scenario.name for scenario in scenarios]


def _failure(scenario: ScenarioReport, before: str = "") -> str:
    run = view.telling_run(scenario)
    if run is None:
        return f"\n- **{inline(scenario.name)}** did not run"
    facts = [
        before,
        f"should: {view.should(scenario.end)}",
        f"did: {view.did(run)}",
        view.why(run),
        view.attempts(scenario),
    ]
    facts += view.failed_checks(run)
    title = escaped(printable(" · ".join([view.verdict_of(scenario, run), scenario.business, scenario.file])))
    lines = [
        "",
        "<details>",
        f"<summary><b>{escaped(printable(scenario.name))}</b> {title}</summary>",
        "",
        *(f"- {inline(fact)}" for fact in facts if fact),
        "",
    ]
    language: Direction = "rtl" if scenario.language.startswith("he") else "ltr"
    turns = view.turn_views(scenario, run)
    shown = _shown(turns)
    for number, turn in enumerate(shown):
        if turn.n != (shown[number - 1].n + 1 if number else turns[0].n):
            lines.append("<p>…</p>")
        lines += _turn(turn, language)
    return "\n".join([*lines, "", "</details>"])


def _shown(turns: list[TurnView]) -> list[TurnView]:
    """The turns around the request to end and the window; all of a short call, the end of one without."""
    if len(turns) <= 8:
        return turns
    marked = [turn.n for turn in turns if turn.in_window or turn.ends or turn.guard] or [turns[-1].n]
    return [turn for turn in turns if any(abs(turn.n - n) <= _TURNS_AROUND for n in marked)]


def _turn(turn: TurnView, language: Direction) -> list[str]:
    """One turn as HTML blocks: a direction can be given to those."""
    number = f"{turn.n} " if turn.n else ""
    lines = []
    if turn.caller or not turn.bot:
        lines.append(_said(f"{number}caller", turn.caller or "(says nothing)", language))
    if turn.bot:
        lines.append(_said(f"{number}bot", turn.bot, language))
    if not turn.wants:
        return lines
    window = " (in the window)" if turn.in_window else ""
    wants = f"<b>{escaped(printable(turn.wants))}</b>" if turn.ends else escaped(printable(turn.wants))
    guard = f"; guard refused: {escaped(printable(turn.guard))}" if turn.guard else ""
    lines.append(f"<div>{'➡️ ' if turn.asked_first else ''}<i>wants</i> {wants}{window}{guard}</div><br>")
    return lines


def _said(who: str, text: str, language: Direction) -> str:
    if direction(printable(text), language) == "ltr":
        return f"<div><i>{who}</i>: {escaped(printable(text))}</div>"
    words = "".join(
        f'<span dir="ltr">{escaped(part)}</span>' if number else escaped(part)
        for part, number in pieces(printable(text))
    )
    return f'<div dir="rtl"><i>{who}</i>: {words}</div>'


def _listed(title: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ["", f"{title} ({len(names)}): {', '.join(map(inline, names[:_LISTED]))}{more}"]


def inline(text: str) -> str:
    """Words inside Markdown, a table's cell included: nothing in them is markup."""
    return re.sub(r"([\\`*_|\[\]~])", r"\\\1", escaped(printable(text)))


def escaped(text: str) -> str:
    """Words inside HTML inside Markdown: no tags, no mentions, no references, no links."""
    safe = html.escape(text, quote=False)
    return re.sub(r"(@|#(?=\d)|(?<=http)(?=s?://)|(?<=www)(?=\.))", r"\1<!-- -->", safe)
