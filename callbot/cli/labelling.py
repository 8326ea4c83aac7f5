"""The keyboard screen of ``callbot label``: one call at a time, drawn anew after each key."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from callbot.errors import CallbotError
from callbot.evals.labelling import Labelling
from callbot.reporting.bidi import Bidi, Order, lines_for, order_for, printable

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples

Line = tuple[str, str]
"""Style and text of one line of the screen."""

_KEYS = "up/down: turn  Enter: over after it  o: stays open  u: undo  n, p: next, previous call  q: quit"
_HEBREW_KEYS = dict(zip("ounpqjk", "םומפ/חל", strict=True))
"""The letters on the same keys of a Hebrew keyboard (SI-1452)."""
_MARGIN = 13
"""Cells before the words: mark, number, speaker."""


def screen_lines(state: Labelling, reasons: Sequence[str], size: tuple[int, int], order: Order) -> list[Line]:
    """The whole screen. ``size``: columns and rows; the turn pointed at is always among its lines."""
    width, height = max(size[0], _MARGIN + 8), max(size[1], 6)
    call = state.call
    named = f"call {state.at + 1} of {len(state.calls)}, {state.done} labelled: {printable(call.id)}"
    head = [("bold", set_cell_size(named, min(width - 1, cell_len(named)))), ("", "")]
    foot = [("", ""), *(("class:keys", line) for line in _foot(state, reasons, width))]
    body: list[Line] = []
    first = last = 0
    for index, turn in enumerate(call.turns):
        pointed = index == state.turn
        style = "reverse" if pointed else "" if turn.speaker == "caller" else "class:bot"
        first = len(body) if pointed else first
        for number, words in enumerate(lines_for(turn.text, width - _MARGIN - 1, order)):
            margin = (
                f"{'>' if pointed else ' '} {index:>3} {turn.speaker:<6} " if not number else " " * _MARGIN
            )
            body.append((style, margin + words))
        last = len(body) if pointed else last
        if call.is_labelled and call.end_turn == index:
            body.append(
                ("class:end", f"{'':{_MARGIN}}=== over: {' or '.join(call.end_reason) or 'any reason'}")
            )
    if call.is_labelled and call.end_turn is None:
        body.append(("class:end", f"{'':{_MARGIN}}=== stays open"))
    room = max(1, height - len(head) - len(foot))
    start = min(max(0, last - room + 1), max(0, first))
    start = max(0, min(start, len(body) - room))
    shown = body[start : start + room]
    return [*head, *shown, *[("", "")] * (room - len(shown)), *foot][:height]


def _foot(state: Labelling, reasons: Sequence[str], width: int) -> list[str]:
    if not state.asks_reason:
        return textwrap.wrap(_KEYS, width - 1)
    listed = "  ".join(f"{number}: {reason}" for number, reason in enumerate(reasons, 1))
    return textwrap.wrap(f"Why?  {listed}  0: any reason  Esc: back", width - 1)


def run_screen(state: Labelling, reasons: Sequence[str], bidi: Bidi) -> None:
    """Show it until the user quits. Raises CallbotError if the key reader is not installed."""
    try:
        from prompt_toolkit.application import Application
        from prompt_toolkit.layout import Layout, Window
        from prompt_toolkit.layout.controls import FormattedTextControl
        from prompt_toolkit.styles import Style
    except ImportError as error:
        raise CallbotError("callbot label needs prompt-toolkit: pip install 'callbot[label]'") from error

    order = order_for(bidi, tty=True)

    def drawn() -> StyleAndTextTuples:
        size = app.output.get_size()
        lines = screen_lines(state, reasons, (size.columns, size.rows), order)
        rows: StyleAndTextTuples = [(style, text + "\n") for style, text in lines[:-1]]
        return [*rows, *lines[-1:]]

    app: Application[None] = Application(
        layout=Layout(Window(FormattedTextControl(drawn, show_cursor=False), wrap_lines=False)),
        key_bindings=_bindings(state, reasons),
        style=Style.from_dict({"bot": "ansibrightblack", "end": "ansigreen", "keys": "ansicyan"}),
        full_screen=True,
        erase_when_done=True,
    )
    app.ttimeoutlen = 0.05  # seconds that Esc waits for the rest of a key's sequence
    app.run()


def _bindings(state: Labelling, reasons: Sequence[str]) -> Any:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    def bind(action: Callable[[], None], *names: str) -> None:
        def pressed(event: Any) -> None:
            try:
                action()
            except CallbotError as error:  # it could not be saved
                event.app.exit(exception=error)

        for name in names:
            keys.add(name)(pressed)
            if name in _HEBREW_KEYS:
                keys.add(_HEBREW_KEYS[name])(pressed)

    bind(lambda: state.move(-1), "up", "k")
    bind(lambda: state.move(+1), "down", "j")
    bind(lambda: state.skip(+1), "n", "right")
    bind(lambda: state.skip(-1), "p", "left")
    bind(state.ends_here, "enter", "space")
    bind(state.stays_open, "o")
    bind(state.undo, "u")
    keys.add("escape", eager=True)(lambda event: state.never_mind())
    bind(lambda: state.because(None), "0")
    for number, reason in enumerate(reasons[:9], 1):
        bind(lambda reason=reason: state.because(reason), str(number))  # type: ignore[misc]
    for name in ("q", _HEBREW_KEYS["q"], "c-c", "c-d"):
        keys.add(name)(lambda event: event.app.exit())
    return keys
