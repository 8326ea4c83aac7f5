"""When a call may end: the model's side of it. The engine's guard judges on its own."""

from __future__ import annotations

from callbot.events import LeadStatus
from callbot.models.offline.decision import (
    ABUSE_AFTER_WARNING,
    CLOSING,
    FEWEST_HITS,
    LEAVING,
    MOST_ABUSE,
    MOST_OF,
    PATIENCE,
    TALKS_ON,
    Decision,
    completed,
    declined,
)
from callbot.models.offline.phrases import lexicon
from callbot.models.offline.prepared import Reason, stop_words
from callbot.models.offline.state import REFUSING, State
from callbot.models.offline.taking import note_down
from callbot.models.offline.text import stems
from callbot.models.offline.understanding import Reading


def ending(state: State, turn: Reading) -> Decision | None:
    """The end of the call, if this turn asks for it."""
    acts = turn.acts
    if "injection" in acts:
        return None
    leaves = bool(acts & {"not_interested", "decline_firm"} and acts & {"bye", "thanks", "good_day"})
    gave = bool(state.new) or (turn.question and not leaves)
    if "wrong_number" in acts and not gave:
        if "phone" in {state.prepared.fields[n].kind for n in state.lead} or state.partial:
            return None
        return _end(state, declared(state, "wrong_number"), "wrong_number")
    if (
        not state.lead
        and not turn.question
        and "bye" in acts
        and "apology" in lexicon("ends").tags(turn.said)
    ):
        return _end(state, declared(state, "wrong_number"), "wrong_number")
    if own := _declared_reason(state, turn):
        return own
    if "decline_firm" in acts and not gave:
        return declined("firm refusal")
    if "not_interested" in acts and not gave and state.missing and not state.optional_asked:
        return declined("not interested")
    if state.soft_row >= PATIENCE and state.missing and not gave:
        return declined("soft refusals in a row")
    if state.abuses >= MOST_ABUSE and not gave and state.missing and "abuse" in acts:
        return declined("abuse")
    if (acts & LEAVING and not _goes_on(turn)) or ("good_day" in acts and state.turns > 1):
        return _leaving(state, turn)
    if state.asked.kind == "callback" and state.stuck and not gave and acts & (CLOSING | REFUSING | {"ack"}):
        return declined("could not go on")
    return None


def _goes_on(turn: Reading) -> bool:
    """Whether the caller talks on after the goodbye: it was for somebody else, or not the last word."""
    return len(turn.after_bye.split()) >= TALKS_ON


def _leaving(state: State, turn: Reading) -> Decision | None:
    if turn.question or (state.new and state.missing):
        return None
    if not state.missing:
        note_down(state, turn)
        return completed()
    return declined("caller takes leave")


def _declared_reason(state: State, turn: Reading) -> Decision | None:
    """A reason of the business's own that the caller has given cause for."""
    for reason in state.prepared.reasons:
        if "human" in reason.concepts:
            wants = "person" in turn.acts
            firm = state.insisted or state.persons >= 2 or not reason.on_insistence
            if not (state.persons and firm and (wants or reason.needs)):
                continue
        elif "abuse" in reason.concepts:
            if state.abuses < ABUSE_AFTER_WARNING or "abuse" not in turn.acts:
                continue
        elif "wrong_number" in reason.concepts or not _given_cause(state, reason, turn):
            continue
        if all(name in state.lead for name in reason.needs):
            return _end(state, reason, next((c for c in _FAREWELLS if c in reason.concepts), "other"))
    return None


_FAREWELLS = ("human", "emergency")
"""Concepts whose last sentence is their own."""


def _given_cause(state: State, reason: Reason, turn: Reading) -> bool:
    """Whether the caller's words, now or (while its needs were collected) before, fit the reason."""
    if reason.concepts & turn.reasons:
        return True
    if reason.needs and reason.concepts & state.reasons:
        return True
    if reason.concepts:
        return False
    heard = [stems(word) for word in turn.said.words if word not in stop_words()]
    hits = sum(any(not form.isdisjoint(word) for form in heard) for word in reason.words)
    return hits >= FEWEST_HITS and hits / len(reason.words) >= MOST_OF


def declared(state: State, concept: str) -> Reason | None:
    """The business's reason for one of the usual concepts."""
    return next((r for r in state.prepared.reasons if concept in r.concepts), None)


def _end(state: State, reason: Reason | None, farewell: str) -> Decision:
    if reason is None or any(name not in state.lead for name in reason.needs):
        decision = declined(farewell)
        decision.farewell = farewell
        return decision
    entry = next(r for r in state.prepared.business.end_reasons if r.name == reason.name)
    key = "transfer" if entry.then is not None else farewell
    status = LeadStatus.IN_PROGRESS if state.missing else LeadStatus.COMPLETE
    return Decision(end=reason.name, farewell=key, status=status, note=f"end: {reason.name}")
