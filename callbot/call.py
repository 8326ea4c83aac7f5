"""One phone call as a state machine: events in, commands out, no I/O, no clock.

Every rule of a call stands in this file, which is why it is longer than the others: the rules meet
in shared state, and scattered they could not be checked against each other. Its helpers ``ending``,
``playback``, ``history`` and ``rules`` only keep books; beyond them and ``events`` it imports the
standard library alone.

The contract of a driver
------------------------
1. Feed events in order, from one task, through ``receive(event, now)``; ``now`` is in seconds from
   any origin and never goes back.
2. Obey every returned command, in order, before feeding the next event.
3. Feed ``Tick`` once ``now >= call.deadline``; an early or extra Tick changes nothing. The deadline
   may already have passed when ``receive`` returns.
4. The first event is ``CallStarted``. With a played greeting it comes when the carrier has finished
   the greeting; what is fed before it reaches nobody. With a streamed one the call answers it with
   ``Speak(speech=GREETING)``.
5. Answer each ``Speak`` with ``AudioQueued`` when the length of its audio is known (optional) and
   with ``Played(mark)`` when the carrier says it was played, or with ``VoiceFailed``. After
   ``ClearAudio``, marks of what it discarded may come back, late or never; they prove nothing.
6. Follow ``SpeechStarted`` by ``SpeechContinues`` at least every 2 s while the caller speaks, and by
   one ``UserSpoke`` (empty: no words).
7. Answer each ``AskModel`` with any number of ``SentenceReady`` and one ``ReplyDone`` or
   ``ReplyFailed`` of its turn, unless ``CancelModel`` came first; answers to older turns are harmless.
8. ``HangUp`` comes at most once, and nothing after it but Notes; ``CallerHungUp`` may come at any time.

A call that is over answers every event with no commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from callbot import events as ev
from callbot.ending import NO_RESPONSE, computed_status, drift, refusal
from callbot.events import CallerSaid, Command, EndedBy, Note, Occasion, ReplyDone, SpeechKind
from callbot.history import History, heard_from_json, heard_to_json
from callbot.playback import Playback, Utterance
from callbot.rules import (
    FAILURES_TO_END,
    FALLBACK_BUDGET,
    KEYS_LIMIT,
    KEYS_PAUSE,
    SPEECH_LIMIT,
    SPEECH_WITHOUT_WORDS,
    Rules,
)


class Phase(StrEnum):
    """Where a call is."""

    IDLE = "idle"
    GREETING = "greeting"
    TALKING = "talking"
    FAREWELL = "farewell"
    """Its end is decided; the last words are on the air and are not cut."""
    LINGER = "linger"
    """The last words were heard; the bot listens a moment longer."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Ending:
    """Who ends the call and why (``reason``: an end reason, or None where there is no such thing)."""

    by: EndedBy
    reason: str | None = None

    @property
    def may_be_reprieved(self) -> bool:
        """A caller can talk a decision out of it, but neither the limits nor a broken provider."""
        return self.by in (EndedBy.MODEL, EndedBy.SILENCE)


@dataclass(slots=True)
class Turn:
    """The question that was last put to the model. ``deadline`` in engine seconds."""

    number: int = 0
    occasion: Occasion = Occasion.CALLER_SPOKE
    cause: Occasion = Occasion.CALLER_SPOKE
    """The occasion; with END_REFUSED, that of the refused turn."""
    asking: bool = False
    started: float = 0.0
    deadline: float = 0.0
    fell_back: bool = False
    budget_left: float = 0.0
    """What the complete reply left of the time until ``deadline``: noise over it costs no budget."""
    spoke: bool = False
    """Its reply, or the refused one that it follows, has produced words."""
    detail: str = ""
    """What explains the occasion to whoever answers."""
    refused: int = 0
    """With END_REFUSED: the turn whose request to end was refused."""
    held: ReplyDone | None = None
    """A complete reply waiting for the caller to stop speaking."""


