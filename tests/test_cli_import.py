"""``callbot import``: exports of other systems become transcripts, or say what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli import callbot
from transcript_samples import call, write_calls

from callbot.errors import CallbotError, InvalidInput
from callbot.evals.imports import Imported, import_calls, parse_map
from callbot.evals.tabular import read_rows
from callbot.evals.transcripts import read_transcripts

CSV = """\
Call ID,who,message,hung up,why
7,user,"Hi, I need a sofa cleaned",,
7,agent,Sure,,
7,agent,What's your name?,no,
8,user,wrong number sorry,,
7,user,never mind,,
8,agent,Goodbye,yes,done
"""
MAP = ("id=Call ID", "speaker=who", "text=message", "bot=agent")


def imported(path: Path, *mapped: str, encoding: str | None = None) -> Imported:
    """The calls of an export."""
    return import_calls(read_rows(path, encoding), parse_map(mapped), path)


def words(found: Imported) -> dict[str, list[tuple[str, str]]]:
    """Speaker and text of every turn, by call."""
    return {one.id: [(turn.speaker, turn.text) for turn in one.turns] for one in found.calls}


def export(folder: Path, text: str, name: str = "export.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# --- shapes ---------------------------------------------------------------------------------------
def test_rows_are_grouped_by_call_and_segments_joined(tmp_path: Path) -> None:
    """One utterance a row, calls mixed up; what one side says in a row is one turn."""
    found = imported(export(tmp_path, CSV), *MAP)
    assert words(found) == {
        "7": [
            ("caller", "Hi, I need a sofa cleaned"),
            ("bot", "Sure What's your name?"),
            ("caller", "never mind"),
        ],
        "8": [("caller", "wrong number sorry"), ("bot", "Goodbye")],
    }
    assert all(not one.is_labelled and one.observed is None for one in found.calls)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_delimiters_and_marked_encodings_are_found(tmp_path: Path, delimiter: str, encoding: str) -> None:
    """As Excel and databases write them, Hebrew and line ends of Windows included."""
    rows = ["id,who,text", "1,user,שלום", "1,agent,היי"]
    text = "\r\n".join(row.replace(",", delimiter) for row in rows)
    found = imported(export(tmp_path, text, encoding=encoding), "speaker=who", "bot=agent")
    assert words(found) == {"1": [("caller", "שלום"), ("bot", "היי")]}


def test_an_unmarked_encoding_is_named(tmp_path: Path) -> None:
    """What is not UTF-8 says which option to use, and is read with it."""
    path = export(tmp_path, "id,speaker,text\n1,user,שלום\n", encoding="cp1255")
    with pytest.raises(
        InvalidInput, match=r"export\.csv:2: is not UTF-8 text; say --encoding, such as cp1255"
    ):
        imported(path)
    assert words(imported(path, encoding="cp1255")) == {"1": [("caller", "שלום")]}
    with pytest.raises(CallbotError, match='there is no "klingon"'):
        imported(path, encoding="klingon")


def test_one_call_a_row_with_paths_into_it(tmp_path: Path) -> None:
    """JSON lines of chat messages, nested, with a system message that is nobody's turn."""
    line = {
        "meta": {"call": {"id": "c1"}, "shop": "shop"},
        "log": {
            "messages": [
                {"role": "system", "content": "You are a bot"},
                {"role": "assistant", "content": "Hello"},
                {"role": "user", "content": "  Hi\nthere "},
                {"role": "user", "content": ""},
            ]
        },
    }
    path = export(tmp_path, json.dumps(line) + "\n\n", "calls.jsonl")
    mapped = ("id=meta.call.id", "business=meta.shop", "turns=log.messages", "speaker=role", "text=content")
    found = imported(path, *mapped, "skip=system")
    assert words(found) == {"c1": [("bot", "Hello"), ("caller", "Hi there")]}
    assert (found.calls[0].business, found.blank) == ("shop", 2)
    as_list = export(tmp_path, json.dumps([line]), "calls.json")
    assert words(imported(as_list, *mapped, "skip=system")) == words(found)


def test_turns_in_a_cell_of_json(tmp_path: Path) -> None:
    """A CSV whose cell holds the whole conversation; without ids calls are counted."""
    cell = json.dumps([{"speaker": "bot", "text": "Hi"}, {"speaker": "caller", "text": "Bye"}])
    quoted = '"' + cell.replace('"', '""') + '"'
    found = imported(export(tmp_path, f"date,turns\n1,{quoted}\n"))
    assert words(found) == {"1": [("bot", "Hi"), ("caller", "Bye")]}


@pytest.mark.parametrize(
    ("keys", "expected"), [(["10", "9"], "ba"), (["x2", "x1"], "ba"), (["1", "2"], "ab")]
)
def test_turns_are_sorted_where_the_map_says_by_what(tmp_path: Path, keys: list[str], expected: str) -> None:
    """Numbers as numbers, anything else as text."""
    rows = f"id,speaker,text,at\n1,user,a,{keys[0]}\n1,bot,b,{keys[1]}\n"
    found = imported(export(tmp_path, rows), "order=at")
    assert "".join(text for _, text in words(found)["1"]) == expected


# --- ends -----------------------------------------------------------------------------------------
def test_observed_ends_come_from_a_flag(tmp_path: Path) -> None:
    """The turn whose row says so ended the call, for the reason of the map; no flag: never ended."""
    found = imported(
        export(tmp_path, CSV), *MAP, "observed=hung up", "observed_reason=why", "reason.wrong_number=done"
    )
    seven, eight = (one.observed for one in found.calls)
    assert seven is not None
    assert seven.end_turn is None
    assert eight is not None
    assert (eight.end_turn, eight.by, eight.reason) == (1, "bot", "wrong_number")


