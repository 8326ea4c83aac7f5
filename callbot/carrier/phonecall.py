"""One simulated call: the webhook, the verbs of its TwiML, the stream, the caller on it, and its end.

One clock runs from the answer to the end, 20 ms at a time and without drift: each tick plays what the
current verb has to play, lets the caller hear it and act, and puts both on the tape. The verbs run
beside it, one after another, as Twilio runs them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import numpy as np

from callbot.carrier import twiml
from callbot.carrier.caller import Caller, Does
from callbot.carrier.faults import Faults
from callbot.carrier.g711 import FRAME, RATE
from callbot.carrier.messages import Ids
from callbot.carrier.network import Answer, Network, Unreachable
from callbot.carrier.outcome import EndedBy, Outcome
from callbot.carrier.paperwork import Dialled, Paperwork
from callbot.carrier.probes import Probe, probe_socket, probe_webhook
from callbot.carrier.rest import RestApi
from callbot.carrier.signature import sign
from callbot.carrier.sound import telephone
from callbot.carrier.stream import MediaStream, open_socket
from callbot.carrier.tape import Tape
from callbot.carrier.trouble import TwilioError
from callbot.carrier.voice import Voice, language_of

TICK = FRAME / RATE
AFTERMATH = 0.5
"""Seconds after the end in which a second hang-up is still counted."""
_DOCUMENTS = 20
"""Redirects in a row after which a call is going in circles."""


class _File:
    """Audio that a verb plays."""

    def __init__(self, audio: bytes) -> None:
        self._audio = memoryview(audio)
        self.done = asyncio.Event()

    @property
    def size(self) -> int:
        return len(self._audio)

    def pull(self) -> bytes:
        if not self._audio:
            self.done.set()
        frame = bytes(self._audio[:FRAME])
        self._audio = self._audio[FRAME:]
        return frame


class PhoneCall:
    """Runs one call. Make one for each call, and ``run`` it once."""

    def __init__(
        self,
        dialled: Dialled,
        caller: Caller,
        network: Network,
        rest: RestApi,
        *,
        faults: Faults | None = None,
        voice: Voice | None = None,
        oracle: bool = False,
    ) -> None:
        self._dialled, self._caller, self._network, self._rest = dialled, caller, network, rest
        self._faults = faults or Faults()
        self._voice, self._oracle = voice, oracle
        self.sid = "CA" + secrets.token_hex(16)
        self.tape = Tape(acts=caller.acts)
        self.outcome = Outcome(self.sid)
        self._paper = Paperwork(self.sid, dialled, network, self.tape)
        self._status = "ringing"
        self._file: _File | None = None
        self._stream: MediaStream | None = None
        self._sources = 0
        """Files and streams begun."""
        self._over = asyncio.Event()
        self._verbs: asyncio.Task[None] | None = None
        self._opened: list[tuple[twiml.Stream, str]] = []
        self._aside: set[asyncio.Task[None]] = set()

    async def run(self) -> Outcome:
        """Place the call and see it through. What the bot does wrong is in the outcome, not raised."""
        self._rest.add(self.sid, self)
        try:
            await self._before()
            verbs = await self._answer()
            if verbs is not None:
                await self._live(verbs)
            if self.outcome.reached:
                await self._after()
        finally:
            self._rest.forget(self.sid)
        return self.outcome

    # --- the call's course

    async def _before(self) -> None:
        if "forged-signature" in self._faults:
            fields = self._fields()
            self.outcome.probes.append(await probe_webhook(self._network, self._dialled.webhook, fields))

    async def _answer(self) -> list[twiml.Verb] | None:
        """Ask the webhook, then the fallback. None if nothing can be done; the outcome says why."""
        url, fields = self._dialled.webhook, self._fields()
        try:
            verbs = await self._document(url, fields)
        except TwilioError as error:
            self._note_error(error)
            if not self._dialled.fallback:
                self.outcome.reached = not isinstance(error, Unreachable)
                self._failed(error)
                return None
            more = {"ErrorCode": str(error.code or ""), "ErrorUrl": url}
            try:
                verbs = await self._document(self._dialled.fallback, {**fields, **more})
            except TwilioError as second:
                self._note_error(second)
                self._failed(second)
                return None
        if verbs and isinstance(verbs[0], twiml.Reject):
            self._end("reject", verbs[0].reason)
            self._status = "busy" if verbs[0].reason == "busy" else "failed"
            return None
        return verbs

    async def _live(self, verbs: Sequence[twiml.Verb]) -> None:
        self._status = "in-progress"
        self._verbs = asyncio.create_task(self._perform(verbs))
        try:
            await self._clock()
        finally:
            self._over.set()
            self._verbs.cancel()
            await asyncio.gather(self._verbs, return_exceptions=True)
        if self._stream is not None:
            self.tape.unheard += self._stream.buffer.size
            await self._close_stream(self._stream)
        if self._file is not None:
            self.tape.unheard += self._file.size

    async def _after(self) -> None:
        await self._paper.call_completed(self._status, self.tape.now)
        await asyncio.sleep(AFTERMATH)
        await asyncio.gather(*self._aside, return_exceptions=True)
        if "replayed-signature" in self._faults and self._opened:
            self.outcome.probes.append(await self._probe("replayed-signature"))

    # --- the clock

    async def _clock(self) -> None:
        loop = asyncio.get_running_loop()
        start, ticks = loop.time(), 0
        while not self._over.is_set():
            ticks += 1
            due = start + ticks * TICK
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.outcome.clock_late = max(self.outcome.clock_late, loop.time() - due)
            self._tick()
            if self._verbs is not None and self._verbs.done() and not self._verbs.cancelled():
                self._verbs.result()  # a verb that failed unforeseen ends the call, and is raised
            if ticks * TICK >= self._dialled.limit_seconds:
                self._end("limit", f"{self._dialled.limit_seconds:g} s")

    def _tick(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.tell_marks()
        source = self._file or stream
        bot = source.pull() if source is not None else b""
        more = (self._file.size if self._file else stream.buffer.size if stream else 0) > 0
        does: Does = self._caller.tick(bot, more=more)
        self.tape.add(does.frame, bot, self._sources)
        if stream is not None:
            stream.tick(does.frame, does.keys)
            if does.said is not None and self._oracle:
                stream.oracle(does.said)
        if does.hung_up:
            self._end("caller", f"after turn {self._caller.turn}")

    # --- the verbs

    async def _perform(self, verbs: Sequence[twiml.Verb]) -> None:
        """Run documents until one ends the call."""
        try:
            for _ in range(_DOCUMENTS):
                following = await self._run_document(verbs)
                if following is None:
                    return
                verbs = await self._document(*following)
            circles = f"{_DOCUMENTS} documents in a row redirect; the call goes in circles"
            self._failed(TwilioError(None, circles))
        except TwilioError as error:
            self._note_error(error)
            self._failed(error)

    async def _run_document(self, verbs: Sequence[twiml.Verb]) -> tuple[str, dict[str, str], str] | None:
        """Run one document; the next one's URL, fields and method, or None if the call has ended."""
        for verb in verbs:
            self.tape.log("bot", "verb", type(verb).__name__)
            if isinstance(verb, twiml.Play):
                await self._play(verb)
            elif isinstance(verb, twiml.Say):
                await self._say(verb)
            elif isinstance(verb, twiml.Pause):
                await asyncio.sleep(verb.length)
            elif isinstance(verb, twiml.Stream):
                await self._connect(verb)
                if verb.action:
                    return verb.action, self._fields(), verb.action_method
            elif isinstance(verb, twiml.Dial):
                self.tape.log("bot", "dial", verb.number)
                if verb.action:
                    return verb.action, {**self._fields(), "DialCallStatus": "no-answer"}, verb.method
            elif isinstance(verb, twiml.Redirect):
                return verb.url, self._fields(), verb.method
            else:
                self._end("verb", type(verb).__name__)
                return None
        self._end(
            "socket" if verbs and isinstance(verbs[-1], twiml.Stream) else "verb", "end of the document"
        )
        return None

    async def _play(self, verb: twiml.Play) -> None:
        if verb.digits:
            self.tape.log("bot", "tones", verb.digits)
            return
        audio = await self._network.audio(verb.url)
        self.tape.played.append(audio)
        await self._sound(audio, verb.loop)

    async def _say(self, verb: twiml.Say) -> None:
        """The carrier's own voice stands in for Twilio's."""
        self.tape.log("bot", "say", verb.text)
        if self._voice is not None and verb.text:
            pcm, rate = await self._voice.speak(verb.text, language_of(verb.text))
            await self._sound(telephone(np.frombuffer(pcm, dtype=np.int16), rate), verb.loop)

    async def _sound(self, audio: bytes, times: int) -> None:
        for _ in range(times):
            self._file = _File(audio)
            self._sources += 1
            try:
                await self._file.done.wait()
            finally:
                if not self._over.is_set():
                    self._file = None

    async def _connect(self, verb: twiml.Stream) -> None:
        """Run a stream until the bot, a fault or the call's end ends it."""
        ids = Ids(self._dialled.account, self.sid, "MZ" + secrets.token_hex(16))
        signature = sign(self._network.token, verb.url)
        try:
            socket = await open_socket(verb.url, self._network.address, signature)
        except TwilioError as error:
            self._note_error(error)
            await self._paper.stream_event(verb, ids, "stream-error", error.args[0])
            return
        self._opened.append((verb, ids.stream))
        stream = MediaStream(verb, ids, socket, self.tape, self._faults)
        stream.begin()
        self._stream, self.tape.unheard = stream, 0
        self._sources += 1
        self._do_aside(self._paper.stream_event(verb, ids, "stream-started"))
        for name in ("unsigned-socket", "second-socket"):
            if name in self._faults:
                self._do_aside(self._run_probe(name))
        try:
            await stream.ended.wait()
        finally:
            if not self._over.is_set():
                self._stream = None
                self.tape.unheard = stream.buffer.size
                self._do_aside(self._close_stream(stream))

    async def _close_stream(self, stream: MediaStream) -> None:
        await stream.stop()
        event = "stream-error" if stream.error else "stream-stopped"
        await self._paper.stream_event(stream.verb, stream.ids, event, stream.error)

    # --- what the REST API asks

    def status(self) -> str:
        """Twilio's word for how the call stands."""
        return self._status

    def fields(self) -> dict[str, Any]:
        """The REST resource of the call."""
        return self._paper.resource(self._status, self.tape.now // RATE)

    def refused_rest(self) -> tuple[int, int] | None:
        """The error that ``--fault rest-error`` answers the first request with."""
        if "rest-error" not in self._faults:
            return None
        status = round(self._faults.value("rest-error"))
        del self._faults.chosen["rest-error"]
        self.tape.log("carrier", "fault", f"rest-error {status}")
        return status, 20429 if status == 429 else 20500

    def end_by_rest(self) -> bool:
        """Hang up; False if the call had ended."""
        self.outcome.rest_hangups += 1
        self.tape.log("bot", "rest_hangup")
        if self._over.is_set():
            return False
        self._end("rest", "status=completed")
        return True

    def redirect_by_rest(self, *, twiml: str | None, url: str | None, method: str) -> None:
        """Leave the current verb, and the stream with it, and go on with another document."""
        self.tape.log("bot", "rest_redirect", url or "twiml")
        self._do_aside(self._redirect(twiml, url, method))

    async def _redirect(self, document: str | None, url: str | None, method: str) -> None:
        if self._verbs is not None:
            self._verbs.cancel()
            await asyncio.gather(self._verbs, return_exceptions=True)
        if not self._over.is_set():
            self._verbs = asyncio.create_task(self._perform_new(document, url, method))

    async def _perform_new(self, document: str | None, url: str | None, method: str) -> None:
        try:
            if document is not None:
                verbs = self._read(document.encode(), self._dialled.webhook)
            else:
                verbs = await self._document(url or "", self._fields(), method)
        except TwilioError as error:
            self._note_error(error)
            self._failed(error)
        else:
            await self._perform(verbs)

    # --- small things

    async def _document(self, url: str, fields: Mapping[str, str], method: str = "POST") -> list[twiml.Verb]:
        answer: Answer = await self._network.webhook(url, fields, method)
        if self.outcome.webhook_seconds is None:
            self.outcome.webhook_seconds = answer.seconds
            if "duplicate-webhook" in self._faults:
                await self._network.webhook(url, fields, method)
        return twiml.read_response(
            answer.body, answer.content_type, url, plain_sockets=self._dialled.plain_sockets
        )

    def _read(self, document: bytes, base: str) -> list[twiml.Verb]:
        return twiml.read_twiml(document, base, plain_sockets=self._dialled.plain_sockets)

    def _fields(self) -> dict[str, str]:
        return self._paper.fields(self._status)

    def _do_aside(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def _run_probe(self, name: str) -> None:
        self.outcome.probes.append(await self._probe(name))

    async def _probe(self, name: str) -> Probe:
        verb, stream = self._opened[0]
        ids = Ids(self._dialled.account, self.sid, stream)
        return await probe_socket(name, verb, ids, self._network)

    def _note_error(self, error: TwilioError) -> None:
        self.tape.log("carrier", "error", str(error), error.code)

    def _failed(self, error: TwilioError) -> None:
        """Twilio ends the call with a message of its own."""
        self.outcome.error = error
        self._end("error", str(error))
        self._status = "failed" if not self.tape.now else "completed"

    def _end(self, by: EndedBy, detail: str) -> None:
        if self._over.is_set():
            return
        self.outcome.ended_by, self.outcome.detail = by, detail
        self._status = "completed"
        bot = by in ("rest", "verb", "socket", "reject")
        self.tape.log("bot" if bot else "caller" if by == "caller" else "carrier", "ended", f"{by}: {detail}")
        self._over.set()
        if self._verbs is not None and asyncio.current_task() is not self._verbs:
            self._verbs.cancel()  # at once: no verb runs after the end
