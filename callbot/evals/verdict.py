"""The verdict on one run: did the model want the call to end when it should, for the right reason?"""

from __future__ import annotations

from callbot.evals.oracle import EndExpect, Expect
from callbot.evals.outcome import EndRequest, Outcome
from callbot.evals.report import Verdict


def verdict_of(outcome: Outcome, expect: Expect) -> tuple[Verdict, str]:
    """The verdict on what the model wanted, and one sentence that explains it.

    A caller who hears goodbye leaves even if the guard refuses, so the first request counts: a wrong
    one stays wrong, whatever the provider or the caller does afterwards.
    """
    request = outcome.first_request
    verdict, why = _judged(request, outcome, expect)
    if request is not None and verdict != "on_time":
        return verdict, why
    if outcome.provider_error is not None:
        return "infra", f"the provider failed: {outcome.provider_error}"
    if outcome.caller_fault is not None:
        return "infra", f"the caller was not played well: {outcome.caller_fault}"
    if outcome.off_script is not None:
        return "off_script", outcome.off_script
    if verdict == "on_time" and request is not None and request.refused is not None:
        return "refused", f"asked to end in turn {request.turn}, but the guard refused: {request.refused}"
    return verdict, why


def call_verdict_of(outcome: Outcome, expect: Expect) -> Verdict:
    """The verdict on what the call did, guard included."""
    if outcome.provider_error is not None or outcome.caller_fault is not None:
        return "infra"
    ended = None
    if outcome.ended_by in ("model", "silence", "failure", "limit") and outcome.ended_turn is not None:
        ended = EndRequest(outcome.ended_turn, outcome.end_reason)
    return _judged(ended, outcome, expect)[0]


def window_of(outcome: Outcome, expect: Expect) -> tuple[int, int] | None:
    """First and last turn in which the end was due on this call; None if in none (so far).

    A window after a milestone opens with the later of the turn in which the milestone came and the
    turns in which the fields of ``before.captured`` were first captured, and closes ``within`` turns
    after it opened.
    """
    end = expect.end
    if end is None:
        return None
    if end.turns is not None:
        return end.turns[0], end.turns[1]
    opens = [outcome.milestones.get(end.after or "")]
    opens.extend(outcome.captured.get(name) for name in (end.before.captured if end.before else ()))
    came = [turn for turn in opens if turn is not None]
    if len(came) < len(opens):
        return None
    return max(came), max(came) + (end.within or 0)


def _judged(request: EndRequest | None, outcome: Outcome, expect: Expect) -> tuple[Verdict, str]:
    if expect.end is None:
        if request is None:
            return "open", ""
        return "premature", f"{_asked(request)}; it should stay open"
    window = window_of(outcome, expect)
    due = _due(window, outcome, expect.end)
    if request is None:
        return "never", f"never asked to end; it should have {'in ' if window else ''}{due}"
    asked = _asked(request)
    if window is None or request.turn < window[0]:
        return "premature", f"{asked}; it should have been {due}"
    if request.turn > window[1]:
        return "late", f"{asked}; it should have been {due}"
    if expect.end.reason and request.reason not in expect.end.reason:
        return "wrong_reason", f"{asked}; the reason should be {' or '.join(expect.end.reason)}"
    return "on_time", ""


def _asked(request: EndRequest) -> str:
    reason = f" ({request.reason})" if request.reason else ""
    return f"asked to end{reason} in turn {request.turn}"


def _due(window: tuple[int, int] | None, outcome: Outcome, end: EndExpect) -> str:
    """When the end was due: turns, or after what."""
    if window is None:
        lacking = [n for n in (end.before.captured if end.before else ()) if n not in outcome.captured]
        if end.after not in outcome.milestones:
            return f"after {end.after}, which had not come"
        return f"after {end.after} and not without {' and '.join(lacking)}, which had not come"
    first, last = window
    where = f"turn {first}" if first == last else f"turns {first}-{last}"
    if end.after is not None:
        where += f", after {end.after} in turn {outcome.milestones[end.after]}"
        late = [n for n in (end.before.captured if end.before else ()) if outcome.captured[n] == first]
        where += (
            f" and not before {' and '.join(late)}" if late and first > outcome.milestones[end.after] else ""
        )
    return where
