"""Scripted callers who wait for what the bot says, and windows that open with what the caller has done."""

from __future__ import annotations

from pathlib import Path

import pytest
from caller_stage import COMPLETE, DECLINED, LEAD, play, record_of, reply, said, shop
from hypothesis import given
from hypothesis import strategies as st

from callbot.business import Business, read_business
from callbot.evals.callers.hearing import Ears
from callbot.evals.oracle import Expect
from callbot.evals.outcome import EndRequest, Outcome, TurnOutcome
from callbot.evals.report import EndWindow, ScenarioReport
from callbot.evals.scenario_files import check_against, read_scenarios
from callbot.evals.verdict import verdict_of
from callbot.reporting import view

PROMPTS = Path(__file__).parents[1] / "prompts"
NAME = '{say: "I am Dana Levi", when: {asks: full_name}}'
PHONE = "{say: 054-111-2233, when: {asks: phone}}"


# --- when ---------------------------------------------------------------------------------------
def test_an_entry_with_a_cue_waits_for_it_wherever_it_stands(tmp_path: Path) -> None:
    script = f"{{turns: [{PHONE}, {NAME}, {{say: I need a rug cleaned}}, {{say: that is all}}]}}"
    replies = [
        reply("Who am I talking to?"),
        reply("And your phone number?"),
        reply("Anything more?"),
        COMPLETE,
    ]
    [run] = play(tmp_path, script, "end: {turns: [4, 4]}", replies)
    assert said(run) == ["I need a rug cleaned", "I am Dana Levi", "054-111-2233", "that is all"]
    assert run.verdict == "on_time", run.detail


def test_the_same_script_fits_a_bot_that_asks_in_another_order(tmp_path: Path) -> None:
    script = f"{{turns: [{{say: hello}}, {NAME}, {PHONE}]}}"
    replies = [reply("What is your phone number?"), reply("And the name, please?"), COMPLETE]
    [run] = play(tmp_path, script, "end: {turns: [3, 3]}", replies)
    assert said(run) == ["hello", "054-111-2233", "I am Dana Levi"]
    assert run.passed, run.detail


def test_a_cue_that_never_comes_leaves_the_script(tmp_path: Path) -> None:
    replies = [reply("Tell me more."), COMPLETE]
    [run] = play(tmp_path, f"{{turns: [{{say: hello}}, {PHONE}]}}", "end: {turns: [2, 2]}", replies)
    assert (run.verdict, said(run)) == ("off_script", ["hello"])
    assert run.detail == "turn 2 waited for the question for phone, which never came"


def test_a_call_that_ends_before_a_cue_has_left_the_script_too(tmp_path: Path) -> None:
    [run] = play(tmp_path, f"{{turns: [{{say: hello}}, {PHONE}]}}", "end: {turns: [1, 1]}", [COMPLETE])
    assert run.verdict == "off_script"


def test_a_wrong_end_stays_wrong_whatever_the_script_still_held(tmp_path: Path) -> None:
    [run] = play(tmp_path, f"{{turns: [{{say: hello}}, {PHONE}]}}", "end: {turns: [2, 2]}", [COMPLETE])
    assert run.verdict == "premature"


@pytest.mark.parametrize(
    ("cue", "words"),
    [
        ("{says: your street}", "And what is YOUR  street called?"),
        ("{says: '~house\\s+(number|no)'}", "The house  number, please."),
        ("{asks: anything_else}", "Is there anything else I can do?"),
    ],
)
def test_cues_are_words_patterns_or_whether_there_is_anything_else(
    tmp_path: Path, cue: str, words: str
) -> None:
    script = f"{{turns: [{{say: hello}}, {{say: yes indeed, when: {cue}}}]}}"
    [run] = play(tmp_path, script, "end: {turns: [2, 2]}", [reply(words), COMPLETE])
    assert run.verdict == "on_time", run.detail
    [other] = play(tmp_path, script, "end: {turns: [2, 2]}", [reply("Right. Go on."), COMPLETE])
    assert other.verdict == "off_script"


def test_a_cue_may_be_in_the_greeting(tmp_path: Path) -> None:
    script = "{turns: [{say: a rug, when: {says: how can I help}}]}"
    [run] = play(tmp_path, script, "end: {turns: [1, 1]}", [COMPLETE])
    assert run.verdict == "on_time"


def test_a_cough_does_not_make_the_caller_forget_what_was_asked(tmp_path: Path) -> None:
    script = f"{{turns: [{{say: hello}}, {{noise: 1, barge_in: 2}}, {PHONE}]}}"
    replies = [reply("Your phone number? Take your time, there is no rush."), COMPLETE]
    [run] = play(tmp_path, script, "end: {turns: [3, 3]}", replies)
    assert said(run) == ["hello", "[noise for 1 s]", "054-111-2233"]
    assert run.verdict == "on_time", run.detail


