"""The work behind ``callbot talk``: one call on the microphone line, shown, recorded and saved."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from rich.console import Console

from callbot import events as ev
from callbot.business import rules_of
from callbot.call import Call
from callbot.certificate import greeting_certificate
from callbot.cli.keyboard import Keys, piped, terminal
from callbot.cli.talk_parts import Parts, Talk, Warmable, make_parts, recorded_caller
from callbot.cli.talk_speech import TypedEars
from callbot.driver import Dialogue, Driver, RealClock
from callbot.errors import CallbotError
from callbot.fields import check_caller_number
from callbot.files import write_whole
from callbot.lines.microphone import MicrophoneLine
from callbot.lines.soundcard import APART_SECONDS, NULL, SoundCard, open_card, quiet_stderr
from callbot.lines.tape import Tape
from callbot.lookup import DEFAULT_PROMPTS_DIR
from callbot.record import Record, header
from callbot.reporting.live_call import LiveCall, ending_line
from callbot.reporting.live_call_lines import LiveLines
from callbot.reporting.live_call_screen import LiveScreen
from callbot.reporting.transcript import transcript
from callbot.speech import vad
from callbot.speech.audio import Converter
from callbot.speech.cache import Clips, render_fixed
from callbot.speech.ears import CallEars
from callbot.speech.mouth import BusinessMouth
from callbot.speech.recording import greeting_recording

_REFRESH_SECONDS = 0.25
_BEHIND_SECONDS = 0.2
"""A sound that waits so long for the rest of the program is late for a listener."""
_KEYS = "space: mute; q: hang up after the bot's sentence; Ctrl-C twice: leave at once"
_TYPED_KEYS = "type, then Enter; /hangup: leave after the bot's sentence; Ctrl-C twice: leave at once"


class Screen(Protocol):
    """Where a talk is shown."""

    def opened(self) -> None:
        """All was said that comes before the call."""
        ...

    def happened(self, t: float, what: ev.Event | ev.Command, call: Call) -> None:
        """Take what a driver observed."""
        ...

    def noted(self, t: float, note: ev.Note) -> None:
        """Take a note of the line or the ears."""
        ...

    def aside(self, text: str, style: str = "dim") -> None:
        """Say something beside the talk."""
        ...

    def refresh(self, now: float) -> None:
        """Time has passed."""
        ...

    def close(self) -> None:
        """Give the terminal back. Idempotent."""
        ...


class TalkClock(RealClock):
    """Seconds since the line began to open."""

    def __init__(self) -> None:
        self._origin = time.monotonic()

    def now(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self._origin


def hold(talk: Talk) -> None:
    """Hold the talk and save it. Raises CallbotError for what cannot be started or saved."""
    check_caller_number(talk.caller_number)
    if talk.typed and (talk.recorded or talk.stt):
        raise CallbotError(
            "--type needs no recogniser and no recording: leave out --stt and --from, or --type"
        )
    parts = make_parts(talk)
    asyncio.run(_hold(talk, parts))


async def _hold(talk: Talk, parts: Parts) -> None:
    try:
        business = parts.business
        folder = talk.settings.prompts_dir or DEFAULT_PROMPTS_DIR
        own = greeting_recording(business, folder, talk.format)
        recorded = {business.greeting.text: own.audio} if own else None
        clips = await render_fixed(
            business, parts.voice, talk.format, talk.settings.recordings_dir / "clips", recorded
        )
        if business.greeting.mode == "play" and business.greeting.text not in clips.audio:
            raise CallbotError(f"the greeting could not be rendered: {clips.missing[business.greeting.text]}")
        if parts.recogniser is not None:
            await asyncio.to_thread(vad.warm)
            await parts.recogniser.warm()
        for part in (parts.model, parts.fallback):
            if isinstance(part, Warmable):
                with contextlib.suppress(Exception):  # the call itself will show what is wrong, and go on
                    await part.warm()
        with quiet_stderr():  # ALSA writes there what PortAudio tells us anyway
            await _Session(talk, parts, clips).run()
    finally:
        await parts.close()


class _Session:
    """One talk, from the opening of the sound card to the files it leaves."""

    def __init__(self, talk: Talk, parts: Parts, clips: Clips) -> None:
        self._talk, self._parts = talk, parts
        business = parts.business
        self.rules = rules_of(business, has_fallback=parts.fallback is not None)
        self._clock = TalkClock()
        now = dt.datetime.now(dt.UTC)
        self._id = f"talk-{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        self._stem = Path(talk.settings.recordings_dir) / "calls" / self._id
        self._typed = parts.recogniser is None
        hears = not self._typed and talk.recorded is None
        self._card = open_card(talk.input_device, talk.output_device, talk.format.rate, hears=hears)
        self.call = Call(self.rules)
        self.record = Record(
            header(
                call_id=self._id,
                rules=self.rules,
                business=business.id,
                model=parts.model.name,
                line="microphone",
                voice=parts.voice.name,
                recogniser=parts.recogniser.name if parts.recogniser else None,
                caller_number=talk.caller_number,
                started_at=now.isoformat(),
            )
        )
        self._ears = (
            CallEars(parts.recogniser, talk.format, business.language, note=self._note)
            if parts.recogniser
            else TypedEars()
        )
        try:
            played = None if self.rules.greeting_streamed else clips.audio[business.greeting.text]
            recorded = recorded_caller(talk, self._card.format)
            self._tape = Tape(self._stem.with_suffix(".wav"), self._card.format.rate)
            self._line = MicrophoneLine(
                self._card,
                self._ears,
                BusinessMouth(business, parts.voice, talk.format, clips.audio),
                talk.format,
                Converter,
                greeting=played,
                half_duplex=hears and not talk.headset,
                recorded=recorded,
                tape=self._tape,
                note=self._note,
            )
        except BaseException:
            self._card.close()
            raise
        self._live = LiveCall.greeting(None if played is None else self.rules.greeting)
        self._screen: Screen = _screen(self._live, talk.settings.bidi, typed=self._typed)
        self._types = {wanted.name: wanted.type for wanted in business.fields}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Hold the call, whatever ends it, then save it and say how it went."""
        self._introduce()
        zone = ZoneInfo(self._parts.business.timezone)
        dialogue = Dialogue(
            self._parts.business,
            self._parts.model,
            self._parts.fallback,
            self._talk.caller_number,
            wall_clock=lambda: dt.datetime.now(zone),
        )
        driver = Driver(
            self.call, self._line, dialogue, self.record, clock=self._clock, observe=self._observe
        )
        beside = [asyncio.create_task(self._keep_fresh())]
        try:
            with self._hands():
                if self._typed and not sys.stdin.isatty():
                    beside.append(asyncio.create_task(self._read_pipe()))
                await driver.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            try:
                await self._line.close()
            finally:
                self._screen.close()
                self._finish()

    # --- what happens -----------------------------------------------------------------------------
    def _observe(self, t: float, what: ev.Event | ev.Command, call: Call) -> None:
        if isinstance(what, ev.ReplyDone):
            asked = next((name for name in self.rules.required if name not in call.lead), None)
            self._ears.expect(self._types[asked] if asked else "")
        self._screen.happened(t, what, call)
        self._changed.set()

    def _note(self, note: ev.Note) -> None:
        now = self._clock.now()
        self.record.note(now, note.type, **note.data)
        self._screen.noted(now, note)

    async def _keep_fresh(self) -> None:
        while True:
            self._screen.refresh(self._clock.now())
            await asyncio.sleep(_REFRESH_SECONDS)

    def _introduce(self) -> None:
        for remark in self._parts.remarks:
            self._screen.aside(remark)
        if isinstance(self._card, SoundCard) and not self._card.together:
            self._screen.aside(
                f"microphone and loudspeaker are two devices: the recording is aligned to {1000 * APART_SECONDS:.0f} ms"
            )
        if self._card.format.rate != self._talk.format.rate:
            self._screen.aside(f"the sound card runs at {self._card.format.rate} Hz and is converted")
        if self._talk.output_device == NULL:
            self._screen.aside("no sound card: nobody hears the bot")
        if not self._typed and self._talk.recorded is None:
            self._screen.aside(
                "on a headset: speak to interrupt"
                if self._talk.headset
                else "on loudspeakers (--headset if you wear one): while the bot speaks, only a voice louder "
                "than its echo interrupts"
            )
        self._screen.opened()

    # --- the keyboard -----------------------------------------------------------------------------
    @contextlib.contextmanager
    def _hands(self) -> Iterator[None]:
        """Keys and signals, as long as the call lasts."""
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            if sys.platform != "win32":  # whose event loop takes no signals; Ctrl-C is a key there
                for number, act in (
                    (signal.SIGINT, self._leave),
                    (signal.SIGTERM, lambda: self._line.leave(at_once=True)),
                    (signal.SIGHUP, lambda: self._line.leave(at_once=True)),
                ):
                    loop.add_signal_handler(number, act)
                    stack.callback(loop.remove_signal_handler, number)
            if sys.stdin.isatty() and sys.stdout.isatty():
                line = self._type if self._typed else None
                stack.enter_context(terminal(Keys(self._mute, self._leave, line, self._typing)))
            yield

    def _leave(self) -> None:
        self._line.leave(at_once=self._line.leaving)
        self._live.leaving = True

    def _mute(self) -> None:
        self._line.muted = self._live.muted = not self._line.muted
        self.record.note(self._clock.now(), "muted" if self._line.muted else "unmuted")
        self._screen.refresh(self._clock.now())

    def _typing(self, text: str) -> None:
        self._live.typed = text
        self._screen.refresh(self._clock.now())

    def _type(self, text: str) -> None:
        if text == "/hangup":
            self._leave()
        elif text and isinstance(self._ears, TypedEars) and not self._ears.say(text):
            self._screen.aside("the bot is greeting: what you say now reaches nobody")

    async def _read_pipe(self) -> None:
        async for line in piped(self._callers_turn):
            self._changed.clear()
            self._type(line)
            if line:
                await self._changed.wait()
        self._line.leave()

    async def _callers_turn(self) -> None:
        while not self.call.is_quiet:
            self._changed.clear()
            await self._changed.wait()

    # --- afterwards -------------------------------------------------------------------------------
    def _finish(self) -> None:
        """Write the Record first, so that nothing after it can lose it; then the rest."""
        self.record.note(self._clock.now(), "sound_waited", seconds=round(self._line.behind, 3))
        path = self._stem.with_suffix(".jsonl")
        write_whole(path, self.record.to_jsonl())
        self._screen.aside(ending_line(self.call, self.record))
        self._screen.aside(f"greeting: {greeting_certificate(self.record)}")
        if self._line.counts:
            told = ", ".join(f"{name} {count}" for name, count in sorted(self._line.counts.items()))
            self._screen.aside(f"the sound card: {told}", "yellow")
        if self._line.behind > _BEHIND_SECONDS:
            late = f"{1000 * self._line.behind:.0f} ms"
            self._screen.aside(
                f"this machine was up to {late} behind the sound card: answers were late by that", "yellow"
            )
        if self._tape.fault:
            self._screen.aside(f"{self._tape.path} is not whole: {self._tape.fault}", "yellow")
        write_whole(self._stem.with_suffix(".txt"), _transcript(self.record))
        from callbot.store.database import open_store

        try:
            with open_store(self._talk.settings.database) as store:
                store.calls.save_record(self.record)
        except CallbotError as error:
            raise CallbotError(f"the call is kept in {path}, but could not be stored: {error}") from error
        self._screen.aside(
            f"saved as {self._id}: {self._stem}.wav, .jsonl, .txt and the database "
            f"(callbot calls show {self._id})"
        )


def _transcript(record: Record) -> str:
    lines = (
        f"{line.t:7.2f}  {line.speaker:<6}  {line.text}" + (f"  ({line.remark})" if line.remark else "")
        for line in transcript(record)
    )
    return "\n".join(lines) + "\n"


def _screen(live: LiveCall, bidi: str, *, typed: bool) -> Screen:
    console = Console(highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        return LiveLines(live, bidi, console)  # type: ignore[arg-type]
    if typed:
        live.typed = ""
    return LiveScreen(live, bidi, _TYPED_KEYS if typed else _KEYS, console)  # type: ignore[arg-type]
