"""``callbot hazard``: how often a model wants to end, turn by turn, against a real server."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli import callbot
from openai_server import OpenAIServer, Refuse, Reply, reply_json

BUSINESS = """\
id: shop
name: Shop
language: en
greeting: {text: "Hello, this is the shop."}
fields: [{name: full_name, required: true}]
prompt: You answer the phone of {{ business.name }}.
"""
CALL = """\
name: order
business: shop
caller: {turns: [{say: hello}, {say: "no need"}, {say: "dan levi"}, {say: "that is all"}]}
expect: {end: {turns: [4, 4], reason: lead_complete}}
"""
TRANSCRIPT = {
    "id": "real",
    "turns": [
        {"speaker": "bot", "text": "Hello, this is the shop."},
        {"speaker": "caller", "text": "hello"},
        {"speaker": "bot", "text": "How can I help?"},
        {"speaker": "caller", "text": "no need"},
        {"speaker": "bot", "text": "Fine, goodbye."},
    ],
    "end_turn": 3,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/shop.yaml").write_text(BUSINESS, encoding="utf-8")
    (tmp_path / "call.yaml").write_text(CALL, encoding="utf-8")
    (tmp_path / "real.jsonl").write_text(json.dumps(TRANSCRIPT) + "\n", encoding="utf-8")
    (tmp_path / "real.yaml").write_text(
        "name: real\nbusiness: shop\ntranscripts: real.jsonl\n", encoding="utf-8"
    )
    return tmp_path


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Wants to end at every third "no need", and whenever that is all."""
    asked: Counter[str] = Counter()

    def answer(body: dict[str, Any]) -> Reply:
        said = body["messages"][-1]["content"]
        asked[said] += 1
        if said == "that is all":
            return Reply(
                reply_json(
                    "Thank you, bye.", end="lead_complete", status="complete", lead={"full_name": "Dan"}
                )
            )
        if said == "no need" and asked[said] % 3 == 1:
            return Reply(reply_json("Bye.", end="customer_declined", status="declined"))
        return Reply(reply_json("Yes, go on.", lead={"full_name": "Dan"} if "dan" in said else None))

    with OpenAIServer(respond=answer) as running:
        yield running


def hazard(folder: Path, server: OpenAIServer, *options: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, screen, and the curves of the report."""
    done = callbot(
        *(
            "hazard",
            *options,
            "--model",
            f"openai:m@{server.base_url}",
            "--json",
            "r.json",
            "--concurrency",
            "1",
        ),
        cwd=folder,
        env={"OPENAI_API_KEY": "k"},
    )
    written = folder / "r.json"
    curves = json.loads(written.read_text(encoding="utf-8"))["hazards"] if written.exists() else []
    return done.returncode, done.stdout + done.stderr, curves


def test_a_curve_counts_every_sample_of_every_turn(folder, server):
    code, screen, [curve] = hazard(folder, server, "call.yaml", "--samples", "6")
    assert code == 0, screen
    assert curve["window"] == [4, 4]
    points = {point["turn"]: (point["wanted"], point["answered"]) for point in curve["points"]}
    # The reference call asked once first, and was taken back: the samples begin at the second asking.
    assert points == {1: (0, 6), 2: (2, 6), 3: (0, 6), 4: (6, 6)}
    second = curve["points"][1]
    assert second["reasons"] == {"customer_declined": 2}
    assert second["rate"]["low"] < 1 / 3 < second["rate"]["high"]
    assert 'first wants to end in turn 2 (33.3%: customer_declined 2), at "no need"' in screen
    assert "passed" not in screen, "answers are counted, not judged"


def test_samples_differ_in_their_seeds_and_in_nothing_else(folder, server):
    hazard(folder, server, "call.yaml", "--samples", "3", "--seed", "7")
    # The last turn of the last question is put three times.
    bodies = [request.body for request in server.requests]
    last = [body for body in bodies if body["messages"][-1]["content"] == "dan levi"][-3:]
    assert sorted(body["seed"] for body in last) == [7, 8, 9]
    assert all({**body, "seed": 0} == {**last[0], "seed": 0} for body in last)


def test_the_prefixes_of_a_transcript_are_its_own(folder, server):
    code, screen, [curve] = hazard(folder, server, "real.yaml", "--samples", "2")
    assert code == 0, screen
    assert [point["caller"] for point in curve["points"]] == ["hello", "no need"]
    assert curve["window"] == [2, 2]
    assert any("How can I help?" in str(request.body["messages"]) for request in server.requests)


def test_the_curve_as_svg_and_in_the_report(folder, server):
    code, _, _ = hazard(folder, server, "call.yaml", "--samples", "2", "--svg", "curve.svg")
    assert code == 0
    root = ET.fromstring((folder / "curve.svg").read_text(encoding="utf-8"))
    titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any("turn 2: no need; " in title for title in titles)
    assert "the end is due here" in titles


def test_a_caller_s_words_cannot_break_the_svg(folder, server):
    hostile = '</title><script>alert("x")</script>'
    (folder / "call.yaml").write_text(CALL.replace('"no need"', json.dumps(hostile)), encoding="utf-8")
    hazard(folder, server, "call.yaml", "--samples", "1", "--svg", "curve.svg")
    text = (folder / "curve.svg").read_text(encoding="utf-8")
    assert "<script" not in text
    ET.fromstring(text)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["call.yaml", "--max-requests", "3"], "over --max-requests 3"),
        (["call.yaml", "real.yaml", "--svg", "x.svg"], "--svg draws one scenario; 2 are selected"),
        (["none.yaml"], "none.yaml"),
    ],
)
def test_bad_usage(folder, server, options, says):
    code, screen, _ = hazard(folder, server, *options)
    assert code == 2
    assert says in " ".join(screen.split())


def test_a_provider_that_answers_nothing(folder):
    with OpenAIServer(respond=lambda body: Refuse(500)) as broken:
        code, screen, [curve] = hazard(folder, broken, "call.yaml", "--samples", "2")
    assert code == 3
    assert all(point["answered"] == 0 for point in curve["points"])
    assert "the provider answered nothing" in screen
