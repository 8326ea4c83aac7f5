"""YAML as people mean it: text stays text, and what would be lost or misread is told, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from callbot.errors import InvalidInput
from callbot.yamlfile import (
    OptionalText,
    Sentences,
    StrictModel,
    Text,
    Words,
    parse_yaml,
    read_yaml,
    validate,
)


class Inner(StrictModel):
    text: Text | None = None
    sentences: Sentences | None = None
    number: float = 1.0
    flag: bool = False


class Outer(StrictModel):
    say: Text = "x"
    maybe: OptionalText = None
    words: Words = "x"
    inner: Inner = Inner()
    listed: list[Inner] = Field(default_factory=list)
    table: dict[str, Text] = Field(default_factory=dict)


FILE = Path("a.yaml")


def read(text: str) -> Outer:
    return validate(Outer, parse_yaml(text, FILE))


def faults(text: str) -> list[str]:
    """What is wrong, without the file's name."""
    with pytest.raises(InvalidInput) as caught:
        read(text)
    return [str(problem).removeprefix("a.yaml:") for problem in caught.value.problems]


# --- text stays text -----------------------------------------------------------------------------
AS_WRITTEN = {
    "0521234567": "0521234567",
    '"0521234567"': "0521234567",
    "'052'": "052",
    "no": "no",
    "yes": "yes",
    "off": "off",
    "true": "true",
    "12:30": "12:30",
    "1_000": "1_000",
    "0x1f": "0x1f",
    "1e3": "1e3",
    "12.50": "12.50",
    "+97254": "+97254",
    "052-123-4567": "052-123-4567",
    "2026-11-27": "2026-11-27",
    "2026-11-27 10:00:00": "2026-11-27 10:00:00",
    ".inf": ".inf",
    "=": "=",
    "<<": "<<",
    '"null"': "null",
    "'~'": "~",
    '"a # b"': "a # b",
    "a#b": "a#b",
    "x:y": "x:y",
    "a, b": "a, b",
    "250 ₪": "250 ₪",
    "a & b": "a & b",
    "wow!": "wow!",
    '"a\\nb"': "a\nb",
    "|\n  a\n  b\n": "a\nb\n",
    ">-\n  a\n  b": "a b",
    "a\n  b": "a b",
}


@pytest.mark.parametrize(("written", "meant"), AS_WRITTEN.items(), ids=AS_WRITTEN)
def test_text_is_what_was_written(written: str, meant: str) -> None:
    assert read(f"say: {written}").say == meant


def test_numbers_and_flags_are_read_where_they_are_due() -> None:
    inner = read("inner: {number: 08, flag: yes}").inner
    assert (inner.number, inner.flag) == (8.0, True)


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029"))
)
def test_any_quoted_text_comes_back(text: str) -> None:
    written = yaml.safe_dump({"say": text}, allow_unicode=True, default_style='"')
    assert read(written).say == text


# --- text that would be lost ---------------------------------------------------------------------
EMPTY = 'is empty where text is due; write the text, and quote it if it is a word like "null"'
NESTED = 'must be text; if it holds [ ] { } or ": ", quote it: "..."'
LOST = {
    "say:": [f"1: say: {EMPTY}"],
    "say: ~": [f"1: say: {EMPTY}"],
    "say: null": [f"1: say: {EMPTY}"],
    "say: Null": [f"1: say: {EMPTY}"],
    "maybe:": [f"1: maybe: {EMPTY}"],
    "words: ' '": [f"1: words: {EMPTY}"],
    "say: # later": [f"1: say: {EMPTY}"],
    "say: [a, b]": [f"1: say: {NESTED}"],
    "say: {a: b}": [f"1: say: {NESTED}"],
    "say: flat #5": ['1: say: the text is cut at " #", which starts a comment; quote the text: "flat"'],
    "inner: {text: a # b\n  }": [
        '1: inner.text: the text is cut at " #", which starts a comment; quote the text: "a"'
    ],
    "inner: {text: no, thanks}": [
        '1: inner.thanks: a comma inside { } has split the text before "thanks"; quote the whole text: "..., thanks"'
    ],
    "table: {price: 250, vat included}": [
        f"1: table.vat included: {EMPTY}; or quote the whole text, if a comma inside {{ }} has split it"
    ],
    "inner: {sentences: [no, thanks]}": [
        "1: inner.sentences: a comma splits unquoted text inside [ ]; quote each sentence or write one a line with -"
    ],
    "inner: {sentences: []}": ["1: inner.sentences: must hold at least one sentence; or leave the key out"],
    "inner: {sentences: ['']}": [f"1: inner.sentences.0: {EMPTY}"],
    "say: !hello world": ['1: text that begins with ! must be quoted: "!hello ..."'],
    "say: !!str 5": ['1: text that begins with ! must be quoted: "!!str ..."'],
    "say: &b b": ['1: text that begins with & must be quoted: "&b ..."'],
    "table: {a: &b, c: d}": ['1: text that begins with & must be quoted: "&b ..."'],
}


