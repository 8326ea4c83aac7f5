"""What is counted beside the verdict, and calls that run on after a premature end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli import callbot
from openai_server import reply_json

BUSINESS = """\
id: shop
name: Shop
language: en
region: IL
greeting: {text: "Hello, this is the shop."}
fields: [{name: full_name, required: true}, {name: phone, type: phone, required: true}]
prompt: You answer the phone of {{ business.name }}.
"""
CALL = """\
name: order
business: shop
caller: {turns: [{say: hello}, {say: "dan levi"}, {say: "052 123 4567"}, {say: "no, thank you"}, {say: "bye"}]}
expect: {end: {turns: [4, 4], reason: lead_complete}}
"""
NAME, PHONE = {"full_name": "Dan Levi"}, {"phone": "+972521234567"}


def reply(words: str, end: str | None = None, missing: tuple[str, ...] = (), **lead: str) -> dict[str, Any]:
    """What a model answers."""
    status = {"lead_complete": "complete", "customer_declined": "declined"}.get(
        end or "", "in_progress" if missing else "complete"
    )
    text = reply_json(
        words, end=end, status=status, missing=missing, lead={**dict.fromkeys(("full_name", "phone")), **lead}
    )
    return json.loads(text)


BOTH, LAST = ("full_name", "phone"), ("phone",)
GO_ON = reply("What is your name?", missing=BOTH)
ASK_PHONE = reply("And your number?", missing=LAST, **NAME)
ANYTHING = reply("Anything else?", **PHONE)
GOODBYE = reply("Thank you, goodbye.", end="lead_complete")
GOOD = [GO_ON, ASK_PHONE, ANYTHING, GOODBYE]


def evaluate(folder: Path, replies: list[Any], *options: str, end: str = "") -> tuple[dict[str, Any], str]:
    """The report of one run with a model that gives these replies, and the screen."""
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts/shop.yaml").write_text(BUSINESS, encoding="utf-8")
    (folder / "call.yaml").write_text(
        CALL if not end else CALL.replace("{turns: [4, 4], reason: lead_complete}", end)
    )
    (folder / "replies.yaml").write_text(yaml.safe_dump(replies, allow_unicode=True), encoding="utf-8")
    done = callbot(
        *("eval", "call.yaml", "--model", "scripted:replies.yaml", "--json", "r.json", *options), cwd=folder
    )
    assert done.returncode in (0, 1), done.stderr
    return json.loads((folder / "r.json").read_text(encoding="utf-8")), done.stdout


def measures(report: dict[str, Any]) -> dict[str, Any]:
    return report["scenarios"][0]["runs"][0]["measures"]


def test_a_good_call_has_nothing_to_count(tmp_path):
    report, screen = evaluate(tmp_path, GOOD)
    assert report["scenarios"][0]["passed"]
    assert measures(report) == {
        "turns_late": None,
        "seconds_late": None,
        "drifts": 0,
        "contract_faults": 0,
        "guard_refusals": 0,
        "broken_invariants": [],
        "lost_fields": None,
        "lead_lost": False,
    }
    assert "faults" not in screen
    assert report["summary"]["totals"]["reasons"] == {"lead_complete": {"lead_complete": 1}}


@pytest.mark.parametrize(
    ("replies", "broken"),
    [
        ([*GOOD[:3], reply("Thank you, goodbye.")], "says goodbye in turn 4 without asking to end"),
        ([*GOOD[:3], reply("תודה, להתראות!")], "says goodbye in turn 4 without asking to end"),
        ([*GOOD[:3], reply("Shall I call you back?", end="lead_complete")], "ends in turn 4 while asking"),
        (
            [GO_ON, reply("Thank you, bye.", end="lead_complete", **NAME)],
            "ends in turn 2 as lead_complete with a field missing",
        ),
    ],
)
def test_what_no_good_bot_does(tmp_path, replies, broken):
    report, screen = evaluate(tmp_path, replies)
    assert broken in measures(report)["broken_invariants"]
    assert "no good bot does" in screen


def test_goodbye_in_passing_is_no_farewell(tmp_path):
    hello_goodbye = reply("You want a sign that says goodbye. What is your name?", missing=BOTH)
    assert measures(evaluate(tmp_path, [hello_goodbye, *GOOD[1:]])[0])["broken_invariants"] == []


def test_claims_and_refusals_are_counted(tmp_path):
    early = reply("Thank you, bye.", end="lead_complete", missing=(), **NAME)
    report, screen = evaluate(tmp_path, [GO_ON, early, *GOOD[2:]])
    assert measures(report)["guard_refusals"] == 1
    assert measures(report)["drifts"] >= 1
    assert report["summary"]["totals"]["guard_refusals"] == 1
    assert "1 request that the guard refused" in screen


def test_a_late_end_says_how_late(tmp_path):
    late = [GO_ON, ASK_PHONE, ANYTHING, reply("Anything else?"), GOODBYE]
    report, screen = evaluate(tmp_path, late, "--cost-per-minute", "6")
    found = measures(report)
    assert found["turns_late"] == 1
    # Two utterances, the pause between them, no time to think: told from the words' own lengths.
    assert 1.0 < found["seconds_late"] < 10.0
    assert report["summary"]["counterfactual"]["cost_wasted"] == pytest.approx(found["seconds_late"] / 10)
    assert "late by             1.0 turn on average" in screen


def test_never_is_late_to_the_end_of_the_call(tmp_path):
    found = measures(evaluate(tmp_path, [GO_ON, ASK_PHONE, ANYTHING, reply("Anything else?")])[0])
    assert found["turns_late"] == 1
    assert found["seconds_late"] > 1.0


EARLY = [
    GO_ON,
    reply("All right, goodbye.", end="customer_declined", missing=BOTH),
    ASK_PHONE,
    ANYTHING,
    GOODBYE,
]


def test_a_premature_end_ends_the_run(tmp_path):
    report, _ = evaluate(tmp_path, EARLY)
    run = report["scenarios"][0]["runs"][0]
    assert (run["verdict"], run["ended_by"], run["lead"]) == ("premature", "model", {})
    assert run["measures"]["lost_fields"] is None
    assert report["summary"]["counterfactual"] is None


def test_a_call_that_runs_on_shows_what_was_lost(tmp_path):
    # The replies come by question: the one to the farewell-that-was-not is the third.
    replies = [GO_ON, EARLY[1], reply("Noted, anything else?", **NAME, **PHONE), GOODBYE]
    report, screen = evaluate(tmp_path, replies, "--continue", "--value-of-lead", "50")
    run = report["scenarios"][0]["runs"][0]
    assert (run["verdict"], run["wanted_end"], run["wanted_reason"]) == ("premature", 2, "customer_declined")
    assert [turn["control"]["should_end_call"] for turn in run["turns"] if turn["control"]] == [
        False,
        True,
        False,
        True,
    ]
    assert sorted(run["measures"]["lost_fields"]) == ["full_name", "phone"]
    assert run["measures"]["lead_lost"]
    cost = report["summary"]["counterfactual"]
    assert (cost["leads_lost"], cost["value_lost"], cost["fields_lost"]) == (
        1,
        50.0,
        {"full_name": 1, "phone": 1},
    )
    assert "1 lead lost (worth 50.00)" in screen


def test_running_on_changes_nothing_of_a_call_that_ends_in_time(tmp_path):
    plain, _ = evaluate(tmp_path, GOOD)
    on, _ = evaluate(tmp_path, GOOD, "--continue")
    run, again = plain["scenarios"][0]["runs"][0], on["scenarios"][0]["runs"][0]
    assert run["verdict"] == again["verdict"] == "on_time"
    assert run["turns"] == again["turns"]
    assert on["summary"]["counterfactual"]["leads_lost"] == 0


def test_every_end_of_a_call_that_should_stay_open_is_taken_back(tmp_path):
    report, _ = evaluate(tmp_path, [EARLY[1]], "--continue", end="open")
    run = report["scenarios"][0]["runs"][0]
    assert (run["verdict"], run["ended_by"], len(run["turns"])) == ("premature", None, 5)


def test_leads_can_be_counted_only_on_calls_that_run_on(tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/shop.yaml").write_text(BUSINESS, encoding="utf-8")
    (tmp_path / "call.yaml").write_text(CALL, encoding="utf-8")
    done = callbot("eval", "call.yaml", "--model", "offline", "--value-of-lead", "5", cwd=tmp_path)
    assert done.returncode == 2
    assert "--value-of-lead needs --continue" in done.stderr


def test_a_reason_that_is_not_the_expected_one_is_named_with_it(tmp_path):
    report, screen = evaluate(tmp_path, [*GOOD[:3], reply("Thank you, goodbye.", end="customer_declined")])
    assert report["summary"]["totals"]["reasons"] == {"lead_complete": {"customer_declined": 1}}
    assert "reasons confused    1 customer_declined for lead_complete" in screen
