"""What a run costs: by the price table, estimated before, limited while, added up after."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from eval_project import EvalProject, evals, polite
from hypothesis import given
from hypothesis import strategies as st
from openai_server import OpenAIServer, Reply, reply_json

from callbot.config import load_settings
from callbot.errors import CallbotError
from callbot.evals.cost import estimated_cost
from callbot.prices import Price

__all__ = ["evals"]


def priced(evals: EvalProject, server: OpenAIServer, **price: float) -> None:
    """A price table for the server's model."""
    table = "\n".join(f"{name} = {value}" for name, value in price.items())
    evals.write("callbot.toml", f'[prices."openai:m@{server.base_url}"]\n{table}\n')


def test_a_run_is_added_up_by_the_price_table(evals: EvalProject) -> None:
    """1,000 tokens in and 200 out an answer, at 2 and 10 a million: 0.004 each, three of them."""
    with OpenAIServer(respond=polite) as server:
        priced(evals, server, input=2, output=10)
        done = evals.eval(server)
    assert done.returncode == 0
    assert re.search(r"Cost: about 0\.\d{4} USD \(estimated from the prompts' lengths\)\n", done.stdout)
    assert "0.0120 USD" in done.stdout
    report = evals.report()
    assert report["summary"]["cost"] == pytest.approx(0.012)
    assert (report["run"]["currency"], report["run"]["spent"]) == ("USD", pytest.approx(0.012))
    assert [row["runs"][0]["cost"] for row in report["scenarios"]] == pytest.approx([0.008, 0.004])


def test_cached_tokens_are_cheaper(evals: EvalProject) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    text = json.dumps(reply_json("Yes."))
    chunks = [
        f'{{"choices": [{{"index": 0, "delta": {{"content": {text}}}, "finish_reason": "stop"}}]}}',
        json.dumps({"choices": [], "usage": usage}),
        "[DONE]",
    ]
    raw = "".join(f"data: {chunk}\n\n" for chunk in chunks).encode()
    with OpenAIServer(respond=lambda _body: Reply(raw=raw)) as server:
        priced(evals, server, input=10, cached_input=1, output=0)
        evals.eval(server, "-k", "asks")
    assert evals.report()["summary"]["tokens"] == {"input": 1000, "output": 200, "cached": 600}
    assert evals.report()["summary"]["cost"] == pytest.approx((400 * 10 + 600 * 1) / 1e6)


def test_what_a_cassette_answers_has_its_cost_and_costs_nothing(evals: EvalProject) -> None:
    with OpenAIServer(respond=polite) as server:
        priced(evals, server, input=2, output=10)
        evals.eval(server, "--cassette", "write:tape.jsonl")
    done = evals.eval(None, "--cassette", "read:tape.jsonl")
    assert "0.0120 USD, of which spent now 0.0000" in done.stdout
    assert evals.report()["summary"]["cost"] == pytest.approx(0.012)
    assert evals.report()["run"]["spent"] == 0


def test_no_more_is_asked_once_the_limit_is_spent(evals: EvalProject) -> None:
    """After the third answer 0.012 are spent: no fourth is asked for, and what ran is kept."""
    with OpenAIServer(respond=polite) as server:
        priced(evals, server, input=2, output=10)
        done = evals.eval(server, "--max-cost", "0.01", "--repeat", "3", "--concurrency", "1", "-k", "asks")
        assert done.returncode == 0, "nine thousandths were enough"
        server.requests.clear()
        done = evals.eval(server, "--max-cost", "0.01", "--repeat", "6", "--concurrency", "1", "-k", "asks")
        assert len(server.requests) == 3
    assert done.returncode == 2
    assert done.stderr == "Error: --max-cost 0.01 was reached (0.012 spent); what ran is kept\n"
    report = evals.report()
    assert len(report["scenarios"][0]["runs"]) == 3
    assert report["run"]["stopped_by"].startswith("--max-cost")


def test_a_model_without_a_price(evals: EvalProject) -> None:
    """The report says so; a limit is refused, for it could not be kept."""
    with OpenAIServer(respond=polite) as server:
        done = evals.eval(server)
        name = f"openai:m@{server.base_url}"
        assert f'Cost: not known, for callbot.toml has no [prices."{name}"]' in done.stdout
        assert evals.report()["summary"]["cost"] is None
        evals.write("callbot.toml", f'[prices."{name}x"]\ninput = 1\noutput = 1\n')
        asked = len(server.requests)
        done = evals.eval(server, "--max-cost", "1")
        assert (done.returncode, len(server.requests)) == (2, asked)
    assert (
        f'--max-cost needs the price of {name}; there is one of "{name}x"; add [prices."{name}"]'
        in done.stderr
    )
    assert "Cost" not in evals.eval("offline").stdout, "which is free"


