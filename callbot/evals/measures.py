"""What can be counted on one call beyond its verdict: small functions of what happened on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from callbot.ending import LEAD_COMPLETE
from callbot.evals.outcome import TAKEN_BACK, Outcome, TurnOutcome
from callbot.evals.report import Measures, Verdict
from callbot.record import Record

_FAREWELL = re.compile(
    r"\b(להתראות|ביי|שיהיה לך יום|שיהיה לכם יום|(יום|ערב|לילה|שבוע) (טוב|נעים)|goodbye|good-bye|bye|"
    r"have a (nice|good|great|lovely) (day|evening|night|one|weekend)|take care)\b",
    re.IGNORECASE,
)
"""How bots take leave. These phrases are counted in evaluation; they end nothing."""
_ASKS = re.compile(r"\?[\"'״׳”’)\]]*\s*$")


def measures_of(
    outcome: Outcome, record: Record, verdict: Verdict, window: tuple[int, int] | None
) -> Measures:
    """Count what happened. ``window``: the turns in which the end was due; None for none."""
    lost = lost_fields(outcome, record) if verdict == "premature" else None
    return Measures(
        turns_late=turns_late(outcome, verdict, window),
        seconds_late=seconds_late(outcome, verdict, window),
        drifts=outcome.drifts,
        contract_faults=outcome.contract_faults,
        guard_refusals=sum(request.refused is not None for request in outcome.requests),
        broken_invariants=[fault for invariant in INVARIANTS for fault in invariant(outcome)],
        lost_fields=lost,
        lead_lost=bool(lost) and outcome.lead_status == "complete",
    )


def turns_late(outcome: Outcome, verdict: Verdict, window: tuple[int, int] | None) -> int | None:
    """Turns between the last one in which the end was due and the request; to the call's last if none came."""
    if window is None or verdict not in ("late", "never"):
        return None
    request = outcome.first_request
    return (request.turn if request else outcome.turns[-1].n) - window[1]


def seconds_late(outcome: Outcome, verdict: Verdict, window: tuple[int, int] | None) -> float | None:
    """Seconds from the reply with which the call should have ended to the one that did, or to the end."""
    if window is None or verdict not in ("late", "never"):
        return None
    due = next((turn.decided_at for turn in outcome.turns if turn.n == window[1]), None)
    request = outcome.first_request
    came = next((turn.decided_at for turn in outcome.turns if request and turn.n == request.turn), None)
    if due is None:
        return None
    return max(0.0, (outcome.seconds if came is None else came) - due)


def lost_fields(outcome: Outcome, record: Record) -> list[str] | None:
    """Fields that were captured only after the first request to end; None if the call did not run on."""
    request = outcome.first_request
    if request is None or next(record.notes(TAKEN_BACK), None) is None:
        return None
    return [name for name, turn in outcome.captured.items() if turn > request.turn]


def goodbye_without_request(outcome: Outcome) -> Iterator[str]:
    """The bot takes leave and does not ask to end: the caller is left on a line where nobody speaks."""
    for turn in outcome.turns[1:]:
        stays = turn.controls and not any(control.should_end_call for control in turn.controls)
        if stays and _FAREWELL.search(_last_sentence(turn)):
            yield f"says goodbye in turn {turn.n} without asking to end"


def ends_while_asking(outcome: Outcome) -> Iterator[str]:
    """The bot asks something and asks to end in the same reply: nobody waits for the answer."""
    for turn in outcome.turns[1:]:
        ends = turn.controls and turn.controls[-1].should_end_call
        if ends and _ASKS.search(_last_sentence(turn)):
            yield f"ends in turn {turn.n} while asking"


def complete_with_missing(outcome: Outcome) -> Iterator[str]:
    """``lead_complete`` while a required field is not captured, or by its own account missing."""
    for turn in outcome.turns[1:]:
        for control in turn.controls:
            claimed = control.should_end_call and control.end_reason == LEAD_COMPLETE
            if claimed and (turn.guard is not None or control.missing_fields):
                yield f"ends in turn {turn.n} as lead_complete with a field missing"
                break


INVARIANTS: tuple[Callable[[Outcome], Iterator[str]], ...] = (
    goodbye_without_request,
    ends_while_asking,
    complete_with_missing,
)
"""What no good bot does, whatever the scenario expects."""


def _last_sentence(turn: TurnOutcome) -> str:
    """The model's: on a transcript the bot's words are somebody else's."""
    said = turn.answer or (turn.bot[-1] if turn.bot else "")
    return re.split(r"(?<=[.!?])\s+", said.strip())[-1]
