"""``callbot score``: endings observed elsewhere, judged without a model, a business or a migration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cli import callbot
from statsmodels.stats.proportion import proportion_confint
from transcript_samples import TURNS, call, write_calls

from callbot.errors import InvalidInput
from callbot.evals.judging import run_report
from callbot.evals.observed import observed_record, observed_scenarios
from callbot.schemas import report_schema


def verdict(folder: Path, within: int = 0, turns: list[tuple[str, str]] | None = None, **keys: Any) -> str:
    """The verdict on one observed call."""
    path = write_calls(folder / "calls.jsonl", call("a", turns, **keys))
    [scenario] = observed_scenarios(path, within)
    assert scenario.transcript is not None
    return run_report(scenario, 1, observed_record(scenario.transcript), Path("r")).verdict


@pytest.mark.parametrize(
    ("true_end", "observed", "expected"),
    [
        (5, {"end_turn": 5}, "on_time"),
        (3, {"end_turn": 4}, "on_time"),  # the bot's turn that answered it
        (5, {"end_turn": 4}, "premature"),
        (3, {"end_turn": 5, "by": "silence"}, "late"),
        (5, {"end_turn": None}, "never"),
        (5, {"end_turn": 4, "by": "caller"}, "off_script"),  # the bot could not answer the last turn
        (3, {"end_turn": 5, "by": "caller"}, "never"),  # it could, and did not end
        (3, {"end_turn": 5, "by": "failure"}, "never"),
        (None, {"end_turn": None}, "open"),
        (None, {"end_turn": 5, "by": "caller"}, "open"),
        (None, {"end_turn": 2}, "premature"),
        (5, {"end_turn": 0}, "premature"),  # it never let the caller speak
    ],
)
def test_verdicts(tmp_path: Path, true_end: int | None, observed: dict[str, Any], expected: str) -> None:
    """An end is a request in reply to the caller turn before it; only the bot's own count."""
    assert verdict(tmp_path, end_turn=true_end, observed=observed) == expected


@pytest.mark.parametrize(
    ("right", "observed", "expected"),
    [
        ("lead_complete", {"reason": "lead_complete"}, "on_time"),
        (["a", "b"], {"reason": "b"}, "on_time"),
        ("lead_complete", {"reason": "human"}, "wrong_reason"),
        ("lead_complete", {}, "on_time"),  # what nobody wrote down is not wrong
        ("lead_complete", {"by": "silence"}, "wrong_reason"),
        ("no_response", {"by": "silence"}, "on_time"),
        ([], {"reason": "human"}, "on_time"),
    ],
)
def test_reasons(tmp_path: Path, right: Any, observed: dict[str, Any], expected: str) -> None:
    """A reason is judged where one was observed and one is expected."""
    keys = {"end_turn": 5, "end_reason": right, "observed": {"end_turn": 5, **observed}}
    assert verdict(tmp_path, **keys) == expected


def test_within(tmp_path: Path) -> None:
    """Turns of the caller's after the true end."""
    keys = {"end_turn": 3, "observed": {"end_turn": 5}}
    assert verdict(tmp_path, **keys) == "late"
    assert verdict(tmp_path, within=1, **keys) == "on_time"


def many() -> list[dict[str, Any]]:
    """20 calls: 12 right, 3 premature, 2 late by two turns, 2 never, 1 left by its caller."""
    longer = [*TURNS, ("bot", "Bye"), ("caller", "bye"), ("bot", "Bye bye"), ("caller", "bye then")]
    ends: list[dict[str, Any]] = [{"end_turn": 5}] * 12 + [{"end_turn": 2}] * 3 + [{"end_turn": 9}] * 2
    ends += [{"end_turn": None}] * 2
    calls = [call(f"c{n}", longer, end_turn=5, observed=end) for n, end in enumerate(ends)]
    return [*calls, call("left", end_turn=5, observed={"end_turn": 5, "by": "caller"})]


def test_the_command_counts_writes_and_exits(tmp_path: Path) -> None:
    """Rates with Wilson intervals, a report that everything else reads, and the gate's exit code."""
    write_calls(tmp_path / "calls.jsonl", *many())
    done = callbot(
        *("score", "calls.jsonl", "--json", "r.json", "--junit", "j.xml", "--markdown", "m.md"),
        *("--fail-under", "precision>=0.75", "--fail-under", "recall>=0.8"),
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    assert "20 calls: 12 on time, 3 premature, 2 late, 2 never, 1 off script" in done.stdout
    assert "asked to end in turn 1; it should have been turn 3" in done.stdout, "nobody says why it ended"
    assert "gate holds: precision>=0.75" in done.stdout
    assert "gate fails: recall>=0.8 (recall is 0.750)" in done.stdout
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(report_schema()).validate(report)
    expected = {"precision": (12, 15), "recall": (12, 16), "premature": (3, 19), "late": (2, 19)}
    for name, (part, whole) in expected.items():
        rate = report["observed"]["rates"][name]
        low, high = proportion_confint(part, whole, method="wilson")
        assert (rate["value"], rate["low"], rate["high"]) == pytest.approx((part / whole, low, high))
    assert report["observed"]["turns_late"] == 2
    [folder] = tmp_path.glob("reports/*")
    assert {path.name for path in folder.iterdir()} >= {"report.json", "report.html", "records"}
    assert len(list((folder / "records").iterdir())) == 20


def test_without_a_condition_it_measures(tmp_path: Path) -> None:
    """Real calls always end wrongly somewhere: exit code 0, and no gate is claimed."""
    write_calls(tmp_path / "calls.jsonl", *many())
    done = callbot("score", "calls.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no condition was set" in done.stdout


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"observed": {"end_turn": 5}}, "calls.jsonl:1: end_turn: is missing"),
        ({"end_turn": 5}, "calls.jsonl:1: observed: is missing: how the call ended"),
        ({"end_turn": 5, "observed": {"end_turn": 6}}, "observed.end_turn: 6 lies behind the last turn"),
        (
            {"end_turn": 5, "observed": {"end_turn": 5, "by": "me"}},
            "1: observed.by: must be 'bot', 'silence', 'caller'",
        ),
    ],
)
def test_bad_input(tmp_path: Path, keys: dict[str, Any], expected: str) -> None:
    """The line, the key, and what to do."""
    path = write_calls(tmp_path / "calls.jsonl", call(**keys))
    with pytest.raises(InvalidInput) as raised:
        observed_scenarios(path)
    assert expected in str(raised.value)


def test_bad_usage_leaves_no_report(tmp_path: Path) -> None:
    """Exit code 2; a gate that so few calls cannot reach says how many could."""
    write_calls(tmp_path / "calls.jsonl", call(end_turn=5, observed={"end_turn": 5}))
    done = callbot("score", "calls.jsonl", "--fail-under", "recall.low>=0.9", cwd=tmp_path)
    assert done.returncode == 2
    assert "needs at least 35 scenarios" in done.stderr
    assert not (tmp_path / "reports").exists()
