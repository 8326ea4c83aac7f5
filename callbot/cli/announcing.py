"""What is said of an evaluation before it starts: its size, its cost, and what forbids it."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console

from callbot.cli.players import known_as
from callbot.errors import CallbotError
from callbot.evals.budget import planned_requests
from callbot.evals.cost import estimated_cost, estimated_judging
from callbot.evals.gate import refuse_unreachable
from callbot.evals.scenario import Scenario
from callbot.models.base import Model

if TYPE_CHECKING:
    from callbot.cli.evaluation import Evaluation


def announce(evaluation: Evaluation, model: Model, console: Console) -> int:
    """Say what will run; how many requests that is. Raises CallbotError for what limits or gates forbid."""
    selection = evaluation.selection
    for threshold in evaluation.thresholds:
        refuse_unreachable(
            threshold, selection.scenarios, repeat=evaluation.repeat, stop_early=evaluation.stop_early
        )
    if evaluation.stop_early and evaluation.repeat == 1:
        raise CallbotError("--stop-early needs --repeat 2 or more: one attempt decides nothing early")
    left = _attempts_left(evaluation)
    planned = sum(planned_requests([each], selection.businesses, n) for each, n in left)
    judged = _judged(evaluation, left)
    limit, asks = evaluation.max_requests, not (evaluation.cassette or "").startswith("read:")
    if limit is not None and asks and planned + judged > limit:
        raise CallbotError(
            f"this would make about {planned + judged} requests, over --max-requests {limit}; "
            "select fewer scenarios (-k, --tag, --business) or lower --repeat"
        )
    why = "" if evaluation.model_name else _why_default(model, asks=asks)
    runs = sum(n for _, n in left)
    size = f"{'up to ' if evaluation.stop_early else ''}{runs} run{'s' * (runs != 1)}, about {planned} request{'s' * (planned != 1)}"
    console.print(f"Model {model.name}{why}: {size}", markup=False, soft_wrap=True)
    if evaluation.cluster is not None:
        console.print(f"Cluster {evaluation.cluster}", markup=False, soft_wrap=True)
    if (earlier := evaluation.resumed) is not None:
        rest = f"{runs:,} left to run" if runs else "nothing is left to run"
        there = f"Going on with {earlier.folder}: {len(earlier.done):,} runs are there, {rest}"
        console.print(there, markup=False, soft_wrap=True)
    _announce_judge(evaluation, judged, console)
    if model.latency is None and asks:
        console.print(_money(evaluation, model), markup=False, soft_wrap=True)
    return planned


def _attempts_left(evaluation: Evaluation) -> list[tuple[Scenario, int]]:
    """How many attempts at each scenario are to be made; in a run gone on with, some were."""
    done = evaluation.resumed.done if evaluation.resumed else {}
    made = Counter(name for name, number in done if number <= evaluation.repeat)
    return [(each, evaluation.repeat - made[each.name]) for each in evaluation.selection.scenarios]


def _judged(evaluation: Evaluation, left: list[tuple[Scenario, int]]) -> int:
    """How many of the runs left will be put to a judge."""
    return sum(n for each, n in left if each.expect.judge) if evaluation.judge_model else 0


def _announce_judge(evaluation: Evaluation, judged: int, console: Console) -> None:
    """Say who judges, or that nobody does. Raises CallbotError for a limit of cost without the judge's price."""
    lines = sum(len(each.expect.judge) for each in evaluation.selection.scenarios)
    if not lines:
        return
    if evaluation.judge_model is None:
        none = f"{lines} judge: line{'s' * (lines != 1)} will not be judged: no --judge-model is named"
        console.print(none, markup=False, soft_wrap=True)
        return
    name = known_as(evaluation.judge_model)
    if evaluation.max_cost is not None and name not in evaluation.prices:
        raise CallbotError(
            f'--max-cost needs the price of the judge too; add [prices."{name}"] to callbot.toml'
        )
    console.print(f"Judge {name}: {judged} request{'s' * (judged != 1)}", markup=False, soft_wrap=True)


def _money(evaluation: Evaluation, model: Model) -> str:
    """What the run will cost, as far as that can be told. Raises CallbotError for a limit without a price."""
    price, limit = evaluation.prices.get(model.name), evaluation.max_cost
    if price is None:
        table = f'[prices."{model.name}"]'
        if limit is not None:
            near = difflib.get_close_matches(model.name, evaluation.prices, n=1)
            hint = f'; there is one of "{near[0]}"' if near else ""
            raise CallbotError(
                f"--max-cost needs the price of {model.name}{hint}; "
                f"add {table} with input = and output = (per million tokens) to callbot.toml"
            )
        return f"Cost: not known, for callbot.toml has no {table}"
    businesses = evaluation.selection.businesses
    estimate = sum(estimated_cost([each], businesses, n, price) for each, n in _attempts_left(evaluation))
    judge = evaluation.prices.get(known_as(evaluation.judge_model)) if evaluation.judge_model else None
    if judge is not None:
        left = _attempts_left(evaluation)
        estimate += sum(n * estimated_judging([each], businesses, judge) for each, n in left)
    most = f", and --max-cost {limit:g} stops it sooner" if limit is not None and estimate > limit else ""
    return f"Cost: about {estimate:.4f} {evaluation.currency} (estimated from the prompts' lengths){most}"


def _why_default(model: Model, *, asks: bool) -> str:
    if model.name == "offline":
        return " (embedded; no --model named and no OPENAI_API_KEY set)"
    return " (OPENAI_API_KEY is set)" if asks else " (the cassette's)"
