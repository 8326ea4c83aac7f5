"""Turns the Record of a call into a scenario: the same caller, said again by script.

The Record's events go through the engine once more, so that each act of the caller is seen as the
call stood then: over the bot's words (``barge_in``), over the farewell, after a silence. On the same
deterministic model the scenario takes the same course. Its oracle is how the call *did* end, which
somebody has to review.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from callbot import events as ev
from callbot.business import Business
from callbot.call import Call, Phase
from callbot.errors import CallbotError, InvalidInput
from callbot.evals.anonymise import Anonymiser
from callbot.evals.outcome import Outcome, outcome_of
from callbot.evals.scenario import DEFAULT_NOW, ScenarioFile
from callbot.record import Record, rules_from_json
from callbot.rules import speech_seconds
from callbot.yamlfile import parse_yaml, validate

_NOTICED = 3.0
"""Seconds of silence before the caller's words that are worth a turn of their own."""
_SPARE = 1.5
"""Seconds that such a silence stays below the engine's warning, which did not come."""
_INTO_A_SENTENCE = 0.5
"""Seconds at most into the sentence that a caller cut: a voice and its estimate differ in length."""
_DURING = {Phase.GREETING: "greeting", Phase.FAREWELL: "farewell", Phase.LINGER: "linger"}


@dataclass(slots=True)
class Act:
    """One thing that the caller did, as a turn of a script."""

    say: str | None = None
    press: str | None = None
    silence: float | None = None
    noise: float | None = None
    hang_up: bool = False
    during: str | None = None
    barge_in: float | None = None
    replies: list[str] = field(default_factory=list)
    """What the bot said after it."""


def acts_of(record: Record) -> tuple[list[Act], Record]:
    """What the caller did, and the Record with a ``caller_turn`` note before each act.

    Raises CallbotError for a Record that today's engine cannot read.
    """
    try:
        return _Reader(record).read()
    except (KeyError, TypeError) as error:
        raise CallbotError(
            f"the Record of {record.header.get('call')} is not one of today's: {error!r}"
        ) from error


