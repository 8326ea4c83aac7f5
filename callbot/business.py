"""A business file: who answers the phone, what it collects, when a call may end, and its prompt.

It is longer than other files because every key of a business file stands here beside its description.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from callbot.errors import InvalidInput, Problem
from callbot.fields import LeadField, phone_e164
from callbot.plainly import Expected, Unit, suggestion
from callbot.rules import Rules
from callbot.yamlfile import (
    Document,
    Location,
    OptionalText,
    OptionalWords,
    Sentences,
    StrictModel,
    Text,
    Words,
    read_yaml,
    refuse,
    validate,
)

BUILT_IN_REASONS = ("lead_complete", "customer_declined", "no_response")
"""End reasons that every business has; a business may declare more."""


_E164 = r"^\+[1-9]\d{6,14}$"
_PHONE = Expected("a phone number with + and country code, such as +97235550100")


class Greeting(StrictModel):
    """What callers hear first, and who plays it."""

    text: Words
    """What is said, and what stands in the history."""
    mode: Literal["play", "stream"] = "play"
    """``play``: the carrier plays it before the call starts; ``stream``: the call plays it itself."""
    audio: str | None = None
    """Path of a recording; without one the voice renders the text once."""
    barge_in: bool = False
    """With ``mode: stream``: a caller who speaks stops it, once and for good."""

    @model_validator(mode="after")
    def _played_greetings_cannot_be_interrupted(self) -> Greeting:
        if self.barge_in and self.mode == "play":
            why = "needs mode: stream; with mode: play the carrier plays the greeting to its end"
            refuse([(("barge_in",), why)])
        return self


class Transfer(StrictModel):
    """Where a call goes after it ended for a reason."""

    dial: Annotated[str, Field(pattern=_E164), _PHONE]
    """Number to connect the caller to, with its country code."""
    timeout: Annotated[int, Unit("seconds")] = Field(default=20, ge=5, le=600)
    """Seconds to ring."""


class EndReason(StrictModel):
    """A reason to end beyond the built-in three."""

    name: Annotated[
        str,
        Field(pattern=r"^[a-z][a-z0-9_]*$"),
        Expected("a name of lower-case Latin letters, digits and _, such as wrong_number"),
    ]
    """What the model answers as ``end_reason``."""
    when: Words
    """When it applies, for the prompt."""
    needs: list[str] = Field(default_factory=list)
    """Fields that must be captured before a call may end for it."""
    then: Transfer | None = None
    """Where the call goes afterwards."""


class FixedSentences(StrictModel):
    """Sentences of the bot itself; None means the language's default (``defaults.yaml``)."""

    filler: Sentences | None = None
    """Said while the model is slow; several take turns."""
    apology: OptionalWords = None
    """Said when a turn could not be answered."""
    limit: OptionalWords = None
    """Said when the call has reached its limits."""
    resume: OptionalWords = None
    """Said when a lost line is back."""
    goodbye: OptionalWords = None
    """Said when the model ends the call without words."""
    failure: OptionalWords = None
    """Said when nobody can answer any more, before hanging up."""
    repeat: OptionalWords = None
    """Asks the caller to say it again."""


class Silence(StrictModel):
    """When nobody says anything. ``after`` in seconds."""

    after: Annotated[float, Unit("seconds")] = Field(default=8.0, gt=0, allow_inf_nan=False)
    """Seconds without a word before the bot speaks up."""
    warnings: int = Field(default=2, ge=0, le=10)
    """How often it does, before one more such silence ends the call."""
    by: Literal["backend", "model"] = "backend"
    """Who speaks up: ``backend`` with the sentences below, or ``model``."""
    warn: Sentences | None = None
    """The warnings; several take turns."""
    close: OptionalWords = None
    """The last sentence before hanging up."""


class Ending(StrictModel):
    """After the farewell: seconds of listening, and how often a caller may still come back."""

    linger: Annotated[float, Unit("seconds")] = Field(default=1.0, ge=0, le=10)
    """Seconds of listening after the farewell."""
    reprieves: int = Field(default=2, ge=0, le=10)
    """How often a caller who speaks over the farewell is answered."""


class Limits(StrictModel):
    """How long a call may be: seconds, and caller turns."""

    seconds: Annotated[float, Unit("seconds")] = Field(default=600.0, gt=0, allow_inf_nan=False)
    """How long a call may last."""
    turns: Annotated[int, Unit("caller turns")] = Field(default=60, ge=1)
    """How many turns the caller may take."""


