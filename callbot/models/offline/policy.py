"""From where the call stands to what to do next. No phrase of any language stands here."""

from __future__ import annotations

from dataclasses import dataclass, field

from callbot.events import LeadStatus, Occasion
from callbot.models.offline.answers import answer, names_business, none_word
from callbot.models.offline.names import may_be_name
from callbot.models.offline.prepared import Reason, stop_words
from callbot.models.offline.state import REFUSING, State, is_soft
from callbot.models.offline.text import stems
from callbot.models.offline.understanding import Reading

PATIENCE = 3
"""How often one thing is asked, and how many soft refusals in a row are the end."""
_ENOUGH_REFUSALS = 2
_MOST_ABUSE = 3
_CLOSING = frozenset(
    ["done", "no", "decline_soft", "not_interested", "thanks", "good_day", "refuse_bare", "bye"]
)
_LEAVING = frozenset(["bye", "call_later"])


@dataclass(slots=True)
class Decision:
    """What to say and whether to end. ``say``: keys of wordings, then ``ask``: a field or a question."""

    say: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ask: str | None = None
    """A field's name, or ``:help``, ``:anything_else``, ``:what_else``, ``:stuck``, ``:own_number``."""
    end: str | None = None
    status: str = LeadStatus.IN_PROGRESS
    farewell: str = ""
    """Key of the farewell; empty for an end without words."""
    note: str = ""
    listed: bool = False
    """The choices were said already."""

    def then(self, key: str, **values: str) -> Decision:
        """One more thing to say."""
        self.say.append((key, values))
        return self


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
    adds = turn.content and not turn.acts & (_CLOSING | _LEAVING | {"ack", "yes", "thanks"})
    if not goes_on and not adds:
        return ended
    if "wait" in turn.acts and not (state.new or turn.question):
        return Decision(note="came back").then("here")
    if not state.new and not turn.question and adds:
        _note_down(state, turn)
    return _continue(state, turn)


# --- the caller spoke -----------------------------------------------------------------------------
def _answer_turn(state: State) -> Decision:
    turn = state.turn
    if turn is None:
        return Decision(ask=_next(state) or ":anything_else", note="nothing to answer")
    return _ending(state, turn) or _continue(state, turn)


def _ending(state: State, turn: Reading) -> Decision | None:
    """The end of the call, if this turn asks for it."""
    acts = turn.acts
    if "injection" in acts:
        return None
    gave = bool(state.new) or turn.question
    if "wrong_number" in acts and not gave:
        if "phone" in {state.prepared.fields[n].kind for n in state.lead} or state.partial:
            return None
        return _end(state, _declared(state, "wrong_number"), "wrong_number")
    if declared := _declared_reason(state, turn):
        return declared
    if "decline_firm" in acts and not gave:
        return _decline("firm refusal")
    if "not_interested" in acts and not gave and state.missing and not _optional_asked(state):
        return _decline("not interested")
    if state.soft_row >= PATIENCE and state.missing and not gave:
        return _decline("soft refusals in a row")
    if state.abuses >= _MOST_ABUSE and not gave and state.missing and "abuse" in acts:
        return _decline("abuse")
    if acts & _LEAVING or ("good_day" in acts and state.turns > 1 and not turn.content):
        return _leaving(state, turn)
    if state.asked.kind == "callback" and state.stuck and not gave and acts & (_CLOSING | REFUSING | {"ack"}):
        return _decline("could not go on")
    return None


def _leaving(state: State, turn: Reading) -> Decision | None:
    if not state.missing:
        _note_down(state, turn)
        decision = _complete()
        if turn.question and (text := answer(state, turn)):
            decision.then("plain", text=text)
        return decision
    if state.new or turn.question:
        return None
    return _decline("caller takes leave")


def _declared_reason(state: State, turn: Reading) -> Decision | None:
    """A reason of the business's own that the caller has given cause for."""
    for reason in state.prepared.reasons:
        if "human" in reason.concepts:
            wants = "person" in turn.acts
            firm = state.insisted or state.persons >= 2 or not reason.on_insistence
            if not (state.persons and firm and (wants or reason.needs)):
                continue
        elif "wrong_number" in reason.concepts or not _given_cause(state, reason, turn):
            continue
        if all(name in state.lead for name in reason.needs):
            return _end(state, reason, "human" if "human" in reason.concepts else "other")
    return None