@pytest.mark.parametrize(("written", "told"), LOST.items(), ids=LOST)
def test_text_that_yaml_would_lose_is_told(written: str, told: list[str]) -> None:
    assert faults(written) == told


def test_sentences_are_one_or_a_list() -> None:
    assert read("inner: {sentences: one moment}").inner.sentences == ["one moment"]
    assert read("inner: {sentences: ['no, thanks', b]}".replace("b]", "'b']")).inner.sentences == [
        "no, thanks",
        "b",
    ]
    assert read("inner:\n  sentences:\n    - no, thanks\n    - b").inner.sentences == ["no, thanks", "b"]


# --- what is not YAML, told without YAML's words -------------------------------------------------
NOT_YAML = {
    "a: b\n\tc: d": "2: not valid YAML: is indented with a tab; use spaces",
    "a:\n\t- b": "2: not valid YAML: is indented with a tab; use spaces",
    "a: b\n  c: d": '2: not valid YAML: quote text that holds ": "; else the line is indented wrongly',
    "say: note: this": '1: not valid YAML: quote text that holds ": "; else the line is indented wrongly',
    "a:\n  b: c\n d: e": "3: not valid YAML: the indentation fits nothing above it, or a quote ends too early",
    'say: "a" b': "1: not valid YAML: the indentation fits nothing above it, or a quote ends too early",
    'a: b\nsay: "c\nd: e\nf: g': "2: not valid YAML: the quote that opens here is never closed",
    "a: b\nsay: [c\nd: e": "2: not valid YAML: a bracket that opens here is not closed, or a comma is missing",
    "a: {b: c\nd: e\n": "1: not valid YAML: a bracket that opens here is not closed, or a comma is missing",
    "say: *6050": '1: not valid YAML: text that begins with * must be quoted: "*..."',
    "say: *": '1: not valid YAML: text that begins with * must be quoted: "*..."',
    "say: &שלום": '1: not valid YAML: text that begins with & must be quoted: "&..."',
    "say: !שלום עולם": '1: not valid YAML: text that begins with ! must be quoted: "!..."',
    "say: @dana": '1: not valid YAML: text that begins with @ must be quoted: "@..."',
    "say: `ls`": '1: not valid YAML: text that begins with ` must be quoted: "`..."',
    "say: %d": '1: not valid YAML: text that begins with % must be quoted: "%..."',
    "a: b\nsay\nc: d": '2: not valid YAML: a key is followed by ":" and a space',
    "a: b\n---\nc: d": "2: not valid YAML: holds more than one document; remove the line ---",
    "a: b\nc: \x07": "2: holds a control character (code 0x7); remove it",
    "": " is empty",
    "# nothing\n": " is empty",
    "a: b\na: c": "2: a: this key stands here twice",
    "a: b\n'a': c": "2: a: this key stands here twice",
    "a: {b: 1, b: 2}": "1: b: this key stands here twice",
    "? [a, b]\n: c": "1: a key must be text",
    "x: &x {a: b}\ntable: {<<: *x}": "2: <<: YAML's merge key is not read; write the keys out, or use extends",
}


