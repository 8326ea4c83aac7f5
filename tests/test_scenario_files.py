"""Scenario files as people write them, with everything that can be wrong in one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callbot.business import Business, read_business
from callbot.errors import InvalidInput, Problem
from callbot.evals.scenario import DEFAULT_NOW, Scenario
from callbot.evals.scenario_files import check_against, read_scenarios
from callbot.schemas import scenario_schema

SHIPPED = Path(__file__).parent.parent / "scenarios"

GOOD = """\
name: good
business: shop
caller:
  turns:
    - say: hello
    - say: no thanks
expect:
  end: {turns: [2, 2], reason: customer_declined}
"""


def write(folder: Path, text: str, name: str = "calls.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, any_business: list[str] | None = None) -> list[Scenario]:
    return read_scenarios([write(folder, text)], any_business or [])


def faults(folder: Path, text: str) -> list[str]:
    """What is wrong with a file, as ``LINE: KEY: MESSAGE``."""
    with pytest.raises(InvalidInput) as caught:
        read(folder, text)
    path = f"{folder / 'calls.yaml'}:"
    return [str(problem).removeprefix(path) for problem in caught.value.problems]


def turn(text: str) -> str:
    """A good scenario whose caller has one more turn, on line 6."""
    return GOOD.replace("    - say: no thanks", f"    - {text}\n    - say: no thanks")


def expect(text: str) -> str:
    """A good scenario with another oracle, its keys on line 8."""
    return GOOD.replace("end: {turns: [2, 2], reason: customer_declined}", text)


def adaptive(facts: str, end: str = "open") -> str:
    """A scenario with an adaptive caller, its facts on line 4."""
    head = f"name: x\nbusiness: shop\ncaller:\n  facts: {facts}\n"
    return head + f"expect:\n  end: {end}\n"


# --- what is right ------------------------------------------------------------------------------
def test_a_scenario_says_who_calls_whom_and_when_the_call_should_end(tmp_path: Path) -> None:
    text = """\
name: whole
description: Everything at once.
business: shop
tags: [a, critical]
now: 2026-11-27T09:30
from: "+972541112233"
caller:
  turns:
    - say: +972541112233
    - silence: 9
    - press: "1"
    - {noise: 1.2}
    - {say: רגע, barge_in: 0.8, expect: {open: true}}
    - {say: "עוד משהו, בבקשה", during: farewell}
    - {say: no, heard: know}
    - hang_up: true
expect:
  end: {turns: [6, 7], reason: [lead_complete, no_response]}
  lead: {phone: "+972541112233", full_name: [dana, "~^d"]}
  lead_status: complete
  never_says: "{"
"""
    [scenario] = read(tmp_path, text)
    assert [str(t) for t in scenario.turns] == [
        "+972541112233",
        "[silent for 9 s]",
        "[presses 1]",
        "[noise for 1.2 s]",
        "רגע",
        "עוד משהו, בבקשה",
        'no (heard as "know")',
        "[hangs up]",
    ]
    assert scenario.tags == ("a", "critical")
    assert (scenario.now.isoformat(), scenario.caller_number) == ("2026-11-27T09:30:00", "+972541112233")
    assert scenario.turns[4].expect.open
    assert scenario.expect.end is not None
    assert scenario.expect.end.reason == ["lead_complete", "no_response"]
    assert scenario.expect.lead == {"phone": ["+972541112233"], "full_name": ["dana", "~^d"]}
    assert scenario.expect.never_says == ["{"]


def test_variants_are_the_same_scenario_with_one_turn_said_otherwise(tmp_path: Path) -> None:
    text = """\
name: pair
business: shop
caller: {turns: [{say: hello}, {say: wait, heard: weight, expect: {open: true}}, {say: bye}]}
expect: {end: {turns: [3, 3]}}
variants:
  - {at: 2, say: one moment}
  - {at: 2, say: goodbye, expect: {end: {turns: [2, 2]}}}
