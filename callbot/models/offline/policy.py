"""From where the call stands to what to do next. No phrase of any language stands here."""

from __future__ import annotations

from callbot.events import LeadStatus, Occasion
from callbot.models.offline.answers import answer, names_business
from callbot.models.offline.decision import (
    CLOSING,
    ENOUGH_REFUSALS,
    LEAVING,
    PATIENCE,
    Decision,
    completed,
    declined,
)
from callbot.models.offline.ending import declared, ending
from callbot.models.offline.phrases import words
from callbot.models.offline.state import REFUSING, State, is_soft
from callbot.models.offline.taking import accept, note_down
from callbot.models.offline.understanding import Reading

EXPLAINED = ("phone", "name", "email", "address", "time")
"""Kinds of fields that have a reason of their own for being asked."""


def decide(state: State) -> Decision:
    """What to do about the request."""
    occasion = state.request.occasion
    if occasion is Occasion.SILENCE:
        return _silence(state)
    if occasion is Occasion.END_REFUSED:
        return Decision(ask=_next(state) or ":anything_else", note="end refused").then("one_more")
    if occasion is Occasion.AFTER_FAREWELL:
        return _after_farewell(state)
    decision = _answer_turn(state)
    if occasion is Occasion.RESUMED:
        if decision.end is not None:
            decision = Decision(ask=_next(state) or ":anything_else")
        decision.say.insert(0, ("resumed", {}))
    return decision


# --- occasions ----------------------------------------------------------------------------------
def _silence(state: State) -> Decision:
    detail = state.request.detail
    if "no_response" in detail and "not yet" not in detail and "may not" not in detail:
        return Decision(end="no_response", farewell="no_response", note="silence")
    return Decision(ask=_next(state) or ":anything_else", note="silence").then("silence")


def _after_farewell(state: State) -> Decision:
    turn = state.turn
    reason = state.last_control_reason or ("customer_declined" if state.missing else "lead_complete")
    ended = Decision(end=reason, note="said goodbye already")
    if reason == "customer_declined":
        ended.status = LeadStatus.DECLINED
    if turn is None or turn.empty or "injection" in turn.acts:
        return ended
    goes_on = (
        bool(state.new)
        or turn.question
        or "wait" in turn.acts
        or "repeat" in turn.acts
        or "person" in turn.acts
    )
    adds = turn.content and not turn.acts & (CLOSING | LEAVING | {"ack", "yes", "thanks"})
    if not goes_on and not adds:
        return ended
    if "wait" in turn.acts and not (state.new or turn.question or turn.content):
        return Decision(note="came back").then("here")
    if not state.new and not turn.question and adds:
        note_down(state, turn)
    return _continue(state, turn)


# --- the caller spoke -----------------------------------------------------------------------------
def _answer_turn(state: State) -> Decision:
    turn = state.turn
    if turn is None:
        return Decision(ask=_next(state) or ":anything_else", note="nothing to answer")
    return ending(state, turn) or _continue(state, turn)


# --- going on -------------------------------------------------------------------------------------
def _continue(state: State, turn: Reading) -> Decision:
    if "injection" in turn.acts:
        return _asking(state, Decision(note="not an instruction").then("injection"))
    if turn.empty:
        return _asking(state, Decision(note="nothing heard").then("misheard"))
    if state.missing:
        return _collect(state, turn)
    return _wrap_up(state, turn)


def _wrap_up(state: State, turn: Reading) -> Decision:
    """Everything required is there."""
    acts = turn.acts
    asked = state.prepared.fields.get(state.asked.field) if state.asked.kind == "field" else None
    wrapped = state.wraps > 0 or (state.optional_asked and (asked is None or asked.kind == "notes"))
    asking = _asks(state, turn)
    noted = note_down(state, turn) if wrapped and not asking else False
    if asking:
        return _answered(state, turn, Decision(ask=":anything_else"))
    if not state.new or noted:
        if "wait" in acts and not noted:
            return Decision(note="waiting").then("wait")
        if wrapped and "correction" in acts and not turn.content:
            return Decision(ask=":what_wrong", note="something is wrong")
        closes = acts & CLOSING or ("ack" in acts and state.wrapped_row >= PATIENCE - 1)
        if wrapped and closes and not _wants_more(turn):
            return completed()
        if wrapped and acts & {"yes", "right"} and not noted:
            return Decision(ask=":anything_else" if "right" in acts else ":what_else", note="more to come")
    if not wrapped and state.optional_asked and {"no", "thanks"} <= acts and not state.new:
        return completed()
    if "done" in acts and not state.corrected and not (noted and wrapped):
        return completed()
    if not wrapped and (optional := _optional(state)):
        return _acknowledge(state, Decision(ask=optional, note="asking once for an optional detail"))
    decision = Decision(ask=":anything_else", note="lead complete, anything else?")
    if state.corrected:
        return _acknowledge(state, decision)
    if noted:
        return decision.then("noted")
    if state.new or not wrapped:
        return decision.then("recap")
    return _social(state, turn, decision) or (decision.then("understood") if turn.content else decision)


