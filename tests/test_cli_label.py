"""``callbot label`` at a real terminal: keys go in, a screen comes out, the file is right after each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest
from cli import callbot
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from transcript_samples import call, shop, write_calls

from callbot.cli.labelling import screen_lines
from callbot.evals.labelling import Labelling
from callbot.evals.transcripts import Transcript

KEYS = {"up": "\x1b[A", "down": "\x1b[B", "enter": "\r", "escape": "\x1b"}
HEBREW = [("caller", "שלום, הטלפון שלי 052-123-4567"), ("bot", "תודה"), ("caller", "זה הכל, תודה")]
LONG = [("bot" if n % 2 else "caller", f"turn {n} " + "and some more words " * 4) for n in range(41)]


class Terminal:
    """The command in a pseudo-terminal of a size."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CALLBOT_", "VTE_"))}
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "callbot", "label", "calls.jsonl"],
            cwd=str(folder),
            env={**clean, "TERM": "xterm-256color", "PYTHONUTF8": "1"},
            dimensions=(rows, columns),
            encoding="utf-8",
            timeout=20,
        )

    def press(self, *keys: str) -> None:
        for key in keys:
            self.child.send(KEYS.get(key, key))

    def until(self, holds: Callable[[str], bool]) -> str:
        """The screen, as soon as it is as it should be."""
        while not holds(self.text):
            try:
                self.stream.feed(self.child.read_nonblocking(65536, timeout=20))
            except (pexpect.TIMEOUT, pexpect.EOF):
                pytest.fail(f"the screen stayed:\n{self.text}")
        return self.text

    def shows(self, text: str) -> str:
        return self.until(lambda screen: text in screen)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def quit(self) -> str:
        self.press("q")
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert self.child.exitstatus == 0
        return str(self.child.before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_calls(
        tmp_path / "calls.jsonl",
        call("first", business="shop"),
        call("second", HEBREW, end_turn=2),
        call("third", LONG),
    )
    return shop(tmp_path)


def labels(folder: Path) -> list[Any]:
    """``end_turn`` and ``end_reason`` of every call as the file says now; "-" where it says nothing."""
    calls = map(json.loads, (folder / "calls.jsonl").read_text(encoding="utf-8").splitlines())
    return [(one.get("end_turn", "-"), one.get("end_reason", "-")) for one in calls]


def test_marking_saves_at_once_and_goes_on_with_the_next_unlabelled(folder: Path) -> None:
    """One key the turn, one key the reason; undo takes it back; the next time begins where it stopped."""
    terminal = Terminal(folder, 80, 24)
    terminal.shows("call 1 of 3, 1 labelled: first")
    terminal.press("up")
    terminal.shows(">   3 caller Dana Levi")
    terminal.press("enter")
    terminal.shows("4: wrong_number")
    terminal.press("escape")
    terminal.shows("up/down: turn")
    terminal.press("down", "enter", "1")
    terminal.shows("call 3 of 3, 2 labelled: third")
    assert labels(folder) == [(5, "lead_complete"), (2, "-"), ("-", "-")]
    terminal.press("o")
    terminal.shows("=== stays open")
    assert labels(folder)[2] == (None, "-")
    terminal.press("u")
    terminal.until(lambda text: "2 labelled: third" in text and "stays open\n" not in text)
    assert labels(folder)[2] == ("-", "-")
    terminal.press("u")
    terminal.shows("call 1 of 3, 1 labelled: first")
    assert labels(folder)[0] == ("-", "-")
    terminal.press("enter", "4")
    terminal.shows("2 labelled: third")
    assert "2 of 3 calls are labelled in calls.jsonl" in terminal.quit()
    again = Terminal(folder, 80, 24)
    again.shows("call 3 of 3, 2 labelled: third")
    again.quit()
    assert labels(folder) == [(5, "wrong_number"), (2, "-"), ("-", "-")]


def test_hebrew_reads_right_to_left_and_its_keyboard_works(folder: Path) -> None:
    """Letters turn, dialled numbers do not; the same keys under a Hebrew layout do the same."""
    terminal = Terminal(folder, 60, 16)
    terminal.shows("first")
    terminal.press("מ")
    text = terminal.shows("call 2 of 3, 1 labelled: second")
    assert "052-123-4567 ילש ןופלטה ,םולש" in text
    assert "=== over: any reason" in text
    terminal.press("ל")
    terminal.shows(">   0 caller")
    terminal.quit()


def test_a_narrow_and_low_terminal_keeps_the_turn_in_sight(folder: Path) -> None:
    """The turn pointed at is on the screen wherever it stands; nothing is wider than the terminal."""
    terminal = Terminal(folder, 34, 14)
    terminal.shows("first")
    terminal.press("n", "n")
    terminal.shows(">  40 caller")
    terminal.press("up", "up")
    terminal.shows(">  36 caller")
    terminal.press("enter")
    terminal.shows("Why?")
    terminal.quit()
    assert labels(folder)[2] == ("-", "-")


def test_a_file_that_cannot_be_written_ends_it_with_an_error(folder: Path) -> None:
    """Nobody goes on marking what is not kept."""
    terminal = Terminal(folder, 80, 24)
    terminal.shows("first")
    (folder / "calls.jsonl").unlink()
    (folder / "calls.jsonl").mkdir()
    terminal.press("o")
    terminal.child.expect("Error: calls.jsonl cannot be written")
    terminal.child.expect(pexpect.EOF)
    terminal.child.close()
    assert terminal.child.exitstatus == 2


def test_it_needs_a_terminal_and_a_file(tmp_path: Path) -> None:
    """Clear errors, exit code 2."""
    write_calls(tmp_path / "calls.jsonl", call())
    for arguments, expected in (
        (("calls.jsonl",), "needs a terminal"),
        (("none.jsonl",), "none.jsonl: cannot be read"),
        (("calls.jsonl", "--business", "nobody"), 'unknown business "nobody"'),
    ):
        done = callbot("label", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert expected in done.stderr


# --- the rules, without a terminal ----------------------------------------------------------------
ACTIONS: dict[str, Callable[[Labelling], None]] = {
    "up": lambda state: state.move(-1),
    "down": lambda state: state.move(+1),
    "next": lambda state: state.skip(+1),
    "back": lambda state: state.skip(-1),
    "end": Labelling.ends_here,
    "why": lambda state: state.because("lead_complete"),
    "any": lambda state: state.because(None),
    "open": Labelling.stays_open,
    "undo": Labelling.undo,
    "escape": Labelling.never_mind,
}


def fresh() -> list[Transcript]:
    calls = (call("a"), call("b", HEBREW, end_turn=2), call("c", LONG))
    return [Transcript.model_validate(one) for one in calls]


@given(
    st.lists(st.sampled_from(sorted(ACTIONS)), max_size=40),
    st.integers(8, 120),
    st.integers(6, 40),
)
def test_whatever_keys_are_pressed(keys: list[str], columns: int, rows: int) -> None:
    """What is saved is what is held, valid and on a caller's turn; the screen fits and shows the turn."""
    saved: list[list[Transcript]] = []
    state = Labelling(fresh(), lambda calls: saved.append(list(calls)))
    for key in keys:
        before = state.calls[:]
        ACTIONS[key](state)
        assert state.call.turns[state.turn].speaker == "caller"
        if state.calls != before:
            assert saved[-1] == state.calls, "every change is saved at once"
        for one in state.calls:
            Transcript.model_validate(one.model_dump(exclude_unset=True))
        lines = screen_lines(state, ["lead_complete"], (columns, rows), "logical")
        assert len(lines) <= max(rows, 6)
        assert all(cell_len(text) <= max(columns, 21) for _, text in lines if "===" not in text)
        if rows >= 14 and columns >= 60:
            assert any(text.startswith(">") for _, text in lines)
    while state._undo:
        state.undo()
    assert state.calls == fresh(), "undone to the last, everything is as it was"


def test_a_mark_that_cannot_be_saved_is_not_made() -> None:
    """A full disk loses nothing and pretends nothing."""

    def full(calls: object) -> None:
        raise OSError

    state = Labelling(fresh(), full)
    with pytest.raises(OSError):
        state.stays_open()
    assert state.calls == fresh()
