"""Scenario files: who calls which business, what they say, and when the call should end."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from callbot.business import BUILT_IN_REASONS, Business
from callbot.errors import InvalidInput, Problem
from callbot.yamlfile import Document, OptionalText, StrictModel, Text, read_yaml, validate

BEYOND_OFFLINE = "beyond-offline"
"""Tag of scenarios that the offline model is known to fail: excused for it, and for it alone."""
CRITICAL = "critical"
"""Tag of scenarios in which no attempt may end the call early."""
DEFAULT_NOW = dt.datetime(2026, 11, 29, 10, 0)
"""A Sunday morning: the fixed moment of scenarios that name none, so that runs can be repeated."""

_ACTS = ("say", "silence", "press", "noise", "hang_up")


def _not_yet(what: str) -> Any:
    def refuse(value: object) -> object:
        raise ValueError(f"{what} cannot be used yet; only scripted callers (caller: turns) can")

    return BeforeValidator(refuse)


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


_OneOrMore = BeforeValidator(_listed, json_schema_input_type=str | list[str])


def _checked_pattern(text: str) -> str:
    if text.startswith("~"):
        try:
            re.compile(text[1:])
        except re.error as error:
            raise ValueError(f'"{text}" is no regular expression: {error}') from error
    return text


Pattern = Annotated[Text, AfterValidator(_checked_pattern)]
"""A text, or after ``~`` a regular expression."""


class TurnExpect(StrictModel):
    """What must hold of the model's reply to one turn."""

    open: Literal[True] | None = None
    """The model must not ask to end."""

    @field_validator("open", mode="before")
    @classmethod
    def _true(cls, value: object) -> object:
        if str(value).lower() != "true":
            raise ValueError("must be true; to expect an end, use the scenario's expect.end")
        return True


class CallerTurn(StrictModel):
    """One entry of a scripted caller. Seconds where a number is wanted."""

    say: OptionalText = None
    heard: OptionalText = None
    """What recognition makes of ``say``."""
    silence: float | None = Field(default=None, gt=0, le=3600)
    press: str | None = Field(default=None, pattern=r"^[0-9*#]+$")
    noise: float | None = Field(default=None, gt=0, le=60)
    hang_up: bool | None = None
    barge_in: float | None = Field(default=None, ge=0)
    """Seconds into the bot's reply."""
    during: Literal["greeting", "farewell", "linger"] | None = None
    when: Annotated[Any, _not_yet("when")] = None
    expect: TurnExpect = TurnExpect()

    @model_validator(mode="after")
    def _does_one_thing(self) -> CallerTurn:
        acts = [act for act in _ACTS if getattr(self, act) not in (None, False)]
        if len(acts) != 1:
            found = f"found {' and '.join(acts)}" if acts else "found none of them"
            raise ValueError(f"a turn does exactly one of {', '.join(_ACTS)}; {found}")
        if self.heard is not None and self.say is None:
            raise ValueError("heard goes with say")
        if self.barge_in is not None and self.during is not None:
            raise ValueError("barge_in and during are two different cues; choose one")
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


def _turns_only(value: object) -> object:
    if isinstance(value, dict):
        for key in ("facts", "temper", "opening", "persona", "goal", "max_turns"):
            if key in value:
                raise ValueError(
                    f'adaptive and persona callers ("{key}") cannot be used yet; only scripted callers can'
                )
    return value


class Caller(StrictModel):
    """A scripted caller."""

    turns: list[CallerTurn] = Field(min_length=1)


class EndExpect(StrictModel):
    """When the call should end: a window of turns, inclusive, and the reasons allowed."""

    turns: Annotated[list[int], Field(min_length=2, max_length=2)]
    reason: Annotated[list[str], _OneOrMore] = Field(default_factory=list)
    after: Annotated[Any, _not_yet("end.after")] = None
    within: Annotated[Any, _not_yet("end.within")] = None
    before: Annotated[Any, _not_yet("end.before")] = None

    @model_validator(mode="after")
    def _first_before_last(self) -> EndExpect:
        if self.turns[0] > self.turns[1]:
            raise ValueError(f"the window's first turn {self.turns[0]} comes after its last {self.turns[1]}")
        return self


