"""What a call has to do, kept a second time: the model that the engine is compared with.

``Books`` follows a call from its events alone and foretells every command but Notes, every line of
the history and every deadline. It was written from the rules of a call, not from the engine, and
reads nothing of the engine but ``phase``, ``lead``, ``ending``, ``history`` and ``deadline``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from callbot import events as ev
from callbot.call import Call, Ending, Phase
from callbot.events import BotSaid, CallerSaid, Control, EndedBy, Heard, Occasion, ReplyDone, SpeechKind
from callbot.rules import Rules, speech_seconds


@dataclass(slots=True)
class Sentence:
    """One sentence of the bot. ``mark`` 0: it was never handed to the line."""

    text: str
    kind: SpeechKind
    turn: int = 0
    mark: int = 0
    seconds: float = 0.0
    ends: float = 0.0


def guard_accepts(control: Control, lead: dict[str, str], rules: Rules, *, silence_is_over: bool) -> bool:
    """Whether the rules let this request end the call."""
    if control.end_reason == "lead_complete":
        return set(rules.required) <= set(lead)
    if control.end_reason == "customer_declined":
        return control.lead_status == "declined"
    if control.end_reason == "no_response":
        return silence_is_over
    needs = rules.reasons.get(control.end_reason or "")
    return needs is not None and set(needs) <= set(lead)


class Books:
    """The model of one call. ``take`` what happened and what the engine wants done about it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.phase = Phase.IDLE
        self.ending: Ending | None = None
        self.history: list[Heard] = []
        self.lead: dict[str, str] = {}
        self.status = "in_progress"
        self.last_mark = 0
        self.limit_at: float | None = None
        self.started_at = 0.0
        self.turn, self.turns, self.reprieves, self.failures, self.fillers = 0, 0, 0, 0, 0
        self.answered = False
        """Whether a restored call owes the caller no answer."""
        self._forget_the_moment()

    def _forget_the_moment(self) -> None:
        """What a crash does not survive."""
        self.air: list[Sentence] = []
        self.owed: list[Sentence] = []
        """Not on the air, but to be said once the caller leaves the floor."""
        self.speech: tuple[float, float] | None = None
        """Open speech: when it began, when it was last confirmed."""
        self.keys, self.keys_at = "", 0.0
        self.pending: list[CallerSaid] = []
        self.asking = False
        self.held: ReplyDone | None = None
        self.occasion = self.cause = Occasion.CALLER_SPOKE
        self.fell_back = self.spoke = False
        self.asked_at = self.budget_end = self.budget_left = 0.0
        self.refused = 0
        self.filled = (False, False)
        self.silences, self.quiet_from, self.linger_until = 0, 0.0, 0.0
        self.replies: dict[int, ReplyDone] = {}
        self.due: list[ev.Command] = []

    # --- the door -------------------------------------------------------------------------------
    def take(self, event: ev.Event, now: float, out: Sequence[ev.Command], call: Call) -> None:
        """Compare what the engine did about an event with what it had to do."""
        if self.phase is Phase.OVER:
            assert not out, "a call that is over does nothing"
            assert (call.phase, call.ending, call.deadline) == (Phase.OVER, self.ending, None)
            return
        self.due = []
        getattr(self, f"_{type(event).__name__}")(event, now)
        self._settle(now)
        acts = [command for command in out if not isinstance(command, ev.Note)]
        for kind in (ev.ClearAudio, ev.CancelModel, ev.Speak, ev.AskModel, ev.SaveLead, ev.HangUp):
            expected = [command for command in self.due if isinstance(command, kind)]
            done = [command for command in acts if isinstance(command, kind)]
            assert done == expected, f"{event}: had to do {expected}, did {done}"
        assert len(acts) == len(self.due)
        assert call.phase is self.phase, f"{event}: is in {call.phase}, should be in {self.phase}"
        assert call.ending == self.ending, f"{event}: ends by {call.ending}, should by {self.ending}"
        assert call.lead == self.lead
        entries = call.history.entries
        assert entries == self.history, f"{event}: history\n{entries}\nshould be\n{self.history}"
        wait = self._deadline()
        right = call.deadline == wait or abs((call.deadline or 0.0) - (wait or 0.0)) < 1e-6
        assert right, f"{event}: deadline {call.deadline}, should be {wait}"

    def crashed(self, taken: float, restored: float) -> None:
        """The server died after a snapshot was ``taken``; the call was ``restored`` from it."""
        whole = not (self.asking or self.held or self.owed or self.air or self.pending)
        self.answered = whole and self.phase is Phase.TALKING
        self.history += self.pending
        self.started_at += restored - taken
        self.phase, self.ending, self.fillers = Phase.IDLE, None, 0
        self._forget_the_moment()

    # --- events: the line -----------------------------------------------------------------------
    def _CallStarted(self, event: ev.CallStarted, now: float) -> None:
        if self.phase is not Phase.IDLE:
            return
        self.started_at, self.quiet_from = now, now
        self.limit_at = now + self.rules.limit_seconds
        if self.rules.greeting_streamed:
            self.phase = Phase.GREETING
            self._say(Sentence(self.rules.greeting, SpeechKind.GREETING), now)
        else:
            self.pending, self.keys, self.speech = [], "", None
            self.history.append(BotSaid(self.rules.greeting, 0, SpeechKind.GREETING))
            self.phase = Phase.TALKING

    def _CallResumed(self, event: ev.CallResumed, now: float) -> None:
        if self.phase is not Phase.IDLE:
            return
        self.quiet_from = now
        self.limit_at = self.started_at + self.rules.limit_seconds
        self.phase = Phase.TALKING
        self.owed.append(Sentence(self.rules.resume, SpeechKind.RESUME))
        if not self.answered and self.history:
            self._ask(Occasion.RESUMED, now)

    def _AudioQueued(self, event: ev.AudioQueued, now: float) -> None:
        end_before = now
        for sentence in self.air:
            if sentence.mark == event.mark:
                sentence.seconds = event.seconds
            if sentence.mark >= event.mark:
                sentence.ends = max(now, end_before) + sentence.seconds
            end_before = sentence.ends

    def _Played(self, event: ev.Played, now: float) -> None:
        while self.air and self.air[0].mark <= event.mark:
            self._hear(self.air.pop(0), now)

    def _VoiceFailed(self, event: ev.VoiceFailed, now: float) -> None:
        left = [sentence for sentence in self.air if sentence.mark != event.mark]
        if len(left) < len(self.air):
            self.air, self.quiet_from = left, now

    # --- events: the caller ---------------------------------------------------------------------
    def _SpeechStarted(self, event: ev.SpeechStarted, now: float) -> None:
        self.speech = (self.speech[0] if self.speech else now, now)
        self._cut(now)

    def _SpeechContinues(self, event: ev.SpeechContinues, now: float) -> None:
        if self.speech:
            self.speech = (self.speech[0], now)

    def _UserSpoke(self, event: ev.UserSpoke, now: float) -> None:
        self.speech = None
        if event.text.strip():
            self._words(CallerSaid(event.text.strip()), now)

    def _KeyPressed(self, event: ev.KeyPressed, now: float) -> None:
        if len(self.keys) < 30:
            self.keys_at = now
        self.keys += event.key
        self._cut(now)

    def _CallerHungUp(self, event: ev.CallerHungUp, now: float) -> None:
        if self.keys:
            self.pending.append(CallerSaid("", self.keys))
        if any(s.kind is SpeechKind.GREETING for s in self.air):
            self._mark_interrupted(0, SpeechKind.GREETING)
        self.owed, self.air = [*self.air, *self.owed], []
        self._interrupt_reply()
        self._cancel()
        self.history += self.pending
        self.phase, self.ending = Phase.OVER, Ending(EndedBy.CALLER)

    def _cut(self, now: float) -> None:
        if not self.air:
            return
        if self.phase is Phase.TALKING:
            self.owed = [s for s in self.air if s.kind is not SpeechKind.FILLER] + self.owed
        elif self.phase is Phase.GREETING and self.rules.greeting_barge_in:
            self._mark_interrupted(0, SpeechKind.GREETING)
        else:
            return
        self.air = []
        self.quiet_from = now
        self.due.append(ev.ClearAudio())

    def _words(self, said: CallerSaid, now: float) -> None:
        self._cut(now)
        self.pending.append(said)
        self.silences, self.quiet_from = 0, now
        if self.phase is not Phase.TALKING:
            return
        self._interrupt_reply()
        self._cancel()
        self.held = None
        if self._is_final():
            self.owed = [s for s in self.owed if s.kind is SpeechKind.CLOSING]
        else:
            self.owed, self.ending = [], None

    def _interrupt_reply(self) -> None:
        reply = [s for s in self.owed if s.kind is SpeechKind.REPLY]
        begun = [s.turn for s in reply if s.mark]
        heard = any(isinstance(entry, BotSaid) and entry.turn == self.turn for entry in self.history)
        if begun:
            self._mark_interrupted(begun[0], SpeechKind.REPLY)
        elif (reply or self.asking) and heard:
            self._mark_interrupted(self.turn, SpeechKind.REPLY)

    # --- events: the model ----------------------------------------------------------------------
    def _SentenceReady(self, event: ev.SentenceReady, now: float) -> None:
        if self.asking and event.turn == self.turn and event.text.strip():
            self.spoke = True
            self.owed.append(Sentence(event.text.strip(), SpeechKind.REPLY, event.turn))

    def _ReplyDone(self, event: ReplyDone, now: float) -> None:
        if not self.asking or event.turn != self.turn:
            return
        self.asking, self.failures, self.held = False, 0, event
        self.quiet_from = now
        self.budget_left = max(0.0, self.budget_end - now)
        self.replies[event.turn] = event
        self.history = [
            replace(entry, control=event.control, lead=event.lead)
            if isinstance(entry, BotSaid) and entry.turn == event.turn
            else entry
            for entry in self.history
        ]
        before = dict(self.lead)
        self.lead.update(event.lead)
        declined = event.control.lead_status == "declined"
        status = "declined" if declined else "in_progress"
        if set(self.rules.required) <= set(self.lead):
            status = "complete"
        if self.lead != before or status != self.status:
            self.due.append(ev.SaveLead(dict(self.lead), status))
        self.status = status

    def _ReplyFailed(self, event: ev.ReplyFailed, now: float) -> None:
        if self.asking and event.turn == self.turn:
            self.asking = False
            self._fail(now)

    def _ask(self, occasion: Occasion, now: float, *, fallback: bool = False) -> None:
        self._cancel()
        self.turn += 1
        self.asking = True
        if fallback:
            self.fell_back = True
            self.budget_end = now + 5.0
        elif occasion is Occasion.END_REFUSED:
            self.refused, self.occasion = self.turn - 1, occasion
            self.budget_end = now + self.budget_left
        else:
            self.occasion = self.cause = occasion
            self.spoke = self.fell_back = False
            self.asked_at, self.budget_end = now, now + self.rules.reply_deadline
            self.filled = (self.filled[1], False)
        self.due.append(
            _Question(
                self.turn,
                tuple(self._history_for_question()),
                dict(self.lead),
                tuple(name for name in self.rules.required if name not in self.lead),
                self.occasion,
                seconds_left=self.budget_end - now,
                fallback=self.fell_back,
            )
        )

    def _history_for_question(self) -> list[Heard]:
        if self.occasion is not Occasion.END_REFUSED:
            return list(self.history)
        kept = list(self.history)
        for sentence in [*self.air, *self.owed]:
            if sentence.turn == self.refused:
                self._add_heard(sentence)
        ahead, self.history = self.history, kept
        if not (ahead and isinstance(ahead[-1], BotSaid) and ahead[-1].turn == self.refused):
            reply = self.replies[self.refused]
            ahead.append(BotSaid("", self.refused, control=reply.control, lead=reply.lead))
        return ahead

    def _cancel(self) -> None:
        if self.asking:
            self.asking = False
            self.due.append(ev.CancelModel(self.turn))

    def _decide(self, reply: ReplyDone, now: float) -> None:
        silence_is_over = self.silences > self.rules.silence_warnings
        wants_end = reply.control.should_end_call
        if wants_end and guard_accepts(reply.control, self.lead, self.rules, silence_is_over=silence_is_over):
            self.ending = Ending(EndedBy.MODEL, reply.control.end_reason)
            if not self.spoke and self.cause is not Occasion.AFTER_FAREWELL:
                self.owed.append(Sentence(self.rules.goodbye, SpeechKind.CLOSING))
        elif silence_is_over:
            self._end(EndedBy.SILENCE, self.rules.close)
        elif wants_end and self.occasion is not Occasion.END_REFUSED:
            self._ask(Occasion.END_REFUSED, now)
        elif not self.spoke and self.cause is not Occasion.SILENCE:
            self.owed.append(Sentence(self.rules.repeat, SpeechKind.APOLOGY))

    def _fail(self, now: float) -> None:
        self.quiet_from = now
        silence_is_over = self.silences > self.rules.silence_warnings
        if self.spoke:
            if silence_is_over:
                self._end(EndedBy.SILENCE, self.rules.close)
        elif self.rules.has_fallback and not self.fell_back:
            self._ask(self.occasion, now, fallback=True)
        elif self.cause is Occasion.SILENCE:
            self._break_silence()
        else:
            self.failures += 1
            if self.failures >= 2:
                self._end(EndedBy.FAILURE, self.rules.failure)
            else:
                self.owed.append(Sentence(self.rules.apology, SpeechKind.APOLOGY))

    # --- events: time ---------------------------------------------------------------------------
    def _Tick(self, event: ev.Tick, now: float) -> None:
        if self.speech and now >= self._speech_end():
            self.speech = None
        if self.air and now >= self.air[0].ends + 3.0:
            self._hear(self.air.pop(0), now)
        if self.keys and now >= self.keys_at + 2.0:
            keys, self.keys = self.keys, ""
            self._words(CallerSaid("", keys), now)
        if self.phase is not Phase.TALKING:
            return
        if self.limit_at is not None and now >= self.limit_at:
            self._reach_limit()
        elif self.asking and now >= self.budget_end:
            self._cancel()
            self._fail(now)
        elif self._may_fill() and now >= self.asked_at + self.rules.filler_after:
            self.filled = (False, True)
            text = self.rules.filler[self.fillers % len(self.rules.filler)]
            self.fillers += 1
            self._say(Sentence(text, SpeechKind.FILLER), now)
        elif self._is_quiet() and now >= self.quiet_from + self.rules.silence_after:
            self.silences += 1
            if self.rules.silence_by_model:
                self._ask(Occasion.SILENCE, now)
            else:
                self._break_silence()

    def _break_silence(self) -> None:
        if self.silences > self.rules.silence_warnings:
            self._end(EndedBy.SILENCE, self.rules.close)
        else:
            warning = self.rules.warn[(self.silences - 1) % len(self.rules.warn)]
            self.owed.append(Sentence(warning, SpeechKind.WARNING))

    def _reach_limit(self) -> None:
        self.limit_at = None
        self.held = None
        self._cancel()
        self._end(EndedBy.LIMIT, self.rules.limit)

    def _end(self, by: EndedBy, sentence: str) -> None:
        self.ending = Ending(by, "no_response" if by is EndedBy.SILENCE else None)
        self.owed = [s for s in self.owed if s.kind is not SpeechKind.CLOSING]
        self.owed.append(Sentence(sentence, SpeechKind.CLOSING))

    # --- what follows ---------------------------------------------------------------------------
    def _settle(self, now: float) -> None:
        if self.phase is Phase.GREETING and not self.air:
            self.phase, self.quiet_from = Phase.TALKING, now
        if self.phase is Phase.TALKING and self._floor_is_free():
            if self.held is not None:
                reply, self.held = self.held, None
                self._decide(reply, now)
            if self.pending and self.ending is None:
                self._put_to_model(Occasion.CALLER_SPOKE, now)
            else:
                self.history += self.pending
                self.pending = []
            for sentence in self.owed:
                self._say(sentence, now)
            self.owed = []
            if self.ending is not None:
                self.phase = Phase.FAREWELL
        if self.phase is Phase.FAREWELL and not self.air:
            self.phase, self.linger_until = Phase.LINGER, now + self.rules.linger
        if self.phase is Phase.LINGER and self._floor_is_free():
            self._linger(now)

    def _linger(self, now: float) -> None:
        assert self.ending is not None
        limited = self.turns >= self.rules.limit_turns or (self.limit_at is not None and now >= self.limit_at)
        spared = not self._is_final() and not limited and self.reprieves < self.rules.reprieves
        if self.pending and spared:
            self.reprieves += 1
            self.ending, self.phase = None, Phase.TALKING
            self._put_to_model(Occasion.AFTER_FAREWELL, now)
        elif now >= self.linger_until:
            self.history += self.pending
            self.pending = []
            self.due.append(ev.HangUp(self.ending.by, self.ending.reason))
            self.phase = Phase.OVER

    def _put_to_model(self, occasion: Occasion, now: float) -> None:
        self.history += self.pending
        self.pending = []
        if self.turns >= self.rules.limit_turns:
            self._reach_limit()
        else:
            self.turns += 1
            self._ask(occasion, now)

    def _say(self, sentence: Sentence, now: float) -> None:
        self.last_mark += 1
        sentence.mark = self.last_mark
        sentence.seconds = speech_seconds(sentence.text)
        sentence.ends = max(now, self.air[-1].ends if self.air else now) + sentence.seconds
        self.air.append(sentence)
        self.due.append(ev.Speak(sentence.mark, sentence.text, sentence.kind))

    def _hear(self, sentence: Sentence, now: float) -> None:
        self.quiet_from = now
        self._add_heard(sentence)

    def _add_heard(self, sentence: Sentence) -> None:
        last = self.history[-1] if self.history else None
        if isinstance(last, BotSaid) and last.turn and last.turn == sentence.turn and not last.interrupted:
            self.history = [*self.history[:-1], replace(last, text=f"{last.text} {sentence.text}")]
        else:
            self.history = [*self.history, self._entry(sentence.turn, sentence.kind, sentence.text)]

    def _mark_interrupted(self, turn: int, kind: SpeechKind) -> None:
        last = self.history[-1] if self.history else None
        if isinstance(last, BotSaid) and (last.turn, last.kind) == (turn, kind):
            self.history[-1] = replace(last, interrupted=True)
        else:
            self.history.append(replace(self._entry(turn, kind, ""), interrupted=True))

    def _entry(self, turn: int, kind: SpeechKind, text: str) -> BotSaid:
        reply = self.replies.get(turn, ReplyDone(turn)) if turn else ReplyDone(0)
        return BotSaid(text, turn, kind, control=reply.control, lead=reply.lead)

    # --- questions ------------------------------------------------------------------------------
    def _is_final(self) -> bool:
        return self.ending is not None and self.ending.by in (EndedBy.LIMIT, EndedBy.FAILURE)

    def _floor_is_free(self) -> bool:
        return self.speech is None and not self.keys

    def _speech_end(self) -> float:
        assert self.speech is not None
        return min(self.speech[1] + 3.0, self.speech[0] + 30.0)

    def _may_fill(self) -> bool:
        busy = self.air or self.owed or self.spoke or any(self.filled)
        return self.asking and not busy and self._floor_is_free()

    def _is_quiet(self) -> bool:
        busy = self.air or self.owed or self.asking or self.held
        return self.phase is Phase.TALKING and not busy and self._floor_is_free()

    def _deadline(self) -> float | None:
        if self.phase in (Phase.IDLE, Phase.OVER):
            return None
        waits: list[float] = []
        if self.speech:
            waits.append(self._speech_end())
        if self.keys:
            waits.append(self.keys_at + 2.0)
        if self.air:
            waits.append(self.air[0].ends + 3.0)
        if self.phase is Phase.TALKING and self.limit_at is not None:
            waits.append(self.limit_at)
        if self.asking:
            waits.append(self.budget_end)
            if self._may_fill():
                waits.append(self.asked_at + self.rules.filler_after)
        if self._is_quiet():
            waits.append(self.quiet_from + self.rules.silence_after)
        if self.phase is Phase.LINGER and self._floor_is_free():
            waits.append(self.linger_until)
        return min(waits)


class _Question(ev.AskModel):
    """A question as foretold: equal to the engine's whatever its ``detail`` says."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ev.AskModel):
            return False
        explained = bool(other.detail) == (self.occasion in (Occasion.END_REFUSED, Occasion.SILENCE))
        return (
            (other.turn, other.history, other.lead, other.missing, other.occasion, other.fallback)
            == (self.turn, self.history, self.lead, self.missing, self.occasion, self.fallback)
            and explained
            and abs(other.seconds_left - self.seconds_left) < 1e-6
        )

    __hash__ = None  # type: ignore[assignment]
