"""Who calls, as scenario files say it: scripted, adaptive and persona callers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from callbot.evals.oracle import Milestone
from callbot.evals.shapes import Fault, Pattern, a_mapping, refuse, shaped, with_words
from callbot.plainly import suggestion
from callbot.yamlfile import OptionalText, StrictModel, Words

ANYTHING_ELSE = "anything_else"
"""What a bot asks for that is no field of the lead: whether there is anything else."""
MAX_TURNS = 14

_ACTS = ("say", "silence", "press", "noise", "hang_up")


class TurnExpect(StrictModel):
    """What must hold of the model's reply to one turn."""

    open: Literal[True] | None = None
    """The model must not ask to end."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return a_mapping(value, "{open: true}")

    @field_validator("open", mode="before")
    @classmethod
    def _true(cls, value: object) -> object:
        if str(value).lower() != "true":
            raise ValueError("must be true; to expect an end, use the scenario's expect.end")
        return True


class When(StrictModel):
    """A cue: what the bot must have said since the caller's last words. It is judged by the bot's words."""

    asks: Words | None = None
    """A field of the lead that the bot asks for, or ``anything_else``."""
    says: Pattern | None = None
    """A text that the bot says, or after ``~`` a regular expression that its words match."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return a_mapping(value, "a cue such as {asks: phone} or {says: hold on}")

    @model_validator(mode="after")
    def _is_one_cue(self) -> When:
        if (self.asks is None) == (self.says is None):
            raise ValueError("a cue is either asks: FIELD or says: TEXT")
        return self

    def __str__(self) -> str:
        """The cue, as messages name it."""
        return f"question for {self.asks}" if self.asks is not None else f'words "{self.says}"'


class CallerTurn(StrictModel):
    """One entry of a scripted caller. Seconds where a number is wanted."""

    say: Annotated[OptionalText, AfterValidator(with_words)] = None
    """What the caller says."""
    heard: OptionalText = None
    """What recognition makes of ``say``."""
    silence: float | None = Field(default=None, gt=0, le=3600)
    """Seconds without a word."""
    press: shaped(r"[0-9*#]+", "keys: 0-9, * and #") | None = None  # type: ignore[valid-type]
    """Keys of the caller's phone."""
    noise: float | None = Field(default=None, gt=0, le=60)
    """Seconds of sound without words."""
    hang_up: bool | None = None
    """The caller hangs up."""
    barge_in: float | None = Field(default=None, ge=0, le=600)
    """Seconds into the bot's reply."""
    during: Literal["greeting", "farewell", "linger"] | None = None
    """Said over the greeting or the farewell, or in the moment after it."""
    when: When | None = None
    """Waits for this cue, wherever the entry stands; entries without are done in order."""
    milestone: Milestone | None = None
    """What the caller has done with this turn, for ``expect.end.after``."""
    expect: TurnExpect = TurnExpect()
    """What must hold of the reply to this turn."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return a_mapping(value, "a turn such as {say: hello}; quote text that holds : or ,")

    @model_validator(mode="after")
    def _does_one_thing(self) -> CallerTurn:
        acts = [act for act in _ACTS if getattr(self, act) not in (None, False)]
        if len(acts) != 1:
            found = f"found {' and '.join(acts)}" if acts else "found none of them"
            raise ValueError(f"a turn does exactly one of {', '.join(_ACTS)}; {found}")
        if self.heard is not None and self.say is None:
            raise ValueError("heard goes with say")
        cues = [cue for cue in ("barge_in", "during", "when") if getattr(self, cue) is not None]
        if len(cues) > 1:
            raise ValueError(f"{' and '.join(cues)} are {_COUNTS[len(cues)]} different cues; choose one")
        if (self.barge_in is not None or self.during) and acts[0] in ("silence", "hang_up"):
            raise ValueError(f"barge_in and during go with say, press or noise, not with {acts[0]}")
        return self

    def __str__(self) -> str:
        """The turn as a transcript shows it."""
        if self.say is not None:
            heard = f' (heard as "{self.heard}")' if self.heard is not None else ""
            return self.say + heard
        if self.silence is not None:
            return f"[silent for {self.silence:g} s]"
        if self.press is not None:
            return f"[presses {self.press}]"
        return f"[noise for {self.noise:g} s]" if self.noise is not None else "[hangs up]"


_COUNTS = {2: "two", 3: "three"}


class ScriptedSpec(StrictModel):
    """A caller who follows a script."""

    turns: list[CallerTurn] = Field(min_length=1)
    """What the caller does, in order; each entry is one turn, counted from 1 as it happens."""

    @field_validator("turns", mode="before")
    @classmethod
    def _some_turns(cls, value: object) -> object:
        if not isinstance(value, list) or not value:
            raise ValueError("must be a list of at least one turn, such as [{say: hello}]")
        return value

    @model_validator(mode="after")
    def _every_turn_can_come(self) -> ScriptedSpec:
        refuse(list(_out_of_order(self.turns)))
        return self


def _out_of_order(turns: Sequence[CallerTurn]) -> Iterator[Fault]:
    said = [(index, turn) for index, turn in enumerate(turns) if turn.when is None]
    for position, (index, turn) in enumerate(said):
        earlier = [t for _, t in said[:position]]
        if earlier and earlier[-1].hang_up:
            yield ("turns", index), "nothing can be done after hang_up", None
        if turn.during == "greeting" and any(t.during != "greeting" and not t.silence for t in earlier):
            yield ("turns", index, "during"), "the greeting is over after the turns before this one", None


Temper = Literal["cooperative", "hesitant", "curt", "refusing", "chatty", "silent"]
"""How an adaptive caller behaves."""


def _told(value: object) -> object:
    return value if isinstance(value, list) else [value]


class AdaptiveSpec(StrictModel):
    """A caller who answers what the bot's words ask for; no model is needed."""

    facts: dict[
        str,
        Annotated[
            list[Words],
            Field(min_length=1, max_length=3),
            BeforeValidator(_told, json_schema_input_type=str | list[str]),
        ],
    ] = Field(default_factory=dict)
    """What the caller can tell, by field of the lead. A list: said first, then corrected to the next."""
    temper: Temper = "cooperative"
    """``refusing`` gives nothing beyond the facts and declines when asked for more; ``silent`` falls
    silent for good once a fact has been told."""
    opening: OptionalText = None
    """The caller's first words; made of the facts if left out."""
    max_turns: int = Field(default=MAX_TURNS, ge=2, le=60)
    """Turns after which the caller hangs up."""

    @model_validator(mode="after")
    def _has_something_to_tell(self) -> AdaptiveSpec:
        if not self.facts and self.temper not in ("refusing", "silent"):
            refuse([(("facts",), f"is empty; a {self.temper} caller needs something to tell", None)])
        return self