class Expect(StrictModel):
    """The oracle: what a thoughtful human operator would do."""

    end: EndExpect | Literal["open"]
    lead: dict[str, Annotated[list[Pattern], _OneOrMore]] = Field(default_factory=dict)
    """Alternatives by field; ``~`` begins a regular expression, an empty list means not captured."""
    lead_status: Literal["in_progress", "complete", "declined"] | None = None
    never_says: list[Pattern] = Field(default_factory=list)

    @field_validator("end", mode="before")
    @classmethod
    def _window_or_open(cls, value: object) -> object:
        if isinstance(value, str) and value != "open":
            raise ValueError(f'must be open, or a window such as {{turns: [6, 7]}}; found "{value}"')
        return value


class Variant(StrictModel):
    """The same scenario with one turn's words changed, and perhaps its own oracle."""

    at: int = Field(ge=1)
    say: Text
    expect: Expect | None = None


class ScenarioFile(StrictModel):
    """One scenario as it is written."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: OptionalText = None
    business: Annotated[list[str], _OneOrMore, Field(min_length=1)]
    tags: Annotated[list[str], _OneOrMore] = Field(default_factory=list)
    now: Annotated[
        dt.datetime, WithJsonSchema({"type": "string", "description": "ISO 8601, local time of the business"})
    ] = DEFAULT_NOW
    from_: str | None = Field(default=None, alias="from", pattern=r"^\+[1-9]\d{6,14}$")
    caller: Annotated[Caller, BeforeValidator(_turns_only)]
    expect: Expect
    variants: list[Variant] = Field(default_factory=list)

    @model_validator(mode="after")
    def _oracle_fits_the_script(self) -> ScenarioFile:
        count = len(self.caller.turns)
        for expect in (self.expect, *(variant.expect for variant in self.variants)):
            if isinstance(expect, Expect) and isinstance(expect.end, EndExpect):
                first, last = expect.end.turns
                if first < 1 or last > count:
                    raise ValueError(
                        f"expect.end.turns [{first}, {last}] lies outside the caller's {count} turns"
                    )
        for variant in self.variants:
            if variant.at > count:
                raise ValueError(f"variant at: {variant.at} lies outside the caller's {count} turns")
            if self.caller.turns[variant.at - 1].say is None:
                raise ValueError(f"variant at: {variant.at} changes what is said, but that turn says nothing")
        return self


class ScenarioSet(StrictModel):
    """Several scenarios in one file."""

    scenarios: list[ScenarioFile] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario for one business, ready to run."""

    name: str
    description: str
    file: Path
    line: int
    business: str
    tags: tuple[str, ...]
    now: dt.datetime
    caller_number: str | None
    turns: tuple[CallerTurn, ...]
    expect: Expect