@pytest.mark.parametrize(("written", "told"), NOT_YAML.items(), ids=NOT_YAML)
def test_what_is_not_yaml_is_told_with_what_to_do(written: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_yaml(written, FILE)
    assert str(caught.value).removeprefix("a.yaml:") == told


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    for content, told in {
        "name: שלום".encode("cp1255"): "is not UTF-8 text; save it as UTF-8",
        "name: x".encode("utf-16"): "is not UTF-8 text; save it as UTF-8",
    }.items():
        file.write_bytes(content)
        with pytest.raises(InvalidInput, match=f"b.yaml: {told}"):
            read_yaml(file)
    with pytest.raises(InvalidInput, match=r"none.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(InvalidInput, match=r"cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_a_byte_order_mark_and_other_line_ends_are_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_bytes("\ufeffsay: שלום\r\ninner:\r\n  numbr: 1\r\n".encode())
    with pytest.raises(InvalidInput, match=r"b.yaml:3: inner.numbr: unknown key; did you mean \"number\"\?$"):
        validate(Outer, read_yaml(file))


# --- what would take the process down ------------------------------------------------------------
def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


ENDLESS = {
    "billion laughs": (bomb(12), "aliases (*name) repeat more than 10000 values; write them out"),
    "a list in itself": ("a: &a [*a]", "an alias that contains itself"),
    "a mapping in itself": ("a: &a {b: {c: *a}}", "an alias that contains itself"),
    "a deep list": ("a: " + "[" * 150 + "]" * 150, "is nested more than 100 levels deep"),
    "a very deep list": ("[" * 200_000 + "]" * 200_000, "is nested more than 100 levels deep"),
    "a deep list never closed": ("[" * 200_000, "is nested more than 100 levels deep"),
    "very deep mappings": ("{a: " * 50_000, "is nested more than 100 levels deep"),
    "dashes": ("- " * 100_000 + "x", "is nested more than 100 levels deep"),
    "questions": ("? " * 100_000 + "x", "is nested more than 100 levels deep"),
    "indentation": (
        "\n".join(" " * n + "a:" for n in range(300)),
        "is nested more than 100 levels deep",
    ),
}


@pytest.mark.parametrize(("written", "told"), ENDLESS.values(), ids=ENDLESS)
def test_no_file_takes_all_memory_or_time(written: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_yaml(written, FILE)
    assert caught.value.problems[0].message == told
    assert caught.value.problems[0].line is not None


def test_an_alias_says_the_same_again() -> None:
    outer = read("say: &hello שלום\ninner: {text: *hello}\nlisted: [&one {text: a}, *one]")
    assert outer.inner.text == "שלום"
    assert outer.listed == [Inner(text="a")] * 2


@settings(deadline=None)
@given(st.text(st.sampled_from("ab:-? \n\t[]{},&*!|>'\"%@`#~0\u05d0\x07\x85\u2028\ufeff"), max_size=30))
def test_any_characters_are_a_document_or_a_fault(text: str) -> None:
    try:
        document = parse_yaml(text, FILE)
        assert_plain(document.data)
        if isinstance(document.data, dict):
            validate(Outer, document)
    except InvalidInput as fault:
        told = [problem.message for problem in fault.problems]
        assert_told(told)


def assert_told(messages: list[str]) -> None:
    assert messages
    assert all(messages)


def assert_plain(data: Any) -> None:
    if isinstance(data, dict):
        assert all(isinstance(key, str) for key in data)
        data = list(data.values())
    if isinstance(data, list):
        for value in data:
            assert_plain(value)
    else:
        assert data is None or isinstance(data, str)


# --- unknown keys and wrong values ---------------------------------------------------------------
WRONG = {
    "sey: hi": ['1: sey: unknown key; did you mean "say"?'],
    "colour: red": ["1: colour: unknown key; known keys: inner, listed, maybe, say, table, words"],
    "inner:\n  txt: a": ['2: inner.txt: unknown key; did you mean "text"?'],
    "listed:\n- text: a\n- text: b\n  sentnces: c": [
        '4: listed.1.sentnces: unknown key; did you mean "sentences"?'
    ],
    "inner: hi": ['1: inner: must be keys with values (text, sentences, number, flag); found "hi"'],
    "inner:": ["1: inner: is empty; must be keys with values (text, sentences, number, flag)"],
    "listed: hi": ['1: listed: must be a list: one item a line after -, or [a, b]; found "hi"'],
    "listed: {a: b}": [
        "1: listed: must be a list: one item a line after -, or [a, b]; found keys with values"
    ],
    "table: [a]": ["1: table: must be keys with values (key: value); found a list"],
    "inner: {number: soon}": ['1: inner.number: must be a number; found "soon"'],
    "inner: {number: }": ["1: inner.number: is empty; must be a number"],
    "inner: {number: [1]}": ["1: inner.number: must be a number; found a list"],
    "inner: {flag: maybe}": ['1: inner.flag: must be true or false; found "maybe"'],
    "inner: {number: " + "9" * 200 + "x}": [f'1: inner.number: must be a number; found "{"9" * 60}…"'],
    "sey: 1\n\ninner: {flag: 2}": [
        '3: inner.flag: must be true or false; found "2"',
        '1: sey: unknown key; did you mean "say"?',
    ],
}


@pytest.mark.parametrize(("written", "told"), WRONG.items(), ids=[key[:20] for key in WRONG])
def test_a_wrong_value_is_told_with_its_line_and_what_is_due(written: str, told: list[str]) -> None:
    assert faults(written) == told
