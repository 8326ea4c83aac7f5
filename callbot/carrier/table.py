"""Audio reports on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callbot.carrier.report import AudioReport, Percentiles

CLOCK_LATE_MS = 100
"""Milliseconds of lateness of the carrier's clock from which on its numbers are doubtful."""

_BY = {
    "rest": "the bot, by REST",
    "verb": "the bot, by TwiML",
    "socket": "the bot, by closing its socket",
    "reject": "the bot, which did not answer",
    "caller": "the caller",
    "error": "the carrier, after an error",
    "limit": "the carrier, at its limit of time",
}


def print_audio_report(report: AudioReport, console: Console) -> None:
    """One call: a line that says how it went, what was measured, and every check that failed."""
    verdict = Text("PASS", "bold green") if report.passed else Text("FAIL", "bold red")
    console.print(verdict, Text(f" {report.scenario}, attempt {report.attempt}"), sep="")
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(report):
        table.add_row(name, Text(value))
    for check in report.checks:
        if not check.passed:
            table.add_row(Text(check.name, "red"), Text(check.detail, "red"))
    console.print(table)


def _rows(report: AudioReport) -> list[tuple[str, str]]:
    ending = report.ending
    rows = [
        ("ended", f"by {_BY[ending.by]}, in turn {ending.turn}, after {report.seconds:.1f} s"),
        ("greeting", _greeting(report)),
        ("answers", percentiles(report.answer)),
        ("silence", f"at most {report.dead_air.ms} ms"),
        ("overlap", f"{report.overlap_ms} ms, the bot over the caller {report.talk_over_ms} ms"),
        ("gaps", f"{len(report.underruns)} in sentences"),
    ]
    if report.barge_ins:
        stops = ", ".join(f"{each.stop_ms} ms" for each in report.barge_ins)
        rows.append(("barge-in", f"the bot was silent after {stops}"))
    rows.append(("hang-ups", f"{ending.rest} REST, {ending.verb} <Hangup>, {ending.socket} socket"))
    if report.dialled:
        rows.append(("dial", ", ".join(report.dialled)))
    incidents = [f"{each.code or each.what} {each.detail}" for each in report.incidents]
    rows.extend(("noted", incident) for incident in incidents)
    if report.clock_late_ms > CLOCK_LATE_MS:
        late = f"this machine was too busy: the carrier's own clock was {report.clock_late_ms} ms late"
        rows.append(("unsure", late))
    if report.wav:
        rows.append(("recording", report.wav))
    return rows


def _greeting(report: AudioReport) -> str:
    start = "nothing was heard" if report.first_audio_ms is None else f"after {report.first_audio_ms} ms"
    if report.greeting is None:
        return f"{start}; without a reference, whether it was whole is not known (--greeting FILE)"
    return f"{start}, {report.greeting.share:.0%} of it heard, {report.greeting.times} times"


def percentiles(values: Percentiles) -> str:
    """Three numbers in a line."""
    if values.max is None:
        return "none"
    return f"p50 {values.p50} ms, p95 {values.p95} ms, max {values.max} ms"
