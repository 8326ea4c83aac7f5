"""A comparison as the comment of a pull request: the verdict, what flipped with both transcripts, the numbers.

The same care as ``markdown.py``: words of callers are neither markup nor mentions, and it stops before
the length that GitHub refuses.
"""

from __future__ import annotations

from pathlib import Path

from callbot.files import write_whole
from callbot.reporting import comparison as told
from callbot.reporting import view
from callbot.reporting.bidi import direction, pieces, printable
from callbot.reporting.comparison import Compared, FlipView, TurnPair
from callbot.reporting.markdown import LIMIT, escaped, inline
from callbot.reporting.view import TurnView

_SIGNS = {"better": "✅", "worse": "❌", "no_difference": "✅", "inconclusive": "⚠️"}


def write_comparison_markdown(compared: Compared, path: Path) -> None:
    """Write a comparison as a comment in Markdown."""
    write_whole(path, comparison_markdown(compared))


def comparison_markdown(compared: Compared) -> str:
    """A comparison as a comment in Markdown."""
    comparison = compared.comparison
    sign = "❌" if comparison.loss else _SIGNS[comparison.verdict]
    head = [f"{sign} **{told.state(comparison)}** {inline(told.verdict_line(comparison))}", ""]
    head += [f"- **{name}** {inline(what)}" for name, what in told.sides(comparison)]
    tail = ["", "| | A | B | change |", "|---|--:|--:|---|"]
    tail += [
        f"| {inline(name)} | {a} | {b} | {inline(change)} |"
        for name, a, b, change in (
            *map(told.metric_row, comparison.metrics),
            *told.spending(comparison),
        )
    ]
    facts = [*told.test_lines(comparison), ("could find", told.sensitivity(comparison))]
    if told.settling(comparison):
        facts.append(("would settle it", told.settling(comparison)))
    if comparison.not_answered:
        facts.append(("not compared, unanswered on one side", ", ".join(comparison.not_answered[:20])))
    facts += [("note", note) for note in comparison.notes]
    tail += ["", *(f"- {inline(name)}: {inline(text)}" for name, text in facts)]
    room = LIMIT - len("\n".join([*head, *tail])) - 200
    for title, views in told.flips(compared):
        head += ["", f"### {title} ({len(views)})"]
        for number, each in enumerate(views):
            block = _flip(each)
            room -= len(block)
            if room < 0:
                head += ["", f"… and {len(views) - number} more, in the comparison's page."]
                break
            head.append(block)
    return "\n".join([*head, *tail]) + "\n"


def _flip(flip: FlipView) -> str:
    scenario = flip.scenario
    title = escaped(printable(f"{flip.a.verdict} → {flip.b.verdict} · {scenario.business} · {scenario.file}"))
    return "\n".join(
        [
            "",
            "<details>",
            f"<summary><b>{escaped(printable(scenario.name))}</b> {title}</summary>",
            "",
            f"- should: {inline(view.should(scenario.end))}",
            f"- A: {inline(flip.a.did)} ({flip.a.passed})",
            f"- B: {inline(flip.b.did)} ({flip.b.passed})",
            "",
            "<table>",
            "<tr><th></th><th>A</th><th>B</th></tr>",
            *(row for pair in flip.turns for row in _turn(pair)),
            "</table>",
            "",
            "</details>",
        ]
    )


def _turn(pair: TurnPair) -> list[str]:
    """One turn as rows of a table of HTML, in which a direction can be given to each cell."""
    rows = []
    number = str(pair.n or "")
    for who, a, b in zip(
        ("caller", "bot", "wants"),
        _words(pair.a, over=pair.over_a),
        _words(pair.b, over=pair.over_b),
        strict=True,
    ):
        if not (a or b):
            continue
        head = f"<td>{number} <i>{who}</i></td>"
        cells = _cell(a, 2) if a == b else _cell(a) + _cell(b)
        rows.append(f"<tr>{head}{cells}</tr>")
        number = ""
    return rows


def _words(turn: TurnView | None, *, over: bool) -> tuple[str, str, str]:
    if turn is None:
        return "", "", told.OVER if over else ""
    guard = f"; guard refused: {turn.guard}" if turn.guard else ""
    return turn.caller, turn.bot, turn.wants + guard


def _cell(text: str, span: int = 1) -> str:
    text = printable(text)
    side = direction(text)
    words = "".join(
        f'<span dir="ltr">{escaped(part)}</span>' if number and side == "rtl" else escaped(part)
        for part, number in pieces(text)
    )
    columns = f' colspan="{span}"' if span > 1 else ""
    return f'<td{columns} dir="{side}">{words}</td>'