def _optional(state: State) -> str | None:
    """An optional field with a question of its own that was not asked yet."""
    for view in state.prepared.fields.values():
        open_ = not view.field.required and view.field.ask and view.kind != "notes"
        if open_ and view.name not in state.lead and not state.asks[view.name]:
            return view.name
    return None


def _wants_more(turn: Reading) -> bool:
    """Thanks that come with something else are no goodbye."""
    return (
        bool(turn.acts & {"person", "repeat", "wait", "abuse", "number_was_wrong"})
        and "done" not in turn.acts
    )


def _collect(state: State, turn: Reading) -> Decision:
    """Something required is missing."""
    acts = turn.acts
    decision = Decision()
    if any(r.concepts & turn.reasons for r in state.prepared.reasons if "human" not in r.concepts):
        return _asking(state, decision.then("reason_first"))
    if state.new:
        if "person" in acts:
            return _asking(state, _person(state, decision))
        if _asks(state, turn):
            return _answered(state, turn, _acknowledge(state, decision))
        if acts & LEAVING:
            return _asking(state, decision.then("before_leaving"))
        return _asking(state, _acknowledge(state, decision, opening=state.turns == 1))
    if _asks(state, turn):
        return _answered(state, turn, decision)
    phone = state.prepared.first("phone")
    if "number_was_wrong" in acts and phone and (phone.name in state.lead or phone.name == state.asked.field):
        return Decision(ask=phone.name, note="number to be corrected").then("fix_phone")
    if "wait" in acts and not turn.rivals and not acts & {"person", "correction", "repeat", "abuse", "robot"}:
        return Decision(note="waiting").then("wait")
    if "person" in acts:
        return _asking(state, _person(state, decision))
    return _unanswered(state, turn, decision)


def _asks(state: State, turn: Reading) -> bool:
    """Whether the turn asks something: by its words, by its tone, or by naming what a fact is about."""
    if turn.question:
        return True
    if state.new or not turn.content or turn.acts & _BUSY:
        return False
    if turn.said.question_mark:
        return True
    names_topic = bool(turn.topics) and bool(state.missing) and not turn.acts & CLOSING
    return names_topic and answer(state, turn) is not None


_BUSY = REFUSING | {
    "repeat",
    "wait",
    "person",
    "robot",
    "smalltalk",
    "which_business",
    "maybe_business",
    "abuse",
}


def _unanswered(state: State, turn: Reading, decision: Decision) -> Decision:
    """The turn holds no value: why, and what to ask now."""
    acts = turn.acts
    asked = state.asked.field if state.asked.kind == "field" and state.asked.field in state.missing else ""
    view = state.prepared.fields.get(asked)
    if view is not None and view.kind == "phone" and state.partial and len(state.partial[0]) > 1:
        few = len(state.partial[0]) < 7
        return Decision(ask=None, note="part of a number").then(
            "digits_short" if few else "digits_wrong",
            count=str(len(state.partial[0])),
            digits=state.partial[0],
        )
    if view is not None and "my_number" in acts:
        return _asking(state, decision.then("no_caller_number"))
    if turn.rivals and view is not None:
        return Decision(note="two choices").then("rivals", options="|".join(turn.rivals))
    if view is not None and acts & {"dont_know", "have_none"} and accept(state, turn, asked):
        return _asking(state, _acknowledge(state, decision))
    if view is not None and state.refusals[asked] and acts & (REFUSING | {"no", "no_callback"}):
        return _refused(state, turn, asked)
    if is_soft(turn):
        if state.asked.kind in ("help", "nothing") and not state.lead and state.soft_row <= 1:
            return Decision(ask=":what_help", note="soft refusal").then("soft_help")
        return _asking(state, decision.then("soft_1" if state.soft_row <= 1 else "soft_2"))
    if "repeat" in acts:
        decision.again = True
        return _asking(state, decision.then("again"))
    if social := _social(state, turn, decision):
        return _asking(state, social)
    if view is not None and acts & {"dont_know", "have_none"}:
        return _asking(state, decision.then("unknown_ok" if view.kind != "phone" else "why_phone"))
    if view is not None and turn.content and state.asks[asked] >= PATIENCE - 1 and accept(state, turn, asked):
        return _asking(state, _acknowledge(state, decision))
    if "callback_request" in acts:
        return _asking(state, decision.then("callback"))
    if "no_callback" in acts or "self_call" in acts:
        return _asking(state, decision.then("no_callback"))
    if not asked or "need" in acts:
        return _asking(
            state,
            decision.then("welcome" if _only_greets(turn) else "glad" if _pleases(turn) else "understood"),
        )
    if "done" in acts and not turn.content:
        return _asking(state, decision.then("one_more"))
    if acts & {"yes", "ack", "other_negation"} and not turn.content:
        return _asking(state, decision.then("glad") if "yes" in acts else decision)
    if view is not None and view.kind == "choice" and turn.content:
        return _asking(state, decision.then("which"))
    return _asking(state, decision.then("understood" if _bad_news(turn) else "unclear"))


