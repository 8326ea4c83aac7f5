"""The work behind ``callbot compare`` and ``callbot eval --vs``: compare, show, write, give the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from callbot.cli.outputs import check_writable
from callbot.evals.compare import compare
from callbot.evals.report import Report
from callbot.files import write_whole
from callbot.reporting.bidi import Bidi
from callbot.reporting.comparison import Compared
from callbot.reporting.comparison_terminal import print_comparison

NO_LOSS, LOSS = 0, 1
"""Exit codes; 2, bad usage or input, is what ``main`` makes of a CallbotError."""


@dataclass(frozen=True, slots=True)
class ComparisonOutputs:
    """Where a comparison is written."""

    json: Path | None = None
    markdown: Path | None = None
    html: Path | None = None

    def check(self) -> None:
        """Find out before anything is paid for that a file cannot be written. Raises CallbotError."""
        check_writable(self.json, self.markdown, self.html)


def show_comparison(
    a: Report, b: Report, outputs: ComparisonOutputs, bidi: Bidi, *, a_is: str = "A", b_is: str = "B"
) -> int:
    """Compare, write what was asked for, print it, and return the exit code. Raises CallbotError."""
    compared = Compared(compare(a, b, a_is=a_is, b_is=b_is), a, b)
    write_comparison(compared, outputs)
    print_comparison(compared, Console(highlight=False, emoji=False), bidi)
    return LOSS if compared.comparison.loss else NO_LOSS


def write_comparison(compared: Compared, outputs: ComparisonOutputs) -> None:
    """Write a comparison wherever it was asked for. Raises CallbotError."""
    if outputs.json is not None:
        write_whole(outputs.json, compared.comparison.model_dump_json(indent=2, by_alias=True) + "\n")
    if outputs.markdown is not None:
        from callbot.reporting.comparison_markdown import write_comparison_markdown

        write_comparison_markdown(compared, outputs.markdown)
    if outputs.html is not None:
        from callbot.reporting.comparison_html import write_comparison_html

        write_comparison_html(compared, outputs.html)