class Delivery(StrictModel):
    """Where leads are posted."""

    webhook: Annotated[
        str, Field(pattern=r"^https?://"), Expected("an address that begins with https:// or http://")
    ]
    """Address that leads are posted to."""
    secret_env: str | None = None
    """Environment variable with the secret that signs them."""


_Duration = Annotated[
    str, Field(pattern=r"^\d+[dh]$"), Expected("a number of days or hours, such as 30d or 12h")
]


class Keep(StrictModel):
    """How long things are kept, as days or hours: ``30d``, ``12h``."""

    audio: _Duration = "30d"
    """How long audio is kept."""
    transcript: _Duration = "180d"
    """How long what was said is kept."""

    @property
    def audio_time(self) -> dt.timedelta:
        """``audio`` as a length of time."""
        return _length(self.audio)

    @property
    def transcript_time(self) -> dt.timedelta:
        """``transcript`` as a length of time."""
        return _length(self.transcript)


def _length(duration: str) -> dt.timedelta:
    hours = int(duration[:-1]) * (24 if duration.endswith("d") else 1)
    return dt.timedelta(hours=min(hours, _EVER))


_EVER = 100 * 365 * 24
"""Hours; no calendar holds every number of days that a file may name."""


class Privacy(StrictModel):
    """What is recorded of callers."""

    record_audio: bool = False
    """Whether callers are recorded on the phone; they must be told, see ``notice``."""
    notice: OptionalWords = None
    """The words of ``greeting.text`` that tell callers that they are recorded."""
    keep: Keep = Keep()
    """How long what is kept is kept."""