def _bad_news(turn: Reading | None) -> bool:
    """Whether the caller tells of something that nobody says "gladly" to."""
    return turn is not None and not words("vague", "bad").isdisjoint(turn.said.words)


def _pleases(turn: Reading) -> bool:
    return bool(turn.content) and not _bad_news(turn)


def _only_greets(turn: Reading) -> bool:
    return not turn.content and bool(turn.acts & {"greeting", "good_day"})


def _social(state: State, turn: Reading, decision: Decision) -> Decision | None:
    """Short answers to what is said between people."""
    acts = turn.acts
    if "which_business" in acts or ("maybe_business" in acts and turn.said.question_mark and not state.new):
        return decision.then("business", name=state.prepared.business.name)
    for act, key in (
        ("english", "english"),
        ("abuse", "calm"),
        ("robot", "robot"),
        ("smalltalk", "smalltalk"),
        ("reassure", "reassure"),
    ):
        if act in acts:
            return decision.then(key)
    if "person" in acts:
        return _person(state, decision)
    if "repeat" in acts:
        return decision.then("again")
    if "greeting" in acts and not turn.content:
        return decision.then("welcome")
    if "thanks" in acts and not turn.content:
        return decision.then("thanks")
    return None


def _person(state: State, decision: Decision) -> Decision:
    reason = declared(state, "human")
    if reason is None:
        return decision.then("person")
    if any(name not in state.lead for name in reason.needs):
        return decision.then("person_first")
    return decision.then("person_offer")


def _refused(state: State, turn: Reading, asked: str) -> Decision:
    """The caller will not say one thing: the reason once and another way; a second refusal is a no."""
    kind = state.prepared.fields[asked].kind
    plain = bool(turn.acts & (REFUSING | {"no_callback"}))
    if state.refusals[asked] >= (ENOUGH_REFUSALS if plain else ENOUGH_REFUSALS + 1):
        return declined(f"will not give {asked}")
    own = kind == "phone" and state.request.caller_number is not None and state.refusals[asked] == 1
    decision = Decision(ask=":own_number" if own else asked, note=f"explained {asked}")
    return decision.then(f"why_{kind}" if kind in EXPLAINED else "why")


def _answered(state: State, turn: Reading, decision: Decision) -> Decision:
    """Answer a question, then go back to what is open."""
    asked = state.asked.field if state.asked.kind == "field" else ""
    if "explain" in turn.topics and asked:
        kind = state.prepared.fields[asked].kind
        decision.then(f"why_{kind}" if kind in EXPLAINED else "why")
    elif turn.acts & {"robot", "smalltalk", "person"} and not turn.topics:
        _social(state, turn, decision)
    elif turn.acts & {"which_business", "english"}:
        decision.then("english" if "english" in turn.acts else "business", name=state.prepared.business.name)
    elif text := answer(state, turn):
        decision.then("plain", text=text)
        decision.listed = asked in state.prepared.fields and all(
            choice in text for choice in state.prepared.fields[asked].field.choices
        )
    elif turn.acts & {"maybe_business"} or names_business(state, turn):
        decision.then("business", name=state.prepared.business.name)
    else:
        decision.then("unknown_fact")
    decision.note = "answered a question"
    return decision if decision.ask else _asking(state, decision)


def _acknowledge(state: State, decision: Decision, *, opening: bool = False) -> Decision:
    if state.corrected:
        name = next(iter(state.corrected))
        return decision.then("fixed", value=state.new[name], field=name)
    for name in state.new:
        if state.prepared.fields[name].kind == "name" and name not in state.request.lead:
            return decision.then("ack_name", first=state.new[name].split()[0])
    if opening or _bad_news(state.turn):
        return decision.then("glad" if opening and not _bad_news(state.turn) else "understood")
    return decision.then("ack")


# --- what to ask ----------------------------------------------------------------------------------
def _asking(state: State, decision: Decision) -> Decision:
    """Complete a decision with the question that is due."""
    if not state.missing:
        decision.ask = ":anything_else"
        if state.new and not state.wraps:
            decision.say = [item for item in decision.say if item[0] != "ack"]
            decision.then("recap")
        return decision
    name = _next(state)
    decision.ask = name or (":help" if not state.missing else ":stuck")
    decision.note = decision.note or f"asking {decision.ask}"
    return decision


def _open_fields(state: State) -> list[str]:
    return [n for n in state.missing if state.refusals[n] < ENOUGH_REFUSALS and state.asks[n] < PATIENCE + 1]


def _next(state: State) -> str | None:
    """The field to ask for now: needs of a reason under way first, then the order of the file."""
    if not state.missing:
        return None
    open_fields = _open_fields(state)
    for reason in state.prepared.reasons:
        under_way = ("human" in reason.concepts and state.persons) or reason.concepts & state.reasons
        if under_way:
            for name in reason.needs:
                if name not in state.lead and state.asks[name] < PATIENCE + 1:
                    return name
    if state.asked.kind == "field" and state.asked.field in open_fields and not state.new:
        return state.asked.field
    return open_fields[0] if open_fields else None
