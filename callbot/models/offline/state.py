"""Where a call stands, read off what both sides heard and off nothing else.

The bot's earlier words may be another model's, so what was asked is inferred from them: by the
business's own question, by the words that set a field apart, by how bots usually ask for such a field.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from callbot.events import BotSaid, CallerSaid, SpeechKind
from callbot.models.base import Request
from callbot.models.offline.dictation import numbered_choice, phone_in_place
from callbot.models.offline.phrases import lexicon
from callbot.models.offline.prepared import FieldView, Prepared, asking_lexicon, prepare
from callbot.models.offline.text import Utterance, stems, utterance
from callbot.models.offline.understanding import Asked, Reading, read

_UNHEARD = frozenset(
    [SpeechKind.FILLER, SpeechKind.WARNING, SpeechKind.APOLOGY, SpeechKind.RESUME, SpeechKind.CLOSING]
)
"""Fixed sentences that ask for nothing of their own: the question before them stays open."""

_SHORT = 6
"""Words of a turn that holds a value and little else."""
NOTHING = Asked()
UNKNOWING = frozenset(["dont_know", "have_none"])
REFUSING = frozenset(["refuse_give", "refuse_bare"])


def _zeros() -> defaultdict[str, int]:
    return defaultdict(int)


@dataclass(slots=True)
class State:
    """Everything the policy decides from. ``lead`` includes what this turn gave; ``new`` is only that."""

    prepared: Prepared
    request: Request
    lead: dict[str, str]
    new: dict[str, str] = field(default_factory=dict)
    corrected: list[str] = field(default_factory=list)
    asked: Asked = NOTHING
    turn: Reading | None = None
    turns: int = 0
    """Caller turns so far, this one included."""
    asks: defaultdict[str, int] = field(default_factory=_zeros)
    refusals: defaultdict[str, int] = field(default_factory=_zeros)
    unknowns: defaultdict[str, int] = field(default_factory=_zeros)
    """How often the caller did not know (or have) what was asked."""
    soft_row: int = 0
    persons: int = 0
    insisted: bool = False
    abuses: int = 0
    wraps: int = 0
    """How often the bot asked whether there is anything else."""
    wrapped_row: int = 0
    stuck: int = 0
    """How often the bot offered to stop for now."""
    partial: tuple[str, ...] = ()
    """A phone number begun and not complete: its possible readings."""
    reasons: set[str] = field(default_factory=set)
    """Concepts of end reasons that the caller has shown so far."""
    spoken: str = ""
    """The language that the caller plainly speaks; empty while that is open."""
    heard: str = ""
    heard_row: int = 0
    last_control_reason: str | None = None
    last_bot: str = ""

    @property
    def missing(self) -> list[str]:
        """Required fields without a value, in asking order."""
        return [name for name in self.prepared.business.required if name not in self.lead]

    @property
    def optional_asked(self) -> bool:
        """Whether the bot asked for something that the lead can do without."""
        if self.asked.kind == "anything_else":
            return True
        return self.asked.kind == "field" and self.asked.field not in self.prepared.business.required

    @property
    def language(self) -> str:
        """The caller's language if it is plain from all they said, else the business's."""
        return self.spoken or self.prepared.language


def state_of(request: Request) -> State:
    """Read the whole history; its last caller words are the turn to answer."""
    prepared = prepare(request.business)
    state = State(prepared, request, dict(request.lead))
    spoken: list[CallerSaid] = []
    history = request.history
    for item in history:
        if isinstance(item, CallerSaid):
            spoken.append(item)
            continue
        if item.kind in _UNHEARD or not item.text.strip():
            continue
        if spoken:
            _caller(state, spoken, current=False, lost=item.interrupted)
            spoken = []
        _bot(state, item)
    if spoken:
        _caller(state, spoken, current=True, lost=False)
    return state


# --- the bot's side -----------------------------------------------------------------------------
def _bot(state: State, item: BotSaid) -> None:
    asked = asked_of(state.prepared, item.text)
    state.last_bot = item.text
    state.last_control_reason = item.control.end_reason if item.control.should_end_call else None
    if item.kind is SpeechKind.GREETING:
        state.asked = asked if asked.kind != "nothing" else Asked("help")
        return
    if asked.kind == "nothing":
        return
    state.asked = asked
    if asked.kind == "field":
        state.asks[asked.field] += 1
    elif asked.kind == "anything_else":
        state.wraps += 1
    elif asked.kind == "callback":
        state.stuck += 1


def asked_of(prepared: Prepared, text: str) -> Asked:
    """What a bot asks for with these words."""
    key = ("asked", text)
    known = prepared.memory.get(key)
    if not isinstance(known, Asked):
        known = prepared.memory[key] = _asked_of(prepared, utterance(text))
    return known


def _asked_of(prepared: Prepared, said: Utterance) -> Asked:
    sentences = _sentences(said)
    for only_questions in (True, False):
        for text in reversed(sentences):
            sentence = utterance(text)
            if only_questions and not (sentence.question_mark or "request" in lexicon("asks").tags(sentence)):
                continue
            asked = _sentence_asks(prepared, sentence, weak=not sentence.question_mark)
            if asked.kind != "nothing":
                return asked
        if said.question_mark:
            break
    return NOTHING


def _sentences(said: Utterance) -> list[str]:
    out, start = [], 0
    text = said.clean
    for index, char in enumerate(text):
        if char in "?!" or (char == "." and (index + 1 == len(text) or text[index + 1] == " ")):
            out.append(text[start : index + 1].strip())
            start = index + 1
    if text[start:].strip():
        out.append(text[start:].strip())
    return out


def _sentence_asks(prepared: Prepared, sentence: Utterance, *, weak: bool) -> Asked:
    tags = lexicon("asks").tags(sentence)
    offers = "caller_number" in tags
    scores = {name: _score(prepared, name, sentence) for name in prepared.fields}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= 8 and "callback" not in tags:
        return Asked("field", best, offers)
    if "callback" in tags:
        return Asked("callback", best if scores[best] >= 2 else "")
    if scores[best] >= 3 and not ("anything_else" in tags and scores[best] < 5):
        return Asked("field", best, offers)
    if "anything_else" in tags:
        return Asked("anything_else")
    if "help" in tags:
        return Asked("help")
    if scores[best] >= 2 and not weak:
        return Asked("field", best, offers)
    return NOTHING


def _score(prepared: Prepared, name: str, sentence: Utterance) -> float:
    view = prepared.fields[name]
    if view.field.ask:
        asks = utterance(view.field.ask)
        core = asks.clean.rstrip("?.! ")
        if core and core in sentence.clean:
            return 20 + len(core)
    score = float(_label_score(view, sentence))
    kind = "other" if view.kind == "choice" else view.kind
    if kind in ("other_name", "text"):
        kind = "name" if kind == "other_name" else "other"
    if kind in asking_lexicon().tags(sentence):
        score += 3
    own = sum(1 for word in sentence.words if not stems(word).isdisjoint(view.own_words))
    score += min(own, 3) * 2
    named = 0
    for choice in view.choices:
        if any(not stems(word).isdisjoint(choice.own) for word in sentence.words):
            named += 1
    return score + (3 if named >= 2 else 0)


def _label_score(view: FieldView, sentence: Utterance) -> int:
    """Whether the sentence holds the whole label of a field."""
    label = view.label_words
    for index in range(len(sentence.words) - len(label) + 1):
        first = sentence.words[index]
        if (first == label[0] or first[1:] == label[0] or first == "ה" + label[0]) and (
            sentence.words[index + 1 : index + len(label)] == label[1:]
        ):
            return 1 + 2 * len(label)
    return 0


# --- the caller's side --------------------------------------------------------------------------
def _caller(state: State, spoken: list[CallerSaid], *, current: bool, lost: bool) -> None:
    if len(spoken) == 1:
        text, keys = spoken[0].text, spoken[0].keys
    else:
        text = ", ".join(item.text for item in spoken if item.text.strip())
        keys = "".join(item.keys for item in spoken)
    reading = read(state.prepared, state.asked, text, keys)
    state.turns += 1
    _language(state, reading)
    values: Mapping[str, str] = reading.values
    if keys or reading.runs or state.partial or not reading.acts.isdisjoint(_ABOUT_NUMBERS):
        values = dict(values)
        phone_in_place(state, reading, values)
    if (keys or len(reading.said.words) <= _SHORT) and state.asked.kind == "field":
        values = dict(values)
        numbered_choice(state, reading, values)
    if current:
        state.turn = reading
        _take(state, reading, values)
    else:
        for name, value in values.items():
            if name not in state.lead and (lost or state.prepared.fields[name].kind in _SURE):
                state.lead[name] = state.new[name] = value
    _count(state, reading, values)


_ABOUT_NUMBERS = frozenset(["my_number", "yes"])
_SURE = frozenset(["phone", "choice", "time", "name"])
"""Kinds whose values are known for what they are long after they were said."""


def _language(state: State, reading: Reading) -> None:
    """Which language the caller speaks: one long turn tells at the start, two in a row later."""
    hebrew, english = reading.said.hebrew, reading.said.latin
    if "english" in reading.acts:
        state.spoken = "en"
    elif hebrew + english >= 2 and min(hebrew, english) <= 1:
        heard = "he" if hebrew > english else "en"
        state.heard_row = state.heard_row + 1 if heard == state.heard else 1
        state.heard = heard
        if state.heard_row >= 2 or (state.turns == 1 and hebrew + english >= 3):
            state.spoken = heard


def _take(state: State, reading: Reading, values: Mapping[str, str]) -> None:
    """Values of the turn to answer: new ones, and those that replace a captured one."""
    from callbot.models.offline.corrections import corrections

    fixed = corrections(state, reading)
    for name, value in fixed.items():
        state.lead[name] = state.new[name] = value
        state.corrected.append(name)
    for name, value in values.items():
        if name in fixed:
            continue
        old = state.lead.get(name)
        if old == value:
            continue
        if old is not None and (value in old or not _may_replace(state, reading, name)):
            continue
        if fixed and old is None and (name not in reading.firm or name == state.asked.field):
            continue
        state.lead[name] = state.new[name] = value
        if old is not None:
            state.corrected.append(name)


def _may_replace(state: State, reading: Reading, name: str) -> bool:
    if state.prepared.fields[name].sort in ("number", "age") and name in reading.firm:
        return True
    if "also" in reading.acts and "correction" not in reading.acts:
        return False
    if reading.acts & {"correction", "other_negation"} or state.asked.field == name:
        return True
    kind = state.prepared.fields[name].kind
    if kind == "phone":
        return True
    if kind in ("name", "other_name") or kind in ("address", "city", "service", "text", "email"):
        return name in reading.firm
    if state.asked.kind == "anything_else" and not reading.question and len(reading.said.words) <= _SHORT:
        return True
    return "no" in reading.acts and not reading.question


def _count(state: State, reading: Reading, values: Mapping[str, str]) -> None:
    """Keep the counts that decide when patience ends."""
    acts = reading.acts
    if "injection" in acts:
        return
    if "person" in acts:
        state.persons += 1
        state.insisted = state.insisted or "insist" in acts
    if "abuse" in acts:
        state.abuses += 1
    if reading.reasons:
        state.reasons |= reading.reasons
    wrapping = state.asked.kind == "anything_else"
    asked = state.asked.field if state.asked.kind == "field" else ""
    gave = bool(values) or reading.question
    required = asked in state.prepared.required
    if asked and acts and not gave:
        phone = state.prepared.fields[asked].kind == "phone"
        refuses = not acts.isdisjoint(REFUSING) or "no" in acts or ("no_callback" in acts and phone)
        if refuses and required and asked not in state.lead:
            state.refusals[asked] += 1
        if not acts.isdisjoint(UNKNOWING):
            state.unknowns[asked] += 1
    if is_soft(reading) and not gave and not wrapping and (required or not asked):
        state.soft_row += 1
    elif not _idle(acts, gave):
        state.soft_row = 0
    state.wrapped_row = state.wrapped_row + 1 if wrapping and not gave and not reading.content else 0


def is_soft(reading: Reading) -> bool:
    """Whether the turn turns something down without closing the door."""
    acts = reading.acts
    return (
        "decline_soft" in acts or ("refuse_bare" in acts) or ("no" in acts and reading.asked.kind != "field")
    )


def _idle(acts: frozenset[str], gave: bool) -> bool:
    """Whether a turn neither refuses nor goes on: thanks, wait, what?"""
    return not gave and bool(acts) and acts <= {"thanks", "wait", "repeat", "ack", "reassure"}
