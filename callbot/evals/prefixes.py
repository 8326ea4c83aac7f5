"""Puts a real call to a model, one question for each thing that its caller said.

Both sides stay as they were: the history of each question is the call up to that turn, the bot's
turns in the shape of the reply contract. What the model answers is never spoken; only what it wants
is read, and every turn is asked, whatever it wanted before. The bot's turns carry the lead that the
model's own earlier answers captured, as they would on its own call (the transcript does not know the
lead, and turns without one would teach the model to capture nothing). The guard does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from callbot import events as ev
from callbot.driver import Dialogue
from callbot.ending import computed_status, drift
from callbot.evals.transcripts import Transcript, TranscriptTurn
from callbot.record import Record
from callbot.replay import ProviderFailed
from callbot.rules import Rules, speech_seconds


@dataclass(slots=True)
class _Call:
    """How far the transcript has been read. ``now``: seconds of virtual time."""

    rules: Rules
    record: Record
    now: float = 0.0
    asked: int = 0
    history: list[ev.Heard] = field(default_factory=list)
    lead: dict[str, str] = field(default_factory=dict)
    captured: Mapping[str, str] = field(default_factory=dict)
    """What the last answer added to the lead."""
    status: str = ev.LeadStatus.IN_PROGRESS

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in self.rules.required if name not in self.lead)

    def said(self, turn: TranscriptTurn) -> None:
        """One side has spoken, as it did."""
        if turn.speaker == "caller":
            self.asked += 1
            self.record.note(self.now, "caller_turn", n=self.asked, text=turn.text)
            self.history.append(ev.CallerSaid(turn.text))
        else:
            self.record.note(self.now, "bot_turn", text=turn.text)
            self.history.append(self._of_the_bot(turn.text))
        self.now += speech_seconds(turn.text)

    def _of_the_bot(self, text: str) -> ev.BotSaid:
        last = self.history[-1] if self.history else None
        if not self.asked:
            return ev.BotSaid(text, 0, ev.SpeechKind.GREETING)
        if isinstance(last, ev.BotSaid):  # two turns of the bot's in a row: the lead came with the first
            return ev.BotSaid(text, self.asked)
        control = ev.Control(lead_status=self.status, missing_fields=self.missing)
        return ev.BotSaid(text, self.asked, control=control, lead=dict(self.captured))

    def question(self) -> ev.AskModel:
        """The call as it stands, put to the model."""
        return ev.AskModel(
            turn=self.asked,
            history=tuple(self.history),
            lead=dict(self.lead),
            missing=self.missing,
            seconds_left=self.rules.reply_deadline,
        )

    def answered(self, reply: ev.ReplyDone) -> None:
        """Keep what the answer captured."""
        self.captured = reply.lead
        self.lead.update(reply.lead)
        if found := drift(reply.control, required=self.rules.required, captured=self.lead):
            self.record.note(self.now, "drift", turn=reply.turn, **found)
        status = computed_status(reply.control, required=self.rules.required, captured=self.lead)
        if reply.lead or status != self.status:
            self.status = status
            self.record.command(self.now, ev.SaveLead(dict(self.lead), status.value))


async def put_prefixes(transcript: Transcript, dialogue: Dialogue, rules: Rules, record: Record) -> None:
    """Ask at every turn of the caller. Raises ProviderFailed; the record then holds all up to it.

    The record gets the notes ``caller_turn``, ``bot_turn`` (what was really said) and ``answer``
    (what the model would have said) beside the questions and the model's decisions.
    """
    call = _Call(rules, record)
    for turn in transcript.turns:
        call.said(turn)
        if turn.speaker == "caller":
            await _ask(call, dialogue)


async def _ask(call: _Call, dialogue: Dialogue) -> None:
    question, asked_at = call.question(), call.now
    call.record.command(asked_at, question)
    call.captured = {}
    words: list[str] = []
    async for seconds, answer in dialogue.ask(question):
        call.now = asked_at + seconds
        if isinstance(answer, ev.Note):
            call.record.note(call.now, answer.type, **answer.data)
        elif isinstance(answer, ev.ReplyFailed):
            call.record.note(call.now, "reply_failed", turn=answer.turn, error=answer.error)
            raise ProviderFailed(answer.error)
        elif isinstance(answer, ev.ReplyDone):
            call.record.note(call.now, "answer", n=call.asked, text=" ".join(words))
            call.record.event(call.now, answer)
            call.answered(answer)
        else:
            words.append(answer.text)