# --- reading ------------------------------------------------------------------------------------
def read_scenarios(paths: Sequence[Path], any_business: Sequence[str] = ()) -> list[Scenario]:
    """Every scenario in files and folders, in the order of their paths.

    ``any_business`` stands in for ``business: any``. Raises InvalidInput with every fault of every
    file; nothing of a bad set is returned.
    """
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for file in _files(paths):
        try:
            scenarios.extend(_read_file(file, any_business))
        except InvalidInput as error:
            problems.extend(error.problems)
    problems.extend(_names_used_twice(scenarios))
    if problems:
        raise InvalidInput(problems)
    return scenarios


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found: Iterable[Path] = sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml"))
        elif path.exists():
            found = [path]
        else:
            raise InvalidInput([Problem(path, None, "", "there is no such file or folder")])
        for file in found:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _read_file(file: Path, any_business: Sequence[str]) -> Iterator[Scenario]:
    document = read_yaml(file)
    data = document.data
    if isinstance(data, dict) and "transcripts" in data:
        message = "transcript callers cannot be used yet; only scripted callers (caller: turns) can"
        raise InvalidInput([Problem(file, document.place(("transcripts",))[1], "transcripts", message)])
    if isinstance(data, dict) and "scenarios" in data:
        items = data["scenarios"]
        if not isinstance(items, list) or len(data) > 1:
            message = "a file holds one scenario, or a list of them under scenarios: and nothing else"
            raise InvalidInput([Problem(file, 1, "scenarios", message)])
        locations: list[tuple[int | str, ...]] = [("scenarios", index) for index in range(len(items))]
    elif isinstance(data, dict):
        locations = [()]
    else:
        raise InvalidInput([Problem(file, 1, "", "a scenario is a mapping of keys to values")])
    problems: list[Problem] = []
    for location in locations:
        try:
            yield from _expanded(document, location, any_business)
        except InvalidInput as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInput(problems)


def _expanded(
    document: Document, location: tuple[int | str, ...], any_business: Sequence[str]
) -> Iterator[Scenario]:
    written = validate(ScenarioFile, document, location)
    _, line = document.place((*location, "name"))
    if "any" in written.business and not any_business:
        message = "business: any needs --business ID to say which"
        raise InvalidInput([Problem(document.path, line, "business", message)])
    businesses = [
        business for name in written.business for business in (any_business if name == "any" else [name])
    ]
    for business in businesses:
        name = written.name if len(businesses) == 1 else f"{written.name}@{business}"
        for suffix, turns, expect in _variants(written):
            yield Scenario(
                name=name + suffix,
                description=written.description or "",
                file=document.path,
                line=line,
                business=business,
                tags=tuple(written.tags),
                now=written.now,
                caller_number=written.from_,
                turns=turns,
                expect=expect,
            )


def _variants(written: ScenarioFile) -> Iterator[tuple[str, tuple[CallerTurn, ...], Expect]]:
    turns = tuple(written.caller.turns)
    yield "", turns, written.expect
    for number, variant in enumerate(written.variants, 1):
        update: dict[str, object] = {"say": variant.say, "heard": None}
        if variant.expect is not None:  # another oracle: the old turn's own expectation goes with it
            update["expect"] = TurnExpect()
        changed = turns[variant.at - 1].model_copy(update=update)
        yield (
            f".v{number}",
            (*turns[: variant.at - 1], changed, *turns[variant.at :]),
            variant.expect or written.expect,
        )


def _names_used_twice(scenarios: Sequence[Scenario]) -> Iterator[Problem]:
    seen: dict[str, Scenario] = {}
    for scenario in scenarios:
        first = seen.setdefault(scenario.name, scenario)
        if first is not scenario:
            message = f'the name "{scenario.name}" is also used at {first.file}:{first.line}'
            yield Problem(scenario.file, scenario.line, "name", message)


def check_against(scenario: Scenario, business: Business) -> list[Problem]:
    """What in a scenario does not fit its business: unknown reasons and lead fields."""
    reasons = [*BUILT_IN_REASONS, *business.reasons]
    fields = [field.name for field in business.fields]
    wanted = scenario.expect.end.reason if isinstance(scenario.expect.end, EndExpect) else []
    problems = [
        _unknown(scenario, "expect.end.reason", reason, reasons, business)
        for reason in wanted
        if reason not in reasons
    ]
    problems.extend(
        _unknown(scenario, "expect.lead", name, fields, business)
        for name in scenario.expect.lead
        if name not in fields
    )
    return problems


def _unknown(scenario: Scenario, key: str, name: str, known: list[str], business: Business) -> Problem:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
    return Problem(scenario.file, scenario.line, key, f'"{name}" is unknown to {business.id}; {hint}')
