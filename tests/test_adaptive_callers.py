"""Callers who answer what the bot asks for: what they say, by temper, and that every call comes to an end."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from caller_stage import COMPLETE, DECLINED, play, record_of, reply, said, shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callbot.evals.budget import planned_requests
from callbot.evals.callers import Callers
from callbot.evals.callers.hearing import Heard
from callbot.evals.callers.mind import PATIENCE, Mind
from callbot.evals.casting import AdaptiveSpec, Temper
from callbot.evals.scenario_files import check_against, read_scenarios
from callbot.models.offline.model import OfflineModel

FACTS = "{full_name: Dana Levi, phone: 054-111-2233}"
TEMPERS: tuple[Temper, ...] = ("cooperative", "hesitant", "curt", "refusing", "chatty", "silent")
NAME, PHONE, MORE = (
    reply("May I have your name?"),
    reply("What is your phone number?"),
    reply("Anything else?"),
)
CURT = f"{{facts: {FACTS}, temper: curt, opening: I need help}}"
GOODBYE = "end: {after: goodbye, within: 1}"


def mind(temper: Temper = "curt", chance: random.Random | None = None, **facts: str | list[str]) -> Mind:
    spec = AdaptiveSpec.model_validate({"facts": facts, "temper": temper})
    return Mind(spec, shop(), chance or random.Random(0))


def asks(*fields: str) -> Heard:
    return Heard(asked=fields, question=True)


ANYTHING_ELSE = Heard(anything_else=True, question=True)


# --- what is said -------------------------------------------------------------------------------
def test_a_caller_answers_what_is_asked_in_whatever_order(tmp_path: Path) -> None:
    [run] = play(tmp_path, CURT, GOODBYE, [PHONE, NAME, MORE, COMPLETE])
    assert said(run)[:3] == ["I need help", "054-111-2233.", "Dana Levi."]
    assert (run.verdict, run.window, len(run.turns)) == ("on_time", (4, 5), 4), run.detail


def test_the_first_missing_of_several_is_answered() -> None:
    caller = mind(full_name="Dana", phone="05", notes="fourth floor")
    caller.next(Heard())
    assert caller.next(asks("full_name", "phone")).words == "Dana."
    assert caller.next(asks("full_name", "phone")).words == "05."
    assert "Dana" in caller.next(asks("full_name", "phone")).words, "asked again, told again"


def test_the_words_decide_not_the_control(tmp_path: Path) -> None:
    lying = reply("What is your phone number?")
    lying["control"]["missing_fields"] = ["full_name"]
    [run] = play(tmp_path, CURT, GOODBYE, [lying, MORE])
    assert said(run)[1] == "054-111-2233."


def test_lead_complete_and_goodbye_are_noted_in_the_turns_in_which_they_come(tmp_path: Path) -> None:
    [run] = play(tmp_path, CURT, "end: {after: lead_complete, within: 0}", [NAME, PHONE, COMPLETE])
    notes = [(data["n"], data["name"]) for _, data in record_of(tmp_path, run).notes("milestone")]
    assert notes == [(3, "lead_complete")]
    assert run.verdict == "on_time"
    [run] = play(tmp_path, CURT, GOODBYE, [NAME, PHONE, MORE, MORE, MORE, MORE, MORE])
    notes = [(data["n"], data["name"]) for _, data in record_of(tmp_path, run).notes("milestone")]
    assert notes == [(3, "lead_complete"), (4, "goodbye")]
    assert (run.verdict, run.ended_by) == ("never", "caller"), "insists, then hangs up"


def test_what_the_opening_tells_is_told() -> None:
    caller = Mind(
        AdaptiveSpec(facts={"full_name": ["Dana"], "service": ["rug"]}, opening="Dana here about a rug"),
        shop(),
        random.Random(0),
    )
    caller.next(Heard())
    assert "goodbye" in caller.next(ANYTHING_ELSE).milestones


def test_details_nobody_asked_for_are_offered_when_there_is_room() -> None:
    caller = mind(full_name="Dana", notes="fourth floor")
    caller.next(Heard())
    caller.next(asks("full_name"))
    assert "fourth floor" in caller.next(ANYTHING_ELSE).words
    assert "goodbye" in caller.next(ANYTHING_ELSE).milestones


def test_a_second_value_takes_the_first_back() -> None:
    caller = mind(phone=["054-1", "054-2"], full_name="Dana")
    caller.next(Heard())
    assert caller.next(asks("phone")).words == "054-1."
    corrected = caller.next(asks("full_name"))
    assert "054-2" in corrected.words
    assert corrected.milestones == ()
    last = caller.next(Heard())
    assert "Dana" in last.words, "the question that the correction left open is answered next"
    assert last.milestones == ("lead_complete",)


def test_what_the_caller_does_not_know_is_said_so() -> None:
    caller = mind(full_name="Dana")
    caller.next(Heard())
    assert "Dana" not in caller.next(asks("phone")).words


def test_a_caller_gives_up_on_a_bot_that_gets_nowhere() -> None:
    caller = mind(full_name="Dana")
    moves = [caller.next(asks("phone")) for _ in range(PATIENCE + 3)]
    assert [move.milestones for move in moves].count(("goodbye",)) == 1


def test_the_forecast_counts_the_opening_each_value_and_the_goodbye(tmp_path: Path) -> None:
    path = tmp_path / "call.yaml"
    facts = "{full_name: Dana, phone: [054-111-2233, 054-111-2244]}"
    head = f"name: x\nbusiness: shop\ncaller: {{facts: {facts}}}\n"
    path.write_text(head + "expect: {end: open}\n", encoding="utf-8")
    assert planned_requests(read_scenarios([path]), {"shop": shop()}, 2) == 10


# --- tempers --------------------------------------------------------------------------------------
def test_a_refusing_caller_withholds_once_and_then_declines(tmp_path: Path) -> None:
    caller = "{temper: refusing}"
    end = "end: {after: declined, within: 0, reason: customer_declined}"
    [run] = play(tmp_path, caller, end, [NAME, PHONE, DECLINED])
    assert (run.verdict, run.window) == ("on_time", (3, 3)), run.detail
    [run] = play(tmp_path, caller, end, [NAME, DECLINED])
    assert run.verdict == "premature", "withholding one detail is no refusal yet"
    [run] = play(tmp_path, caller, end, [NAME, PHONE, MORE, DECLINED])
    assert run.verdict == "late"


def test_a_refusing_caller_tells_the_facts_that_there_are() -> None:
    caller = mind("refusing", full_name="Dana")
    caller.next(Heard())
    assert "Dana" in caller.next(asks("full_name")).words


def test_a_silent_caller_answers_once_and_is_gone(tmp_path: Path) -> None:
    silent = f"{{facts: {FACTS}, temper: silent, opening: I need help}}"
    end = "end: {after: silent, within: 0, reason: no_response}"
    [run] = play(tmp_path, silent, end, [NAME, PHONE])
    assert said(run)[-1] == "[falls silent]"
    assert (run.verdict, run.window, run.ended_by) == ("on_time", (3, 3), "silence")
    [run] = play(tmp_path, silent, end, [NAME, COMPLETE])
    assert run.verdict == "premature"


def test_a_silent_caller_with_nothing_to_tell_is_gone_after_the_opening() -> None:
    caller = mind("silent")
    assert caller.next(Heard()).words
    assert caller.next(asks("full_name")).milestones == ("silent",)


@pytest.mark.parametrize(("temper", "occasion"), [("hesitant", "hesitate"), ("chatty", "chat")])
def test_hesitating_and_chatting_put_an_answer_off_but_not_for_good(temper: Temper, occasion: str) -> None:
    strayed = 0
    for seed in range(20):
        caller = mind(temper, random.Random(seed), full_name="Dana Levi")
        caller.next(Heard())
        first, second = caller.next(asks("full_name")).words, caller.next(Heard()).words
        assert "Dana Levi" in first or "Dana Levi" in second, occasion
        strayed += "Dana Levi" not in first
    assert 3 <= strayed <= 15


def test_a_hesitant_caller_takes_longer_than_a_curt_one(tmp_path: Path) -> None:
    def seconds(temper: str) -> float:
        caller = f"{{facts: {FACTS}, temper: {temper}, opening: I need help}}"
        [run] = play(tmp_path, caller, GOODBYE, [NAME, PHONE, MORE, COMPLETE])
        entries = record_of(tmp_path, run).entries
        return entries[-1].t

    assert seconds("hesitant") > seconds("curt") + 2


# --- always ---------------------------------------------------------------------------------------
BOTS = st.lists(
    st.sampled_from(
        [
            "",
            "Right.",
            "May I have your name?",
            "What is your phone number? And when would you like us to come?",
            "Is that correct?",
            "Anything else?",
            "How can I help?",
            "Do you like jazz?",
            "Please tell me whether it is carpets or sofas.",
            "Goodbye!",
        ]
    ),
    min_size=1,
    max_size=12,
)
SPECS = st.fixed_dictionaries(
    {
        "facts": st.dictionaries(
            st.sampled_from(["full_name", "phone", "service", "time", "notes"]),
            st.lists(st.sampled_from(["Dana", "054-111-2233", "carpets", "noon"]), min_size=1, max_size=3),
            min_size=1,
        ),
        "temper": st.sampled_from(TEMPERS),
        "max_turns": st.integers(2, 10),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=SPECS, words=BOTS, seed=st.integers(0, 5))
def test_whatever_a_bot_says_the_call_comes_to_an_end_and_runs_the_same_again(
    tmp_path: Path, spec: dict[str, Any], words: list[str], seed: int
) -> None:
    caller = yaml.safe_dump(spec, default_flow_style=True, width=10_000).strip()
    replies = [reply(text) for text in words]
    [run] = play(tmp_path, caller, "end: open", replies, callers=Callers(seed=seed))
    first = record_of(tmp_path, run).entries
    assert run.ended_by in ("caller", "silence")
    turns = [turn.n for turn in run.turns if turn.n]
    assert turns == list(range(1, len(turns) + 1))
    assert len(turns) <= spec["max_turns"]
    [again] = play(tmp_path, caller, "end: open", replies, callers=Callers(seed=seed))
    assert record_of(tmp_path, again).entries == first


def test_attempts_and_seeds_vary_what_a_caller_says(tmp_path: Path) -> None:
    caller = f"{{facts: {FACTS}, temper: chatty}}"
    bot = [NAME, PHONE, MORE, MORE, MORE, COMPLETE]
    attempts = play(tmp_path, caller, GOODBYE, bot, attempts=6)
    assert len({tuple(said(run)) for run in attempts}) > 2
    others = play(tmp_path, caller, GOODBYE, bot, attempts=6, callers=Callers(seed=9))
    assert [said(run) for run in others] != [said(run) for run in attempts]


@pytest.mark.parametrize("temper", TEMPERS)
def test_the_offline_model_understands_every_temper(tmp_path: Path, temper: str) -> None:
    caller = f"{{facts: {FACTS}, temper: {temper}, max_turns: 20, opening: I need a couch cleaned}}"
    business = shop()
    runs = play(tmp_path, caller, "end: open", OfflineModel(), business=business, attempts=5)
    reason = "no_response" if temper == "silent" else "lead_complete"
    assert {run.wanted_reason for run in runs} == {reason}


# --- what is wrong ----------------------------------------------------------------------------------
def test_facts_are_fields_of_the_business_and_enough_for_the_milestone(tmp_path: Path) -> None:
    path = tmp_path / "call.yaml"
    path.write_text(
        "name: x\nbusiness: shop\ncaller:\n  facts:\n    fon: 05\n    full_name: Dana\n"
        "expect:\n  end: {after: lead_complete, within: 1, before: {captured: emal}}\n",
        encoding="utf-8",
    )
    [scenario] = read_scenarios([path])
    problems = [f"{p.line}: {p.key}: {p.message}" for p in check_against(scenario, shop())]
    known = "known: full_name, phone, service, time, notes"
    assert problems == [
        f'8: expect.end.before.captured: "emal" is not a field of shop; {known}',
        f'5: caller.facts.fon: "fon" is not a field of shop; {known}',
        "4: caller.facts: lacks phone, which shop requires: lead_complete would never come",
    ]
