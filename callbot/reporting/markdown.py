"""A run as the comment of a pull request: the result, the numbers, what failed, folded transcripts.

Written for GitHub and GitLab, which cut comments: transcripts are short and stop before the limit.
Callers' words are neither markup nor mentions there: ``@someone`` in a call notifies nobody.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from callbot.evals.report import Report, ScenarioReport
from callbot.files import write_whole
from callbot.reporting import view
from callbot.reporting.bidi import Direction, direction, pieces, printable
from callbot.reporting.metrics import metrics
from callbot.reporting.view import TurnView

LIMIT = 60_000
"""Characters; GitHub refuses a comment of more than 65,536."""
_TURNS_AROUND = 3
"""Turns shown before and after the request to end and the window."""
_LISTED = 20


def write_markdown(report: Report, path: Path) -> None:
    """Write a run as a comment in Markdown."""
    write_whole(path, markdown(report))


def markdown(report: Report) -> str:
    """A run as a comment in Markdown."""
    state = {"PASS": "✅ **PASS**", "FAIL": "❌ **FAIL**", "NO VERDICT": "⚠️ **NO VERDICT**"}[
        view.state(report)
    ]
    head = [f"{state} {inline(view.gate_line(report))}", "", f"{inline(view.headline(report))}", ""]
    head += ["| | |", "|---|---|"]
    head += [f"| {inline(name)} | {inline(value)} |" for name, value in metrics(report)]
    for rule in report.gate.rules:
        detail = f" ({inline(rule.detail)})" if rule.detail else ""
        head.append(f"| gate {'holds' if rule.passed else '**fails**'} | {inline(rule.name)}{detail} |")
    tail = [
        *_listed("Infra: the provider failed", view.with_outcome(report, "infra")),
        *_listed("Passed, but not in every attempt", view.unsteady(report)),
        *_listed("Excused: tagged beyond-offline", view.with_outcome(report, "excused")),
    ]
    failed = view.with_outcome(report, "failed")
    if failed:
        head += ["", f"### {view.count(len(failed), 'failing scenario')}"]
    room = LIMIT - len("\n".join([*head, *tail])) - 200
    for number, scenario in enumerate(failed):
        block = _failure(scenario)
        room -= len(block)
        if room < 0:
            head += ["", f"… and {len(failed) - number} more, in `report.html` of the run."]
            break
        head.append(block)
    return "\n".join([*head, *tail]) + "\n"


def _failure(scenario: ScenarioReport) -> str:
    run = view.telling_run(scenario)
    if run is None:
        return f"\n- **{inline(scenario.name)}** did not run"
    facts = [
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


def _listed(title: str, scenarios: list[ScenarioReport]) -> list[str]:
    if not scenarios:
        return []
    names = ", ".join(inline(scenario.name) for scenario in scenarios[:_LISTED])
    more = f" and {len(scenarios) - _LISTED} more" if len(scenarios) > _LISTED else ""
    return ["", f"{title} ({len(scenarios)}): {names}{more}"]


def inline(text: str) -> str:
    """Words inside Markdown, a table's cell included: nothing in them is markup."""
    return re.sub(r"([\\`*_|\[\]~])", r"\\\1", escaped(printable(text)))


def escaped(text: str) -> str:
    """Words inside HTML inside Markdown: no tags, no mentions, no references, no links."""
    safe = html.escape(text, quote=False)
    return re.sub(r"(@|#(?=\d)|(?<=http)(?=s?://)|(?<=www)(?=\.))", r"\1<!-- -->", safe)