def test_an_open_turn_is_the_one_that_says_so_whenever_it_comes(tmp_path: Path) -> None:
    late = "{say: no need, when: {says: discount}, expect: {open: true}}"
    script = f"{{turns: [{late}, {{say: hello}}, {{say: go on}}]}}"
    replies = [reply("Fine."), reply("We have a discount."), DECLINED]
    [run] = play(tmp_path, script, "end: open", replies)
    assert said(run) == ["hello", "go on", "no need"]
    assert {check.name: check.passed for check in run.checks}["stays_open"] is False


def test_a_cue_names_a_field_of_the_business(tmp_path: Path) -> None:
    path = tmp_path / "call.yaml"
    path.write_text(
        "name: x\nbusiness: shop\ncaller:\n  turns:\n    - say: hi\n    - say: a\n      when: {asks: phon}\n"
        "expect: {end: {turns: [1, 2]}}\n",
        encoding="utf-8",
    )
    [scenario] = read_scenarios([path])
    [problem] = check_against(scenario, shop())
    assert (problem.line, problem.key) == (7, "caller.turns.1.when.asks")
    assert problem.message == '"phon" is not a field of shop; did you mean "phone"?'


# --- windows after milestones ---------------------------------------------------------------------
REFUSES = "{turns: [{say: hello}, {say: leave it, milestone: declined}, {say: no}, {say: no}]}"
ON = reply("Would you like a discount?")


@pytest.mark.parametrize(
    ("replies", "verdict", "detail"),
    [
        ([DECLINED], "premature", "in turn 1; it should have been after declined, which had not come"),
        ([ON, DECLINED], "on_time", ""),
        ([ON, ON, DECLINED], "on_time", ""),
        (
            [ON, ON, ON, DECLINED],
            "late",
            "in turn 4; it should have been turns 2-3, after declined in turn 2",
        ),
        ([ON], "never", "never asked to end; it should have in turns 2-3, after declined in turn 2"),
    ],
)
def test_a_window_opens_with_the_callers_milestone(
    tmp_path: Path, replies: list[object], verdict: str, detail: str
) -> None:
    [run] = play(tmp_path, REFUSES, "end: {after: declined, within: 1}", replies)
    assert run.verdict == verdict
    assert run.detail.endswith(detail)
    assert run.window == (None if verdict == "premature" else (2, 3))


TURNS = st.integers(1, 9)


@given(
    milestone=st.none() | TURNS, captured=st.none() | TURNS, within=st.integers(0, 4), asked=st.none() | TURNS
)
def test_every_request_falls_before_in_or_after_the_window(
    milestone: int | None, captured: int | None, within: int, asked: int | None
) -> None:
    end = {"after": "goodbye", "within": within, "before": {"captured": "phone"}}
    outcome = Outcome(
        [TurnOutcome(0)],
        requests=[] if asked is None else [EndRequest(asked, "lead_complete")],
        milestones={} if milestone is None else {"goodbye": milestone},
        captured={} if captured is None else {"phone": captured},
    )
    verdict, detail = verdict_of(outcome, Expect.model_validate({"end": end}))
    if asked is None:
        assert verdict == "never"
    elif milestone is None or captured is None or asked < max(milestone, captured):
        assert verdict == "premature"
    else:
        assert verdict == ("on_time" if asked <= max(milestone, captured) + within else "late")
    assert bool(detail) == (verdict != "on_time")


def test_reasons_hold_in_such_a_window_too(tmp_path: Path) -> None:
    wrong = reply("Goodbye.", "wrong_number")
    [run] = play(
        tmp_path, REFUSES, "end: {after: declined, within: 1, reason: customer_declined}", [ON, wrong]
    )
    assert run.verdict == "wrong_reason"


TELLS = "{turns: [{say: Dana Levi, milestone: goodbye}, {say: 054-111-2233}, {say: bye}, {say: bye}]}"
BEFORE = "end: {after: goodbye, within: 1, before: {captured: phone}}"
HAS_PHONE = reply("Got it.", lead=LEAD)


@pytest.mark.parametrize(
    ("replies", "verdict", "window"),
    [
        ([ON, DECLINED], "premature", None),  # after the milestone, but without the phone
        ([ON, COMPLETE], "on_time", (2, 3)),  # captured by the very reply that ends
        ([ON, HAS_PHONE, DECLINED], "on_time", (2, 3)),
        ([ON, HAS_PHONE, ON, DECLINED], "late", (2, 3)),
        ([ON], "never", None),
    ],
)
def test_a_window_opens_no_sooner_than_what_must_be_captured_first(
    tmp_path: Path, replies: list[object], verdict: str, window: tuple[int, int] | None
) -> None:
    [run] = play(tmp_path, TELLS, BEFORE, replies)
    assert (run.verdict, run.window) == (verdict, window), run.detail
    if window is None:
        assert "not without phone" in run.detail


