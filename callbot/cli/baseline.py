"""``--baseline FILE``: an earlier run that this one must not do worse than."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from callbot.cli.comparing import ComparisonOutputs, write_comparison
from callbot.evals.compare import NothingToCompare, compare, contents_of, refuse_different, rules_against
from callbot.evals.fingerprints import fingerprint
from callbot.evals.gate import with_rules
from callbot.evals.report import GateRule, Report
from callbot.evals.report_files import read_report
from callbot.evals.selection import Selection
from callbot.reporting.bidi import Bidi
from callbot.reporting.comparison import Compared
from callbot.reporting.comparison_terminal import print_comparison


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier run, and what the user called it."""

    name: str
    report: Report


def read_baseline(path: Path, selection: Selection) -> Baseline:
    """The run to hold another to. Raises CallbotError if it is none, or of other scenarios than selected."""
    report = read_report(path)
    refuse_different(
        contents_of(report),
        {scenario.name: fingerprint(scenario) for scenario in selection.scenarios},
        a_is=f"the baseline {path}",
        b_is="this selection",
    )
    return Baseline(str(path), report)


def held_against(baseline: Baseline, report: Report, folder: Path, console: Console, bidi: Bidi) -> Report:
    """The report with the rules of the baseline in its gate; the comparison is printed and kept beside it.

    A run that was cut short is compared with nothing: it says so itself.
    """
    if report.run.interrupted or report.run.stopped_by:
        return report
    try:
        compared = Compared(compare(baseline.report, report), baseline.report, report)
    except NothingToCompare as error:
        rules = [GateRule(name=f"no loss against {baseline.name}", passed=False, detail=str(error))]
    else:
        write_comparison(
            compared, ComparisonOutputs(json=folder / "comparison.json", html=folder / "comparison.html")
        )
        print_comparison(compared, console, bidi)
        console.print()
        rules = rules_against(compared.comparison, baseline.name)
    return report.model_copy(update={"gate": with_rules([*report.gate.rules, *rules])})
