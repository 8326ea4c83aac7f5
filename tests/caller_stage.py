"""Runs scenarios of any caller through the real engine, with a scripted or the embedded model as the bot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from callbot.business import Business
from callbot.evals.budget import Budget
from callbot.evals.callers import Callers
from callbot.evals.opinions import Judge
from callbot.evals.report import RunReport
from callbot.evals.runner import Attempt, Results, Runner
from callbot.evals.scenario_files import read_scenarios
from callbot.models.base import Model
from callbot.models.scripted import ScriptedModel
from callbot.record import Record, read_record
from callbot.rehearsal.studio import Studio

SHOP: dict[str, Any] = {
    "id": "shop",
    "name": "Shop",
    "language": "en",
    "region": "IL",
    "greeting": {"text": "Hello, this is the shop, how can I help?", "mode": "play"},
    "fields": [
        {"name": "full_name", "label": "full name", "required": True, "ask": "Who am I talking to?"},
        {"name": "phone", "type": "phone", "label": "phone", "required": True},
        {"name": "service", "type": "choice", "choices": {"carpets": ["rug"], "sofas": ["couch"]}},
        {"name": "time", "type": "time", "label": "preferred time"},
        {"name": "notes"},
    ],
    "end_reasons": [{"name": "wrong_number", "when": "wrong number"}],
    "prompt": "Hi",
}


def shop(**changes: Any) -> Business:
    """A small business; keys given replace its own."""
    return Business.model_validate(SHOP | changes)


def reply(
    words: str, end: str | None = None, *, status: str = "in_progress", lead: dict[str, str] | None = None
) -> dict[str, Any]:
    """A reply of the scripted model."""
    control = {
        "should_end_call": end is not None,
        "end_reason": end,
        "lead_status": status,
        "missing_fields": [],
        "notes": "",
    }
    return {"spoken_reply": words, "control": control, "lead": lead or {}}


LEAD = {"full_name": "Dana Levi", "phone": "054-111-2233"}
COMPLETE = reply("Thank you, goodbye.", "lead_complete", status="complete", lead=LEAD)
DECLINED = reply("That is fine, goodbye.", "customer_declined", status="declined")


def scripted(folder: Path, replies: Sequence[Any], name: str = "replies.yaml") -> ScriptedModel:
    """A model that gives these replies, one a question."""
    path = folder / name
    path.write_text(yaml.safe_dump(list(replies), allow_unicode=True), encoding="utf-8")
    return ScriptedModel(path)


def play(
    folder: Path,
    caller: str,
    expect: str,
    model: Model | Sequence[Any],
    *,
    business: Business | None = None,
    attempts: int = 1,
    callers: Callers | None = None,
    stage: Studio | None = None,
    judge: Judge | None = None,
) -> list[RunReport]:
    """The reports of attempts at one scenario, its caller and oracle written as YAML."""
    path = folder / "call.yaml"
    path.write_text(f"name: call\nbusiness: shop\ncaller: {caller}\nexpect: {{{expect}}}\n", encoding="utf-8")
    [scenario] = read_scenarios([path])
    bot = scripted(folder, model) if isinstance(model, list) else model
    runner = Runner(
        bot,  # type: ignore[arg-type]
        folder,
        budget=Budget(),
        on_finished=lambda scenario, run: None,
        callers=callers,
        stage=stage,
        judge=judge,
    )
    todo = [Attempt(scenario, business or shop(), number + 1) for number in range(attempts)]

    async def run() -> Results:
        try:
            return await runner.run(todo, 1)
        finally:
            if stage is not None:
                await stage.close()

    results = asyncio.run(run())
    if results.stopped_by is not None:
        raise results.stopped_by
    return results.runs["call"]


def said(run: RunReport) -> list[str]:
    """What the caller did, turn by turn."""
    return [turn.caller for turn in run.turns if turn.n]


def record_of(folder: Path, run: RunReport) -> Record:
    """The Record of a run."""
    return read_record(folder / run.record)
