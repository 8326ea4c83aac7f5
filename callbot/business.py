"""A business file: who answers the phone, what it collects, when a call may end, and its prompt."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.fields import LeadField
from callbot.rules import Rules
from callbot.yamlfile import Document, OptionalText, Sentences, StrictModel, Text, read_yaml, validate

BUILT_IN_REASONS = ("lead_complete", "customer_declined", "no_response")
"""End reasons that every business has; a business may declare more."""


class Greeting(StrictModel):
    """What callers hear first, and who plays it."""

    text: Text
    mode: Literal["play", "stream"] = "play"
    audio: str | None = None
    barge_in: bool = False

    @model_validator(mode="after")
    def _played_greetings_cannot_be_interrupted(self) -> Greeting:
        if self.barge_in and self.mode == "play":
            raise ValueError(
                "barge_in needs mode: stream; with mode: play the carrier plays the greeting to its end"
            )
        return self


class Transfer(StrictModel):
    """Where a call goes after it ended for a reason."""

    dial: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    timeout: int = Field(default=20, ge=5, le=600)
    """Seconds to ring."""


class EndReason(StrictModel):
    """A reason to end beyond the built-in three."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    when: Text
    needs: list[str] = Field(default_factory=list)
    then: Transfer | None = None


class FixedSentences(StrictModel):
    """Sentences of the bot itself; None means the language's default (``defaults.yaml``)."""

    filler: Sentences | None = None
    apology: OptionalText = None
    limit: OptionalText = None
    resume: OptionalText = None
    goodbye: OptionalText = None
    failure: OptionalText = None
    repeat: OptionalText = None


class Silence(StrictModel):
    """When nobody says anything. ``after`` in seconds."""

    after: float = Field(default=8.0, gt=0)
    warnings: int = Field(default=2, ge=0, le=10)
    by: Literal["backend", "model"] = "backend"
    warn: Sentences | None = None
    close: OptionalText = None


class Ending(StrictModel):
    """After the farewell: seconds of listening, and how often a caller may still come back."""

    linger: float = Field(default=1.0, ge=0, le=10)
    reprieves: int = Field(default=2, ge=0, le=10)


class Limits(StrictModel):
    """How long a call may be: seconds, and caller turns."""

    seconds: float = Field(default=600.0, gt=0)
    turns: int = Field(default=60, ge=1)


class Delivery(StrictModel):
    """Where leads are posted."""

    webhook: str = Field(pattern=r"^https?://")
    secret_env: str | None = None


_Duration = Annotated[str, Field(pattern=r"^\d+[dh]$")]


class Keep(StrictModel):
    """How long things are kept, as days or hours: ``30d``, ``12h``."""

    audio: _Duration = "30d"
    transcript: _Duration = "180d"


class Privacy(StrictModel):
    """What is recorded of callers."""

    record_audio: bool = False
    keep: Keep = Keep()


class Voice(StrictModel):
    """Speech engines by name."""

    tts: str | None = None
    stt: str | None = None


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f'unknown time zone "{name}"; use an IANA name such as Asia/Jerusalem') from error
    return name


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Business(StrictModel):
    """A whole business file, after ``extends`` was merged."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    name: Text
    language: Literal["he", "en"] = "he"
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "Asia/Jerusalem"
    region: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    """ISO 3166 country for phone numbers said without a country code."""
    persona: OptionalText = None
    """Who speaks: name, gender, tone. Only for the prompt."""
    hours: dict[str, Text] = Field(default_factory=dict)
    phone_numbers: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = (
        Field(default_factory=list)
    )
    greeting: Greeting
    facts: dict[str, Text] = Field(default_factory=dict)
    fields: list[LeadField] = Field(min_length=1)
    end_reasons: list[EndReason] = Field(default_factory=list)
    sentences: FixedSentences = FixedSentences()
    silence: Silence = Silence()
    ending: Ending = Ending()
    limits: Limits = Limits()
    deliver: Delivery | None = None
    privacy: Privacy = Privacy()
    voice: Voice = Voice()
    prompt: Text

    @model_validator(mode="after")
    def _names_fit_together(self) -> Business:
        names = [field.name for field in self.fields]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"fields named twice: {', '.join(sorted(twice))}")
        for reason in self.end_reasons:
            if reason.name in BUILT_IN_REASONS:
                raise ValueError(f'end reason "{reason.name}" is built in; choose another name')
            if unknown := set(reason.needs) - set(names):
                raise ValueError(
                    f'end reason "{reason.name}" needs unknown fields: {", ".join(sorted(unknown))}'
                )
        return self

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Names of the required fields, in asking order."""
        return tuple(field.name for field in self.fields if field.required)

    @cached_property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Declared end reasons and the fields each needs."""
        return {reason.name: tuple(reason.needs) for reason in self.end_reasons}

    @cached_property
    def phone_region(self) -> str:
        """Country of numbers without a country code: declared, else that of the business's own number."""
        return self.region or _region_of(self.phone_numbers) or {"he": "IL", "en": "US"}[self.language]

    def sentence(self, key: str) -> str:
        """A fixed sentence: the business's own, else its language's default."""
        own = getattr(self.sentences, key, None) or getattr(self.silence, key, None)
        text: str = own or default_sentences(self.language)[key]
        return text

    def sentence_list(self, key: str) -> tuple[str, ...]:
        """Fixed sentences that take turns (``filler``, ``warn``)."""
        own = getattr(self.sentences, key, None) or getattr(self.silence, key, None)
        return tuple(own or default_sentences(self.language)[key])


