"""One rehearsed call: the carrier's stream at one end, the phone's own line at the other.

What ``serve`` puts together for a stream (line, ears, mouth, driver, engine) is put together here, and
what Twilio does on its side (the greeting's file, frames, playback buffer, marks, clears) is done by the
simulated carrier, 20 ms at a time. No socket, no second of real time; see ``virtualtime``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.carrier.caller import Does, spoken
from callbot.carrier.faults import Faults
from callbot.carrier.g711 import FRAME, RATE
from callbot.carrier.messages import Ids
from callbot.carrier.outcome import Outcome
from callbot.carrier.stream import MediaStream
from callbot.carrier.tape import Tape
from callbot.carrier.twiml import Stream
from callbot.driver import Driver
from callbot.evals.stage import Held
from callbot.lines.twilio import TwilioLine
from callbot.lines.twilio_opening import open_stream
from callbot.rehearsal.actor import Actor
from callbot.rehearsal.virtualtime import Outside, VirtualClock
from callbot.rehearsal.voices import CallerVoice, OutsideRecogniser, OutsideVoice, RecallingMouth
from callbot.rehearsal.wire import Wire
from callbot.replay import Scene
from callbot.respond import Answer
from callbot.sound import PHONE, Recogniser, Voice
from callbot.speech.ears import CallEars
from callbot.speech.mouth import BusinessMouth

_IDS = Ids("AC" + "0" * 32, "CA" + "0" * 32, "MZ" + "0" * 32)
_START_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is heard on a business's calls. ``clips``: its fixed sentences, rendered."""

    voice: Voice
    recogniser: Recogniser
    clips: Mapping[str, bytes]
    caller: CallerVoice


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A call that is over, as its caller heard it."""

    tape: Tape
    outcome: Outcome
    actor: Actor
    said: Mapping[str, bytes]
    """How the bot's sentences sound, by their text."""
    greeting: bytes
    """How the business's greeting sounds."""
    failed: bool
    """The provider failed; the call stopped there."""