"""
    written, same, other = read(tmp_path, text)
    assert [s.name for s in (written, same, other)] == ["pair", "pair.v1", "pair.v2"]
    assert [t.say for t in same.turns] == ["hello", "one moment", "bye"]
    assert same.turns[1].heard is None
    assert same.turns[1].expect.open, "it keeps what is expected of the turn"
    assert same.expect == written.expect
    assert not other.turns[1].expect.open, "but not beside an oracle of its own"
    assert other.expect.end is not None
    assert other.expect.end.turns == [2, 2]


def test_a_scenario_for_several_businesses_is_one_for_each(tmp_path: Path) -> None:
    several = GOOD.replace("business: shop", "business: [shop, clinic]")
    assert [(s.name, s.business) for s in read(tmp_path, several)] == [
        ("good@shop", "shop"),
        ("good@clinic", "clinic"),
    ]
    any_of_them = GOOD.replace("business: shop", "business: any")
    assert [(s.name, s.business) for s in read(tmp_path, any_of_them, ["clinic"])] == [("good", "clinic")]
    assert [s.name for s in read(tmp_path, any_of_them, ["clinic", "shop"])] == ["good@clinic", "good@shop"]


def test_words_that_yaml_would_change_stay_what_was_written(tmp_path: Path) -> None:
    for written in ("+972541112233", "0521234567", "no", "12:30", "1_000", "1e3", "2026-11-27", "yes", "~x"):
        assert read(tmp_path, turn(f"say: {written}"))[0].turns[1].say == written
    assert read(tmp_path, turn('say: "null"'))[0].turns[1].say == "null"
    assert read(tmp_path, turn("say: 'room #5, please'"))[0].turns[1].say == "room #5, please"
    assert read(tmp_path, turn("say: C#"))[0].turns[1].say == "C#"
    assert read(tmp_path, turn("{say: hello}  # a comment may follow brackets"))[0].turns[1].say == "hello"
    assert read(tmp_path, turn("silence: 9  # seconds"))[0].turns[1].silence == 9


def test_an_open_oracle_and_the_usual_moment(tmp_path: Path) -> None:
    [scenario] = read(tmp_path, expect("end: open"))
    assert scenario.expect.end is None
    assert scenario.now == DEFAULT_NOW


def test_folders_are_read_whole_and_files_once(tmp_path: Path) -> None:
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    write(tmp_path, GOOD)
    write(tmp_path / "deep", GOOD.replace("name: good", "name: deep"), "more.yml")
    write(tmp_path / "deep", "no scenario", "README.md")
    write(tmp_path / "deep" / ".hidden", "nonsense: [", "ci.yml")
    found = read_scenarios([tmp_path, tmp_path / "calls.yaml", tmp_path / "deep"])
    assert [s.name for s in found] == ["good", "deep"]


def test_the_shipped_scenarios_are_readable_and_match_the_published_schema() -> None:
    scenarios = read_scenarios([SHIPPED])
    assert len(scenarios) >= 60
    validator = jsonschema.Draft202012Validator(scenario_schema())
    for path in sorted(SHIPPED.rglob("*.yaml")):
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        validator.validate(_numbers(raw))


def _numbers(value: object) -> object:
    """Plain scalars as JSON would have them, where a schema wants numbers and booleans."""
    if isinstance(value, dict):
        return {
            k: v if k in {"say", "heard", "press", "now", "from", "facts"} else _numbers(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    try:
        return json.loads(str(value))
    except ValueError:
        return value


# --- what is wrong, one thing at a time -----------------------------------------------------------
BROKEN = {  # … stands for words that belong to every file format
    # not YAML, or not a scenario
    "name: x\n  y: [": ["2: not valid YAML: …"],
    "": [" is empty"],
    "- a\n- b\n": ["1: a scenario file is a mapping: one scenario, or a list under scenarios:"],
    "hello": ["1: a scenario file is a mapping: one scenario, or a list under scenarios:"],
    "name: a\nname: b\n": ["2: name: this key stands here twice"],
    "scenarios: []": ["1: scenarios: must be a list of at least one scenario, each beginning with -"],
    "scenarios: {name: x}": ["1: scenarios: must be a list of at least one scenario, each beginning with -"],
    "scenarios: [{}]\nbusiness: shop": ["2: business: stands beside scenarios:, which takes the whole file"],
    "scenarios:\n- hello\n-\n": [
        '2: scenarios.0: must be a scenario: a mapping with name, business, caller and expect; found "hello"',
        "3: scenarios.1: must be a scenario: a mapping with name, business, caller and expect; found nothing",
    ],
    "id: shop\ngreeting: {text: hi}\nfields: []\nprompt: hi": [
        "1: is a business file, not a scenario; name the folder of the scenarios"
    ],
    "{}": [
        "1: name: is missing",
        "1: business: is missing",
        "1: caller: is missing",
        "1: expect: is missing",
    ],
    # callers of other kinds
    "name: x\nbusiness: shop\nexpect: {end: open}\ncaller: {turns: [{say: hi}], temper: curt}\n": [
        ("4: caller.temper: temper makes this caller adaptive, turns scripted; a caller is one of them")
    ],
    "name: x\nbusiness: shop\nexpect: {end: open}\ncaller:\n  fact: {phone: 05}\n  temper: curt\n": [
        '5: caller.fact: unknown key; did you mean "facts"?'
    ],
    "name: x\nbusiness: shop\nexpect: {end: open}\ncaller: {temper: curt}\n": [
        "4: caller.facts: is empty; a curt caller needs something to tell"
    ],
    adaptive("{phone: 05}\n  temper: rude"): ["5: caller.temper: must be 'cooperative', …"],
    adaptive("{phone: 05}\n  max_turns: 1"): ["5: caller.max_turns: …"],
    adaptive("{phone: }"): ["4: caller.facts.phone.0: is empty where text is due…"],
    adaptive("{phone: 05}", "{turns: [2, 3]}"): [
        (
            "6: expect.end.turns: nobody knows beforehand in which turn this caller is done; "
            "write after: goodbye, within: 1"
        )
    ],
    adaptive("{phone: 05}", "{after: declined, within: 1}"): [
        "6: expect.end.after: declined never comes with this caller; goodbye or lead_complete may"
    ],
    adaptive("{phone: 05}") + "variants: [{at: 1, say: no}]\n": [
        "7: variants.0.at: variants change a turn of a scripted caller, and this one follows no script"
    ],
    "name: x\nbusiness: shop\nexpect: {end: open}\ncaller: {persona: a plumber}\n": [
        "4: caller.goal: is missing"
    ],
    # cues
    turn("{say: hi, when: phone}"): [
        '6: caller.turns.1.when: must be a cue such as {asks: phone} or {says: hold on}; found "phone"'
    ],
    turn("{say: hi, when: {}}"): ["6: caller.turns.1.when: a cue is either asks: FIELD or says: TEXT"],
    turn("{say: hi, when: {asks: phone, says: phone}}"): [
        "6: caller.turns.1.when: a cue is either asks: FIELD or says: TEXT"
    ],
    turn("{say: hi, when: {asking: phone}}"): [
        '6: caller.turns.1.when.asking: unknown key; did you mean "asks"?'
    ],
    turn("{say: hi, when: {says: '~('}}"): ['6: caller.turns.1.when.says: "~(" is no regular expression…'],
    turn("{say: hi, when: {asks: phone}, during: farewell}"): [
        "6: caller.turns.1: during and when are two different cues; choose one"
    ],
    turn("{say: hi, milestone: gone}"): ["6: caller.turns.1.milestone: must be 'lead_complete', …"],
    # unknown keys, with the nearest known one
    GOOD.replace("business:", "bussiness:"): [
        "1: business: is missing",
        '2: bussiness: unknown key; did you mean "business"?',
    ],
    GOOD + "colour: red\n": [
        (
            "9: colour: unknown key; known keys: business, caller, description, expect, from, name, now, tags, "
            "variants"
        )
    ],
    GOOD.replace("  turns:", "  turn: 1\n  turns:"): ['4: caller.turn: unknown key; did you mean "turns"?'],
    turn("{say: hi, expct: {open: true}}"): ['6: caller.turns.1.expct: unknown key; did you mean "expect"?'],
    turn("{say: hi, expect: {opne: true}}"): [
        '6: caller.turns.1.expect.opne: unknown key; did you mean "open"?'
    ],
    expect("end: {turns: [2, 2], reasn: x}"): ['8: expect.end.reasn: unknown key; did you mean "reason"?'],
    expect("end: open\n  never_say: x"): ['9: expect.never_say: unknown key; did you mean "never_says"?'],
    GOOD + "variants:\n  - {at: 2, says: hi}\n": [
        "10: variants.0.say: is missing",
        '10: variants.0.says: unknown key; did you mean "say"?',
    ],
    # text that YAML loses
    turn("say:"): [
        '6: caller.turns.1.say: is empty where text is due; write the text, and quote it if it is a word like "null"'
    ],
    turn("say: null"): [
        '6: caller.turns.1.say: is empty where text is due; write the text, and quote it if it is a word like "null"'
    ],
    turn("say: flat 5 #7"): [
        '6: caller.turns.1.say: the text is cut at " #", which starts a comment; quote the text: "flat 5"'
    ],
    turn("{say: flat 5 #7\n      , barge_in: 1}"): [
        '6: caller.turns.1.say: the text is cut at " #", which starts a comment; quote the text: "flat 5"'
    ],
    turn("{say: no, thanks}"): [
        (
            '6: caller.turns.1.thanks: a comma inside { } has split the text before "thanks"; '
            'quote the whole text: "..., thanks"'
        )
    ],
    turn("say: [a, b]"): [
        '6: caller.turns.1.say: must be text; if it holds [ ] { } or ": ", quote it: "..."'
    ],
    turn("say: '  '"): [
        "6: caller.turns.1.say: holds no words; for a sound without words write noise: SECONDS"
    ],
    GOOD.replace("name: good", "name: good\ndescription: a # b"): [
        '2: description: the text is cut at " #", which starts a comment; quote the text: "a"'
    ],
    # turns
    turn("hello there"): [
        (
            "6: caller.turns.1: must be a turn such as {say: hello}; quote text that holds : or ,; "
            'found "hello there"'
        )
    ],
    turn(""): [
        "6: caller.turns.1: must be a turn such as {say: hello}; quote text that holds : or ,; found nothing"
    ],
    turn('{say: hi, press: "1"}'): [
        (
            "6: caller.turns.1: a turn does exactly one of say, silence, press, noise, hang_up; "
            "found say and press"
        )
    ],
    turn("{}"): [
        "6: caller.turns.1: a turn does exactly one of say, silence, press, noise, hang_up; found none of them"
    ],
    turn("hang_up: false"): [
        "6: caller.turns.1: a turn does exactly one of say, silence, press, noise, hang_up; found none of them"
    ],
    turn("{silence: 9, heard: hi}"): ["6: caller.turns.1: heard goes with say"],
    turn("{say: hi, barge_in: 1, during: farewell}"): [
        "6: caller.turns.1: barge_in and during are two different cues; choose one"
    ],
    turn("{silence: 9, during: farewell}"): [
        "6: caller.turns.1: barge_in and during go with say, press or noise, not with silence"
    ],
    turn("{hang_up: true, barge_in: 1}"): [
        "6: caller.turns.1: barge_in and during go with say, press or noise, not with hang_up"
    ],
    turn("{say: hi, during: hold}"): [
        "6: caller.turns.1.during: must be 'greeting', 'farewell' or 'linger'…"
    ],
    turn("{say: hi, during: greeting}"): [
        "6: caller.turns.1.during: the greeting is over after the turns before this one"
    ],
    turn("hang_up: true"): ["7: caller.turns.2: nothing can be done after hang_up"],
    turn("silence: -1"): ["6: caller.turns.1.silence: …"],
    turn("silence: long"): ["6: caller.turns.1.silence: …"],
    turn("press: star"): ['6: caller.turns.1.press: must be keys: 0-9, * and #; found "star"'],
    turn("{say: hi, expect: {open: false}}"): [
        "6: caller.turns.1.expect.open: must be true; to expect an end, use the scenario's expect.end"
    ],
    turn("{say: hi, expect: open}"): ['6: caller.turns.1.expect: must be {open: true}; found "open"'],
    "name: x\nbusiness: shop\nexpect: {end: open}\ncaller: {turns: []}\n": [
        "4: caller.turns: must be a list of at least one turn, such as [{say: hello}]"
    ],
    "name: x\nbusiness: shop\nexpect: {end: open}\ncaller: {}\n": ["4: caller.turns: is missing"],
    "name: x\nbusiness: shop\nexpect: {end: open}\ncaller: dana\n": [
        '4: caller: must be a caller such as {turns: [{say: hello}]} or {facts: {full_name: Dana}, temper: curt}; found "dana"'
    ],
    # the oracle
    expect("end:"): ["8: expect.end: is empty; write open, or a window such as {turns: [6, 7]}"],
    expect("end: opne"): [
        '8: expect.end: must be open, or a window such as {turns: [6, 7]} or {after: goodbye, within: 1}; found "opne"'
    ],
    expect("end: [1, 2]"): [
        "8: expect.end: must be open, or a window such as {turns: [6, 7]} or {after: goodbye, within: 1}; found a list"
    ],
    expect("end: {reason: lead_complete}"): [
        "8: expect.end.turns: is missing; write turns: [6, 7], or after: and a milestone of the caller's"
    ],
    expect("end: {after: goodbye, within: 2}"): [
        "8: expect.end.after: no turn of the caller says milestone: goodbye"
    ],
    expect("end: {after: goodbye}"): [
        "8: expect.end.within: is missing; say within how many turns after goodbye"
    ],
    expect("end: {after: hello, within: 1}"): ["8: expect.end.after: must be 'lead_complete', …"],
    expect("end: {after: goodbye, within: -1}"): ["8: expect.end.within: …"],
    expect("end: {after: goodbye, within: 1, turns: [1, 2]}"): [
        "8: expect.end.after: turns and after are two different windows; choose one"
    ],
    expect("end: {turns: [1, 2], before: {captured: phone}}"): [
        "8: expect.end.before: before goes with after, not with turns"
    ],
    expect("end: {after: goodbye, within: 1, before: {captured: []}}"): ["8: expect.end.before.captured: …"],
    expect("end: {turns: 2}"): [
        "8: expect.end.turns: must be the first and the last turn of the window, such as [6, 7] or [6, 6]"
    ],
    expect("end: {turns: [2]}"): [
        "8: expect.end.turns: must be the first and the last turn of the window, such as [6, 7] or [6, 6]"
    ],
    expect("end: {turns: [2, 1]}"): ["8: expect.end.turns: the window's first turn 2 comes after its last 1"],
    expect("end: {turns: [0, 1]}"): ["8: expect.end.turns.0: …"],
    expect("end: {turns: [2, 3]}"): ["8: expect.end.turns: [2, 3] lies outside the caller's 2 turns"],
    GOOD.replace("say: no thanks", "{say: no thanks, expect: {open: true}}"): [
        "8: expect.end.turns: every turn of this window says expect: {open: true}; it could never be met"
    ],
    expect("end: open\n  lead: {phone: '~['}"): [
        '9: expect.lead.phone.0: "~[" is no regular expression: unterminated character set at position 0'
    ],
    expect("end: open\n  never_says: [a, '~(b']"): [
        (
            '9: expect.never_says.1: "~(b" is no regular expression: missing ), '
            "unterminated subpattern at position 0"
        )
    ],
    expect("end: open\n  lead_status: done"): [
        "9: expect.lead_status: must be 'in_progress', 'complete' or 'declined'…"
    ],
    GOOD.replace("expect:\n  end: {turns: [2, 2], reason: customer_declined}", "expect: open"): [
        '7: expect: must be an oracle such as {end: {turns: [6, 7]}} or {end: open}; found "open"'
    ],
    # the rest
    GOOD.replace("name: good", "name: two words"): [
        (
            "1: name: must be a name of Latin letters, digits and . _ - that begins with neither sign; "
            'found "two words"'
        )
    ],
    GOOD.replace("business: shop", "business:"): [
        "2: business: must be the id of a business, a list of ids, or any (with --business)"
    ],
    GOOD.replace("business: shop", "business: any"): [
        "2: business: business: any needs --business ID to say which"
    ],
    GOOD.replace("name: good", "name:"): ["1: name: …"],
    GOOD + "tags: {a: b}\nvariants: x\nnow:\n": [
        "9: tags.0: …",
        "10: variants: …",
        "11: now: must be a local time of the business such as 2026-11-27T10:00; found nothing",
    ],
    GOOD + "now: tomorrow\n": [
        '9: now: must be a local time of the business such as 2026-11-27T10:00; found "tomorrow"'
    ],
    GOOD + "now: 2026-11-27T10:00Z\n": [
        '9: now: must be a local time of the business such as 2026-11-27T10:00; found "2026-11-27T10:00Z"'
    ],
    GOOD + "now: 2026-13-27T10:00\n": ['9: now: "2026-13-27T10:00" is no time: month must be in 1..12'],
    GOOD + "from: 054-1112233\n": [
        '9: from: must be a phone number such as +972541112233; found "054-1112233"'
    ],
    GOOD + "variants: [{at: 3, say: hi}]\n": ["9: variants.0.at: 3 lies outside the caller's 2 turns"],
    turn("silence: 9") + "variants:\n  - {at: 2, say: hi}\n": [
        "11: variants.0.at: changes what is said, but turn 2 says nothing"
    ],
    GOOD + "variants:\n  - at: 2\n    say: hi\n    expect: {end: {turns: [2, 4]}}\n": [
        "12: variants.0.expect.end.turns: [2, 4] lies outside the caller's 2 turns"
    ],
    GOOD + "variants: [hello]\n": [
        '9: variants.0: must be a variant such as {at: 2, say: no thanks}; found "hello"'
    ],
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_fault_is_told_with_its_line_its_key_and_what_to_do(text: str, tmp_path: Path) -> None:
    found = faults(tmp_path, text)
    assert len(found) == len(BROKEN[text]), found
    for fault, wanted in zip(found, BROKEN[text], strict=True):
        beginning, cut, _ = wanted.partition("…")
        assert fault.startswith(beginning) if cut else fault == wanted, fault


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, turn("{silence: 0}") + "from: 5\n", "a.yaml")
    write(tmp_path, "scenarios:\n  - " + GOOD.replace("\n", "\n    ") + "\n  - name: x\n", "b.yaml")
    write(tmp_path, "[", "c.yaml")
    with pytest.raises(InvalidInput) as caught:
        read_scenarios([tmp_path])
    places = [(p.file.name if p.file else "", p.line, p.key) for p in caught.value.problems]
    assert places[:5] == [
        ("a.yaml", 6, "caller.turns.1.silence"),
        ("a.yaml", 10, "from"),
        ("b.yaml", 11, "scenarios.1.business"),
        ("b.yaml", 11, "scenarios.1.caller"),
        ("b.yaml", 11, "scenarios.1.expect"),
    ]
    assert places[5][0] == "c.yaml"


def test_a_name_used_twice_is_told_with_both_places(tmp_path: Path) -> None:
    first, second = write(tmp_path, GOOD, "a.yaml"), write(tmp_path, "# again\n" + GOOD, "b.yaml")
    with pytest.raises(InvalidInput) as caught:
        read_scenarios([tmp_path])
    assert str(caught.value) == f'{second}:2: name: the name "good" is also used at {first}:1'
    write(tmp_path, GOOD.replace("name: good", "name: good.v1"), "b.yaml")
    write(tmp_path, GOOD + "variants: [{at: 2, say: bye}]\n", "a.yaml")
    with pytest.raises(InvalidInput, match=r'the name "good\.v1" is also used at'):
        read_scenarios([tmp_path])


def test_a_path_that_is_not_there_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere: there is no such file or folder"):
        read_scenarios([tmp_path / "nowhere"])
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"latin\.yaml: is not UTF-8 text; save it as UTF-8"):
        read_scenarios([tmp_path])
    (tmp_path / "calls.jsonl").write_text("{}")
    with pytest.raises(InvalidInput, match=r"calls\.jsonl:1: id: is missing"):
        read_scenarios([tmp_path / "calls.jsonl"])


# --- what does not fit the business -----------------------------------------------------------------
SHOP = Business.model_validate(
    {
        "id": "shop",
        "name": "Shop",
        "language": "en",
        "greeting": {"text": "Hello"},
        "fields": [{"name": "full_name"}, {"name": "phone", "type": "phone"}],
        "end_reasons": [{"name": "wrong_number", "when": "wrong number"}],
        "prompt": "Hi",
    }
)


def misfits(folder: Path, text: str) -> list[str]:
    path = f"{folder / 'calls.yaml'}:"
    found = [problem for scenario in read(folder, text) for problem in check_against(scenario, SHOP)]
    return [str(problem).removeprefix(path) for problem in found]


def test_reasons_and_fields_that_a_business_does_not_have(tmp_path: Path) -> None:
    assert misfits(tmp_path, GOOD) == []
    assert misfits(tmp_path, expect("end: {turns: [2, 2], reason: [wrong_number, no_response]}")) == []
    unknown = (
        "end:\n    turns: [2, 2]\n    reason: [lead_compleet, bored]\n  lead:\n    phonne: x\n    city: y"
    )
    assert misfits(tmp_path, expect(unknown)) == [
        '10: expect.end.reason: "lead_compleet" is not an end reason of shop; did you mean "lead_complete"?',
        (
            '10: expect.end.reason: "bored" is not an end reason of shop; '
            "known: lead_complete, customer_declined, no_response, wrong_number"
        ),
        '12: expect.lead.phonne: "phonne" is not a field of shop; did you mean "phone"?',
        '13: expect.lead.city: "city" is not a field of shop; known: full_name, phone',
    ]
    variant = (
        GOOD + "variants:\n  - at: 2\n    say: bye\n    expect: {end: {turns: [2, 2], reason: goodby}}\n"
    )
    assert misfits(tmp_path, variant) == [
        (
            '12: expect.end.reason: "goodby" is not an end reason of shop; '
            "known: lead_complete, customer_declined, no_response, wrong_number"
        )
    ]


# --- whatever is written ----------------------------------------------------------------------------
WHOLE: dict[str, Any] = {
    "name": "whole",
    "description": "x",
    "business": ["shop"],
    "tags": ["a"],
    "now": "2026-11-27T09:30",
    "from": "+972541112233",
    "caller": {
        "turns": [
            {"say": "a", "heard": "b", "barge_in": "0.8", "expect": {"open": "true"}},
            {"silence": "9"},
            {"press": "1"},
            {"noise": "1"},
            {"say": "c", "during": "farewell"},
            {"hang_up": "true"},
        ]
    },
    "expect": {
        "end": {"turns": ["1", "2"], "reason": ["lead_complete"]},
        "lead": {"phone": ["x"]},
        "lead_status": "complete",
        "never_says": ["x"],
    },
    "variants": [{"at": "1", "say": "x", "expect": {"end": "open"}}],
}
JUNK = st.sampled_from(
    [None, "", "x", "~(", "open", "0", "-1", "99", "nan", "true", [], [None], ["x"], {}, {"x": None}]
)


def places(value: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in inside for place in places(item, (*here, key)))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(places(WHOLE)[1:]), JUNK), min_size=1, max_size=3), st.booleans())
def test_nothing_that_is_written_breaks_the_reader(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]], as_list: bool
) -> None:
    """Any value in any place is either taken or told with its line."""
    data = copy.deepcopy(WHOLE)
    for (*way, last), junk in changes:
        target: Any = data
        for step in way:
            if not isinstance(target, (dict, list)) or (
                isinstance(target, list) and not (isinstance(step, int) and step < len(target))
            ):
                break
            target = target[step] if isinstance(target, list) else target.get(step)
        if isinstance(target, dict) or (
            isinstance(target, list) and isinstance(last, int) and last < len(target)
        ):
            target[last] = junk
    text = yaml.safe_dump({"scenarios": [data]} if as_list else data)
    told: tuple[Problem, ...] = ()
    try:
        read(tmp_path, text)
    except InvalidInput as error:
        told = error.problems
    assert all(problem.line for problem in told)
    assert not any("Input should" in problem.message for problem in told)


def test_values_that_are_never_kept_so_are_told_with_the_form_that_is(tmp_path: Path) -> None:
    """A number without its country code and a synonym of a choice could match no captured value."""
    (tmp_path / "s.yaml").write_text(
        "name: s\nbusiness: ruti-cleaning\ncaller: {turns: [{say: hi}]}\n"
        "expect: {end: open, lead: {phone: 0521234567, service_type: ספה}}\n",
        encoding="utf-8",
    )
    (scenario,) = read_scenarios([tmp_path / "s.yaml"])
    business = read_business(Path(__file__).parent.parent / "prompts/ruti-cleaning.yaml")
    told = [str(problem) for problem in check_against(scenario, business)]
    assert len(told) == 2
    assert 'write "+972521234567"' in told[0]
    assert 'write "ניקוי ספות"' in told[1]
