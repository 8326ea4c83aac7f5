"""A run on a terminal and in a pipe: what failed is told in full, what passed in a few lines."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import report_samples as samples
from rich.cells import cell_len
from rich.console import Console

from callbot.evals.report import Report
from callbot.reporting.progress import progress
from callbot.reporting.terminal import print_report

TESTS = Path(__file__).parent


def piped(report: Report, folder: Path | None = None) -> str:
    """What a pipe gets."""
    out = io.StringIO()
    print_report(report, Console(file=out), folder=folder)
    return out.getvalue()


def on_terminal(code: str, columns: int, **environ: str) -> str:
    """What a program writes to a real pseudo-terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = {
        "PATH": os.environ["PATH"],
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(TESTS),
        **environ,
    }
    child = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # the terminal's way to say that nobody writes any more
        pass
    os.close(ours)
    assert child.wait() == 0, written.decode()
    return written.decode()


def plain(text: str) -> str:
    """Text without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")


SHOW = """
from rich.console import Console
from callbot.reporting.terminal import print_report
import report_samples
print_report(report_samples.full(), Console(), {bidi!r})
"""


def test_every_failing_scenario_is_told_with_its_turns() -> None:
    """Turns, wants, window, guard and checks of each failing scenario stand in the output."""
    text = piped(samples.full())
    for name in (
        "no-thanks-then-yes",
        "goodbye-three-times",
        "asks-for-ever",
        "wrong-reason",
        "no-phone-yet",
    ):
        assert f"FAILED  {name}" in text
    early = text[text.index("FAILED  no-thanks-then-yes") : text.index("FAILED  goodbye")]
    assert "should  ends in turn 6 to 7, lead_complete" in early
    assert "did     asked in turn 2, customer_declined" in early
    assert "    2   caller  לא צריך\n        bot     בסדר גמור" in early
    assert "        bot     שלום, הגעתם להניקיון של רותי. איך אפשר לעזור?\n    1   caller" in early
    assert "  >>    wants   ENDS customer_declined\n" in early
    late = text[text.index("FAILED  goodbye") : text.index("FAILED  asks-for-ever")]
    assert "    6 | caller  לא, זה הכל, תודה\n      | bot " in late
    assert "    7   caller" in late
    assert "guard   refused: lead_complete needs phone, which is not captured" in text
    assert "check   lead.full_name: expected 'דנה לוי', got 'דנה'" in text
    assert "the window closes without a request to end" in text


def test_passing_infra_and_excused_scenarios_are_short() -> None:
    """No transcript for those; infra and excused are named with their reason."""
    text = piped(samples.full())
    assert "  provider-down  HTTP 503 from the provider after 3 tries" in text
    assert "Excused: tagged beyond-offline (1)\n  irony  never" in text
    assert "details-one-by-one" not in text


def test_a_run_that_passes_is_short() -> None:
    """Numbers, gate and verdict, on less than a screen."""
    text = piped(samples.passing(), Path("reports/run-1"))
    assert len(text.splitlines()) < 20
    assert "report              reports/run-1" in text
    assert text.splitlines()[-1] == "PASS  the gate holds: 3 passed"


def test_the_last_line_is_the_verdict_of_the_gate() -> None:
    """Whoever reads one line reads the result."""
    text = piped(samples.full(interrupted=True))
    last = "FAIL  the gate does not hold: 4 passed, 8 failed, 1 infra, 1 excused (interrupted)"
    assert text.splitlines()[-1] == last
    assert "gate fails          every scenario passes (8 failed)" in text


def test_numbers_of_the_run_are_listed() -> None:
    """Scores of model and call, interval, lead, latency, tokens; pass^k only with repeats."""
    text = piped(samples.full())
    assert "model wants to end  precision 0.962, recall 0.926, f1 0.944" in text
    assert "call ends           precision 1.000" in text
    assert re.search(r"premature +14\.3% of scenarios \(95%: 11\.3% to 21\.3%\)", text)
    assert "p50 812 ms, p95 1,934 ms" in text
    assert "pass^k" not in text
    assert "k=1 0.930, k=2 0.910, k=3 0.890" in piped(samples.repeated())


def test_a_scenario_that_wobbled_is_named_and_the_failing_attempt_is_shown() -> None:
    """With repeats, the first failing attempt is shown, infra ones are not."""
    text = piped(samples.repeated())
    assert "shown   attempt 3; 1 of 4 attempts passed" in text
    assert "Passed, but not in every attempt (1)\n  wobbly  2 of 3 attempts passed; premature" in text


def test_businesses_and_tags_make_a_matrix() -> None:
    """From two businesses on; one has none."""
    text = piped(samples.full())
    assert re.search(r"\n  details +1/1 +1/3 +–\n", text)
    assert re.search(r"\n  all +1/2 +3/10 +0/1\n", text)
    assert "details  " not in piped(samples.passing())


@pytest.mark.parametrize("columns", [80, 120])
def test_a_real_terminal_is_never_overrun(columns: int) -> None:
    """No line is wider than the terminal, whatever was said, and nothing of a caller's steers it."""
    raw = on_terminal(SHOW.format(bidi="auto"), columns)
    assert "\x1b[1m" in raw
    assert "\x1b[31mI can't" not in raw
    lines = plain(raw).splitlines()
    assert max(map(cell_len, lines)) <= columns
    assert "    2   caller  ךירצ אל" in lines
    assert any(line.startswith("    6 │ caller") for line in lines)
    assert "[bold]markup[/bold]" in plain(raw)


def test_a_terminal_with_bidi_gets_the_text_in_its_own_order() -> None:
    """GNOME's terminal reorders itself; reordered twice would be unreadable."""
    assert "    2   caller  לא צריך" in plain(on_terminal(SHOW.format(bidi="auto"), 100, VTE_VERSION="7600"))
    assert "    2   caller  לא צריך" in plain(on_terminal(SHOW.format(bidi="logical"), 100))


def test_a_pipe_gets_plain_lines() -> None:
    """No escape sequence and no cut line, however long."""
    text = piped(samples.full())
    assert "\x1b" not in text
    assert any(len(line) > 150 for line in text.splitlines())


PROGRESS = """
from rich.console import Console
from callbot.reporting.progress import progress
with progress(Console(), 40, 80) as live:
    for n in range(40):
        live.asked(2)
        live.finished(f"call-{n}", None if n == 3 else n % 10 != 0, "on_time")
print("after")
"""


def test_progress_lives_on_a_terminal_and_leaves_no_line() -> None:
    """A bar with counts while it runs, cleared in the end."""
    raw = on_terminal(PROGRESS, 80)
    assert "\x1b[?25l" in raw
    assert "\x1b[?25h" in raw
    assert "40/40" in plain(raw)
    assert "35 passed  4 failed  1 infra  80/80 requests" in plain(raw)
    assert plain(raw).rstrip().endswith("after")


def test_progress_in_a_pipe_is_a_line_each_quarter_and_nothing_for_a_short_run() -> None:
    """CI logs see that it moves; nothing blinks there."""
    out = io.StringIO()
    with progress(Console(file=out), 40) as live:
        for n in range(40):
            live.finished(f"call-{n}", n != 7, "on_time")
    assert out.getvalue().splitlines() == [
        "10/40  9 passed  1 failed",
        "20/40  19 passed  1 failed",
        "30/40  29 passed  1 failed",
        "40/40  39 passed  1 failed",
    ]
    short = io.StringIO()
    with progress(Console(file=short), 3) as live:
        live.finished("call", True, "open")
    assert short.getvalue() == ""
