"""The stage of ``eval --audio``: holds calls aloud, each in a thread with a virtual clock of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from callbot.business import Business
from callbot.carrier.sound import save_stereo
from callbot.errors import CallbotError
from callbot.evals.stage import Held, Sounded
from callbot.rehearsal.call import Cast, Rehearsed, RehearsedCall
from callbot.rehearsal.judging import audio_checks
from callbot.rehearsal.virtualtime import Outside, VirtualLoop
from callbot.rehearsal.voices import CallerVoice, KeptVoice, is_embedded
from callbot.sound import PHONE, Recogniser, Voice
from callbot.speech import vad
from callbot.speech.audio import UnreadableAudio, read_audio
from callbot.speech.cache import ClipFolder, render_fixed
from callbot.speech.stt.registry import make_recogniser
from callbot.speech.tts.registry import make_voice

CALLERS = ("espeak:f2", "espeak:m3")
"""Voices of callers, the second where the bot has the first: in its own, they would be its echo."""
SUFFIX = ".flac"


@dataclass(frozen=True, slots=True)
class Sound:
    """How calls are spoken and heard; plain data, to be sent to whoever holds them.

    ``tts``: the bot's voice. ``clips``: where sentences are kept. ``prompts``: what the path of a
    business's own greeting is relative to.
    """

    tts: str
    stt: str
    clips: Path
    prompts: Path


@dataclass(slots=True)
class Studio:
    """Holds calls aloud; see ``evals.stage.Stage``. ``threads``: calls at a time.

    Raises CallbotError for parts that are not installed, or unknown.
    """

    sound: Sound
    threads: int
    line: str = "simulated-phone"
    _voices: dict[str, Voice] = field(default_factory=dict)
    _recogniser: Recogniser = field(init=False)
    _casts: dict[str, asyncio.Task[Cast]] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        vad.warm()
        self._recogniser = make_recogniser(self.sound.stt)
        self._voice(self.sound.tts)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="rehearsal")

    async def hold(self, call: Held, recording: Path) -> Sounded:
        """Hold a call; see Stage."""
        cast = await self._cast(call.business)
        outside = Outside(asyncio.get_running_loop())
        path = recording.with_name(recording.name + SUFFIX)
        running = asyncio.get_running_loop().run_in_executor(self._pool, _hold, call, cast, outside, path)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            outside.stop()
            await asyncio.gather(running, return_exceptions=True)
            raise

    async def close(self) -> None:
        """Release voices, recognisers and threads."""
        self._pool.shutdown()
        for voice in self._voices.values():
            await voice.close()
        await self._recogniser.close()

    async def _cast(self, business: Business) -> Cast:
        """Who is heard on a business's calls. Raises CallbotError for a greeting that nobody can say."""
        if business.id not in self._casts:  # a task, so that calls at a time wait for one rendering
            self._casts[business.id] = asyncio.create_task(self._make_cast(business))
        return await asyncio.shield(self._casts[business.id])

    async def _make_cast(self, business: Business) -> Cast:
        voice = self._voice(self.sound.tts)
        own = await asyncio.to_thread(_own_greeting, business, self.sound.prompts)
        clips = await render_fixed(business, voice, PHONE, self.sound.clips, own)
        if (why := clips.missing.get(business.greeting.text)) is not None:
            raise CallbotError(f"{business.id}: the greeting cannot be spoken: {why}")
        caller = self._voice(next(name for name in CALLERS if name != voice.name))
        assert isinstance(caller, KeptVoice)
        return Cast(voice, self._recogniser, clips.audio, CallerVoice(caller))

    def _voice(self, name: str) -> Voice:
        if name not in self._voices:
            voice = make_voice(name)
            kept = is_embedded(voice.name)
            self._voices[name] = KeptVoice(voice, ClipFolder(self.sound.clips)) if kept else voice
        return self._voices[name]


def _hold(call: Held, cast: Cast, outside: Outside, path: Path) -> Sounded:
    """A whole call, judged and saved; in a thread of its own.

    Where the provider failed the Record says so: what was heard until then is kept, and not judged.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        rehearsed = runner.run(_run(call, cast, outside))
    save_stereo(path, rehearsed.tape.caller, rehearsed.tape.bot)
    return Sounded([] if rehearsed.failed else list(audio_checks(call, rehearsed)), path)


async def _run(call: Held, cast: Cast, outside: Outside) -> Rehearsed:
    return await RehearsedCall(call, cast, outside).run()


def _own_greeting(business: Business, folder: Path) -> dict[str, bytes]:
    """The business's own recording of its greeting, by the greeting's text. Raises CallbotError."""
    if business.greeting.audio is None:
        return {}
    path = folder / Path(business.greeting.audio).expanduser()
    try:
        return {business.greeting.text: read_audio(path, PHONE)}
    except UnreadableAudio as error:
        raise CallbotError(f"{business.id}: greeting.audio: {path}: {error}") from error
