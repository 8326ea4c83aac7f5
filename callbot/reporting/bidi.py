"""Hebrew that reads right to left wherever it is printed.

A terminal shows characters in the order it gets them, unless it reorders them itself: some do, most
do not, one (kitty) turns single words. ``auto`` decides from the environment; over ssh, where the
environment does not say what stands at the other end, name the mode. A pipe gets the text as it is.

Each utterance takes its base direction from its own first strong character. Numbers that are dialled
stand alone in the reordering, or ``+972...`` and ``052 123 4567`` would come out in pieces.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Literal

from bidi.mirror import MIRRORED  # type: ignore[import-untyped]
from rich.cells import cell_len

Bidi = Literal["auto", "visual", "logical"]
Direction = Literal["rtl", "ltr"]
Order = Literal["logical", "visual", "words"]
"""What a stream needs: ``words`` is visual for a terminal that turns every right-to-left word itself."""

VTE_WITH_BIDI = 5800
"""VTE reorders since 0.58 (``vte_terminal_set_enable_bidi``); VTE_VERSION is major*10000 + minor*100."""

_STEERING = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xE0100])
_LRI, _PDI = "\u2066", "\u2069"
_BETWEEN = r"[ \-\u2010-\u2013./]?+"
_DIALLED = re.compile(
    rf"(?<![\w+*#])[+*]?+(?:\d++|\(\d{{1,4}}\))(?:{_BETWEEN}\(\d{{1,4}}\))?+(?:{_BETWEEN}\d++)*+#?+(?!\w)"
)
_RTL = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]+")
_BRACKET = f"([{re.escape(''.join(MIRRORED))}])"
_MARKER = "\U000e0100"
"""Sticks to the bracket before it: where it comes out in front of one, the bracket was reversed."""


def direction(text: str, otherwise: Direction = "ltr") -> Direction:
    """The base direction of a text: that of its first strong character."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind in ("R", "AL"):
            return "rtl"
        if kind == "L":
            return "ltr"
    return otherwise


def printable(text: str) -> str:
    """A text on one line that cannot steer a terminal: no control characters, no direction controls."""
    line = " ".join(text.translate(_STEERING).split())
    return "".join(
        "\ufffd" if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char for char in line
    )


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text in parts that join to it again, and whether a part is a dialled number, read left to right."""
    end = 0
    for match in _DIALLED.finditer(text):
        if _is_dialled(match[0]):
            if match.start() > end:
                yield text[end : match.start()], False
            yield match[0], True
            end = match.end()
    if end < len(text):
        yield text[end:], False


def _is_dialled(number: str) -> bool:
    if number[0] in "+*":
        return True
    digits = sum(char.isdigit() for char in number)
    return 7 <= digits <= 15 and number[0] in "0(1" and not re.search(r"\d[./]\d", number)


def order_for(mode: Bidi, tty: bool, environ: Mapping[str, str] | None = None) -> Order:
    """How text has to be ordered for a stream: what ``auto`` means here and now."""
    if mode != "auto":
        return mode
    if not tty:
        return "logical"
    env = os.environ if environ is None else environ
    term, program = env.get("TERM", ""), env.get("TERM_PROGRAM", "")
    vte = env.get("VTE_VERSION", "")
    if (
        (vte.isascii() and vte.isdigit() and int(vte) >= VTE_WITH_BIDI)  # GNOME, Xfce, Tilix, Terminator ...
        or "KONSOLE_VERSION" in env  # BidiRenderingEnabled is its default
        or "MLTERM" in env
        or term.startswith("mlterm")
        or program in ("Apple_Terminal", "mintty")
        or env.get("TERMINAL_EMULATOR") == "JetBrains-JediTerm"
    ):
        return "logical"
    if term == "xterm-kitty" or "KITTY_WINDOW_ID" in env:
        return "words"  # its `force_ltr no`, the default
    return "visual"  # Windows Terminal since 1.19, xterm.js, Alacritty, foot, iTerm2 and WezTerm by default


def for_terminal(text: str, mode: Bidi = "auto") -> str:
    """One line of text as standard output has to get it, so that it is read in the right order."""
    return ordered(text, order_for(mode, sys.stdout.isatty()))


def ordered(text: str, order: Order, base: Direction | None = None) -> str:
    """One line of text in an order; ``base`` is the direction of the utterance it was cut from."""
    if order == "logical" or not _RTL.search(text):
        return text
    from bidi import get_display  # type: ignore[import-untyped]  # compiled: only where it is needed

    parts = (f"{_LRI}{part}{_PDI}" if number else part for part, number in pieces(text.translate(_STEERING)))
    marked = re.sub(_BRACKET, rf"\1{_MARKER}", "".join(parts))
    shown = get_display(marked, base_dir="R" if (base or direction(text)) == "rtl" else "L")
    visual = _marks_after_letters(_mirrored(str(shown)).translate(_STEERING))
    return _RTL.sub(lambda word: word[0][::-1], visual) if order == "words" else visual


def _mirrored(visual: str) -> str:
    """Turn the brackets that stand in right-to-left text (UAX 9, rule L4), which python-bidi leaves undone."""
    return re.sub(
        f"{_MARKER}{_BRACKET}|{_BRACKET}{_MARKER}",
        lambda found: MIRRORED[found[1]] if found[1] else found[2],
        visual,
    )


def _marks_after_letters(visual: str) -> str:
    """Put vowel points behind their letter again: a reversed line has them in front (UAX 9, rule L3)."""
    out: list[str] = []
    marks: list[str] = []
    for char in visual:
        if unicodedata.bidirectional(char) == "NSM":
            marks.append(char)
            continue
        if marks and unicodedata.bidirectional(char) in ("R", "AL"):
            out += [char, *reversed(marks)]
        else:
            out += [*marks, char]
        marks = []
    return "".join([*out, *marks])


def lines_for(text: str, width: int | None, order: Order) -> list[str]:
    """A text as printed lines of at most ``width`` cells (None: one line, however long).

    Lines are cut in reading order and reordered one by one; in visual order the lines of a
    right-to-left text share their right edge, where each of them begins.
    """
    text = printable(text)
    base = direction(text)
    lines = [ordered(line, order, base) for line in _wrapped(text, width)]
    if base == "rtl" and order != "logical" and len(lines) > 1:
        edge = max(map(cell_len, lines))
        lines = [" " * (edge - cell_len(line)) + line for line in lines]
    return lines


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None or cell_len(text) <= width:
        return [text]
    lines = [""]
    for part, number in pieces(text):
        for word in [part] if number else re.findall(r"\s+|\S+", part):
            if cell_len(lines[-1] + word) <= width:
                lines[-1] += word
                continue
            lines[-1] = lines[-1].rstrip()
            lines.append("")
            for char in word.lstrip():
                if cell_len(lines[-1] + char) > width:
                    lines.append("")
                lines[-1] += char
    return [line for line in lines if line.strip()] or [""]
