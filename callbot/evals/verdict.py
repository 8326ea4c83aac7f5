"""The verdict on one run: did the model want the call to end when it should, for the right reason?"""

from __future__ import annotations

from callbot.evals.outcome import EndRequest, Outcome
from callbot.evals.report import Verdict
from callbot.evals.scenario import Expect


def verdict_of(outcome: Outcome, expect: Expect) -> tuple[Verdict, str]:
    """The verdict on what the model wanted, and one sentence that explains it.

    A caller who hears goodbye leaves even if the guard refuses, so the first request counts: a wrong
    one stays wrong, whatever the provider or the script does afterwards.
    """
    request = outcome.first_request
    verdict, why = _judged(request, expect)
    if request is not None and verdict != "on_time":
        return verdict, why
    if outcome.provider_error is not None:
        return "infra", f"the provider failed: {outcome.provider_error}"
    if outcome.off_script is not None:
        return "off_script", outcome.off_script
    if verdict == "on_time" and request is not None and request.refused is not None:
        return "refused", f"asked to end in turn {request.turn}, but the guard refused: {request.refused}"
    return verdict, why


def call_verdict_of(outcome: Outcome, expect: Expect) -> Verdict:
    """The verdict on what the call did, guard included."""
    if outcome.provider_error is not None:
        return "infra"
    ended = None
    if outcome.ended_by in ("model", "silence", "failure", "limit") and outcome.ended_turn is not None:
        ended = EndRequest(outcome.ended_turn, outcome.end_reason)
    return _judged(ended, expect)[0]


def _judged(request: EndRequest | None, expect: Expect) -> tuple[Verdict, str]:
    if expect.end is None:
        if request is None:
            return "open", ""
        return "premature", f"asked to end ({request.reason}) in turn {request.turn}; it should stay open"
    first, last = expect.end.turns
    window = f"turn {first}" if first == last else f"turns {first}-{last}"
    if request is None:
        return "never", f"never asked to end; it should have in {window}"
    asked = f"asked to end ({request.reason}) in turn {request.turn}"
    if request.turn < first:
        return "premature", f"{asked}; it should have been {window}"
    if request.turn > last:
        return "late", f"{asked}; it should have been {window}"
    if expect.end.reason and request.reason not in expect.end.reason:
        return "wrong_reason", f"{asked}; the reason should be {' or '.join(expect.end.reason)}"
    return "on_time", ""