def test_answers_without_token_counts_have_no_known_cost(evals: EvalProject) -> None:
    with OpenAIServer(respond=lambda body: Reply(polite(body).text, tokens=(0, 0))) as server:
        priced(evals, server, input=2, output=10)
        assert evals.eval(server).returncode == 0
        assert evals.report()["summary"]["cost"] is None
        done = evals.eval(server, "--max-cost", "1")
    assert done.returncode == 2
    assert "--max-cost cannot be kept: the provider sends no token counts" in done.stderr


# --- the table ----------------------------------------------------------------------------------------
TABLES = {
    '[prices."openai:m"]\ninput = 1': "callbot.toml:1: prices.openai:m.output: is missing",
    '[prices."openai:m"]\ninput = 1\noutput = -2': "prices.openai:m.output: must be greater than or equal to 0; found -2",
    '[prices."openai:m"]\ninput = 1\noutput = "x"': "prices.openai:m.output: must be a valid number",
    '[prices."openai:m"]\ninput = 1\noutput = 2\ncached = 1': (
        "prices.openai:m.cached: unknown key; known keys: input, output, cached_input"
    ),
    "prices = 3": "callbot.toml:1: prices: must be a valid dictionary",
}


@pytest.mark.parametrize("table", TABLES)
def test_a_bad_table_is_named(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "callbot.toml").write_text(table)
    with pytest.raises(CallbotError) as caught:
        load_settings()
    assert TABLES[table] in str(caught.value)


def test_prices_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLBOT_PRICES", '{"openai:m": {"input": 1, "output": 4}}')
    monkeypatch.setenv("CALLBOT_CURRENCY", "ILS")
    settings = load_settings()
    assert (settings.prices["openai:m"], settings.currency) == (Price(input=1, output=4), "ILS")
    monkeypatch.setenv("CALLBOT_PRICES", "openai:m=1")
    with pytest.raises(CallbotError, match="CALLBOT_PRICES must be JSON such as"):
        load_settings()
    monkeypatch.setenv("CALLBOT_PRICES", '{"openai:m": {"input": 1}}')
    with pytest.raises(CallbotError, match=r"CALLBOT_PRICES: openai:m\.output: is missing"):
        load_settings()


TOKENS = st.integers(0, 10**9)
PRICES = st.floats(0, 1000)


@given(TOKENS, TOKENS, st.floats(0, 1), PRICES, PRICES, PRICES)
def test_a_price_is_a_rate(read: int, wrote: int, share: float, a: float, b: float, c: float) -> None:
    """Twice the tokens cost twice as much; caching changes nothing unless it has a price of its own."""
    cached = int(read * share)
    price = Price(input=a, output=b, cached_input=c)
    assert price.of(2 * read, 2 * wrote, 2 * cached) == pytest.approx(2 * price.of(read, wrote, cached))
    plain = Price(input=a, output=b)
    assert plain.of(read, wrote, cached) == pytest.approx(plain.of(read, wrote))
    assert plain.of(0, 0) == 0


def test_the_estimate_grows_with_what_is_sent(evals: EvalProject) -> None:
    """Every request carries the prompt again: a longer one, and a longer call, cost more."""
    price = Price(input=1, output=0)

    def estimate() -> float:
        from callbot.business import read_business
        from callbot.evals.scenario_files import read_scenarios

        scenarios = [each for each in read_scenarios([evals.folder / "scenarios"]) if each.name == "declines"]
        return estimated_cost(
            scenarios, {"shop": read_business(evals.folder / "prompts/shop.yaml")}, 1, price
        )

    short = estimate()
    evals.edit("prompts/shop.yaml", "You answer", "x" * 4000 + " You answer")
    long = estimate()
    assert long - short == pytest.approx(2 * 1000 / 1e6, rel=0.01), "1,000 tokens in each of two requests"
    evals.edit("scenarios/calls.yaml", "{say: hello}, ", "{say: hello}, {say: hello}, ")
    assert estimate() > 1.4 * long