def test_milestones_are_notes_of_the_record(tmp_path: Path) -> None:
    [run] = play(tmp_path, REFUSES, "end: {after: declined, within: 1}", [ON])
    record = record_of(tmp_path, run)
    assert [dict(data) for _, data in record.notes("milestone")] == [{"n": 2, "name": "declined"}]


# --- what a caller makes of the bot's words ----------------------------------------------------------
def hears(business: Business, words: str) -> str:
    """In one word or the fields asked for."""
    heard = Ears(business).hear([words])
    if heard.asked:
        return " ".join(heard.asked)
    flags = ("anything_else", "confirms", "open", "question")
    return next((flag for flag in flags if getattr(heard, flag)), "nothing")


ENGLISH = {
    "Sure, may I have your name?": "full_name",
    "Who do I have the pleasure of speaking with? And what name should I put down?": "full_name",
    "Thanks, Dana. What's the best number to call you back on?": "phone",
    "Perfect, and a mobile number where we can reach you?": "phone",
    "Please tell me your phone number.": "phone",
    "I'll need your phone number as well.": "phone",
    "Thank you, I have your phone number and your name.": "nothing",
    "So your phone number is 054-111-2233, correct?": "confirms",
    "I have you down as Dana Levi. Is that right?": "confirms",
    "Are we talking carpets or sofas?": "service",
    "When would you like us to come?": "time",
    "Would the morning or the afternoon be better?": "time",
    "Is there anything else I can help you with?": "anything_else",
    "What can I do for you today?": "open",
    "Do you like jazz?": "question",
    "Your name and phone number, please.": "full_name phone",
    "All right. One moment.": "nothing",
}
HEBREW = {
    "נעים מאוד! מה שמך המלא?": "full_name",
    "אשמח לקבל את השם המלא.": "full_name",
    "תודה דנה, ומה מספר הנייד שלך?": "phone",
    "איך נוכל לחזור אליכם לטלפון?": "phone",
    "רשמתי את הטלפון, תודה.": "nothing",
    "הטלפון הוא 052-1234567, נכון?": "confirms",
    "אנחנו מדברים על ניקוי דירה או על ניקוי ספות?": "service_type",
    "באיזה יום ובאיזו שעה כדאי שנגיע?": "preferred_time",
    "מתי נוח לכם?": "preferred_time",
    "יש עוד משהו שאפשר לעזור בו?": "anything_else",
    "במה אוכל לעזור?": "open",
    "אתם אוהבים ג'אז?": "question",
    "בסדר גמור, רגע אחד.": "nothing",
}


@pytest.mark.parametrize("words", ENGLISH)
def test_a_caller_understands_what_is_asked_in_english(words: str) -> None:
    assert hears(shop(), words) == ENGLISH[words]


@pytest.mark.parametrize("words", HEBREW)
def test_a_caller_understands_what_is_asked_in_hebrew(words: str) -> None:
    assert hears(read_business(PROMPTS / "ruti-cleaning.yaml"), words) == HEBREW[words]


@given(words=st.lists(st.text() | st.sampled_from([*ENGLISH, *HEBREW]), max_size=4))
def test_whatever_is_said_only_fields_of_the_business_are_asked_for(words: list[str]) -> None:
    heard = Ears(shop()).hear(words)
    assert set(heard.asked) <= {field.name for field in shop().fields}
    assert heard.question or not (heard.asked or heard.anything_else or heard.open or heard.confirms)


@pytest.mark.parametrize("name", ["ruti-cleaning", "shaked-dental", "oren-movers", "harborside-home"])
def test_a_businesss_own_questions_are_understood_in_any_sentence(name: str) -> None:
    business = read_business(PROMPTS / f"{name}.yaml")
    for field in business.fields:
        if field.ask:
            assert hears(business, f"Thanks. {field.ask}") == field.name


# --- how it is told -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"after": "declined", "within": 0}, "ends as soon as the caller has declined"),
        (
            {"after": "goodbye", "within": 1, "before": ["phone"], "reason": ["lead_complete"]},
            "ends within 1 turn after the caller has said goodbye, with phone captured, lead_complete",
        ),
        ({"after": "silent", "within": 2}, "ends within 2 turns after the caller has fallen silent"),
        ({}, "stays open"),
    ],
)
def test_reports_say_when_the_end_was_due(window: dict[str, object], words: str) -> None:
    assert view.should(EndWindow.model_validate({"turns": None} | window)) == words


def test_the_turns_of_a_resolved_window_are_marked(tmp_path: Path) -> None:
    [run] = play(tmp_path, REFUSES, "end: {after: declined, within: 1}", [ON])
    end = EndWindow(turns=None, after="declined", within=1)
    scenario = ScenarioReport(
        name="call", file="call.yaml", business="shop", tags=[], end=end, passed=False, runs=[run]
    )
    assert [turn.n for turn in view.turn_views(scenario, run) if turn.in_window] == [2, 3]
