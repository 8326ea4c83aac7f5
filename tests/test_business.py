"""Business files: what is wrong is told at its line, in words that say how to mend it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbot.business import Business, read_business, read_document, recheck_prompt
from callbot.errors import InvalidInput
from callbot.fields import LeadField, phone_e164, printable
from callbot.prompting import PromptError, render_prompt

GOOD = """\
id: ruti
name: Ruti
greeting: {text: hello}
fields:
  - {name: full_name, required: true}
  - {name: phone, type: phone}
prompt: You answer for {{ business.name }}.
"""
NEXT = GOOD.count("\n") + 1
"""The line of whatever is written under GOOD."""


def read(folder: Path, text: str, **others: str) -> Business:
    """Read ``text`` as ruti.yaml, with other files beside it."""
    for name, content in others.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    (folder / "ruti.yaml").write_text(text, encoding="utf-8")
    return read_business(folder / "ruti.yaml")


def faults(folder: Path, text: str, **others: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read(folder, text, **others)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_a_small_file_is_a_whole_business(tmp_path: Path) -> None:
    business = read(tmp_path, GOOD)
    assert (business.language, business.timezone, business.phone_region) == ("he", "Asia/Jerusalem", "IL")
    assert business.required == ("full_name",)
    assert business.sentence("goodbye") == "תודה ולהתראות."
    assert business.silence.after == 8.0


# --- one fault at a time -------------------------------------------------------------------------
NUMBER = "must be a phone number with + and country code, such as +97235550100"
EMPTY = 'is empty where text is due; write the text, and quote it if it is a word like "null"'
MAPPING = "must be a mapping of keys to values (key: value)"
WRONG: dict[str, list[str]] = {
    # the whole file
    "- a": [f"1: {MAPPING}"],
    "hello": [f"1: {MAPPING}"],
    "id: ruti\n": [
        "1: name: is missing",
        "1: greeting: is missing",
        "1: fields: is missing",
        "1: prompt: is missing",
    ],
    # names and places
    GOOD.replace("id: ruti", "id: Ruti's"): [
        ("1: id: must be an id of lower-case Latin letters, digits, - and _, such as ruti-cleaning; "
        'found "Ruti\'s"')
    ],
    GOOD.replace("name: Ruti", "name:"): [f"2: name: {EMPTY}"],
    GOOD.replace("name: Ruti", 'name: ""'): [f"2: name: {EMPTY}"],
    GOOD + "language: fr": [f"{NEXT}: language: must be 'he' or 'en'; found \"fr\""],
    GOOD + "timezone: Asia/Jeruslem": [
        f'{NEXT}: timezone: unknown time zone "Asia/Jeruslem"; did you mean "Asia/Jerusalem"?'
    ],
    GOOD + "timezone: ../../etc/passwd": [
        f'{NEXT}: timezone: unknown time zone "../../etc/passwd"; use an IANA name such as Asia/Jerusalem'
    ],
    GOOD + "timezone:": [f"{NEXT}: timezone: is empty; must be text"],
    GOOD + "region: il": [f'{NEXT}: region: must be a country as two capital letters, such as IL; found "il"'],
    GOOD + "region: XX": [f'{NEXT}: region: there is no country "XX" with phone numbers'],
    GOOD + "phone_numbers: [call me, +97235550100]": [f'{NEXT}: phone_numbers.0: {NUMBER}; found "call me"'],
    GOOD + "phone_numbers:\n- +97235550100\n- 03-555": [f'{NEXT + 2}: phone_numbers.1: {NUMBER}; found "03-555"'],
    GOOD + "phone_numbers: ['*6050']": [f'{NEXT}: phone_numbers.0: {NUMBER}; found "*6050"'],
    GOOD + "phone_numbers: [~]": [f"{NEXT}: phone_numbers.0: {EMPTY}"],
    # the greeting
    GOOD.replace("{text: hello}", "hello"): [
        '3: greeting: must be keys with values (text, mode, audio, barge_in); found "hello"'
    ],
    GOOD.replace("{text: hello}", "{mode: play}"): ["3: greeting.text: is missing"],
    GOOD.replace("{text: hello}", "{text: hello, how are you}"): [
        ('3: greeting.how are you: a comma inside { } has split the text before "how are you"; '
        'quote the whole text: "..., how are you"')
    ],
    GOOD.replace("{text: hello}", "\n  text: hello\n  barge_in: true"): [
        "5: greeting.barge_in: needs mode: stream; with mode: play the carrier plays the greeting to its end"
    ],
    GOOD.replace("{text: hello}", "{text: hello, mode: live}"): [
        "3: greeting.mode: must be 'play' or 'stream'; found \"live\""
    ],
    # fields
    GOOD.replace("name: phone, type", "name: full_name, type"): [
        '6: fields.1.name: another field is called "full_name" already'
    ],
    GOOD.replace("name: full_name", "name: full name"): [
        '5: fields.0.name: must be a name of Latin letters, digits and _, such as full_name; found "full name"'
    ],
    GOOD.replace("type: phone", "type: fone"): [
        "6: fields.1.type: must be 'text', 'phone', 'choice' or 'time'; found \"fone\""
    ],
    GOOD.replace("type: phone", "type: phone, choices: [a]"): [
        "6: fields.1.choices: choices go with type: choice, not with type: phone"
    ],
    GOOD.replace("type: phone", "type: choice"): [
        "6: fields.1: type: choice needs choices, such as choices: [small, large]"
    ],
    GOOD.replace("type: phone", "type: choice, choices: {big: [large], huge: [Large]}"): [
        '6: fields.1.choices.huge: "Large" stands for "big" already'
    ],
    GOOD.replace("type: phone", "type: choice, choices: big"): [
        ("6: fields.1.choices: must be names, such as [small, large], or names and other words for them: "
        '{small: [little]}; found "big"')
    ],
    GOOD.replace("type: phone", "type: choice, choices: [{a: b}]"): [
        ("6: fields.1.choices: must be names, such as [small, large], or names and other words for them: "
        "{small: [little]}; found a list")
    ],
    GOOD.replace("required: true", "required: sure"): [
        '5: fields.0.required: must be true or false; found "sure"'
    ],
    GOOD.replace("required: true", "requierd: true"): [
        '5: fields.0.requierd: unknown key; did you mean "required"?'
    ],
    GOOD.replace("{name: full_name, required: true}", "full_name"): [
        ("5: fields.0: must be keys with values (name, type, label, required, ask, choices); "
        'found "full_name"')
    ],
    GOOD.replace("  - {name: full_name, required: true}\n  - {name: phone, type: phone}\n", "  []\n"): [
        "4: fields: must be a list of at least one field, such as {name: full_name}; found an empty list"
    ],
    # reasons
    GOOD + "end_reasons:\n- {name: no_response, when: x}": [
        f'{NEXT + 1}: end_reasons.0.name: "no_response" is built in, with a meaning of its own; choose another name'
    ],
    GOOD + "end_reasons:\n- {name: a, when: x}\n- {name: a, when: y}": [
        f'{NEXT + 2}: end_reasons.1.name: another reason is called "a" already'
    ],
    GOOD + "end_reasons:\n- name: a\n  when: x\n  needs: [full_name, fone]": [
        f'{NEXT + 3}: end_reasons.0.needs.1: there is no field "fone"; did you mean "phone"?'
    ],
    GOOD + "end_reasons: [{name: Wrong, when: x}]": [
        (f"{NEXT}: end_reasons.0.name: must be a name of lower-case Latin letters, digits and _, such as wrong_number; "
        'found "Wrong"')
    ],
    GOOD + "end_reasons: [{name: a, when: x, then: {dial: 050-0000000}}]": [
        f'{NEXT}: end_reasons.0.then.dial: {NUMBER}; found "050-0000000"'
    ],
    GOOD + "end_reasons: [{name: a, when: x, then: {dial: '+972500000000', timeout: 1}}]": [
        f'{NEXT}: end_reasons.0.then.timeout: must be a whole number of seconds from 5 to 600; found "1"'
    ],
    # numbers and their units
    GOOD + "silence: {after: soon}": [f'{NEXT}: silence.after: must be a number of seconds above 0; found "soon"'],
    GOOD + "silence: {after: 0}": [f'{NEXT}: silence.after: must be a number of seconds above 0; found "0"'],
    GOOD + "silence: {after: inf}": [f'{NEXT}: silence.after: must be a number of seconds above 0; found "inf"'],
    GOOD + "silence: {after: }": [f"{NEXT}: silence.after: is empty; must be a number of seconds above 0"],
    GOOD + "silence: {warnings: 1.5}": [f'{NEXT}: silence.warnings: must be a whole number from 0 to 10; found "1.5"'],
    GOOD + "silence: {by: bot}": [f"{NEXT}: silence.by: must be 'backend' or 'model'; found \"bot\""],
    GOOD + "ending: {linger: 60}": [f'{NEXT}: ending.linger: must be a number of seconds from 0 to 10; found "60"'],
    GOOD + "limits: {turns: 0}": [f'{NEXT}: limits.turns: must be a whole number of caller turns from 1 up; found "0"'],
    GOOD + "limits: {seconds: nan}": [f'{NEXT}: limits.seconds: must be a number of seconds above 0; found "nan"'],
    # the rest
    GOOD + "sentences: {filler: [one moment, please]}": [
        f"{NEXT}: sentences.filler: a comma splits unquoted text inside [ ]; quote each sentence or write one a line with -"
    ],
    GOOD + "sentences: {filler: []}": [
        f"{NEXT}: sentences.filler: must hold at least one sentence; or leave the key out"
    ],
    GOOD + "sentences: {apology: }": [f"{NEXT}: sentences.apology: {EMPTY}; or quote the whole text, if a comma inside {{ }} has split it"],
    GOOD + "facts: {price: 250, vat included}": [
        f"{NEXT}: facts.vat included: {EMPTY}; or quote the whole text, if a comma inside {{ }} has split it"
    ],
    GOOD + "facts:\n  price: 250 #approx": [
        f'{NEXT + 1}: facts.price: the text is cut at " #", which starts a comment; quote the text: "250"'
    ],
    GOOD + "hours: [sun]": [f"{NEXT}: hours: must be keys with values (key: value); found a list"],
    GOOD + "deliver: {webhook: example.com}": [
        f'{NEXT}: deliver.webhook: must be an address that begins with https:// or http://; found "example.com"'
    ],
    GOOD + "privacy: {record_audio: perhaps}": [
        f'{NEXT}: privacy.record_audio: must be true or false; found "perhaps"'
    ],
    GOOD + "privacy: {record_audio: true}": [
        f"{NEXT}: privacy.record_audio: needs privacy.notice: tell callers in greeting.text that they are recorded, and repeat those words there; or set it to false"
    ],
    GOOD + "privacy: {record_audio: true, notice: we record}": [
        f'{NEXT}: privacy.notice: greeting.text does not say "we record"; put it there, word for word'
    ],
    GOOD.replace("{text: hello}", "{text: hello, mode: stream, barge_in: true}")
    + "privacy: {record_audio: true, notice: hello}": [
        "3: greeting.barge_in: lets callers cut off the notice that they are recorded; set it or record_audio to false"
    ],
    GOOD + "privacy: {keep: {audio: 30}}": [
        f'{NEXT}: privacy.keep.audio: must be a number of days or hours, such as 30d or 12h; found "30"'
    ],
    GOOD + "privacy: {keep: {audoi: 3d}}": [
        f'{NEXT}: privacy.keep.audoi: unknown key; did you mean "audio"?'
    ],
    GOOD + "voice: {tts: [a]}": [f'{NEXT}: voice.tts: must be text; if it holds [ ] {{ }} or ": ", quote it: "..."'],
    GOOD + "gretting: x": [f'{NEXT}: gretting: unknown key; did you mean "greeting"?'],
    GOOD.replace("prompt: You answer for {{ business.name }}.", "prompt:"): [f"7: prompt: {EMPTY}"],
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), WRONG.items(), ids=[told[0][:60] for told in WRONG.values()])
def test_a_fault_is_told_with_its_line_its_key_and_what_to_do(
    tmp_path: Path, text: str, told: list[str]
) -> None:
    assert faults(tmp_path, text) == [f"ruti.yaml:{line}" for line in told]


PYDANTIC = (
    "Input should",
    "validation",
    "pattern",
    "valid string",
    "instance of",
    "parse",
    "str_",
    "type=",
    "Value error",
)


@pytest.mark.parametrize("text", WRONG, ids=[told[0][:60] for told in WRONG.values()])
def test_no_message_speaks_of_how_it_was_found(tmp_path: Path, text: str) -> None:
    assert not [word for told in faults(tmp_path, text) for word in PYDANTIC if word in told]


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("id: ruti", "id: Ruti") + "silence: {after: x, warnings: y}\nzzz: 1\n"
    assert len(faults(tmp_path, text)) == 4


# --- extends -------------------------------------------------------------------------------------
def test_a_file_is_laid_over_the_one_it_extends_key_by_key(tmp_path: Path) -> None:
    business = read(
        tmp_path,
        "extends: mid.yaml\nid: ruti\nname: Ruti\nsilence: {warnings: 1}\nfacts: {price: 300}\n",
        mid="extends: base.yaml\nsilence: {after: 5, by: model}\nfields: [{name: city}]\n",
        base="greeting: {text: hello, mode: stream}\nsilence: {after: 9, close: Bye.}\n"
        "facts: {price: 250, area: here}\nfields: [{name: full_name}, {name: phone}]\nprompt: x\n",
    )
    assert business.greeting.mode == "stream"
    silence = business.silence
    assert (silence.after, silence.warnings, silence.by, silence.close) == (5.0, 1, "model", "Bye.")
    assert business.facts == {"price": "300", "area": "here"}
    assert [field.name for field in business.fields] == ["city"], "lists replace"


def test_extends_works_from_the_folder_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "base.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "deep" / "dan.yaml").write_text("extends: ../base.yaml\nid: dan\n", encoding="utf-8")
    assert read_business(tmp_path / "deep" / "dan.yaml").id == "dan"


EXTENDED: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "unknown key two files down": (
        "extends: mid.yaml\n" + GOOD,
        {"mid": "extends: base.yaml\n", "base": "# old\n\nsilence:\n  afer: 8\n"},
        ['base.yaml:4: silence.afer: unknown key; did you mean "after"?'],
    ),
    "wrong values in three files": (
        "extends: mid.yaml\n" + GOOD + "limits: {turns: 0}\n",
        {"mid": "extends: base.yaml\nsilence: {by: x}\n", "base": "silence: {after: soon, warnings: 2}\n"},
        [
            'base.yaml:1: silence.after: must be a number of seconds above 0; found "soon"',
            "mid.yaml:2: silence.by: must be 'backend' or 'model'; found \"x\"",
            f'ruti.yaml:{NEXT + 1}: limits.turns: must be a whole number of caller turns from 1 up; found "0"',
        ],
    ),
    "misfits between files": (
        "extends: base.yaml\n" + GOOD,
        {"base": "end_reasons:\n- name: human\n  when: x\n  needs: [adress]\n"},
        ['base.yaml:4: end_reasons.0.needs.0: there is no field "adress"'],
    ),
    "a prompt of the base": (
        "extends: base.yaml\n" + "\n".join(GOOD.splitlines()[:-1]),
        {"base": "# shared\nprompt: |\n  one\n  {{ greting }}\n"},
        ['base.yaml:4: prompt: there is no "greting"; a prompt knows business, fields, facts, now, caller'],
    ),
    "no such file": (
        "extends: _bas.yaml\n" + GOOD,
        {"_base": "id: x"},
        ['ruti.yaml:1: extends: there is no file _bas.yaml; did you mean "_base.yaml"?'],
    ),
    "nothing": ("id: x\nextends:\n", {}, ["ruti.yaml:2: extends: must be the name of a file, such as _base.yaml"]),
    "itself": (
        "extends: ruti.yaml\n" + GOOD,
        {},
        ["ruti.yaml:1: extends: comes back to ruti.yaml: a file cannot extend itself, directly or through others"],
    ),
    "in a circle": (
        "extends: mid.yaml\n" + GOOD,
        {"mid": "extends: base.yaml", "base": "# x\nextends: mid.yaml"},
        ["base.yaml:2: extends: comes back to mid.yaml: a file cannot extend itself, directly or through others"],
    ),
    "a list": ("extends: base.yaml\n" + GOOD, {"base": "- a"}, [f"base.yaml:1: {MAPPING}"]),
    "an empty file": ("extends: base.yaml\n" + GOOD, {"base": ""}, ["base.yaml: is empty"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "others", "told"), EXTENDED.values(), ids=EXTENDED)
def test_faults_point_into_the_file_they_stand_in(
    tmp_path: Path, text: str, others: dict[str, str], told: list[str]
) -> None:
    assert faults(tmp_path, text, **others) == told


def test_a_document_keeps_who_wrote_what(tmp_path: Path) -> None:
    read(tmp_path, "extends: base.yaml\n" + GOOD, base="silence: {after: 3}\n")
    document = read_document(tmp_path / "ruti.yaml")
    assert "extends" not in document.data
    assert document.place(("silence", "after"))[0].name == "base.yaml"
    assert document.place(("fields", 1, "type")) == (tmp_path / "ruti.yaml", 7)


# --- prompts -------------------------------------------------------------------------------------
def prompt(*lines: str) -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return GOOD.replace("prompt: You answer for {{ business.name }}.", f"prompt: |\n{body}")


START = NEXT
"""The line of a prompt's first line."""
UNSAFE = "access to attribute '{}' of '{}' object is unsafe."
PROMPTS = {
    prompt("one", "{{ busines.name }}"): f'{START + 1}: prompt: there is no "busines"; did you mean "business"?',
    prompt("one", "", "{{ nope }}"): (
        f'{START + 2}: prompt: there is no "nope"; a prompt knows business, fields, facts, now, caller'
    ),
    prompt("{{ business.nmae }}"): f'{START}: prompt: there is no "nmae" in business; did you mean "name"?',
    prompt("{{ facts.price }}"): f'{START}: prompt: there is no "price" there',
    prompt("{% for f in fields %}", "{{ f.lable }}", "{% endfor %}"): (
        f'{START + 1}: prompt: there is no "lable" in a field; did you mean "label"?'
    ),
    prompt("one", "{% if %}"): f"{START + 1}: prompt: Expected an expression, got 'end of statement block'",
    prompt("{{ name | upper", "two"): f"{START + 1}: prompt: expected token 'end of print statement', got 'two'",
    prompt("one", "{{ business.name | shout }}"): f"{START + 1}: prompt: No filter named 'shout'.",
    prompt("one", "{{ 1 / 0 }}"): f"{START + 1}: prompt: division by zero",
    prompt("{% include '/etc/passwd' %}"): (
        f"{START}: prompt: include, import and extends of templates are not for prompts; all of it stands here"
    ),
    # what a template must not reach
    prompt("{{ business.__class__.__mro__ }}"): f"{START}: prompt: {UNSAFE.format('__class__', 'Business')}",
    prompt("{{ ''.__class__ }}"): f"{START}: prompt: {UNSAFE.format('__class__', 'str')}",
    prompt("{{ business.name.__init__.__globals__ }}"): f"{START}: prompt: {UNSAFE.format('__init__', 'str')}",
    prompt("{{ business.parse_file('/etc/hosts') }}"): f"{START}: prompt: {UNSAFE.format('parse_file', 'Business')}",
    prompt("{{ business.model_dump() }}"): f"{START}: prompt: {UNSAFE.format('model_dump', 'Business')}",
    prompt("{{ fields[0].parse_raw('x') }}"): f"{START}: prompt: {UNSAFE.format('parse_raw', 'LeadField')}",
    prompt("{{ fields.append(1) }}"): f"{START}: prompt: {UNSAFE.format('append', 'list')}",
    prompt("{{ ('x' * 9999999999) | length }}"): f"{START}: prompt: * makes more than 100000 characters",
    prompt("{{ 9999999999 * 'x' }}"): f"{START}: prompt: * makes more than 100000 characters",
    prompt("{{ 9 ** 9999999 }}"): f"{START}: prompt: ** is not for prompts",
    prompt("{% for i in range(9999999) %}x{% endfor %}"): (
        f"{START}: prompt: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), PROMPTS.items(), ids=[told[:70] for told in PROMPTS.values()])
def test_a_prompt_that_does_not_render_is_told_at_its_line(tmp_path: Path, text: str, told: str) -> None:
    (fault,) = faults(tmp_path, text)
    assert fault == f"ruti.yaml:{told}"


def test_a_prompt_on_one_line_is_told_at_that_line(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, GOOD.replace("{{ business.name }}", "{{ busines.name }}"))
    assert fault == 'ruti.yaml:7: prompt: there is no "busines"; did you mean "business"?'


def test_another_prompt_for_a_business_is_checked_too(tmp_path: Path) -> None:
    business = read(tmp_path, GOOD)
    assert recheck_prompt(business, "{{ fields[0].name }}", Path("new.md")).prompt == "{{ fields[0].name }}"
    with pytest.raises(InvalidInput, match=r'^new.md:2: there is no "x"'):
        recheck_prompt(business, "one\n{{ x }}", Path("new.md"))


def test_a_prompt_reads_what_the_file_says_and_what_the_call_is(tmp_path: Path) -> None:
    text = prompt(
        "{{ business.name }} {{ fields | map(attribute='name') | join(',') }} {{ facts.price }}",
        "{{ now.strftime('%A %H:%M %z') }} {{ caller.number }} {{ business.required | join }}",
        "{% for key, value in facts.items() %}{{ key }}={{ value }}{% endfor %} {{ '-' * 3 }} {{ 2 * 3 }}",
    )
    business = read(tmp_path, text + "facts: {price: 250}\n")
    summer = dt.datetime(2026, 7, 1, 12, 0)
    assert render_prompt(business, summer, "+97254").splitlines() == [
        "Ruti full_name,phone 250",
        "Wednesday 12:00 +0300 +97254 full_name",
        "price=250 --- 6",
    ]
    utc = summer.replace(tzinfo=dt.UTC)
    assert "15:00 +0300 None" in render_prompt(business, utc, None)


def test_a_prompt_that_fails_only_on_some_calls_says_so_with_its_line(tmp_path: Path) -> None:
    business = read(tmp_path, prompt("one", "{% if not caller.number %}", "{{ nobody }}", "{% endif %}"))
    with pytest.raises(PromptError, match=r'^line 3 of the prompt: there is no "nobody"'):
        render_prompt(business, dt.datetime(2026, 1, 1), None)


# --- values of the lead --------------------------------------------------------------------------
MOBILE = "+972521234567"
PHONES: list[tuple[str, str, str | None]] = [
    ("0521234567", "IL", MOBILE),
    ("052-123-4567", "IL", MOBILE),
    ("052 123 4567", "IL", MOBILE),
    ("(052) 123-4567", "IL", MOBILE),
    ("052.123.4567", "IL", MOBILE),
    ("052–123–4567", "IL", MOBILE),
    ("0 5 2 1 2 3 4 5 6 7", "IL", MOBILE),
    ("+972521234567", "IL", MOBILE),
    ("+972-52-123-4567", "IL", MOBILE),
    ("+972 (0)52 123 4567", "IL", MOBILE),
    ("972521234567", "IL", MOBILE),
    ("00972521234567", "IL", MOBILE),
    ("521234567", "IL", MOBILE),
    ("\u200f0521234567\u202c", "IL", MOBILE),
    ("٠٥٢١٢٣٤٥٦٧", "IL", MOBILE),
    ("הטלפון שלי 0521234567.", "IL", MOBILE),
    ("050-0000000", "IL", "+972500000000"),
    ("03-5550100", "IL", "+97235550100"),
    ("02 1234567", "IL", "+97221234567"),
    ("077-1234567", "IL", "+972771234567"),
    ("1-800-123-456", "IL", "+9721800123456"),
    ("+1 212 555 0100", "IL", "+12125550100"),
    ("+44 20 7946 0958", "IL", "+442079460958"),
    ("05212345", "IL", None),
    ("052123456", "IL", None),
    ("05212345678", "IL", None),
    ("0521234567 0521234568", "IL", None),
    ("9" * 60, "IL", None),
    ("1234567890", "IL", None),
    ("0000000000", "IL", None),
    ("*6050", "IL", None),
    ("6050", "IL", None),
    ("100", "IL", None),
    ("אפס חמש שתיים", "IL", None),
    ("call me", "IL", None),
    ("052-CALL", "IL", None),
    ("+", "IL", None),
    ("", "IL", None),
    ("2125550100", "US", "+12125550100"),
    ("(212) 555-0100", "US", "+12125550100"),
    ("1-212-555-0100", "US", "+12125550100"),
    ("+12125550100", "US", "+12125550100"),
    ("1-800-FLOWERS", "US", "+18003569377"),
    ("+972521234567", "US", MOBILE),
    ("011972521234567", "US", MOBILE),
    ("0521234567", "US", None),
    ("555-0100", "US", None),
    ("911", "US", None),
]


@pytest.mark.parametrize(("said", "region", "kept"), PHONES)
def test_a_phone_number_is_kept_in_one_form(said: str, region: str, kept: str | None) -> None:
    assert phone_e164(said, region) == kept
    assert LeadField(name="phone", type="phone").normalised(said, region) == kept


def test_numbers_without_a_country_belong_to_the_country_of_the_business(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD + "language: en\n").phone_region == "US"
    assert read(tmp_path, GOOD + "language: en\nphone_numbers: '+442079460958'\n").phone_region == "GB"
    assert (
        read(tmp_path, GOOD + "language: en\nregion: IL\nphone_numbers: [03-5550100]\n").phone_region == "IL"
    )


SERVICE: Any = LeadField.model_validate(
    {
        "name": "service",
        "type": "choice",
        "choices": {"ניקוי דירה": ["דירה", "בית"], "Deep clean": "full", "none": None, "a  b": []},
    }
)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("ניקוי דירה", "ניקוי דירה"),
        (" ניקוי \n דירה ", "ניקוי דירה"),
        ("נִיקּוּי דירה", "ניקוי דירה"),
        ("דירה", "ניקוי דירה"),
        ("DEEP CLEAN", "Deep clean"),
        ("déep clean", "Deep clean"),
        ("Full", "Deep clean"),
        ("none", "none"),
        ("a  b", "a  b"),
        ("a b", "a  b"),
        ("דירות", None),
        ("ניקוי", None),
        ("", None),
    ],
)
def test_a_choice_is_kept_by_its_name(said: str, kept: str | None) -> None:
    assert SERVICE.normalised(said, "IL") == kept


def test_choices_without_other_names_are_a_list(tmp_path: Path) -> None:
    text = GOOD.replace("type: phone", "type: choice, choices: [קטן, גדול]")
    assert read(tmp_path, text).fields[1].choices == {"קטן": [], "גדול": []}


@settings(deadline=None)
@given(st.text(), st.sampled_from(["text", "phone", "time"]))
def test_a_kept_value_can_be_stored_and_is_kept_as_it_is(said: str, kind: str) -> None:
    field = LeadField.model_validate({"name": "x", "type": kind})
    kept = field.normalised(said, "IL")
    if kept is not None:
        assert "\x00" not in kept
        assert kept == printable(kept)
        kept.encode()
        assert field.normalised(kept, "IL") == kept
