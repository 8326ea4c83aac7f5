"""Hebrew on a terminal: the right order, numbers whole, and nothing that steers the terminal."""

import pytest

from callbot.reporting.bidi import direction, for_terminal, lines_for, order_for, ordered, pieces, printable


@pytest.mark.parametrize(
    ("said", "cells"),
    [
        ("שלום, מה שלומך?", "?ךמולש המ ,םולש"),
        ("הטלפון שלי 052-123-4567.", ".052-123-4567 ילש ןופלטה"),
        ("חייגו 052 123 4567 או *2700, תודה", "הדות ,*2700 וא 052 123 4567 וגייח"),
        ("נחזור אליך ל-+972521234567.", ".+972521234567-ל ךילא רוזחנ"),
        ("דירה 5, 12 מטר, ב-5 לחודש", "שדוחל 5-ב ,רטמ 12 ,5 הריד"),
        ("בין 09:00 ל-12:30", "12:30-ל 09:00 ןיב"),
        ("עולה 250 ₪ (במקום 300)", "(300 םוקמב) ₪ 250 הלוע"),
        ("Call me שלום, OK?", "Call me םולש, OK?"),
        ("שמרתי OK", "OK יתרמש"),
        ("plain English (1)", "plain English (1)"),
    ],
)
def test_visual_order_is_read_from_right_to_left(said: str, cells: str) -> None:
    """What a terminal without bidi shows cell by cell, from the left."""
    assert for_terminal(said, "visual") == cells


def test_logical_text_is_left_as_it_is() -> None:
    """A terminal that reorders by itself, and a pipe, get the text untouched."""
    assert for_terminal("שלום, 052", "logical") == "שלום, 052"
    assert for_terminal("שלום, 052", "auto") == "שלום, 052"  # tests run without a terminal


def test_vowel_points_stay_on_their_letter() -> None:
    """Reversing a pointed word moves letters, not points."""
    assert ordered("שָׁלוֹם", "visual") == "םוֹלשָׁ"


def test_kitty_gets_words_that_it_turns_itself() -> None:
    """kitty reverses each right-to-left word, so only the order of the words is turned for it."""
    assert ordered("חייגו 052-123-4567, תודה.", "words") == ".תודה ,052-123-4567 חייגו"


@pytest.mark.parametrize(
    ("environ", "order"),
    [
        ({"VTE_VERSION": "7600"}, "logical"),
        ({"VTE_VERSION": "5602"}, "visual"),
        ({"VTE_VERSION": "five"}, "visual"),
        ({"KONSOLE_VERSION": "230804"}, "logical"),
        ({"TERM": "mlterm-256color"}, "logical"),
        ({"TERM_PROGRAM": "Apple_Terminal"}, "logical"),
        ({"TERM_PROGRAM": "mintty"}, "logical"),
        ({"TERMINAL_EMULATOR": "JetBrains-JediTerm"}, "logical"),
        ({"TERM": "xterm-kitty"}, "words"),
        ({"TERM_PROGRAM": "WezTerm"}, "visual"),
        ({"TERM_PROGRAM": "vscode"}, "visual"),
        ({"WT_SESSION": "1", "TERM": "xterm-256color"}, "visual"),
        ({}, "visual"),
    ],
)
def test_auto_knows_terminals(environ: dict[str, str], order: str) -> None:
    """Each terminal is known by what it puts into the environment; a pipe is always logical."""
    assert order_for("auto", True, environ) == order
    assert order_for("auto", False, environ) == "logical"
    assert order_for("visual", False, environ) == "visual"


def test_direction_is_that_of_the_first_strong_character() -> None:
    """Digits and punctuation decide nothing."""
    assert direction("052, שלום hello") == "rtl"
    assert direction("3 hello שלום") == "ltr"
    assert direction("052-123", otherwise="rtl") == "rtl"


def test_dialled_numbers_are_told_from_other_numbers() -> None:
    """Telephone numbers stand alone; dates, prices and lists of numbers flow with the text."""
    text = "ב-14.3.2026 דירה 5, 12: (03) 555-0100 (טלפון +972 52-123-4567) או 1-800-555-010 ב-250"
    assert [part for part, number in pieces(text) if number] == [
        "(03) 555-0100",
        "+972 52-123-4567",
        "1-800-555-010",
    ]
    assert "".join(part for part, _ in pieces(text)) == text


def test_wrapped_lines_share_the_right_edge_and_keep_numbers_whole() -> None:
    """Lines are cut in reading order; no number is cut; each line of Hebrew starts at the right."""
    text = "אני רוצה להזמין ניקוי ספות, הטלפון שלי 052 123 4567, והכי נוח לי ביום רביעי"
    lines = lines_for(text, 30, "visual")
    assert len({len(line) for line in lines}) == 1
    assert all(len(line) <= 30 for line in lines)
    assert any("052 123 4567" in line for line in lines)
    assert lines[0].endswith("ינא")
    assert lines_for(text, None, "visual") == [ordered(text, "visual")]
    assert lines_for("x" * 25, 10, "visual") == ["x" * 10, "x" * 10, "x" * 5]


def test_hostile_text_cannot_steer_the_terminal() -> None:
    """Escape sequences, line breaks and direction overrides are made visible or dropped."""
    assert printable("a\x1b[31mb\nc\u202ed\x9b2J\u2028e") == "a\ufffd[31mb cd\ufffd2J e"
    assert lines_for("\ud800 x", None, "visual") == ["\ufffd x"]
    assert lines_for("", 20, "visual") == [""]