class Voice(StrictModel):
    """Speech engines by name."""

    tts: str | None = None
    """Who speaks, such as ``azure:he-IL-HilaNeural``."""
    stt: str | None = None
    """Who listens, such as ``openai:gpt-transcribe``."""


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        hint = suggestion(name, available_timezones()) or "; use an IANA name such as Asia/Jerusalem"
        raise ValueError(f'unknown time zone "{name}"{hint}') from error
    return name


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Business(StrictModel):
    """A whole business file, after ``extends`` was merged."""

    id: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][a-z0-9_-]*$"),
        Expected("an id of lower-case Latin letters, digits, - and _, such as ruti-cleaning"),
    ]
    """Name of the file, and what scenarios call it by."""
    name: Words
    """The name that callers know."""
    language: Literal["he", "en"] = "he"
    """Of the bot and of its default sentences."""
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "Asia/Jerusalem"
    """IANA name."""
    region: Annotated[
        str | None, Field(pattern=r"^[A-Z]{2}$"), Expected("a country as two capital letters, such as IL")
    ] = None
    """ISO 3166 country for phone numbers said without a country code."""
    persona: OptionalText = None
    """Who speaks: name, gender, tone. Only for the prompt."""
    hours: dict[str, Text] = Field(default_factory=dict)
    """When it is open, by days; told to the model and to callers who ask."""
    phone_numbers: Annotated[list[Text], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = (
        Field(default_factory=list)
    )
    """Dialled numbers that reach it."""
    greeting: Greeting
    """What callers hear first."""
    facts: dict[str, Text] = Field(default_factory=dict)
    """What may be answered: a name for each answer."""
    fields: Annotated[
        list[LeadField], Expected("a list of at least one field, such as {name: full_name}")
    ] = Field(min_length=1)
    """The lead, in asking order."""
    end_reasons: list[EndReason] = Field(default_factory=list)
    """Reasons to end beyond lead_complete, customer_declined and no_response."""
    sentences: FixedSentences = FixedSentences()
    """The bot's own sentences; the language's default where left out."""
    silence: Silence = Silence()
    """What happens when nobody says anything."""
    ending: Ending = Ending()
    """What happens after the farewell."""
    limits: Limits = Limits()
    """How long a call may be."""
    deliver: Delivery | None = None
    """Where leads are posted."""
    privacy: Privacy = Privacy()
    """What is recorded of callers."""
    voice: Voice = Voice()
    """Speech engines."""
    prompt: Words
    """What a model is told: a Jinja template over business, fields, facts, now and caller.number."""

    @model_validator(mode="after")
    def _names_fit_together(self) -> Business:
        refuse(self._misfits())
        return self

    def _misfits(self) -> Iterator[tuple[Location, str]]:
        if self.region and not _has_phones(self.region):
            yield ("region",), f'there is no country "{self.region}" with phone numbers'
        fields = [field.name for field in self.fields]
        reasons = [reason.name for reason in self.end_reasons]
        for index, name in enumerate(fields):
            if name in fields[:index]:
                yield ("fields", index, "name"), f'another field is called "{name}" already'
        for index, reason in enumerate(self.end_reasons):
            if reason.name in BUILT_IN_REASONS:
                message = f'"{reason.name}" is built in, with a meaning of its own; choose another name'
                yield ("end_reasons", index, "name"), message
            elif reason.name in reasons[:index]:
                yield ("end_reasons", index, "name"), f'another reason is called "{reason.name}" already'
            for place, name in enumerate(reason.needs):
                if name not in fields:
                    message = f'there is no field "{name}"{suggestion(name, fields)}'
                    yield ("end_reasons", index, "needs", place), message
        yield from self._unannounced()
        for index, number in enumerate(self.phone_numbers):
            if not re.match(_E164, number) and not phone_e164(number, self.phone_region):
                yield ("phone_numbers", index), f'must be {_PHONE.what}; found "{number}"'

    def _unannounced(self) -> Iterator[tuple[Location, str]]:
        """What would keep recorded callers from knowing it."""
        notice, greeting = self.privacy.notice, self.greeting
        if self.privacy.record_audio and notice is None:
            message = (
                "needs privacy.notice: tell callers in greeting.text that they are recorded, and repeat "
                "those words there; or set it to false"
            )
            yield ("privacy", "record_audio"), message
        elif notice is not None and " ".join(notice.split()) not in " ".join(greeting.text.split()):
            yield ("privacy", "notice"), f'greeting.text does not say "{notice}"; put it there, word for word'
        if self.privacy.record_audio and greeting.barge_in:
            message = (
                "lets callers cut off the notice that they are recorded; set it or record_audio to false"
            )
            yield ("greeting", "barge_in"), message

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


def _has_phones(country: str) -> bool:
    import phonenumbers

    return country in phonenumbers.SUPPORTED_REGIONS


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
        message = "must be a mapping of keys to values (key: value)"
        raise InvalidInput([Problem(document.path, 1, "", message)])
    business = validate(Business, document)
    from callbot.prompting import PromptError, check_prompt

    try:
        check_prompt(business)
    except PromptError as error:
        file, line = document.text_place(("prompt",), error.line or 0)
        raise InvalidInput([Problem(file, line, "prompt", error.what)]) from error
    return business


def recheck_prompt(business: Business, prompt: str, path: Path) -> Business:
    """The business with another prompt text, from ``path``. Raises InvalidInput if it does not render."""
    from callbot.prompting import PromptError, check_prompt

    if not prompt.strip():
        raise InvalidInput([Problem(path, None, "", "is empty; a prompt says what the model is to do")])
    changed = business.model_copy(update={"prompt": prompt})
    try:
        check_prompt(changed)
    except PromptError as error:
        raise InvalidInput([Problem(path, error.line, "", error.what)]) from error
    return changed


def read_document(path: Path) -> Document:
    """Read a business file with what it ``extends`` merged under it; the key itself is dropped."""
    return _read_chain(path, ())


def _read_chain(path: Path, seen: tuple[Path, ...]) -> Document:
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        message = "must be a mapping of keys to values (key: value)"
        raise InvalidInput([Problem(path, 1, "", message)])
    if "extends" not in document.data:
        return document
    base = document.data.pop("extends")
    _, line = document.place(("extends",))
    fault = None
    if not isinstance(base, str):
        fault = "must be the name of a file, such as _base.yaml"
    elif not (base_path := path.parent / base).is_file():
        near = suggestion(base, (file.name for file in path.parent.glob("*.y*ml")))
        fault = f"there is no file {base_path}{near}"
    elif base_path.resolve() in (*seen, path.resolve()):
        fault = f"comes back to {base}: a file cannot extend itself, directly or through others"
    else:
        return document.over(_read_chain(base_path, (*seen, path.resolve())))
    raise InvalidInput([Problem(path, line, "extends", fault)])