class _Reader:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.call = Call(rules_from_json(record.header["rules"]))
        self.acts: list[Act] = []
        self.told = Record(dict(record.header))
        self.started: tuple[float, Act] | None = None
        """When an open speech began, and its cue."""
        self.words: list[tuple[int, str]] = []
        """Marks and sentences of the bot since the caller's last act, fillers aside."""
        self.on_air: set[int] = set()
        self.silent_since = 0.0

    def read(self) -> tuple[list[Act], Record]:
        for entry in self.record.entries:
            if entry.kind == "event":
                self.event(entry.t, entry.what)  # type: ignore[arg-type]  # its kind says so
            if isinstance(entry.what, ev.Note) and entry.what.type == "caller_turn":
                continue  # a simulated caller's own count
            self.told.entries.append(entry)
        return self.acts, self.told

    # --- the caller -----------------------------------------------------------------------------
    def event(self, t: float, event: ev.Event) -> None:
        if isinstance(event, ev.SpeechStarted):
            self.silence_before(t)
            self.started = t, self.cue()
        elif isinstance(event, ev.UserSpoke):
            began, act = self.started or (t, self.cue())
            self.started = None
            self.spoke(t, event.text.strip(), act, max(0.3, t - began))
        elif isinstance(event, ev.KeyPressed):
            self.pressed(t, event.key)
        elif isinstance(event, ev.CallerHungUp) and self.call.phase in (Phase.GREETING, Phase.TALKING):
            self.add(t, Act(hang_up=True))
        elif isinstance(event, ev.Played):
            self.on_air = {mark for mark in self.on_air if mark > event.mark}
        for command in self.call.receive(event, t):
            self.command(t, command)

    def cue(self) -> Act:
        """An act with the cue at which it comes, as the call stands."""
        if (during := _DURING.get(self.call.phase)) is not None:
            return Act(during=during)
        cut = next(((mark, text) for mark, text in self.words if mark in self.on_air), None)
        if cut is None:
            return Act()
        heard = sum(speech_seconds(text) for mark, text in self.words if mark < cut[0])
        return Act(barge_in=round(heard + min(_INTO_A_SENTENCE, speech_seconds(cut[1]) / 2), 1))

    def spoke(self, t: float, words: str, act: Act, seconds: float) -> None:
        last = self.acts[-1] if self.acts else None
        unanswered = last is not None and last.say is not None and not last.replies and not self.words
        if not words:
            act.noise = round(min(seconds, 60.0), 1)
        elif last is not None and unanswered and act.during is None and act.barge_in is None:
            last.say = f"{last.say} {words}"  # went on before anybody answered
            return
        else:
            act.say = words
        self.add(t, act)

    def pressed(self, t: float, key: str) -> None:
        last = self.acts[-1] if self.acts else None
        if last is not None and last.press is not None and self.call.keys:
            last.press += key
            return
        self.silence_before(t)
        act = self.cue()
        act.press = key
        self.add(t, act)

    def silence_before(self, t: float) -> None:
        """A pause before the caller's words, long enough to notice and too short for a warning."""
        quiet = t - max(self.call.quiet_since, self.silent_since) if self.call.is_quiet else 0.0
        if quiet >= _NOTICED and self.call.phase is Phase.TALKING:
            longest = self.call.rules.silence_after - _SPARE
            if longest > 0:
                self.add(t - quiet, Act(silence=round(min(quiet, longest), 1)))

    def add(self, t: float, act: Act) -> None:
        self.acts.append(act)
        self.words.clear()
        self.told.note(t, "caller_turn", n=len(self.acts), entry=len(self.acts), text=act.say or "")

    # --- the bot --------------------------------------------------------------------------------
    def command(self, t: float, command: ev.Command) -> None:
        if isinstance(command, ev.Speak):
            if command.speech is ev.SpeechKind.WARNING:
                self.silent(t)  # first: the warning is what the bot says after it
            if command.speech is not ev.SpeechKind.FILLER:
                self.words.append((command.mark, command.text))
                self.on_air.add(command.mark)
            if self.acts:
                self.acts[-1].replies.append(command.text)
        elif isinstance(command, ev.ClearAudio):
            self.on_air.clear()
        elif _notices_silence(command):
            self.silent(t)
        elif isinstance(command, ev.Note) and command.type == "speech_without_words" and self.started:
            began, act = self.started
            self.started = None
            self.spoke(t, "", act, t - began)

    def silent(self, t: float) -> None:
        """The engine has noticed a silence: one turn for each time it did."""
        self.silent_since = t
        self.add(t, Act(silence=round(self.call.rules.silence_after + 1.0, 1)))


def _notices_silence(command: ev.Command) -> bool:
    if isinstance(command, ev.AskModel):
        return command.occasion is ev.Occasion.SILENCE
    return isinstance(command, ev.Note) and command.type == "silence_over"


# --- the scenario ---------------------------------------------------------------------------------
def scenario_text(record: Record, business: Business) -> str:
    """The scenario file of a call, personal data replaced. Raises CallbotError for a call without turns."""
    acts, told = acts_of(record)
    if not acts:
        raise CallbotError(
            f"nobody said anything on the call {record.header.get('call')}: there is no scenario in it"
        )
    outcome = outcome_of(told)
    hidden = _anonymiser(record, business, acts, outcome)
    text = "\n".join(_lines(record, business, acts, outcome, hidden)) + "\n"
    path = Path("scenario")
    try:
        validate(ScenarioFile, parse_yaml(text, path))
    except InvalidInput as error:
        raise CallbotError(f"this call cannot be told as a script: {error}") from error
    return text


def _anonymiser(record: Record, business: Business, acts: list[Act], outcome: Outcome) -> Anonymiser:
    keep = [business.name, *business.phone_numbers, *business.facts.values(), business.greeting.text]
    hidden = Anonymiser(business.phone_region, keep)
    if number := record.header.get("caller_number"):
        hidden.learn_phone(number)
    for name, value in outcome.lead.items():
        kind = next((field.type for field in business.fields if field.name == name), "text")
        if kind == "phone":
            hidden.learn_phone(value)
        elif kind == "text" and "name" in name:
            hidden.learn_name(value)
    asked = ""
    for act in acts:
        if act.say:
            hidden.learn(act.say, asked=asked)
        asked = " ".join(act.replies)
    return hidden


