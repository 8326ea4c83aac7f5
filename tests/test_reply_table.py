"""Odd replies of models, and what becomes of each: used, used with a fault recorded, or asked again.

Every row arrives whole, character by character and in random pieces, and must come to the same.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from reply_samples import DROP, ENDING, NOTES, WHOLE, changed, read, text

from callbot.events import Control
from callbot.reply import BrokenReply, Reply

SAID = ["תודה, רשמתי.", "מה הטלפון?"]
TOGETHER = ["תודה, רשמתי. מה הטלפון?"]
NAME = {"full_name": "דנה לוי"}
OBJECT = text()
CONTROL = json.dumps(WHOLE["control"], ensure_ascii=False)
LEAD = json.dumps(WHOLE["lead"], ensure_ascii=False)


@dataclass(frozen=True)
class Used:
    """The reply counts; ``faults`` are recorded, each once."""

    faults: tuple[str, ...] = ()
    said: list[str] = field(default_factory=lambda: SAID)
    lead: dict[str, str] = field(default_factory=lambda: NAME)
    invalid: dict[str, str] = field(default_factory=dict)
    control: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Again:
    """The model is asked once more, told ``why``; ``said`` was already spoken."""

    why: str
    said: list[str] = field(default_factory=lambda: SAID)


def used(*faults: str, **more: Any) -> Used:
    return Used(faults, **more)


def end(**more: Any) -> Used:
    control = {"should_end_call": True, "end_reason": "lead_complete", "lead_status": "complete"}
    return Used(control={**control, "missing_fields": ()}, **more)


def lacking(key: str) -> str:
    return text({key: DROP})


NOTHING: list[str] = []
AROUND = "text around the JSON object"
MARKUP = "markup in spoken_reply"
LEAK = "spoken_reply holds JSON or names of the contract"
NO_OBJECT = "not a JSON object"
NOT_WHOLE = "not one complete, valid JSON object"
EMPTY = "spoken_reply is empty although the call goes on"
LINE_BREAK = "line breaks or control characters inside a JSON string"


def spoken(words: str, outcome: Used | Again) -> tuple[str, str, Used | Again]:
    return text(spoken_reply=words), "stop", outcome


def stop(raw: str, outcome: Used | Again) -> tuple[str, str, Used | Again]:
    return raw, "stop", outcome


TABLE = {
    # --- as it should be ---
    "as agreed": stop(OBJECT, used()),
    "pretty printed": stop(json.dumps(WHOLE, indent=2), used()),
    "an end": stop(text(ENDING), end()),
    "a declared reason": stop(
        text({"control.should_end_call": True, "control.end_reason": "wrong_number"}),
        used(control={"should_end_call": True, "end_reason": "wrong_number"}),
    ),
    "an end without words": stop(text({**ENDING, "spoken_reply": ""}), end(said=NOTHING)),
    "control comes first": stop(
        json.dumps({"control": WHOLE["control"], "spoken_reply": "שלום. מה שלומך?", "lead": WHOLE["lead"]}),
        used(said=["שלום.", "מה שלומך?"]),
    ),
    "spaces after it": stop(OBJECT + " \n\n", used()),
    # --- around the object ---
    "a fence": stop(f"```json\n{OBJECT}\n```", used(AROUND)),
    "a fence never closed": stop(f"```\n{OBJECT}", used(AROUND)),
    "text before": stop(f"Sure! Here is the reply: {OBJECT}", used(AROUND)),
    "text after": stop(f"{OBJECT} I hope this helps.", used(AROUND)),
    "text after that ends in a brace": stop(f"{OBJECT} :-}}", used(AROUND)),
    "braces before": stop(f"{{thinking}} {{ }} {OBJECT}", used(AROUND)),
    "another object before": stop(f'{{"thought": "he wants {{a}} \\" sofa"}}\n{OBJECT}', used(AROUND)),
    "a byte order mark": stop(f"\ufeff{OBJECT}", used(AROUND)),
    "inside a list": stop(f"[{OBJECT}]", used(AROUND)),
    "inside another object": stop(f'{{"reply": {OBJECT}}}', used(AROUND)),
    "twice the same": stop(OBJECT + OBJECT, used(AROUND)),
    "two different ones": stop(OBJECT + text(ENDING), Again("two different objects")),
    "half of one, then a whole one": stop(
        '{"spoken_reply": "רגע. אני' + OBJECT, Again("twice, with different words", said=["רגע."])
    ),
    "broken, then a whole one": stop(
        f'{{"spoken_reply": "רגע. טוב", "control": oops}} {OBJECT}',
        Again("twice, with different words", said=["רגע.", "טוב"]),
    ),
    # --- no object at all ---
    "nothing": stop("", Again("the reply is empty", said=NOTHING)),
    "only spaces": stop(" \n\t ", Again("the reply is empty", said=NOTHING)),
    "a refusal in plain text": stop("I'm sorry, I can't help with that.", Again(NO_OBJECT, said=NOTHING)),
    "a plain sentence": stop("תודה, רשמתי.", Again(NO_OBJECT, said=NOTHING)),
    "an empty object": stop("{}", Again(NO_OBJECT, said=NOTHING)),
    "an empty list": stop("[]", Again(NO_OBJECT, said=NOTHING)),
    "null": stop("null", Again(NO_OBJECT, said=NOTHING)),
    "a string that holds the object": stop(json.dumps(OBJECT), Again(NO_OBJECT, said=NOTHING)),
    "another object": stop('{"message": "hello."}', Again(NOT_WHOLE, said=NOTHING)),
    # --- cut off ---
    "cut in the words": stop('{"spoken_reply": "רגע. אני בוד', Again(NOT_WHOLE, said=["רגע."])),
    "cut in an escape": stop('{"spoken_reply": "רגע. \\u05d', Again(NOT_WHOLE, said=["רגע."])),
    "cut in the first key": stop('{"spoken_re', Again(NOT_WHOLE, said=NOTHING)),
    "cut after the words": stop('{"spoken_reply": "תודה, רשמתי. מה הטלפון?"', Again(NOT_WHOLE)),
    "cut in control": stop(OBJECT[: OBJECT.index("lead_status")], Again(NOT_WHOLE)),
    "cut in lead": stop(OBJECT[: OBJECT.index("דנה") + 2], Again(NOT_WHOLE)),
    "cut before the last brace": stop(OBJECT[:-1], Again(NOT_WHOLE)),
    "token limit in the words": (
        '{"spoken_reply": "רגע. אני בוד',
        "length",
        Again("cut off at the token limit", said=["רגע."]),
    ),
    "token limit in control": (OBJECT[:-90], "length", Again("cut off at the token limit")),
    "token limit, yet whole": (text(ENDING), "length", Again("cut off at the token limit")),
    "content filter": ('{"spoken_reply": "', "content_filter", Again("content filter", said=NOTHING)),
    "refused": ("", "refusal", Again("the model refused to answer", said=NOTHING)),
    "an unheard-of finish": (OBJECT, "tool_calls", Again("tool_calls")),
    # --- not JSON ---
    "single quotes": stop(str(WHOLE), Again(NO_OBJECT, said=NOTHING)),
    "smart quotes": stop(OBJECT.replace('"', "”"), Again(NO_OBJECT, said=NOTHING)),
    "a trailing comma": stop(OBJECT[:-1] + ",}", Again(NOT_WHOLE)),
    "a comment": stop(OBJECT[:-1] + " // done\n}", Again(NOT_WHOLE)),
    "Python's words": stop(OBJECT.replace("false", "False"), Again(NOT_WHOLE)),
    "NaN": stop(f'{{"spoken_reply": NaN, "control": {CONTROL}, "lead": {LEAD}}}', Again(NOT_WHOLE, NOTHING)),
    "Infinity in the lead": stop(OBJECT.replace('"phone": null', '"phone": -Infinity'), Again(NOT_WHOLE)),
    "an unknown escape": stop(
        OBJECT.replace("מה הטלפון", "מה\\' הטלפון"), Again(NOT_WHOLE, said=["תודה, רשמתי."])
    ),
    "a line break in a string": stop(OBJECT.replace(". מה", ".\nמה"), used(LINE_BREAK)),
    "a key twice": stop(
        OBJECT.replace('"end_reason": null', '"should_end_call": true, "end_reason": "wrong_number"'),
        Again("the key should_end_call stands twice"),
    ),
    "ten thousand brackets": stop(OBJECT.replace('"in_progress"', "[" * 10_000), Again(NOT_WHOLE)),
    "two thousand braces": stop(OBJECT + '{"a":' * 2_000, used(AROUND)),
    "a number of ten thousand digits": stop(
        OBJECT.replace('"phone": null', '"phone": ' + "9" * 10_000), Again(NOT_WHOLE)
    ),
    "endless words": stop(
        text(spoken_reply="שלום. " + "א" * 17_000), Again("longer than 16000 characters", said=["שלום."])
    ),
    "endless spaces": stop("{" + " " * 17_000, Again("longer than 16000 characters", said=NOTHING)),
    # --- keys ---
    "without spoken_reply": stop(lacking("spoken_reply"), Again(NOT_WHOLE, said=NOTHING)),
    "without control": stop(lacking("control"), Again("control is missing")),
    "without lead": stop(
        lacking("lead"),
        used("missing key lead", *(f"missing key lead.{name}" for name in WHOLE["lead"]), lead={}),
    ),
    "without should_end_call": stop(
        lacking("control.should_end_call"), Again("control.should_end_call is missing")
    ),
    "without end_reason": stop(lacking("control.end_reason"), used("missing key control.end_reason")),
    "without lead_status": stop(lacking("control.lead_status"), used("missing key control.lead_status")),
    "without missing_fields": stop(
        lacking("control.missing_fields"),
        used("missing key control.missing_fields", control={"missing_fields": ()}),
    ),
    "without notes": stop(lacking("control.notes"), used("missing key control.notes", control={"notes": ""})),
    "without a field": stop(lacking("lead.phone"), used("missing key lead.phone")),
    "an extra key": stop(text(confidence=0.9), used("extra key confidence")),
    "an extra key in control": stop(text({"control.mood": {"a": [1]}}), used("extra key control.mood")),
    "an unknown field": stop(text({"lead.address": {"street": "הרצל"}}), used("extra key lead.address")),
    "keys in another case": stop(
        OBJECT.replace("should_end_call", "shouldEndCall"), Again("control.should_end_call is missing")
    ),
    # --- should_end_call ---
    '"true"': stop(
        text({**ENDING, "control.should_end_call": "true"}),
        end(faults=('control.should_end_call must be true or false, not "true"',)),
    ),
    '"false"': stop(
        text({"control.should_end_call": "false"}),
        used('control.should_end_call must be true or false, not "false"'),
    ),
    "1 for true": stop(
        text({**ENDING, "control.should_end_call": 1}),
        end(faults=("control.should_end_call must be true or false, not 1",)),
    ),
    '"yes"': stop(
        text({**ENDING, "control.should_end_call": "yes"}),
        end(faults=('control.should_end_call must be true or false, not "yes"',)),
    ),
    "2 for true": stop(
        text({**ENDING, "control.should_end_call": 2}),
        Again("control.should_end_call must be true or false, not 2"),
    ),
    "null for false": stop(
        text({"control.should_end_call": None}),
        Again("control.should_end_call must be true or false, not null"),
    ),
    '"maybe"': stop(
        text({"control.should_end_call": "maybe"}),
        Again('control.should_end_call must be true or false, not "maybe"'),
    ),
    # --- other types ---
    "control as a string": stop(text(control=CONTROL), Again("control must be an object, not")),
    "control null": stop(text(control=None), Again("control must be an object, not null")),
    "control a list": stop(text(control=[1]), Again("control must be an object, not a list")),
    "lead null": stop(
        text(lead=None), used(*(f"missing key lead.{name}" for name in WHOLE["lead"]), lead={})
    ),
    "lead a list": stop(text(lead=[]), Again("lead must be an object, not a list")),
    "lead a string": stop(text(lead="{}"), Again('lead must be an object, not "{}"')),
    "spoken_reply null": stop(
        text(spoken_reply=None), Again("spoken_reply must be text, not null", said=NOTHING)
    ),
    "spoken_reply a number": stop(
        text(spoken_reply=250), used("spoken_reply must be text, not 250", said=["250"])
    ),
    "spoken_reply a list": stop(
        text(spoken_reply=["שלום."]), Again("spoken_reply must be text, not a list", said=NOTHING)
    ),
    "spoken_reply an object": stop(
        text(spoken_reply={"text": "שלום."}), Again("spoken_reply must be text, not an object", NOTHING)
    ),
    "missing_fields null": stop(
        text({"control.missing_fields": None}),
        used("control.missing_fields must be a list, not null", control={"missing_fields": ()}),
    ),
    "missing_fields a string": stop(
        text({"control.missing_fields": "phone, full_name"}),
        used(
            'control.missing_fields must be a list, not "phone, full_name"',
            control={"missing_fields": ("phone", "full_name")},
        ),
    ),
    'missing_fields "none"': stop(
        text({"control.missing_fields": "none"}),
        used('control.missing_fields must be a list, not "none"', control={"missing_fields": ()}),
    ),
    "missing_fields of unknown names": stop(
        text({"control.missing_fields": ["phone", "address"]}),
        used(
            "missing_fields names the unknown field address", control={"missing_fields": ("phone", "address")}
        ),
    ),
    "missing_fields of nulls": stop(
        text({"control.missing_fields": [None]}), Again("control.missing_fields.0 must be text, not null")
    ),
    "notes null": stop(
        text({"control.notes": None}), used("control.notes must be text, not null", control={"notes": ""})
    ),
    "notes a list": stop(
        text({"control.notes": ["a"]}),
        used("control.notes must be text, not a list", control={"notes": ""}),
    ),
    "notes with half a character": stop(
        OBJECT.replace(NOTES, "a\\ud83d b\\u0000"), used(control={"notes": "a b"})
    ),
    # --- reasons and statuses ---
    "an unknown end_reason": stop(
        text({**ENDING, "control.end_reason": "done"}), Again('control.end_reason "done" is none of lead_com')
    ),
    'end_reason "null"': stop(
        text({"control.end_reason": "null"}), used("control.end_reason is a word for null")
    ),
    "end_reason a number": stop(text({"control.end_reason": 5}), Again('control.end_reason "5" is none of')),
    "end_reason a list": stop(
        text({"control.end_reason": ["lead_complete"]}), Again("control.end_reason must be text, not a list")
    ),
    "an unknown lead_status": stop(
        text({"control.lead_status": "done"}),
        Again('control.lead_status must be one of in_progress, complete, declined, not "done"'),
    ),
    "lead_status null": stop(
        text({"control.lead_status": None}), Again("control.lead_status must be one of in_progress")
    ),
    "an end without a reason": stop(
        text({"control.should_end_call": True}), Again("should_end_call is true but end_reason is null")
    ),
    'an end for the reason "null"': stop(
        text({"control.should_end_call": True, "control.end_reason": "null"}),
        Again("should_end_call is true but end_reason is null"),
    ),
    "a reason without an end": stop(
        text({"control.end_reason": "customer_declined"}),
        Again("should_end_call is false but end_reason is customer_declined"),
    ),
    "lead_complete with fields missing": stop(
        text({**ENDING, "control.missing_fields": ["phone"]}),
        Again("end_reason is lead_complete but missing_fields names phone"),
    ),
    "lead_complete with a field missing, as text": stop(
        text({**ENDING, "control.missing_fields": "phone"}),
        Again("end_reason is lead_complete but missing_fields names phone"),
    ),
    # --- the lead's values ---
    "a phone as spoken": stop(
        text({"lead.phone": "052 123-4567"}), used(lead={**NAME, "phone": "+972521234567"})
    ),
    "a phone as a number": stop(
        text({"lead.phone": 972521234567}),
        used("lead.phone must be text, not a number", lead={**NAME, "phone": "+972521234567"}),
    ),
    "no phone number": stop(text({"lead.phone": "052 123"}), used(invalid={"phone": "052 123"})),
    "a name as a number": stop(
        text({"lead.full_name": 7}),
        used("lead.full_name must be text, not a number", lead={"full_name": "7"}),
    ),
    "a name as true": stop(
        text({"lead.full_name": True}), Again("lead.full_name must be text or null, not true")
    ),
    "a name as a list": stop(
        text({"lead.full_name": ["דנה"]}), Again("lead.full_name must be text or null, not a list")
    ),
    "a name as an object": stop(
        text({"lead.full_name": {"first": "דנה"}}),
        Again("lead.full_name must be text or null, not an object"),
    ),
    '"null" for a name': stop(
        text({"lead.full_name": "null"}), used("lead.full_name is a word for null", lead={})
    ),
    '"N/A" for a phone': stop(text({"lead.phone": " N/A "}), used("lead.phone is a word for null")),
    "an empty name": stop(text({"lead.full_name": "  "}), used("lead.full_name is a word for null", lead={})),
    "spaces in a name": stop(text({"lead.full_name": "  דנה \n לוי "}), used()),
    "control characters in a name": stop(OBJECT.replace("דנה לוי", "דנה\\u0000 לוי\\ud83d"), used()),
    "a choice": stop(
        text({"lead.service_type": "ניקוי ספות"}), used(lead={**NAME, "service_type": "ניקוי ספות"})
    ),
    "a choice by another name": stop(
        text({"lead.service_type": "ספה"}), used(lead={**NAME, "service_type": "ניקוי ספות"})
    ),
    "a choice that reads like null": stop(
        text({"lead.service_type": "unknown"}), used(lead={**NAME, "service_type": "unknown"})
    ),
    "no such choice": stop(text({"lead.service_type": "צביעה"}), used(invalid={"service_type": "צביעה"})),
    # --- the words ---
    "no words": spoken("", Again(EMPTY, said=NOTHING)),
    "blank words": spoken(" \n ", Again(EMPTY, said=NOTHING)),
    "only dots": spoken("...", Again(EMPTY, said=NOTHING)),
    "only an emoji": spoken("😀", Again(EMPTY, said=NOTHING)),
    "only a link": spoken("https://example.com/a", Again(EMPTY, said=NOTHING)),
    "bold": spoken("**תודה, רשמתי.** מה _הטלפון_?", used(MARKUP)),
    "code": spoken("`תודה`, רשמתי. מה הטלפון?", used(MARKUP)),
    "a heading": spoken("## תודה, רשמתי.\nמה הטלפון?", used(MARKUP)),
    "bullets": spoken("- תודה, רשמתי.\n* מה הטלפון?", used(MARKUP)),
    "a numbered list": spoken("1. תודה, רשמתי.\n2. מה הטלפון?", used(MARKUP)),
    "a long numbered list": spoken("10. תודה, רשמתי.\n11) מה הטלפון?", used(MARKUP)),
    "a link": spoken("תודה, רשמתי. https://example.com/a?b=1 מה הטלפון?", used(MARKUP)),
    "a link in markdown": spoken("תודה, [רשמתי](https://example.com). מה הטלפון?", used(MARKUP)),
    "a link hidden in markup": spoken("תודה, רשמתי. ht**tp:**//example.com מה הטלפון?", used(MARKUP)),
    "tags": spoken("<speak>תודה, <b>רשמתי</b>.</speak> מה הטלפון?<br/>", used(MARKUP, said=TOGETHER)),
    "square brackets": spoken("תודה, רשמתי. [מה הטלפון?]", used(MARKUP)),
    "a stray closing brace": spoken("תודה, רשמתי.} מה הטלפון?", used(MARKUP, said=TOGETHER)),
    "a fence with JSON": spoken('```json\n{"a": 1}\n```', Again(LEAK, said=NOTHING)),
    "the object itself": spoken(OBJECT, Again(LEAK, said=NOTHING)),
    "braces": spoken("תודה, רשמתי. שלום {name}, מה הטלפון?", Again(LEAK, said=["תודה, רשמתי."])),
    "a key's name": spoken("תודה, רשמתי. should_end_call: true. ביי.", Again(LEAK, said=["תודה, רשמתי."])),
    "a key's name in capitals": spoken("LEAD_STATUS is complete.", Again(LEAK, said=NOTHING)),
    "a key's name in markup": spoken("should_**end**_call is true.", Again(LEAK, said=NOTHING)),
    "escaped letters": stop(OBJECT.replace("תודה", "\\u05ea\\u05d5\\u05d3\\u05d4"), used()),
    "an escaped emoji": stop(
        OBJECT.replace("תודה,", "תודה \\ud83d\\ude00,"), used(said=["תודה 😀, רשמתי.", SAID[1]])
    ),
    "half a character": stop(OBJECT.replace("תודה,", "תודה\\ud83d,"), used(MARKUP)),
    "the other half": stop(OBJECT.replace("תודה,", "תודה\\ude00,"), used(MARKUP)),
    "two first halves": stop(OBJECT.replace("תודה,", "תודה\\ud83d\\ud83d,"), used(MARKUP)),
    "control characters": stop(OBJECT.replace("תודה,", "ת\\u0000ודה\\u0007,"), used(MARKUP)),
    "tabs": stop(OBJECT.replace("תודה, ", "תודה,\\t"), used()),
}


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(TABLE) >= 55


def pieces_of(raw: str, seed: int) -> list[list[str]]:
    """The text whole, character by character, and in two random cuts."""
    cuts = [[raw], list(raw)]
    for shuffle in (random.Random(seed), random.Random(seed + 1)):
        places = sorted(shuffle.choices(range(len(raw) + 1), k=len(raw) // 7))
        cuts.append([raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)])
    return cuts


@pytest.mark.parametrize(("raw", "finish", "outcome"), TABLE.values(), ids=TABLE)
def test_a_reply_comes_to_the_same_in_whatever_pieces_it_arrives(
    raw: str, finish: str, outcome: Used | Again
) -> None:
    for pieces in pieces_of(raw, seed=7):
        said, result = read(pieces, finish)
        assert said == outcome.said
        assert_nothing_but_speech(said)
        if isinstance(outcome, Again):
            assert isinstance(result, BrokenReply)
            assert outcome.why in str(result)
            assert len(str(result)) < 300
        else:
            assert isinstance(result, Reply), result
            assert sorted(result.faults) == sorted(outcome.faults)
            assert (result.lead, result.invalid) == (outcome.lead, outcome.invalid)
            expected = {**WHOLE["control"], "missing_fields": ("phone",), **outcome.control}
            assert result.control == Control(**expected)


def test_words_that_stand_twice_are_asked_again_whichever_were_said() -> None:
    """Which of the two a partial parser shows depends on the pieces; either is speech of the model."""
    raw = '{"spoken_reply": "רגע. כן", ' + OBJECT[1:]
    halves = [[raw[:place], raw[place:]] for place in range(len(raw))]
    for pieces in [*pieces_of(raw, seed=7), *halves]:
        said, result = read(pieces)
        assert said in (["רגע.", "כן"][: len(said)], SAID[: len(said)])
        assert isinstance(result, BrokenReply)
        assert "the key spoken_reply stands twice" in str(result)


NEVER_SAID = re.compile(
    r"[{}\[\]<>`*|\\\x00-\x1f\ud800-\udfff]|://|www\.\S"
    r"|spoken_reply|should_end_call|end_reason|lead_status|missing_fields|secret",
    re.IGNORECASE,
)


def assert_nothing_but_speech(said: list[str]) -> None:
    for sentence in said:
        assert not NEVER_SAID.search(sentence), sentence
        assert re.search(r"\w", sentence), "nothing to say"
        assert sentence == " ".join(sentence.split())
        sentence.encode()


# --- any garbage whatever ------------------------------------------------------------------------
MARKS = """ " { } [ ] ( ) : , . ? \\ \\u \\n \\ud83d \\ude00 ` * _ ~~ < <b> <!-- :// http www. ]( null true NaN 1e999
    😀 שלום ד"ר should_end_call "spoken_reply" "control" "lead" {"spoken_reply":" """
SCRAPS = st.lists(
    st.one_of(
        st.sampled_from(MARKS.split()),
        st.text(max_size=4),
        st.sampled_from([" ", "\n", ". ", "? "]),
        st.characters(codec=None, categories=["Cc", "Cs", "Cf", "Zs"]),
    ),
    max_size=12,
).map("".join)


def cut(raw: str, places: list[int]) -> list[str]:
    marks = sorted(place % (len(raw) + 1) for place in places)
    return [raw[a:b] for a, b in zip([0, *marks], [*marks, len(raw)], strict=True)]


@settings(deadline=None)
@given(st.data(), st.lists(st.integers(0, 10_000), max_size=8))
def test_garbage_around_and_inside_a_reply_is_never_spoken(data: st.DataObject, places: list[int]) -> None:
    """Whatever arrives: only words of spoken_reply are said, only BrokenReply is raised, pieces do not matter."""
    where = data.draw(st.integers(0, len(OBJECT)), "where")
    length = data.draw(st.sampled_from([0, 0, 1, 2, 20]), "overwritten")
    garbage = data.draw(SCRAPS, "garbage")
    raw = OBJECT[:where] + garbage + OBJECT[where + length :]
    assume(raw.count('"spoken_reply"') < 2)  # see test_words_that_stand_twice
    outcomes = [read([raw]), read(list(raw)), read(cut(raw, places))]
    for said, result in outcomes:
        assert_nothing_but_speech(said)
        assert isinstance(result, (Reply, BrokenReply))
        assert said == outcomes[0][0]
        assert str(result) == str(outcomes[0][1])


@settings(deadline=None)
@given(SCRAPS, SCRAPS)
@example("http:*//x", "")
@example("[a](b)[c](d)", "<a<b>c>")
@example("[[x](y)](z)", "www.*x")
def test_garbage_inside_spoken_reply_is_cleaned_or_asked_again(before: str, after: str) -> None:
    raw = json.dumps(changed(spoken_reply=f"{before} תודה. {after}"))
    whole, single = read([raw]), read(list(raw))
    assert_nothing_but_speech(whole[0])
    assert whole[0] == single[0]
    assert str(whole[1]) == str(single[1])


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(
        ["spoken_reply", "control", "lead", "extra"]
        + [f"control.{k}" for k in WHOLE["control"]]
        + [f"lead.{k}" for k in WHOLE["lead"]]
    ),
)
def test_any_value_at_any_place_is_used_or_asked_again(value: Any, place: str) -> None:
    raw = json.dumps(changed({place: value}))
    said, result = read([raw])
    assert_nothing_but_speech(said)
    assert (said, str(result)) == (read(list(raw))[0], str(read(list(raw))[1]))
    if isinstance(result, Reply):
        assert isinstance(result.control.should_end_call, bool)
        assert all(isinstance(text, str) for text in (*result.lead.values(), *result.invalid.values()))
