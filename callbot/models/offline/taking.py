"""Taking down what the caller said in words of their own: notes, and answers that fit nothing else."""

from __future__ import annotations

from callbot.models.offline.answers import none_word
from callbot.models.offline.names import may_be_name
from callbot.models.offline.state import State
from callbot.models.offline.understanding import Reading


def note_down(state: State, turn: Reading) -> bool:
    """What the caller adds goes to the notes, where the business has some."""
    view = state.prepared.first("notes")
    if view is None or not turn.content or turn.question or (state.new and set(state.new) != {view.name}):
        return False
    if len(turn.content.split()) < 2 and turn.asked.kind != "field":
        return False
    old = state.request.lead.get(view.name)
    text = turn.content if old is None or old == turn.content else f"{old}; {turn.content}"
    valid = view.field.normalised(text, state.prepared.region)
    if valid is None:
        return False
    text = valid
    if view.name not in state.new:
        state.lead[view.name] = state.new[view.name] = text
    return True


def accept(state: State, turn: Reading, name: str) -> bool:
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