def _given_cause(state: State, reason: Reason, turn: Reading) -> bool:
    """Whether the caller's words, now or (while its needs were collected) before, fit the reason."""
    if reason.concepts & turn.reasons:
        return True
    if reason.needs and reason.concepts & state.reasons:
        return True
    heard = [stems(word) for word in turn.said.words if word not in stop_words()]
    hits = sum(any(not form.isdisjoint(word) for form in heard) for word in reason.words)
    return len(reason.words) >= 2 and hits >= 2 and hits / len(reason.words) >= 0.6


def _declared(state: State, concept: str) -> Reason | None:
    return next((r for r in state.prepared.reasons if concept in r.concepts), None)


def _end(state: State, reason: Reason | None, farewell: str) -> Decision:
    if reason is None or any(name not in state.lead for name in reason.needs):
        decision = _decline(farewell)
        decision.farewell = farewell
        return decision
    declared = next(r for r in state.prepared.business.end_reasons if r.name == reason.name)
    key = "transfer" if declared.then is not None else farewell
    status = LeadStatus.IN_PROGRESS if state.missing else LeadStatus.COMPLETE
    return Decision(end=reason.name, farewell=key, status=status, note=f"end: {reason.name}")


def _decline(why: str) -> Decision:
    return Decision(
        end="customer_declined",
        farewell="customer_declined",
        status=LeadStatus.DECLINED,
        note=f"declined: {why}",
    )


def _complete() -> Decision:
    return Decision(
        end="lead_complete", farewell="lead_complete", status=LeadStatus.COMPLETE, note="lead complete"
    )


def _optional_asked(state: State) -> bool:
    if state.asked.kind == "anything_else":
        return True
    return state.asked.kind == "field" and state.asked.field not in state.prepared.business.required


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
    wrapped = state.wraps > 0 or _optional_asked(state)
    noted = _note_down(state, turn) if wrapped and not turn.question else False
    if turn.question:
        return _answered(state, turn, Decision(ask=":anything_else"))
    if not state.new or noted:
        if "wait" in acts and not noted:
            return Decision(note="waiting").then("wait")
        if (
            wrapped
            and (acts & _CLOSING or ("ack" in acts and state.wrapped_row >= 2))
            and not _wants_more(turn)
        ):
            return _complete()
        if wrapped and "yes" in acts and not noted:
            return Decision(ask=":what_else", note="more to come")
    elif "done" in acts and not state.corrected:
        return _complete()
    decision = Decision(ask=":anything_else", note="lead complete, anything else?")
    if state.corrected:
        return _acknowledge(state, decision)
    if state.new and not noted:
        return decision.then("recap")
    if noted:
        return decision.then("noted")
    return _social(state, turn, decision) or (
        decision.then("understood") if turn.content else decision.then("recap") if not wrapped else decision
    )


def _wants_more(turn: Reading) -> bool:
    """Thanks that come with something else are no goodbye."""
    return (
        bool(turn.acts & {"person", "repeat", "wait", "abuse", "number_was_wrong"})
        and "done" not in turn.acts
    )


def _note_down(state: State, turn: Reading) -> bool:
    """What the caller adds goes to the notes, where the business has some."""
    view = state.prepared.first("notes")
    if view is None or not turn.content or turn.question or (state.new and set(state.new) != {view.name}):
        return False
    if len(turn.content.split()) < 2 and turn.asked.kind != "field":
        return False
    old = state.request.lead.get(view.name)
    text = turn.content if old is None or old == turn.content else f"{old}; {turn.content}"
    if view.name not in state.new:
        state.lead[view.name] = state.new[view.name] = text
    return True


def _collect(state: State, turn: Reading) -> Decision:
    """Something required is missing."""
    acts = turn.acts
    decision = Decision()
    if any(r.concepts & turn.reasons for r in state.prepared.reasons if "human" not in r.concepts):
        return _asking(state, decision.then("reason_first"))
    if state.new:
        if "person" in acts:
            return _asking(state, _person(state, decision))
        if turn.question:
            return _answered(state, turn, _acknowledge(state, decision))
        if acts & _LEAVING:
            return _asking(state, decision.then("before_leaving"))
        return _asking(state, _acknowledge(state, decision, opening=state.turns == 1))
    if turn.question:
        return _answered(state, turn, decision)
    if "number_was_wrong" in acts and (phone := state.prepared.first("phone")):
        return Decision(ask=phone.name, note="number to be corrected").then("fix_phone")
    if "wait" in acts and not turn.content:
        return Decision(note="waiting").then("wait")
    if "person" in acts:
        return _asking(state, _person(state, decision))
    return _unanswered(state, turn, decision)