def rules_of(
    business: Business,
    *,
    filler_after: float = 2.0,
    reply_deadline: float = 10.0,
    has_fallback: bool = False,
) -> Rules:
    """The rules that the engine runs this business's calls by. Times in seconds."""
    return Rules(
        greeting=business.greeting.text,
        greeting_streamed=business.greeting.mode == "stream",
        greeting_barge_in=business.greeting.barge_in,
        required=business.required,
        reasons=business.reasons,
        silence_after=business.silence.after,
        silence_warnings=business.silence.warnings,
        silence_by_model=business.silence.by == "model",
        warn=business.sentence_list("warn"),
        close=business.sentence("close"),
        linger=business.ending.linger,
        reprieves=business.ending.reprieves,
        limit_seconds=business.limits.seconds,
        limit_turns=business.limits.turns,
        limit=business.sentence("limit"),
        filler_after=filler_after,
        reply_deadline=reply_deadline,
        has_fallback=has_fallback,
        filler=business.sentence_list("filler"),
        apology=business.sentence("apology"),
        failure=business.sentence("failure"),
        repeat=business.sentence("repeat"),
        goodbye=business.sentence("goodbye"),
        resume=business.sentence("resume"),
    )


def _region_of(numbers: list[str]) -> str | None:
    import phonenumbers

    for number in numbers:
        try:
            return phonenumbers.region_code_for_number(phonenumbers.parse(number))
        except phonenumbers.NumberParseException:
            continue
    return None


@cache
def default_sentences(language: str) -> dict[str, Any]:
    """The shipped sentences of a language."""
    text = (Path(__file__).parent / "defaults.yaml").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return table[language]


def read_business(path: Path) -> Business:
    """Read a business file. Raises InvalidInput naming file, line and key of each fault."""
    return business_of(read_document(path))


def business_of(document: Document) -> Business:
    """Validate a merged business document."""
    if not isinstance(document.data, dict):
        raise InvalidInput([Problem(document.path, 1, "", "a business file is a mapping of keys to values")])
    business = validate(Business, document)
    from callbot.prompting import check_prompt

    try:
        check_prompt(business)
    except CallbotError as error:
        file, line = document.place(("prompt",))
        raise InvalidInput([Problem(file, line, "prompt", str(error))]) from error
    return business


def recheck_prompt(business: Business, prompt: str, path: Path) -> Business:
    """The business with another prompt text, from ``path``. Raises InvalidInput if it does not render."""
    from callbot.prompting import check_prompt

    changed = business.model_copy(update={"prompt": prompt})
    try:
        check_prompt(changed)
    except CallbotError as error:
        raise InvalidInput([Problem(path, None, "", str(error))]) from error
    return changed


def read_document(path: Path) -> Document:
    """Read a business file with what it ``extends`` merged under it; the key itself is dropped."""
    return _read_chain(path, ())


def _read_chain(path: Path, seen: tuple[Path, ...]) -> Document:
    if path.resolve() in seen:
        raise InvalidInput([Problem(path, None, "extends", "extends itself")])
    document = read_yaml(path)
    if not isinstance(document.data, dict) or "extends" not in document.data:
        return document
    base = document.data.pop("extends")
    _, line = document.place(("extends",))
    if not isinstance(base, str):
        raise InvalidInput([Problem(path, line, "extends", "must be the name of a file")])
    base_path = path.parent / base
    if not base_path.is_file():
        raise InvalidInput([Problem(path, line, "extends", f"there is no file {base_path}")])
    return document.over(_read_chain(base_path, (*seen, path.resolve())))