class RehearsedCall:
    """Runs one call, once, on the running virtual loop."""

    def __init__(self, held: Held, cast: Cast, outside: Outside) -> None:
        self._held, self._cast, self._outside = held, cast, outside
        self._clock = VirtualClock()
        self._call = Call(held.rules)
        self._scene = Scene(self._call, greeting_playing=True)
        self._actor = Actor(
            held.caller,
            self._scene,
            held.record,
            outside,
            lambda words: outside.run(spoken(words, cast.caller)),
        )
        self._tape = Tape(acts=self._actor.acts)
        self._outcome = Outcome(_IDS.call, ended_by="caller")
        self._over = asyncio.Event()
        self._left = False
        """The caller has hung up."""
        self._stream: MediaStream | None = None
        self._bot: asyncio.Task[None] | None = None
        """Answers the stream, and runs the call to its end."""
        self._greeting = memoryview(b"")
        """What is left of a greeting that the carrier plays."""
        self._audio_ends = 0.0
        """When what the carrier has of the bot's will have been played."""
        self._fillers: set[int] = set()
        self._sentences = 0
        """Heard to their end: between two of them the bot may pause, within one it may not."""
        self._phase = self._call.phase
        self._error: Exception | None = None
        self._failed = False
        voice = OutsideVoice(cast.voice, outside)
        self._mouth = RecallingMouth(BusinessMouth(held.business, voice, PHONE, cast.clips))

    async def run(self) -> Rehearsed:
        """Hold the call. Raises what makes it pointless to hold another one, and Stopped."""
        rules = self._held.rules
        if not rules.greeting_streamed:
            self._scene.said.append(rules.greeting)
            self._greeting = memoryview(self._cast.clips[rules.greeting])
        try:
            await self._run_carrier()
            await self._end()
        finally:
            if self._bot is not None:
                self._bot.cancel()
                await asyncio.gather(self._bot, return_exceptions=True)
            if self._stream is not None:
                await self._stream.close()
        if self._error is not None:
            raise self._error
        if self._call.phase is Phase.OVER:
            self._held.caller.call_ended(self._scene, self._held.record)
        greeting = self._cast.clips[rules.greeting]
        return Rehearsed(self._tape, self._outcome, self._actor, self._mouth.said, greeting, self._failed)

    # --- the carrier's end ------------------------------------------------------------------------
    async def _run_carrier(self) -> None:
        loop = asyncio.get_running_loop()
        begun, ticks = loop.time(), 0
        while not self._over.is_set():
            self._outside.check()
            if self._stream is None and not self._greeting:
                self._connect()
            self._tick()
            ticks += 1
            await asyncio.sleep(begun + ticks * FRAME / RATE - loop.time())

    def _connect(self) -> None:
        """Open the stream: the greeting that the carrier plays, if it does, is over."""
        wire = Wire()
        self._stream = MediaStream(Stream("wss://rehearsal"), _IDS, wire.carrier, self._tape, Faults())
        self._stream.begin()
        self._bot = asyncio.create_task(self._answer(wire))

    def _tick(self) -> None:
        stream, scene = self._stream, self._scene
        if stream is not None:
            stream.tell_marks()
        scene.now = self._clock.now()
        if self._actor.is_done:
            self._over.set()
            return
        bot = self._heard_next()
        does: Does = self._actor.tick()
        self._tape.add(does.frame, bot, self._sentences)
        if stream is not None:
            stream.tick(does.frame, does.keys)
            if does.said is not None:
                stream.oracle(does.said)
        if does.hung_up:
            self._left = True
            self._over.set()

    def _heard_next(self) -> bytes:
        if self._stream is not None:
            return self._stream.pull()
        frame, self._greeting = bytes(self._greeting[:FRAME]), self._greeting[FRAME:]
        return frame

    async def _end(self) -> None:
        """The caller has left, or has nothing more to do, or the bot has hung up (and this is known)."""
        if self._stream is None or self._bot is None:
            if self._left:  # during a greeting that the carrier plays: no stream tells of it
                self._held.record.event(self._clock.now(), ev.CallerHungUp())
                self._call.receive(ev.CallerHungUp(), self._clock.now())
        elif self._left:
            await self._stream.stop()
            await self._bot
        elif self._bot.done():
            self._bot.result()

    # --- the bot's end ----------------------------------------------------------------------------
    async def _answer(self, wire: Wire) -> None:
        """What ``serve`` does with a stream."""
        held, record = self._held, self._held.record
        try:
            start = await open_stream(wire.bot, _START_SECONDS)
            ears = self._ears()
            line = TwilioLine(
                wire.bot,
                start,
                ears,
                self._mouth,
                self._hang_up,
                on_oracle=ears.oracle if self._cast.recogniser.name == "oracle" else None,
            )
            types = {field.name: field.type for field in held.business.fields}

            def observe(t: float, what: ev.Event | ev.Command, call: Call) -> None:
                self._observe(t, what)
                if isinstance(what, ev.ReplyDone):
                    asked = next((name for name in held.rules.required if name not in call.lead), None)
                    ears.expect(types[asked] if asked else "")

            await Driver(self._call, line, self, record, clock=self._clock, observe=observe).run()
            await line.close()
        finally:
            self._over.set()

    def _ears(self) -> CallEars:
        recogniser, record = self._cast.recogniser, self._held.record
        if recogniser.name != "oracle":
            recogniser = OutsideRecogniser(recogniser, self._outside)
        return CallEars(
            recogniser,
            PHONE,
            self._held.business.language,
            note=lambda note: record.note(self._clock.now(), note.type, **note.data),
        )

    async def ask(self, question: ev.AskModel) -> AsyncGenerator[tuple[float, Answer], None]:
        """Put a question to the model outside; each answer comes when it came. See ``driver.Answers``."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        try:
            async with aclosing(self._outside.stream(lambda: self._held.ask(question))) as answers:
                async for _, (seconds, answer) in answers:
                    if (early := asked + seconds - loop.time()) > 0:
                        await asyncio.sleep(early)
                    yield seconds, answer
        except Exception as error:
            self._error = error  # no other turn would go better: a key, a limit, a cassette
            self._over.set()
            raise

    async def _hang_up(self, command: ev.HangUp) -> None:
        """As by REST."""
        self._tape.log("bot", "rest_hangup")
        assert self._stream is not None
        self._outcome.rest_hangups += 1
        self._outcome.ended_by, self._tape.unheard = "rest", self._stream.buffer.size

    def _observe(self, t: float, what: ev.Event | ev.Command) -> None:
        """Keep up what the simulated caller goes by; see ``replay.Scene``."""
        scene = self._scene
        if self._call.phase is not self._phase:
            self._phase, scene.phase_since = self._call.phase, t
            scene.greeting_playing = self._phase is Phase.GREETING
        if isinstance(what, ev.Speak):
            if what.speech is ev.SpeechKind.FILLER:
                self._fillers.add(what.mark)
            else:
                scene.said.append(what.text)
        elif isinstance(what, ev.AudioQueued):
            starts = max(t, self._audio_ends)
            self._audio_ends = starts + what.seconds
            if scene.bot_started is None and what.mark not in self._fillers:
                scene.bot_started = starts
        elif isinstance(what, ev.Played):
            self._sentences += 1
        elif isinstance(what, ev.ClearAudio):
            self._audio_ends = t
        elif isinstance(what, ev.Note) and what.type == "reply_failed":
            self._failed = True  # evaluation has no fallback
            self._over.set()
