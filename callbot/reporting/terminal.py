"""A run on the terminal: what failed with its transcript, where it fails, how good it is, the gate.

Plain text in a pipe: no colour, no cut lines, Hebrew in its own order. On a terminal utterances are
wrapped and, where the terminal does not do it, reordered (``bidi.py``). Transcripts never stand in tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from callbot.evals.report import Report, RunReport, ScenarioReport
from callbot.reporting import view
from callbot.reporting.bidi import Bidi, Order, lines_for, order_for, printable
from callbot.reporting.metrics import metrics
from callbot.reporting.view import TurnView

_LABEL = 8
"""Cells of ``caller  ``, ``bot     `` and ``wants   ``."""

_LISTED = 40
"""Of scenarios that are named in a list, with a line each."""


def print_report(report: Report, console: Console, bidi: Bidi = "auto", folder: Path | None = None) -> None:
    """Print a run. ``folder`` is where its files are; the last line is the verdict of the gate."""
    _Printer(console, bidi).report(report, folder)


_STATE_STYLES = {"PASS": "bold green", "FAIL": "bold red", "NO VERDICT": "bold yellow"}


class _Printer:
    def __init__(self, console: Console, bidi: Bidi) -> None:
        self.console = console
        self.order: Order = order_for(bidi, console.file.isatty())
        self.width = console.width if console.is_terminal else None
        """None in a pipe: nothing is wrapped there."""
        self.bar, self.arrow = (
            ("│", "▶▶") if console.is_terminal and not console.options.ascii_only else ("|", ">>")
        )

    # --- the page -------------------------------------------------------------------------------
    def report(self, report: Report, folder: Path | None) -> None:
        self.line((view.headline(report), "bold"))
        for scenario in view.with_outcome(report, "failed"):
            self.failure(scenario)
        self.short_list(
            "Infra: the provider failed, so neither passed nor failed",
            "yellow",
            ((s, _detail(s)) for s in view.with_outcome(report, "infra")),
        )
        self.short_list(
            "Passed, but not in every attempt",
            "yellow",
            ((s, f"{view.attempts(s)}; {_why(s)}") for s in view.unsteady(report)),
        )
        self.short_list("Not judged: neither passed nor failed", "yellow", view.open_questions(report))
        self.short_list(
            "Excused: tagged beyond-offline",
            "dim",
            ((s, _why(s)) for s in view.with_outcome(report, "excused")),
        )
        if len({scenario.business for scenario in report.scenarios}) > 1:
            self.matrix(view.matrix(report))
        self.metrics(report)
        if folder is not None:
            self.labelled("report", [(str(folder), "")])
        self.line()
        state = view.state(report)
        self.line((f"{state}  {view.gate_line(report)}", _STATE_STYLES[state]))

    # --- one failing scenario -------------------------------------------------------------------
    def failure(self, scenario: ScenarioReport) -> None:
        run = view.telling_run(scenario)
        self.line()
        self.rule(scenario, run)
        where = f"{scenario.business}  {scenario.file}"
        self.prose(f"  {where}", "dim")
        if scenario.description:
            self.utterance([("  ", "")], scenario.description, "")
        if run is None:
            return
        self.prose(f"  should  {view.should(scenario.end)}", "")
        self.prose(f"  did     {_joined(view.did(run), view.call_did(run))}", "")
        if len(scenario.runs) > 1:
            self.prose(f"  shown   attempt {run.attempt}; {view.attempts(scenario)}", "")
        if view.why(run):
            self.utterance([("  why     ", "")], view.why(run), "")
        if run.turns:
            self.line()
        for turn in view.turn_views(scenario, run):
            self.turn(turn)
        window = run.window or scenario.end.turns
        if run.wanted_end is None and window and run.turns:
            self.missed(window[1], run.turns[-1].n)
        self.checks(run)

    def rule(self, scenario: ScenarioReport, run: RunReport | None) -> None:
        verdict = view.verdict_of(scenario, run) if run else "did not run"
        self.line(("FAILED  ", "bold red"), (printable(scenario.name), "bold"), (f"  {verdict}", "red"))

    def missed(self, last_of_window: int, last_turn: int) -> None:
        if last_turn >= last_of_window:
            self.line((f"      {self.bar} ", "cyan"), ("the window closes without a request to end", "red"))

    def turn(self, turn: TurnView) -> None:
        bar = (f"{self.bar} " if turn.in_window else "  ", "cyan")
        blank = [("      ", ""), bar]
        number: list[tuple[str, str]] = [(f"  {turn.n or '':>3} ", "bold"), bar]
        if turn.caller or not turn.bot:
            self.utterance([*number, ("caller  ", "dim")], turn.caller or "(says nothing)", "")
            number = blank
        if turn.bot:
            self.utterance([*number, ("bot     ", "dim")], turn.bot, "")
        style = ("green" if turn.right else "bold red") if turn.ends else "dim"
        margin = [(f"  {self.arrow}  ", style), bar] if turn.asked_first else blank
        if turn.wants:
            self.utterance([*margin, ("wants   ", "dim")], turn.wants, style)
        if turn.answer and turn.ends:
            self.utterance([*blank, ("saying  ", "dim")], turn.answer, "dim")
        for fault in turn.broken:
            self.utterance([*blank, ("broken  ", "dim")], fault, "yellow")
        if turn.guard:
            self.utterance([*blank, ("guard   ", "dim")], f"refused: {turn.guard}", "yellow")

    def checks(self, run: RunReport) -> None:
        failed = view.failed_checks(run)
        if failed:
            self.line()
        for check in failed:
            self.utterance([("  check   ", "dim")], check, "red")

    # --- the rest -------------------------------------------------------------------------------
    def short_list(self, title: str, style: str, rows: Iterable[tuple[ScenarioReport, str]]) -> None:
        listed = list(rows)
        if not listed:
            return
        self.line()
        self.line((f"{title} ({len(listed)})", style))
        wide = max(cell_len(printable(scenario.name)) for scenario, _ in listed)
        for scenario, why in listed[:_LISTED]:
            name = printable(scenario.name)
            lead = f"  {name:<{min(wide, 34)}}  "
            self.utterance([(lead, "")], why, "dim")
        if len(listed) > _LISTED:
            self.line((f"  … and {len(listed) - _LISTED:,} more, in the report", "dim"))

    def matrix(self, table: view.Matrix) -> None:
        tag_width = max(map(cell_len, table.tags))
        widths = {name: max(len(name), 7) for name in table.businesses}
        rest = table.businesses
        while rest:
            here, used = [rest[0]], tag_width + 4 + widths[rest[0]]
            for name in rest[1:]:
                used += 2 + widths[name]
                if self.width is not None and used > self.width:
                    break
                here.append(name)
            rest = rest[len(here) :]
            self.line()
            head = "".join(f"  {name:>{widths[name]}}" for name in here)
            self.line((f"  {'passed':<{tag_width}}{head}", "dim"))
            for tag in table.tags:
                cells = [(f"  {tag:<{tag_width}}", "bold" if tag == view.ALL else "")]
                for name in here:
                    passed, counted = table.cells.get((tag, name), (0, 0))
                    shown = f"{passed}/{counted}" if counted else view.NONE
                    style = "dim" if not counted else "green" if passed == counted else "red"
                    cells.append((f"  {shown:>{widths[name]}}", style))
                self.line(*cells)

    def metrics(self, report: Report) -> None:
        self.line()
        self.labelled("verdicts", [(view.verdict_counts(report) or view.NONE, "")])
        for name, value in metrics(report):
            self.labelled(name, [(value, "")])
        for rule in report.gate.rules:
            style = "green" if rule.passed else "bold red"
            state = "holds" if rule.passed else "fails"
            detail = f" ({printable(rule.detail)})" if rule.detail else ""
            self.labelled(f"gate {state}", [(printable(rule.name), style), (detail, "")])

    # --- lines ----------------------------------------------------------------------------------
    def labelled(self, name: str, value: list[tuple[str, str]]) -> None:
        text = Text.assemble((f"  {name:<20}", "dim"))
        for part, style in value:
            text.append(part, style=style)
        self.put(text, hang=22)

    def prose(self, text: str, style: str) -> None:
        self.put(Text(text, style=style), hang=10)

    def utterance(self, margin: list[tuple[str, str]], text: str, style: str) -> None:
        """One utterance after its margin; further lines repeat the gutter of the margin, not its words."""
        lead = sum(cell_len(part) for part, _ in margin)
        room = None if self.width is None else max(20, self.width - lead - 1)
        lines = lines_for(text, room, self.order)
        again = [
            (part if part.strip() == self.bar else " " * cell_len(part), style) for part, style in margin
        ]
        for number, line in enumerate(lines):
            self.line(*(again if number else margin), (line, style))

    def line(self, *parts: tuple[str, str]) -> None:
        self.put(Text.assemble(*parts))

    def put(self, text: Text, hang: int = 0) -> None:
        """Print one line; a terminal wraps it under ``hang`` cells, a pipe never."""
        if self.width is None or text.cell_len <= self.width:
            self.console.print(text, soft_wrap=True, highlight=False)
            return
        first, *rest = text.wrap(self.console, self.width)
        for part in (first, *rest):
            part.rstrip()
        self.console.print(first, soft_wrap=True, highlight=False)
        remaining = Text(" ").join(rest)
        for more in remaining.wrap(self.console, max(20, self.width - hang)):
            more.rstrip()
            self.console.print(Text(" " * hang) + more, soft_wrap=True, highlight=False)


def _detail(scenario: ScenarioReport) -> str:
    run = view.telling_run(scenario)
    if run is None:
        return "did not run"
    return run.detail or "; ".join(view.failed_checks(run))


def _why(scenario: ScenarioReport) -> str:
    run = view.telling_run(scenario)
    return _detail(scenario) or (view.worded(run.verdict) if run else "")


def _joined(first: str, second: str) -> str:
    return "; ".join(part for part in (first, second) if part)
