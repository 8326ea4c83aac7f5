"""What a run will cost, before it starts: an estimate from the lengths of prompts and scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from callbot.business import Business
from callbot.evals.budget import planned_requests
from callbot.evals.opinions import PROMPT, schema_for
from callbot.evals.scenario import Scenario
from callbot.prices import Price
from callbot.prompting import render_prompt
from callbot.reply import reply_schema

BYTES_A_TOKEN = 4
"""Of UTF-8: four letters of English, two of Hebrew. Tokenizers differ; so this is a rule of thumb."""

REPLY_TOKENS = 130
"""A typical reply object: a sentence or two, the control, five fields."""


SPOKEN_TOKENS = 40
"""Of a typical reply: what is spoken."""

OPINION_TOKENS = 60
"""A judge's reason and answer, on one line."""


def estimated_cost(
    scenarios: Sequence[Scenario], businesses: Mapping[str, Business], repeat: int, price: Price
) -> float:
    """What the planned requests cost if every reply is a typical one and nothing is cached."""
    return repeat * sum(
        price.of(*_tokens(scenario, businesses[scenario.business], businesses)) for scenario in scenarios
    )


def estimated_judging(
    scenarios: Sequence[Scenario], businesses: Mapping[str, Business], price: Price
) -> float:
    """What judging one attempt at each of these costs: its transcript and its lines, once."""
    return sum(
        price.of(*_judging_tokens(each, businesses[each.business])) for each in scenarios if each.expect.judge
    )


def _judging_tokens(scenario: Scenario, business: Business) -> tuple[int, int]:
    lines = scenario.expect.judge
    said = sum(len((turn.say or "").encode()) for turn in scenario.turns)
    told = len(json.dumps([PROMPT, dict(business.facts), schema_for(len(lines)), *lines]).encode()) + said
    replies = planned_requests([scenario], {business.id: business}, 1) * SPOKEN_TOKENS
    return told // BYTES_A_TOKEN + replies, OPINION_TOKENS * len(lines)


def _tokens(scenario: Scenario, business: Business, businesses: Mapping[str, Business]) -> tuple[int, int]:
    """Input and output tokens of a call: every request carries the prompt, the schema and all that was said."""
    requests = planned_requests([scenario], businesses, 1)
    prompt = render_prompt(business, scenario.now, scenario.caller_number)
    fixed = len((prompt + json.dumps(reply_schema(business), ensure_ascii=False)).encode()) // BYTES_A_TOKEN
    words = [len((turn.say or "").encode()) // BYTES_A_TOKEN for turn in scenario.turns]
    a_turn = sum(words) // max(len(words), 1) + REPLY_TOKENS
    said_before = a_turn * requests * (requests - 1) // 2
    return requests * fixed + sum(words) + said_before, requests * REPLY_TOKENS