def _lines(
    record: Record, business: Business, acts: list[Act], outcome: Outcome, hidden: Anonymiser
) -> Iterator[str]:
    call_id, model = str(record.header.get("call", "call")), record.header.get("model")
    yield "# From a call. Names, numbers and addresses were replaced where they were found: read it before you share it."
    yield "# say is what recognition made of the caller's words; if it is wrong, write what was said, and this in heard."
    yield f"name: {re.sub(r'[^A-Za-z0-9._-]+', '-', call_id).strip('-._') or 'call'}"
    yield f"description: {_quoted(f'A call as it was held with {model}.')}"
    yield f"business: {business.id}"
    yield "tags: [from-call]"
    yield f"now: {_now(record, business):%Y-%m-%dT%H:%M}"
    if number := hidden.phone(record.header.get("caller_number")):
        yield f"from: {_quoted(number)}"
    yield "caller:"
    yield "  turns:"
    for number_of, act in enumerate(acts, 1):
        yield f"    - {_turn(act, hidden)}  # {number_of}"
        if act.replies:
            yield f"    # bot: {' '.join(hidden.replaced(' '.join(act.replies)).split())}"
    yield "expect:"
    yield f"  # REVIEW: this is how the call did end ({_ending(outcome)}); write how it should have."
    yield f"  end: {_end(outcome)}"
    yield from _lead(business, outcome, hidden)


def _now(record: Record, business: Business) -> dt.datetime:
    head = record.header
    if now := head.get("now"):
        return dt.datetime.fromisoformat(now)
    if started := head.get("started_at"):
        time = dt.datetime.fromisoformat(str(started))
        return time.astimezone(ZoneInfo(business.timezone)) if time.tzinfo else time
    return DEFAULT_NOW


def _turn(act: Act, hidden: Anonymiser) -> str:
    parts: list[str] = []
    if act.say is not None:
        parts.append(f"say: {_quoted(hidden.replaced(act.say))}")
    if act.press is not None:
        parts.append(f"press: {_quoted(_keys(act.press, hidden))}")
    for name, value in (("silence", act.silence), ("noise", act.noise), ("barge_in", act.barge_in)):
        if value is not None:
            parts.append(f"{name}: {value:g}")
    if act.hang_up:
        parts.append("hang_up: true")
    if act.during is not None:
        parts.append(f"during: {act.during}")
    return f"{{{', '.join(parts)}}}" if len(parts) > 1 else parts[0]


def _keys(keys: str, hidden: Anonymiser) -> str:
    """Keys may be a phone number."""
    return re.sub(r"\d{4,}", lambda digits: hidden.replaced(digits[0]), keys)


def _quoted(text: str) -> str:
    """A double-quoted scalar of YAML, which a string of JSON is."""
    return json.dumps(text, ensure_ascii=False)


def _end(outcome: Outcome) -> str:
    request = outcome.first_request
    if request is None or not request.turn:
        return "open"
    reason = f", reason: [{request.reason}]" if request.reason else ""
    return f"{{turns: [{request.turn}, {request.turn}]{reason}}}"


def _ending(outcome: Outcome) -> str:
    request = outcome.first_request
    refused = "; the first request to end was refused" if request and request.refused else ""
    return f"ended by {outcome.ended_by or 'nobody'}{refused}"


def _lead(business: Business, outcome: Outcome, hidden: Anonymiser) -> Iterator[str]:
    kinds = {field.name: field.type for field in business.fields}
    values = {name: value for name, value in outcome.lead.items() if name in kinds}
    if values:
        yield "  lead:"
    for name, value in values.items():
        kind = kinds[name]
        shown = (
            value if kind == "choice" else hidden.phone(value) if kind == "phone" else hidden.replaced(value)
        )
        yield f"    {name}: {_quoted(str(shown))}"
    yield f"  lead_status: {outcome.lead_status}"