def _unanswered(state: State, turn: Reading, decision: Decision) -> Decision:
    """The turn holds no value: why, and what to ask now."""
    acts = turn.acts
    asked = state.asked.field if state.asked.kind == "field" and state.asked.field in state.missing else ""
    view = state.prepared.fields.get(asked)
    if view is not None and view.kind == "phone" and state.partial:
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
    if view is not None and acts & {"dont_know", "have_none"} and _accept(state, turn, asked):
        return _asking(state, _acknowledge(state, decision))
    if view is not None and state.refusals[asked] and acts & (REFUSING | {"no", "no_callback"}):
        return _refused(state, asked, decision)
    if is_soft(turn):
        if state.asked.kind in ("help", "nothing") and not state.lead and state.soft_row <= 1:
            return Decision(ask=":what_help", note="soft refusal").then("soft_help")
        return _asking(state, decision.then("soft_1" if state.soft_row <= 1 else "soft_2"))
    if "repeat" in acts:
        return _asking(state, decision.then("again"))
    if social := _social(state, turn, decision):
        return _asking(state, social)
    if view is not None and acts & {"dont_know", "have_none"}:
        return _asking(state, decision.then("unknown_ok" if view.kind != "phone" else "why_phone"))
    if (
        view is not None
        and turn.content
        and state.asks[asked] >= PATIENCE - 1
        and _accept(state, turn, asked)
    ):
        return _asking(state, _acknowledge(state, decision))
    if "callback_request" in acts:
        return _asking(state, decision.then("callback"))
    if "no_callback" in acts or "self_call" in acts:
        return _asking(state, decision.then("no_callback"))
    if not asked or "need" in acts:
        return _asking(
            state,
            decision.then("welcome" if _only_greets(turn) else "glad" if turn.content else "understood"),
        )
    if acts & {"yes", "ack", "other_negation"} and not turn.content:
        return _asking(state, decision.then("glad") if "yes" in acts else decision)
    return _asking(state, decision.then("unclear"))


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
    reason = _declared(state, "human")
    if reason is None:
        return decision.then("person")
    if any(name not in state.lead for name in reason.needs):
        return decision.then("person_first")
    return decision.then("person_offer")


def _refused(state: State, asked: str, decision: Decision) -> Decision:
    """The caller will not say one thing: explain once, then look for another way."""
    kind = state.prepared.fields[asked].kind
    if state.refusals[asked] < _ENOUGH_REFUSALS:
        key = f"why_{kind}" if kind in ("phone", "name", "email", "address", "time") else "why"
        return Decision(ask=asked, note=f"explained {asked}").then(key)
    if kind == "phone" and state.refusals[asked] == _ENOUGH_REFUSALS and state.request.caller_number:
        return Decision(ask=":own_number", note="offered the caller's number")
    if state.refusals[asked] > _ENOUGH_REFUSALS and (state.stuck or not _open_fields(state)):
        return _decline(f"will not give {asked}")
    return _asking(state, decision.then("without"))


def _accept(state: State, turn: Reading, name: str) -> bool:
    """Take the caller's words as they are, where the field can hold any."""
    view = state.prepared.fields[name]
    if view.kind in ("phone", "choice"):
        return False
    if view.kind == "name" and (turn.acts & {"dont_know", "have_none"} or not may_be_name(turn.said)):
        return False
    if turn.acts & {"dont_know"} and state.unknowns[name] < 2:
        return False
    text = turn.content
    if turn.acts & {"dont_know", "have_none"}:
        text = "@none" if "have_none" in turn.acts else turn.said.clean
    valid = view.field.normalised(
        none_word(state.language) if text == "@none" else text, state.prepared.region
    )
    if valid is None:
        return False
    state.lead[name] = state.new[name] = valid
    return True


def _answered(state: State, turn: Reading, decision: Decision) -> Decision:
    """Answer a question, then go back to what is open."""
    asked = state.asked.field if state.asked.kind == "field" else ""
    if "explain" in turn.topics and asked:
        kind = state.prepared.fields[asked].kind
        decision.then(f"why_{kind}" if kind in ("phone", "name", "email", "address", "time") else "why")
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
    return decision.then("glad" if opening else "ack")


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
    return [n for n in state.missing if state.refusals[n] < _ENOUGH_REFUSALS and state.asks[n] < PATIENCE + 1]


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