class PersonaSpec(StrictModel):
    """A caller played by a model (``--caller-model``)."""

    persona: Words
    """Who calls, in the words that the model is told."""
    goal: Words
    """What the caller wants of the call, and when they have had enough."""
    max_turns: int = Field(default=MAX_TURNS, ge=2, le=60)
    """Turns after which the caller hangs up."""


CallerSpec = ScriptedSpec | AdaptiveSpec | PersonaSpec

_KINDS: tuple[tuple[str, type[StrictModel], tuple[str, ...]], ...] = (
    ("scripted", ScriptedSpec, ("turns",)),
    ("persona", PersonaSpec, ("persona", "goal")),
    ("adaptive", AdaptiveSpec, ("facts", "temper", "opening")),
)
_A_CALLER = "a caller such as {turns: [{say: hello}]} or {facts: {full_name: Dana}, temper: curt}"
_LATER = dict.fromkeys(
    ("transcript", "transcripts"), "transcripts: stands beside name, in place of caller and expect"
)


def _cast(value: object) -> object:
    """The caller that the keys describe; a fault names the keys of that kind."""
    if isinstance(value, (ScriptedSpec, AdaptiveSpec, PersonaSpec)):
        return value
    value = a_mapping(value, _A_CALLER, _LATER)
    assert isinstance(value, Mapping)
    told = [(name, kind, key) for name, kind, keys in _KINDS for key in keys if key in value]
    names = list(dict.fromkeys(name for name, _, _ in told))
    if len(names) > 1:
        key = next(key for name, _, key in told if name != names[0])
        message = f"{key} makes this caller {names[1]}, {told[0][2]} {names[0]}; a caller is one of them"
        refuse([((key,), message, value[key])])
    kind: type[StrictModel] = told[0][1] if told else ScriptedSpec
    refuse(list(_unknown_keys(value, kind)))
    return kind.model_validate(value)


def _unknown_keys(value: Mapping[str, Any], kind: type[StrictModel]) -> Iterator[Fault]:
    known = sorted(kind.model_fields)
    for key in value:
        if key not in known:
            near = suggestion(key, known) or f"; known keys: {', '.join(known)}"
            yield (key,), f"unknown key{near}", value[key]


Cast = Annotated[CallerSpec, BeforeValidator(_cast, json_schema_input_type=CallerSpec)]
"""Who calls."""


def milestones_of(caller: CallerSpec) -> set[str]:
    """The milestones that may come with a caller."""
    if isinstance(caller, ScriptedSpec):
        return {turn.milestone for turn in caller.turns if turn.milestone is not None}
    if isinstance(caller, PersonaSpec):
        return {"lead_complete", "declined", "goodbye"}
    return {
        "refusing": {"declined", "goodbye"},
        "silent": {"silent"},
    }.get(caller.temper, {"lead_complete", "goodbye"})