@pytest.mark.parametrize(
    ("by", "expected"), [("agent", "bot"), ("user", "caller"), ("silence", "silence"), ("Agent", "bot")]
)
def test_observed_by_alone_means_the_last_turn(tmp_path: Path, by: str, expected: str) -> None:
    """The commonest export: who hung up, after the last thing said."""
    path = export(tmp_path, f"id,speaker,text,by\n1,user,hi,\n1,agent,bye,{by}\n")
    [one] = imported(path, "bot=agent", "observed_by=by").calls
    assert one.observed is not None
    assert (one.observed.end_turn, one.observed.by) == (1, expected)


def test_labels_that_exist_are_taken(tmp_path: Path) -> None:
    """A flag on a bot's turn means the caller's before it; calls without one stay unlabelled."""
    path = export(tmp_path, "id,speaker,text,end,why\n1,user,hi,,\n1,bot,bye,1,x\n2,user,hi,0,\n")
    one, two = imported(path, "end=end", "end_reason=why", "reason.lead_complete=x").calls
    assert (one.end_turn, one.end_reason) == (0, ["lead_complete"])
    assert not two.is_labelled


# --- faults ---------------------------------------------------------------------------------------
FAULTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "unknown speakers": (CSV, MAP[:3], 'speaker: who is "agent" (3)? Say --map "caller=agent"'),
    "no such column": (
        CSV,
        ("id=Call", *MAP[1:]),
        'export.csv:2: id: "Call" is not here, only Call ID, who, message, hung up, why (and in 5 more rows)',
    ),
    "no words anywhere": (CSV, (*MAP[:2], "text=msg", "bot=agent"), 'export.csv:2: text: "msg" is not here'),
    "a row too long": ("id,speaker\n1,user,hi\n", (), "export.csv:2: has 3 cells, but the first row names 2"),
    "a column twice": ("id,id\n1,1\n", (), 'export.csv:1: two columns are named "id"'),
    "an open quote": ('id,speaker,text\n1,user,"hi\n', (), "export.csv:2: is not CSV"),
    "no flag": (CSV, (*MAP, "observed=why"), 'why: must be true or false (or 1 and 0, yes and no); found "done"'),
    "nobody known": (CSV, (*MAP, "observed_by=why"), '"done" is none of bot, silence, caller, failure, limit'),
    "broken JSON": ('{"id": 1}\n{"id": 2\n', (), "export.csv:2: is not JSON"),
    "no object": ("[1]", (), "must be an object"),
    "no list of turns": ('{"id": 1, "m": 3}', ("turns=m",), '1: turns: "m" holds no list of turns'),
    "empty": ("\n", (), "is empty"),
    "a header alone": ("id,speaker,text\n", (), "holds no calls"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_where_and_what_to_map(tmp_path: Path, name: str) -> None:
    """Every fault names the line where it can, what was found, and the option that mends it."""
    text, mapped, expected = FAULTS[name]
    with pytest.raises(InvalidInput) as raised:
        imported(export(tmp_path, text), *mapped)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("option", "expected"),
    [("text", "is not KEY=PATH"), ("txt=a", 'unknown key "txt"; did you mean "text"?'), ("=a", "is not KEY")],
)
def test_a_map_that_is_none(option: str, expected: str) -> None:
    """Known keys are suggested."""
    with pytest.raises(CallbotError) as raised:
        parse_map([option])
    assert expected in str(raised.value)


def test_calls_in_which_nobody_speaks_are_left_out(tmp_path: Path) -> None:
    """They say nothing about when a call should end."""
    found = imported(export(tmp_path, "id,speaker,text\n1,bot,hello\n2,user,hi\n"))
    assert (list(words(found)), found.silent) == (["2"], ["1"])


# --- the command ----------------------------------------------------------------------------------
def test_the_command_writes_what_label_reads(tmp_path: Path) -> None:
    """A file beside it, never over labels; a dry run shows and writes nothing."""
    export(tmp_path, CSV)
    mapped = [part for option in MAP for part in ("--map", option)]
    done = callbot("import", "export.csv", *mapped, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Hi, I need a sofa cleaned" in done.stdout
    assert not list(tmp_path.glob("*.jsonl"))
    done = callbot("import", "export.csv", *mapped, cwd=tmp_path)
    assert "2 calls, 5 turns written to export.transcripts.jsonl" in done.stdout, done.stderr
    assert "callbot label export.transcripts.jsonl" in done.stdout
    assert [line.call.id for line in read_transcripts(tmp_path / "export.transcripts.jsonl")] == ["7", "8"]
    again = callbot("import", "export.csv", *mapped, cwd=tmp_path)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


def test_transcripts_of_our_own_come_through_unchanged(tmp_path: Path) -> None:
    """The defaults of the map are the format's own names."""
    path = write_calls(tmp_path / "own.jsonl", call("a"))
    assert [one.model_dump(exclude_unset=True) for one in imported(path).calls] == [call("a")]


def test_personal_data_goes_where_asked(tmp_path: Path) -> None:
    """On both sides of a call, the same by the same."""
    said: list[tuple[str, Any]] = [
        ("bot", "Your name?"),
        ("caller", "Dana Levi, 052-123-4567"),
        ("bot", "Thanks Dana, 0521234567"),
    ]
    write_calls(tmp_path / "own.jsonl", call("a", said))
    done = callbot("import", "own.jsonl", "--anonymise", "-o", "out.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert "Dana" not in text
    assert "4567" not in text
    [line] = read_transcripts(tmp_path / "out.jsonl")
    first = line.call.turns[1].text.split()[0]
    assert line.call.turns[2].text.startswith(f"Thanks {first},")
