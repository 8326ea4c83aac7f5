"""The oracle of a scenario: what a thoughtful human operator would do, and by when the call is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from callbot.evals.shapes import Fault, OneOrMore, Pattern, a_mapping, refuse
from callbot.yamlfile import StrictModel, Text

Milestone = Literal["lead_complete", "declined", "goodbye", "silent"]
"""What a caller has done by some turn: told every required detail, refused for good, said goodbye, or
fallen silent for good. Noted in the Record in the turn in which it happens."""
MILESTONES: tuple[Milestone, ...] = get_args(Milestone)


class Before(StrictModel):
    """What must have happened before the end."""

    captured: Annotated[list[str], OneOrMore, Field(min_length=1)]
    """Fields of the lead that must be captured first."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return a_mapping(value, "{captured: [phone]}")


_A_WINDOW = "open, or a window such as {turns: [6, 7]} or {after: goodbye, within: 1}"


class EndExpect(StrictModel):
    """When the call should end: a window of turns, inclusive, and the reasons allowed.

    Either fixed, ``turns``, or after a milestone of the caller's: it opens with the turn in which
    the milestone comes (the reply to that very turn may end the call) and closes ``within`` turns
    later. With ``before``, it opens no sooner than the turn in which the last of those fields was
    captured: a request to end made without them is premature. A milestone that never comes leaves
    no window: a request to end is premature, and none is ``never``.
    """

    turns: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)] | None = None
    """First and last turn of the window, inclusive."""
    after: Milestone | None = None
    """The caller's milestone with which the window opens."""
    within: int | None = Field(default=None, ge=0, le=60)
    """Turns after the window has opened until it closes; 0: the reply to that turn alone."""
    before: Before | None = None
    """What must have happened before the end."""
    reason: Annotated[list[str], OneOrMore] = Field(default_factory=list)
    """Reasons that are right; any if left out."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_window(cls, value: object) -> object:
        return a_mapping(value, _A_WINDOW)

    @field_validator("turns", mode="before")
    @classmethod
    def _first_and_last(cls, value: object) -> object:
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError("must be the first and the last turn of the window, such as [6, 7] or [6, 6]")
        return value

    @field_validator("turns")
    @classmethod
    def _first_before_last(cls, value: list[int]) -> list[int]:
        if value[0] > value[1]:
            raise ValueError(f"the window's first turn {value[0]} comes after its last {value[1]}")
        return value

    @model_validator(mode="after")
    def _is_one_kind_of_window(self) -> EndExpect:
        refuse(list(self._faults()))
        return self

    def _faults(self) -> Iterator[Fault]:
        if self.turns is None and self.after is None:
            message = "is missing; write turns: [6, 7], or after: and a milestone of the caller's"
            yield ("turns",), message, None
        elif self.turns is not None and self.after is not None:
            yield ("after",), "turns and after are two different windows; choose one", None
        elif self.after is not None and self.within is None:
            yield ("within",), f"is missing; say within how many turns after {self.after}", None
        if self.turns is not None:
            for key in ("within", "before"):
                if getattr(self, key) is not None and self.after is None:
                    yield (key,), f"{key} goes with after, not with turns", None


def _none_if_open(value: object) -> object:
    if value is None:
        raise ValueError("is empty; write open, or a window such as {turns: [6, 7]}")
    return None if value == "open" else value


def _said(statement: str) -> str:
    if not statement.strip():
        raise ValueError("says nothing; write what must hold, such as: the bot never promises a price")
    return statement


Statement = Annotated[Text, AfterValidator(_said)]


def _each_once(statements: list[str]) -> list[str]:
    for statement in statements:
        if statements.count(statement) > 1:
            raise ValueError(f'"{statement}" stands there twice')
    return statements


class Expect(StrictModel):
    """The oracle: what a thoughtful human operator would do."""

    end: Annotated[
        EndExpect | None, BeforeValidator(_none_if_open, json_schema_input_type=EndExpect | Literal["open"])
    ]
    """None: it should stay open, written ``open``."""
    lead: dict[str, Annotated[list[Pattern], OneOrMore]] = Field(default_factory=dict)
    """Alternatives by field; ``~`` begins a regular expression, an empty list means not captured."""
    lead_status: Literal["in_progress", "complete", "declined"] | None = None
    """Status of the lead at the end."""
    never_says: Annotated[list[Pattern], OneOrMore] = Field(default_factory=list)
    """What the bot must not say; ``~`` begins a regular expression."""
    ended_by: Annotated[list[Literal["model", "silence", "caller", "failure", "limit"]], OneOrMore] = Field(
        default_factory=list
    )
    """Who may end the call; with ``silence.by: model``, ``model`` says that it must notice by itself."""
    judge: Annotated[list[Statement], OneOrMore, AfterValidator(_each_once)] = Field(default_factory=list)
    """Statements about the whole call that a model judges (``--judge-model``); checks beside the verdict."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_mapping(cls, value: object) -> object:
        return a_mapping(value, "an oracle such as {end: {turns: [6, 7]}} or {end: open}")