class Call:
    """One call. Read ``phase``, ``lead``, ``ending``, ``history`` and ``deadline`` freely; change nothing."""

    __slots__ = (
        "_out",
        "_speech_sign",
        "_speech_since",
        "control",
        "ending",
        "failures",
        "filled",
        "fillers",
        "history",
        "keys",
        "keys_at",
        "lead",
        "lead_status",
        "limit_at",
        "linger_until",
        "phase",
        "playback",
        "quiet_since",
        "reprieves",
        "rules",
        "said",
        "silences",
        "started_at",
        "turn",
        "turns",
        "unsaid",
    )

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.phase = Phase.IDLE
        self.history = History()
        self.playback = Playback()
        self.lead: dict[str, str] = {}
        self.lead_status = "in_progress"
        self.control: ev.Control | None = None
        self.ending: Ending | None = None
        self.turn = Turn()
        self.turns = 0
        self.said: list[CallerSaid] = []
        """Heard from the caller, not yet put to the model."""
        self.unsaid: list[Utterance] = []
        """To be said once the caller leaves the floor."""
        self.keys = ""
        self.keys_at = 0.0
        self.silences = 0
        """Silence intervals in a row without a word of the caller."""
        self.failures = 0
        self.reprieves = 0
        self.fillers = 0
        self.filled = (False, False)
        """Whether the previous turn and this one had a filler."""
        self.started_at = 0.0
        self.limit_at: float | None = None
        self.quiet_since = 0.0
        self.linger_until = 0.0
        self._speech_since: float | None = None
        self._speech_sign = 0.0
        self._out: list[Command] = []

    # --- the doors ------------------------------------------------------------------------------
    def receive(self, event: ev.Event, now: float) -> list[Command]:
        """Take one event; return what is to be done about it, in order."""
        if self.phase is Phase.OVER:
            return []
        self._HANDLERS[type(event)](self, event, now)
        self._settle(now)
        out, self._out = self._out, []
        return out

    @property
    def deadline(self) -> float | None:
        """When the engine wants a ``Tick``, in the driver's seconds; None before and after the call."""
        if self.phase in (Phase.IDLE, Phase.OVER):
            return None
        waits = [
            wait for wait in (self._speech_deadline, self.playback.lost_mark_deadline) if wait is not None
        ]
        if self.keys:
            waits.append(self.keys_at + KEYS_PAUSE)
        if self.limit_at is not None and self.phase is Phase.TALKING:
            waits.append(self.limit_at)
        if self.turn.asking:
            waits.append(self.turn.deadline)
            if self._may_fill:
                waits.append(self.turn.started + self.rules.filler_after)
        if self.is_quiet:
            waits.append(self.quiet_since + self.rules.silence_after)
        if self.phase is Phase.LINGER and self._floor_is_free:
            waits.append(self.linger_until)
        return min(waits, default=None)

    @property
    def is_quiet(self) -> bool:
        """Nobody speaks, nobody thinks: the caller's turn, and the silence clock runs."""
        return (
            self.phase is Phase.TALKING
            and not self.playback
            and not self.unsaid
            and not self.turn.asking
            and self.turn.held is None
            and self._floor_is_free
        )

    def snapshot(self, now: float) -> dict[str, Any]:
        """What a call needs to go on after its server died, as JSON data.

        Words that were on the air are forgotten; ``answered`` says whether the caller's last words
        got their whole answer.
        """
        answered = not (self.turn.asking or self.turn.held or self.unsaid or self.playback or self.said)
        return {
            "history": [heard_to_json(entry) for entry in [*self.history.entries, *self.said]],
            "lead": dict(self.lead),
            "lead_status": self.lead_status,
            "elapsed": now - self.started_at,
            "turn": self.turn.number,
            "turns": self.turns,
            "mark": self.playback.next_mark,
            "reprieves": self.reprieves,
            "failures": self.failures,
            "answered": answered and self.phase is Phase.TALKING,
            "ending": self.ending and {"by": self.ending.by.value, "reason": self.ending.reason},
        }

    @classmethod
    def restore(cls, rules: Rules, snapshot: Mapping[str, Any], now: float) -> Call:
        """A call that goes on from a snapshot. Its first event is ``CallResumed``."""
        call = cls(rules)
        call.history = History(heard_from_json(entry) for entry in snapshot["history"])
        call.lead = dict(snapshot["lead"])
        call.lead_status = snapshot["lead_status"]
        call.started_at = now - snapshot["elapsed"]
        call.turn = Turn(snapshot["turn"], spoke=snapshot["answered"])
        call.turns = snapshot["turns"]
        call.playback = Playback(snapshot["mark"])
        call.reprieves, call.failures = snapshot["reprieves"], snapshot["failures"]
        return call

    # --- the line opens -------------------------------------------------------------------------
    def _on_started(self, event: ev.CallStarted, now: float) -> None:
        if self.phase is not Phase.IDLE:
            return
        self._open(now, now)
        greeting = Utterance(self.rules.greeting, SpeechKind.GREETING)
        if self.rules.greeting_streamed:
            self.phase = Phase.GREETING
            self._speak(greeting, now)
            return
        self.said.clear()  # said while the carrier played: it reaches nobody, on any line
        self.keys = ""
        self._speech_since = None
        self.history.heard(greeting)
        self.phase = Phase.TALKING

    def _on_resumed(self, event: ev.CallResumed, now: float) -> None:
        if self.phase is not Phase.IDLE:
            return
        self._open(self.started_at, now)
        self.phase = Phase.TALKING
        self.unsaid.append(Utterance(self.rules.resume, SpeechKind.RESUME))
        if not self.turn.spoke and self.history.entries:
            self._ask(Occasion.RESUMED, now)

    def _open(self, started_at: float, now: float) -> None:
        self.started_at = started_at
        self.limit_at = started_at + self.rules.limit_seconds
        self.quiet_since = now

    # --- the caller -----------------------------------------------------------------------------
    def _on_speech_started(self, event: ev.SpeechStarted, now: float) -> None:
        if self._speech_since is None:
            self._speech_since = now
        self._speech_sign = now
        self._cut(now)

    def _on_speech_continues(self, event: ev.SpeechContinues, now: float) -> None:
        if self._speech_since is not None:
            self._speech_sign = now

    def _on_user_spoke(self, event: ev.UserSpoke, now: float) -> None:
        self._speech_since = None
        if text := event.text.strip():
            self._take_words(CallerSaid(text), now)

    def _on_key(self, event: ev.KeyPressed, now: float) -> None:
        if len(self.keys) < KEYS_LIMIT:
            self.keys_at = now
        self.keys += event.key
        self._cut(now)

    def _take_words(self, said: CallerSaid, now: float) -> None:
        """Real words: they cut the bot, outdate its reply, and prove that somebody is there."""
        self._cut(now)
        self.said.append(said)
        self.silences = 0
        self.quiet_since = now
        if self.phase is not Phase.TALKING:
            return
        self._interrupt_reply()
        self.turn.held = None
        self._stop_asking()
        if self.ending is not None and not self.ending.may_be_reprieved:
            self.unsaid = [utterance for utterance in self.unsaid if utterance.kind is SpeechKind.CLOSING]
        else:
            self.unsaid.clear()
            self.ending = None

    def _interrupt_reply(self) -> None:
        """What is unsaid of a reply will never be heard."""
        reply = [utterance for utterance in self.unsaid if utterance.kind is SpeechKind.REPLY]
        cut_off = next((utterance.turn for utterance in reply if utterance.started), None)
        unfinished = reply or self.turn.asking
        if cut_off is not None:
            self.history.interrupted(cut_off)
        elif unfinished and self.history.has(self.turn.number):
            self.history.interrupted(self.turn.number)

    def _cut(self, now: float) -> None:
        """Barge-in: silence the bot at once, unless it greets uninterruptibly or says goodbye."""
        if not self.playback:
            return
        if self.phase is Phase.TALKING:
            cut = self.playback.cut()
            self.unsaid[:0] = [u for u in cut if u.kind is not SpeechKind.FILLER]
        elif self.phase is Phase.GREETING and self.rules.greeting_barge_in:
            self.playback.cut()
            self.history.interrupted(0, SpeechKind.GREETING)
        else:
            return
        self.quiet_since = now
        self._out.append(ev.ClearAudio())

    def _on_hung_up(self, event: ev.CallerHungUp, now: float) -> None:
        self.unsaid[:0] = self.playback.cut()
        if any(utterance.kind is SpeechKind.GREETING for utterance in self.unsaid):
            self.history.interrupted(0, SpeechKind.GREETING)
        self._interrupt_reply()
        self._stop_asking()
        if self.keys:
            self.said.append(CallerSaid("", self.keys))
        self.history.caller_said(self.said)
        self.said.clear()
        self.ending = Ending(EndedBy.CALLER)
        self.phase = Phase.OVER

    # --- the bot's voice ------------------------------------------------------------------------
    def _speak(self, utterance: Utterance, now: float) -> None:
        self.playback.add(utterance, now)
        self._out.append(ev.Speak(utterance.mark, utterance.text, utterance.kind))

    def _on_audio_queued(self, event: ev.AudioQueued, now: float) -> None:
        self.playback.sized(event.mark, event.seconds, now)

    def _on_played(self, event: ev.Played, now: float) -> None:
        for utterance in self.playback.heard(event.mark):
            self.history.heard(utterance)
            self.quiet_since = now

    def _on_voice_failed(self, event: ev.VoiceFailed, now: float) -> None:
        if (utterance := self.playback.lost(event.mark)) is not None:
            self._note("voice_failed", mark=utterance.mark, speech=utterance.kind.value, error=event.error)
            self.quiet_since = now

    # --- the model ------------------------------------------------------------------------------
    def _ask(self, occasion: Occasion, now: float, detail: str = "") -> None:
        previous = self.turn
        self._stop_asking()
        self.turn = Turn(
            previous.number + 1,
            occasion,
            cause=occasion,
            asking=True,
            started=now,
            deadline=now + self.rules.reply_deadline,
            detail=detail,
        )
        if occasion is Occasion.END_REFUSED:  # one turn to the caller: same budget, words follow on
            self.turn.started, self.turn.deadline = previous.started, now + previous.budget_left
            self.turn.spoke, self.turn.fell_back = previous.spoke, previous.fell_back
            self.turn.refused, self.turn.cause = previous.number, previous.cause
        else:
            self.filled = (self.filled[1], False)
        self._send_question(now)

    def _send_question(self, now: float) -> None:
        turn = self.turn
        if turn.occasion is Occasion.END_REFUSED:
            pending = [u for u in (*self.playback.queue, *self.unsaid) if u.turn == turn.refused]
            history = self.history.with_words(turn.refused, pending)
        else:
            history = tuple(self.history.entries)
        question = ev.AskModel(
            turn.number,
            history,
            dict(self.lead),
            tuple(name for name in self.rules.required if name not in self.lead),
            turn.occasion,
            turn.detail,
            turn.deadline - now,
            turn.fell_back,
        )
        self._out.append(question)

    def _stop_asking(self) -> None:
        if self.turn.asking:
            self.turn.asking = False
            self._out.append(ev.CancelModel(self.turn.number))

    def _is_current(self, turn: int) -> bool:
        return self.turn.asking and self.turn.number == turn

    def _on_sentence(self, event: ev.SentenceReady, now: float) -> None:
        if self._is_current(event.turn) and event.text.strip():
            self.turn.spoke = True
            self.unsaid.append(Utterance(event.text.strip(), SpeechKind.REPLY, event.turn))

    def _on_reply_done(self, event: ReplyDone, now: float) -> None:
        if not self._is_current(event.turn):
            return
        self.turn.asking = False
        self.turn.budget_left = max(0.0, self.turn.deadline - now)
        self.quiet_since = now
        self.failures = 0
        self.control = event.control
        self.history.reply_done(event)
        self.turn.held = event
        self._save_lead(event)

    def _save_lead(self, reply: ReplyDone) -> None:
        changed = {k: v for k, v in reply.lead.items() if self.lead.get(k) != v}
        self.lead.update(changed)
        required = self.rules.required
        if found := drift(reply.control, required=required, captured=self.lead):
            self._note("drift", turn=reply.turn, **found)
        status = computed_status(reply.control, required=required, captured=self.lead)
        if changed or status != self.lead_status:
            self.lead_status = status
            self._out.append(ev.SaveLead(dict(self.lead), status.value))

    def _decide(self, reply: ReplyDone, now: float) -> None:
        """Act on a complete reply's control, now that nobody speaks over it."""
        self.turn.held = None
        if not reply.control.should_end_call:
            if not self._close_if_silence_is_over(now):
                self._fill_empty_reply()
            return
        why = refusal(
            reply.control,
            captured=self.lead,
            required=self.rules.required,
            reasons=self.rules.reasons,
            silence_is_over=self.silences > self.rules.silence_warnings,
        )
        if why is None:
            self.ending = Ending(EndedBy.MODEL, reply.control.end_reason)
            if not self.turn.spoke and self.turn.cause is not Occasion.AFTER_FAREWELL:
                self.unsaid.append(Utterance(self.rules.goodbye, SpeechKind.CLOSING))
            return
        self._note("end_refused", turn=reply.turn, reason=reply.control.end_reason, why=why)
        if self._close_if_silence_is_over(now):
            return
        if self.turn.occasion is Occasion.END_REFUSED:
            self._fill_empty_reply()
        else:
            self._ask(Occasion.END_REFUSED, now, why)

    def _fill_empty_reply(self) -> None:
        """A reply without words would leave the caller in silence; after a silence it may."""
        if not self.turn.spoke and self.turn.cause is not Occasion.SILENCE:
            self.unsaid.append(Utterance(self.rules.repeat, SpeechKind.APOLOGY))

    def _on_reply_failed(self, event: ev.ReplyFailed, now: float) -> None:
        if self._is_current(event.turn):
            self.turn.asking = False
            self._fail(event.error, now)

    def _fail(self, error: str, now: float) -> None:
        """The model did not answer: the fallback, the apology, and at last giving up."""
        self._note("reply_failed", turn=self.turn.number, error=error, fallback=self.turn.fell_back)
        self.quiet_since = now
        if self.turn.spoke:  # partly answered; nothing to add, and nothing was decided
            self._close_if_silence_is_over(now)
            return
        if self.rules.has_fallback and not self.turn.fell_back:
            self.turn.number += 1
            self.turn.asking = self.turn.fell_back = True
            self.turn.deadline = now + FALLBACK_BUDGET
            self._send_question(now)
            return
        if self.turn.cause is Occasion.SILENCE:
            if not self._close_if_silence_is_over(now):
                self.unsaid.append(self._warning())
            return
        self.failures += 1
        if self.failures < FAILURES_TO_END:
            self.unsaid.append(Utterance(self.rules.apology, SpeechKind.APOLOGY))
        else:
            self._end_with(Ending(EndedBy.FAILURE), self.rules.failure)

    # --- time -----------------------------------------------------------------------------------
    def _on_tick(self, event: ev.Tick, now: float) -> None:
        speech_deadline = self._speech_deadline
        if self._speech_since is not None and speech_deadline is not None and now >= speech_deadline:
            self._note("speech_without_words", seconds=now - self._speech_since)
            self._speech_since = None
        lost_mark = self.playback.lost_mark_deadline
        if lost_mark is not None and now >= lost_mark:
            self._note("mark_lost", mark=self.playback.queue[0].mark)
            self._on_played(ev.Played(self.playback.queue[0].mark), now)
        if self.keys and now >= self.keys_at + KEYS_PAUSE:
            keys, self.keys = self.keys, ""
            self._take_words(CallerSaid("", keys), now)
        if self.phase is not Phase.TALKING:
            return
        if self.limit_at is not None and now >= self.limit_at:
            self._reach_limit()
        elif self.turn.asking:
            self._hurry(now)
        elif self.is_quiet and now >= self.quiet_since + self.rules.silence_after:
            self._break_silence(now)

    def _hurry(self, now: float) -> None:
        if now >= self.turn.deadline:
            self._stop_asking()
            self._fail("the turn's deadline passed", now)
        elif self._may_fill and now >= self.turn.started + self.rules.filler_after:
            self.filled = (self.filled[0], True)
            self.fillers += 1
            text = self.rules.filler[(self.fillers - 1) % len(self.rules.filler)]
            self._speak(Utterance(text, SpeechKind.FILLER), now)

    def _break_silence(self, now: float) -> None:
        self.silences += 1
        if self.rules.silence_by_model:
            last = self.silences > self.rules.silence_warnings
            detail = f"silent for {self.rules.silence_after:g} seconds, {self.silences} in a row"
            self._ask(Occasion.SILENCE, now, detail + ("; no_response is allowed now" if last else ""))
        elif not self._close_if_silence_is_over(now):
            self.unsaid.append(self._warning())

    def _close_if_silence_is_over(self, now: float) -> bool:
        if self.silences <= self.rules.silence_warnings:
            return False
        self._note("silence_over", silences=self.silences)
        self._end_with(Ending(EndedBy.SILENCE, NO_RESPONSE), self.rules.close)
        return True

    def _warning(self) -> Utterance:
        return Utterance(self.rules.warn[(self.silences - 1) % len(self.rules.warn)], SpeechKind.WARNING)

    def _reach_limit(self) -> None:
        self.limit_at = None
        self._stop_asking()
        self.turn.held = None
        self._end_with(Ending(EndedBy.LIMIT), self.rules.limit)

    def _end_with(self, ending: Ending, sentence: str) -> None:
        self.ending = ending
        self.unsaid = [utterance for utterance in self.unsaid if utterance.kind is not SpeechKind.CLOSING]
        self.unsaid.append(Utterance(sentence, SpeechKind.CLOSING))

    @property
    def _speech_deadline(self) -> float | None:
        if self._speech_since is None:
            return None
        return min(self._speech_sign + SPEECH_WITHOUT_WORDS, self._speech_since + SPEECH_LIMIT)

    @property
    def _floor_is_free(self) -> bool:
        return self._speech_since is None and not self.keys

    @property
    def _may_fill(self) -> bool:
        return (
            self.phase is Phase.TALKING
            and not self.turn.spoke
            and not any(self.filled)
            and not self.playback
            and not self.unsaid
            and self._floor_is_free
        )

    # --- what follows from the state, however it was reached --------------------------------------
    def _settle(self, now: float) -> None:
        if self.phase is Phase.GREETING and not self.playback:
            self.phase = Phase.TALKING
            self.quiet_since = now
        if self.phase is Phase.TALKING and self._floor_is_free:
            self._settle_talking(now)
        if self.phase is Phase.FAREWELL and not self.playback:
            self.phase = Phase.LINGER
            self.linger_until = now + self.rules.linger
        if self.phase is Phase.LINGER and self._floor_is_free:
            self._settle_linger(now)

    def _settle_talking(self, now: float) -> None:
        if self.turn.held is not None:
            self._decide(self.turn.held, now)
        if self.said and self.ending is None:
            self._put_to_model(Occasion.CALLER_SPOKE, now)
        self.history.caller_said(self.said)
        self.said.clear()
        for utterance in self.unsaid:
            self._speak(utterance, now)
        self.unsaid.clear()
        if self.ending is not None:
            self.phase = Phase.FAREWELL

    def _settle_linger(self, now: float) -> None:
        assert self.ending is not None
        limited = (self.limit_at is not None and now >= self.limit_at) or self.turns >= self.rules.limit_turns
        spared = self.ending.may_be_reprieved and self.reprieves < self.rules.reprieves and not limited
        if self.said and spared:
            self.reprieves += 1
            self.ending = None
            self.phase = Phase.TALKING
            self._put_to_model(Occasion.AFTER_FAREWELL, now)
        elif now >= self.linger_until:
            self.history.caller_said(self.said)
            self.said.clear()
            self._out.append(ev.HangUp(self.ending.by, self.ending.reason))
            self.phase = Phase.OVER

    def _put_to_model(self, occasion: Occasion, now: float) -> None:
        self.history.caller_said(self.said)
        self.said.clear()
        if self.turns >= self.rules.limit_turns:
            self._reach_limit()
            return
        self.turns += 1
        self._ask(occasion, now)

    def _note(self, kind: str, **data: object) -> None:
        self._out.append(Note(kind, data))

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any, float], None]]] = {
        ev.CallStarted: _on_started,
        ev.CallResumed: _on_resumed,
        ev.SpeechStarted: _on_speech_started,
        ev.SpeechContinues: _on_speech_continues,
        ev.UserSpoke: _on_user_spoke,
        ev.KeyPressed: _on_key,
        ev.AudioQueued: _on_audio_queued,
        ev.Played: _on_played,
        ev.VoiceFailed: _on_voice_failed,
        ev.SentenceReady: _on_sentence,
        ev.ReplyDone: _on_reply_done,
        ev.ReplyFailed: _on_reply_failed,
        ev.CallerHungUp: _on_hung_up,
        ev.Tick: _on_tick,
    }
