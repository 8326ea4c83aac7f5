"""A comparison on the terminal: what flipped, both transcripts side by side, the numbers, the verdict.

What both sides share is printed once, over the whole width. A narrow terminal gets one side under the
other. Utterances are wrapped and ordered as everywhere (``bidi.py``).
"""

from __future__ import annotations

from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from callbot.evals.comparison import Comparison
from callbot.reporting import comparison as told
from callbot.reporting import view
from callbot.reporting.bidi import Bidi, Order, lines_for, order_for, printable
from callbot.reporting.comparison import Call, Compared, FlipView, TurnPair
from callbot.reporting.view import TurnView

_LABEL = 14
"""Cells of ``    6 caller  ``."""
_NARROW = 100
"""Cells below which two columns would hold too few words."""
_LABELS = ("caller", "bot", "wants", "guard")
_STYLES = {
    "better": "bold green",
    "worse": "bold red",
    "no_difference": "bold",
    "inconclusive": "bold yellow",
}

_Cell = tuple[str, str]
"""Words and their style."""


def print_comparison(compared: Compared, console: Console, bidi: Bidi = "auto") -> None:
    """Print a comparison; the last line is its verdict."""
    _Printer(console, bidi).comparison(compared)


class _Printer:
    def __init__(self, console: Console, bidi: Bidi) -> None:
        self.console = console
        self.order: Order = order_for(bidi, console.file.isatty())
        self.width = console.width
        self.half = (self.width - _LABEL - 3) // 2
        self.two_columns = self.width >= _NARROW
        self.bar = "│" if console.is_terminal and not console.options.ascii_only else "|"

    def comparison(self, compared: Compared) -> None:
        comparison = compared.comparison
        for name, what in told.sides(comparison):
            self.line((f"  {name}  ", "bold"), (printable(what), ""))
        for title, views in told.flips(compared):
            self.line()
            self.line((f"{title} ({len(views)})", "green" if "Gained" in title else "bold red"))
            for each in views:
                self.flip(each)
        self.numbers(comparison)
        self.line()
        style = "bold red" if comparison.loss else _STYLES[comparison.verdict]
        self.line((f"{told.state(comparison)}  {told.verdict_line(comparison)}", style))

    # --- one flip -------------------------------------------------------------------------------
    def flip(self, flip: FlipView) -> None:
        scenario = flip.scenario
        self.line()
        kind = "  ".join([scenario.business, printable(", ".join(scenario.tags))])
        self.line((f"  {printable(scenario.name)}  ", "bold"), (kind, "dim"))
        self.both("should", (view.should(scenario.end), ""))
        if self.two_columns:
            self.columns("", ("A", "bold"), ("B", "bold"))
            self.columns("verdict", _verdict(flip.a), _verdict(flip.b))
            self.columns("did", (flip.a.did, ""), (flip.b.did, ""))
            for pair in flip.turns:
                self.turn(pair)
            return
        for name, call, turns in (
            ("A", flip.a, [pair.a for pair in flip.turns]),
            ("B", flip.b, [pair.b for pair in flip.turns]),
        ):
            self.both(name, _verdict(call))
            self.both("did", (call.did, ""))
            for turn in turns:
                if turn is not None:
                    self.turn(TurnPair(turn.n, turn, turn, over_a=False, over_b=False))

    def turn(self, pair: TurnPair) -> None:
        number = str(pair.n or "")
        for label, a, b in zip(
            _LABELS, _cells(pair.a, over=pair.over_a), _cells(pair.b, over=pair.over_b), strict=True
        ):
            if not (a[0] or b[0]):
                continue
            left, number = f"{number:>5} {label}", ""
            if a == b:
                self.both(left, a, indented=True)
            else:
                self.columns(left, a, b, indented=True)

    # --- numbers --------------------------------------------------------------------------------
    def numbers(self, comparison: Comparison) -> None:
        self.line()
        self.line((f"  {'':<16}{'A':>10}{'B':>10}  change in points (95%)", "dim"))
        for metric in comparison.metrics:
            name, a, b, change = told.metric_row(metric)
            self.line((f"  {name:<16}", "dim"), (f"{a:>10}{b:>10}  {change}", ""))
        for name, a, b, change in told.spending(comparison):
            self.line((f"  {name:<16}", "dim"), (f"{a:>10}{b:>10}  {change}", ""))
        self.line()
        for name, text in told.test_lines(comparison):
            self.labelled(name, text)
        self.labelled("could find", told.sensitivity(comparison))
        if told.settling(comparison):
            self.labelled("would settle it", told.settling(comparison))
        for name in comparison.not_answered:
            self.labelled("not compared", f"{name}: the provider answered no attempt on one side")
        for note in comparison.notes:
            self.labelled("note", note)

    def labelled(self, name: str, text: str) -> None:
        for number, line in enumerate(lines_for(text, max(20, self.width - 29), self.order)):
            self.line((f"  {'' if number else name:<26}", "dim"), (line, ""))

    # --- lines ----------------------------------------------------------------------------------
    def both(self, label: str, cell: _Cell, *, indented: bool = False) -> None:
        """One line for both sides, over the whole width."""
        text, style = cell
        for number, line in enumerate(lines_for(text, self.width - _LABEL - 1, self.order)):
            self.line((self.label("" if number else label, indented), "dim"), (line, style))

    def columns(self, label: str, a: _Cell, b: _Cell, *, indented: bool = False) -> None:
        left, right = (lines_for(text, self.half, self.order) for text, _ in (a, b))
        for number, (one, other) in enumerate(zip_longest(left, right, fillvalue="")):
            padding = " " * (self.half - cell_len(one))
            self.line(
                (self.label("" if number else label, indented), "dim"),
                (one, a[1]),
                (f"{padding} {self.bar} ", "dim"),
                (other, b[1]),
            )

    def label(self, label: str, indented: bool) -> str:
        return f"{label if indented or not label else f'  {label}':<{_LABEL}}"

    def line(self, *parts: _Cell) -> None:
        text = Text.assemble(*parts)
        text.rstrip()
        self.console.print(text, soft_wrap=True, highlight=False)


def _verdict(call: Call) -> _Cell:
    style = "green" if call.run is not None and call.run.passed else "red"
    return f"{call.verdict}; {call.passed}", style


def _cells(turn: TurnView | None, *, over: bool) -> tuple[_Cell, _Cell, _Cell, _Cell]:
    """What the caller said, what the bot said, what the model wanted, and why it was refused."""
    if turn is None:
        return ("", ""), ("", ""), (told.OVER if over else "", "dim"), ("", "")
    style = ("green" if turn.right else "bold red") if turn.ends else "dim"
    guard = f"refused: {turn.guard}" if turn.guard else ""
    return (turn.caller, ""), (turn.bot, ""), (turn.wants, style), (guard, "yellow")
