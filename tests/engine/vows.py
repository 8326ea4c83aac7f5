"""What a call must never do, judged from what goes in and out alone: nothing of the engine is read.

Where ``books`` foretells what a call does, ``Vows`` knows only what a bystander on the line knows:
who speaks, which audio was truly played, what was cleared. Every promise has its sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callbot import events as ev
from callbot.events import BotSaid, CallerSaid, EndedBy, Occasion, SpeechKind
from callbot.rules import Rules, speech_seconds


@dataclass(slots=True)
class OnAir:
    """Audio handed to the line. ``ends``: when it must be over."""

    text: str
    kind: SpeechKind
    seconds: float
    ends: float


class Vows:
    """A bystander's notes on one call."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.started_at = 0.0
        self.speaking: tuple[float, float] | None = None
        """Since when the caller speaks, and the latest sign of it."""
        self.air: dict[int, OnAir] = {}
        self.last_mark = 0
        self.greeted = False
        self.heard: list[str] = []
        self.told: list[str] = []
        """What the caller said (keys aside)."""
        self.answered = 0
        """How much of it was put to the model."""
        self.questions: list[int] = []
        self.waiting: int | None = None
        self.occasion = Occasion.CALLER_SPOKE
        self.filled: list[bool] = []
        """For each turn, whether it had a filler."""
        self.wanted_end: set[int] = set()
        self.turns, self.reprieves = 0, 0
        self.over = False

    def crashed(self, taken: float, restored: float) -> None:
        """The server died: what was on the air or being asked is gone."""
        self.air.clear()
        self.speaking, self.waiting, self.filled = None, None, []
        self.greeted = True
        self.started_at += restored - taken

    def take(self, event: ev.Event, now: float, out: Sequence[ev.Command]) -> None:
        """Look at one event and what the call did about it."""
        assert not (self.over and out), "did something after the end"
        self._see(event, now)
        acts = [command for command in out if not isinstance(command, ev.Note)]
        for index, command in enumerate(acts):
            match command:
                case ev.ClearAudio():
                    assert index == 0, "cleared what it had just begun to say"
                    self._fell_silent(event)
                case ev.Speak():
                    self._spoke(command, now)
                case ev.AskModel():
                    self._asked(command)
                case ev.CancelModel(turn):
                    assert turn == self.waiting, "took back a question that nobody was asked"
                    self.waiting = None
                case ev.HangUp():
                    assert command is acts[-1], "did something after hanging up"
                    self._left(command, now)
        if isinstance(event, ev.CallerHungUp):
            self.over = True
            assert self.waiting is None, "let the model think on for nobody"

    # --- what happens on the line -----------------------------------------------------------------
    def _see(self, event: ev.Event, now: float) -> None:
        match event:
            case ev.CallStarted() if not self.greeted:
                self.greeted, self.started_at = True, now
                if not self.rules.greeting_streamed:  # what was said while the carrier played reaches nobody
                    self.speaking = None
                    self.told.clear()
            case ev.SpeechStarted():
                self.speaking = (self.speaking[0] if self.speaking else now, now)
            case ev.SpeechContinues() if self.speaking:
                self.speaking = (self.speaking[0], now)
            case ev.UserSpoke(text):
                self.speaking = None
                self.told += [text.strip()] if text.strip() else []
            case ev.AudioQueued(mark, seconds):
                self._sized(mark, seconds, now)
            case ev.Played(mark):
                for played in [other for other in self.air if other <= mark]:
                    self.heard.append(self.air.pop(played).text)
            case ev.VoiceFailed(mark):
                self.air.pop(mark, None)
            case ev.ReplyDone(turn, control) if turn == self.waiting:
                self.waiting = None
                if control.should_end_call:
                    self.wanted_end.add(turn)
            case ev.ReplyFailed(turn) if turn == self.waiting:
                self.waiting = None
            case ev.Tick():
                self._time_passed(now)

    def _time_passed(self, now: float) -> None:
        if self.speaking and now >= min(self.speaking[1] + 3.0, self.speaking[0] + 30.0):
            self.speaking = None
        first = min(self.air, default=0)
        if first and now >= self.air[first].ends + 3.0:  # its mark is lost; it was heard
            self.heard.append(self.air.pop(first).text)

    def _sized(self, mark: int, seconds: float, now: float) -> None:
        end = now
        for other, audio in self.air.items():
            if other == mark:
                audio.seconds = seconds
            if other >= mark:
                audio.ends = max(now, end) + audio.seconds
            end = audio.ends

    def _on_air(self, kind: SpeechKind) -> bool:
        return any(audio.kind is kind for audio in self.air.values())

    # --- what the call does -----------------------------------------------------------------------
    def _fell_silent(self, event: ev.Event) -> None:
        caller = (ev.SpeechStarted, ev.UserSpoke, ev.KeyPressed, ev.Tick)
        assert isinstance(event, caller), "fell silent although nobody spoke"
        assert self.air, "cleared a line that was silent already"
        assert self.rules.greeting_barge_in or not self._on_air(SpeechKind.GREETING), "cut the greeting"
        assert not self._on_air(SpeechKind.CLOSING), "cut the farewell"
        self.air.clear()

    def _spoke(self, speak: ev.Speak, now: float) -> None:
        assert speak.mark > self.last_mark, "used a mark twice"
        self.last_mark = speak.mark
        assert not self._on_air(SpeechKind.GREETING), "spoke over the greeting"
        if speak.speech is SpeechKind.GREETING:
            assert self.rules.greeting_streamed, "greeted although the carrier had played the greeting"
            assert speak.mark == 1, "the greeting was not the first thing said, or was said again"
        else:
            assert self.greeted
            assert self.speaking is None, "spoke while the caller was speaking"
        if speak.speech is SpeechKind.FILLER:
            assert not any(self.filled[-2:]), "said a filler twice in a row"
            assert not self.air, "said a filler over its own words"
            assert self.waiting is not None, "filled a silence that nothing will end"
            self.filled[-1] = True
        if speak.speech is SpeechKind.REPLY:
            newest = self.questions[-1]
            live = {newest, newest - 1} if self.occasion is Occasion.END_REFUSED else {newest}
            assert int(speak.text.split()[1]) in live, "said the words of a stale reply"
            assert speak.text not in self.heard, "said again what was heard to its end"
        seconds = speech_seconds(speak.text)
        ends = max([now, *(audio.ends for audio in self.air.values())]) + seconds
        self.air[speak.mark] = OnAir(speak.text, speak.speech, seconds, ends)

    def _asked(self, question: ev.AskModel) -> None:
        assert self.waiting is None, "asked twice at once"
        assert not self.questions or question.turn > self.questions[-1], "used a turn's number twice"
        assert self.greeted, "put a question before the call began"
        assert not self._on_air(SpeechKind.GREETING), "put a question before its greeting was over"
        told = [entry.text for entry in question.history if isinstance(entry, CallerSaid) and entry.text]
        assert told == self.told[: len(told)], "put words to the model twice, out of order or never"
        again = question.fallback or question.occasion is Occasion.END_REFUSED
        if not again:
            self.filled.append(False)
            believed = " ".join(
                e.text for e in question.history if isinstance(e, BotSaid) and e.turn and e.text
            )
            truth = " ".join(text for text in self.heard if text.startswith("turn "))
            assert believed == truth, "believes that the caller heard more or less than they did"
        if question.occasion is Occasion.END_REFUSED and not question.fallback:
            assert self.occasion is not Occasion.END_REFUSED, "asked a third time about one refusal"
            assert question.turn - 1 in self.wanted_end, "refused what nobody had requested"
            assert question.detail, "did not say why"
        if question.occasion in (Occasion.CALLER_SPOKE, Occasion.AFTER_FAREWELL) and not question.fallback:
            assert told == self.told, "left words of the caller unanswered"
            assert self.speaking is None, "answered while the caller was still speaking"
            self.turns += 1
            assert self.turns <= self.rules.limit_turns, "went on past its limit of turns"
        if question.occasion is Occasion.AFTER_FAREWELL and not question.fallback:
            self.reprieves += 1
            assert self.reprieves <= self.rules.reprieves, "let itself be talked out of it too often"
            assert not self.air, "asked again before the farewell was over"
        self.answered = len(told)
        self.questions.append(question.turn)
        self.waiting, self.occasion = question.turn, question.occasion

    def _left(self, hang_up: ev.HangUp, now: float) -> None:
        self.over = True
        assert not self.air, "hung up before its last sentence was heard"
        assert self.speaking is None, "hung up on a caller who was speaking"
        assert self.waiting is None, "hung up on its own question"
        if hang_up.by is EndedBy.MODEL:
            assert self.questions[-1] in self.wanted_end, "hung up although the model had not asked for it"
        if hang_up.by in (EndedBy.MODEL, EndedBy.SILENCE) and self.answered < len(self.told):
            spent = self.reprieves == self.rules.reprieves or self.turns == self.rules.limit_turns
            late = now >= self.started_at + self.rules.limit_seconds
            assert spent or late, "hung up on words that nobody answered"
