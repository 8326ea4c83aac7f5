"""Recordings of calls whose business records them and whose greeting said so: a stereo WAV file a stream.

The call's side never waits and never fails: seconds of audio go to one thread, which writes them.
A disk that is full or too slow costs the recording, which is then counted and said, never the call.
"""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from callbot import events as ev
from callbot.errors import CallbotError
from callbot.lines.tape import Tape
from callbot.sound import PHONE, Ears
from callbot.speech.audio import SILENCE, decode_mulaw

_PIECE = PHONE.rate
"""Bytes of each side that are written at once: a second."""
_HELD_PIECES = 90
"""Seconds kept in memory until the notice was heard: more than the longest greeting."""
_WAITING_PIECES = 2000
"""Seconds of all calls together, 32 MB, that may wait for the disk."""
_MOST_LAG = PHONE.rate // 2
_QUIET = SILENCE[PHONE.encoding]

_log = logging.getLogger(__name__)


def check_folder(folder: Path) -> None:
    """Make the folder of recordings. Raises CallbotError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CallbotError(
            f"calls cannot be recorded in {folder}: {error.strerror}; mend that, choose another "
            "recordings_dir, or set privacy.record_audio to false"
        ) from error


class Timeline:
    """Both sides of one stream on one clock: the caller's audio, which the carrier sends without gaps.

    The caller's side is exact. When the bot's was heard is estimated: a sentence sounds as soon as
    it was sent, or behind those sent before it, and a clear cuts it at once. Each mark that comes
    back tells how late that was, by way of the network and the carrier; sentences that begin later
    are moved by as much (half a second at most). So a stream's first sentence stands early by one
    round trip. What the carrier had not played when the stream ended is left out.
    """

    def __init__(self) -> None:
        self._caller, self._bot = bytearray(), bytearray()
        """From the same moment on; the bot's side may reach ahead."""
        self._taken = 0
        self._lag = self._placed_lag = 0
        self._pieces: deque[tuple[int, int, int]] = deque()
        """Sent, and not known yet to belong to a whole sentence: length, end, the lag it was placed with."""
        self._ends: dict[int, tuple[int, int]] = {}
        """By mark: where its sentence ends, and that lag."""

    @property
    def _now(self) -> int:
        return self._taken + len(self._caller)

    @property
    def _end(self) -> int:
        return self._taken + len(self._bot)

    def heard(self, audio: bytes) -> None:
        """The caller's next audio."""
        self._caller += audio

    def sent(self, audio: bytes) -> None:
        """Audio of the bot goes into the carrier's buffer."""
        if (gap := self._now + self._lag - self._end) > 0:
            self._bot += _QUIET * gap
            self._placed_lag = self._lag
        self._bot += audio
        self._pieces.append((len(audio), self._end, self._placed_lag))

    def marked(self, mark: int, length: int) -> None:
        """The next ``length`` bytes of what was sent are a sentence, with this mark behind them."""
        while self._pieces and length > 0:
            piece, end, lag = self._pieces.popleft()
            length -= piece
            self._ends[mark] = (end, lag)

    def broken(self) -> None:
        """A sentence broke off: which of what was sent belonged to it is not known."""
        self._pieces.clear()

    def played(self, mark: int) -> None:
        """The mark came back."""
        if (placed := self._ends.pop(mark, None)) is not None:
            end, lag = placed
            self._lag = min(max(lag + self._now - end, 0), _MOST_LAG)

    def cleared(self) -> None:
        """The carrier was told to drop what it has not played."""
        del self._bot[max(self._now + self._lag - self._taken, 0) :]
        self._pieces.clear()
        self._ends.clear()

    def take(self, least: int) -> tuple[bytes, bytes] | None:
        """Both sides up to now, equally long; None if that is less than ``least`` bytes."""
        length = len(self._caller)
        if length < least:
            return None
        caller, bot = bytes(self._caller), bytes(self._bot[:length]).ljust(length, _QUIET)
        self._caller.clear()
        del self._bot[:length]
        self._taken += length
        return caller, bot


class CallRecording:
    """One stream's recording. Nothing of it is written before ``notice_given``; without that, nothing ever."""

    def __init__(self, path: Path, write: Callable[[Path, tuple[bytes, bytes] | None], bool]) -> None:
        self.path = path
        self._write = write
        self._timeline = Timeline()
        self._held: list[tuple[bytes, bytes]] = []
        self._noticed = self._over = False

    def notice_given(self) -> bool:
        """The caller has heard that they are recorded. False if that took too long to have kept the beginning."""
        self._noticed = True
        return not self._over

    def hear(self, audio: bytes) -> None:
        """The caller's next audio."""
        if not self._over:
            self._timeline.heard(audio)
            self._pass_on(_PIECE)

    def bot_plays(self, audio: bytes) -> None:
        """The bot's next audio."""
        if not self._over:
            self._timeline.sent(audio)

    def bot_silenced(self) -> None:
        """The bot's audio was dropped."""
        self._timeline.cleared()

    def observe(self, what: ev.Event | ev.Command) -> None:
        """Take what tells when the bot was heard."""
        if isinstance(what, ev.AudioQueued):
            self._timeline.marked(what.mark, round(what.seconds * PHONE.rate))
        elif isinstance(what, ev.VoiceFailed):
            self._timeline.broken()
        elif isinstance(what, ev.Played):
            self._timeline.played(what.mark)

    def close(self) -> None:
        """The stream is over. Idempotent."""
        if not self._over:
            self._pass_on(1)
        if not self._over:
            self._finish()

    def _pass_on(self, least: int) -> None:
        if (piece := self._timeline.take(least)) is not None:
            self._held.append(piece)
        if self._noticed:
            held, self._held = self._held, []
            if not all(self._write(self.path, each) for each in held):
                self._finish()
        elif len(self._held) > _HELD_PIECES:
            self._finish()

    def _finish(self) -> None:
        self._over = True
        self._held.clear()
        if self._noticed:
            self._write(self.path, None)


class RecordedEars:
    """A call's ears, with a recording that hears what they hear; see ``sound.Ears``."""

    def __init__(self, ears: Ears, recording: CallRecording) -> None:
        self._ears, self._recording = ears, recording
        self.start, self.expect, self.close = ears.start, ears.expect, ears.close

    def hear(self, audio: bytes) -> None:
        """The caller's next audio."""
        self._recording.hear(audio)
        self._ears.hear(audio)

    def bot_plays(self, audio: bytes) -> None:
        """The line queued audio of the bot."""
        self._recording.bot_plays(audio)
        self._ears.bot_plays(audio)

    def bot_silenced(self) -> None:
        """The line dropped all queued audio of the bot."""
        self._recording.bot_silenced()
        self._ears.bot_silenced()


class Recordings:
    """All recordings of a process, and the thread that writes them. ``on_lost`` hears (in either) of each lost one."""

    def __init__(self, folder: Path, on_lost: Callable[[], None]) -> None:
        self._folder, self._on_lost = folder, on_lost
        self._waiting: queue.SimpleQueue[tuple[Path, tuple[bytes, bytes] | None] | None] = queue.SimpleQueue()
        self._tapes: dict[Path, Tape | None] = {}
        """Those being written; None: it is lost."""
        self._thread = threading.Thread(target=self._run, name="call-recordings", daemon=True)
        self._thread.start()

    def begin(self, call_id: str, stream: int) -> CallRecording:
        """The recording of one stream of a call; ``stream``: its number, from 1."""
        return CallRecording(self._folder / call_id / f"stream-{stream}.wav", self._put)

    def stop(self, seconds: float) -> None:
        """Write what is left, for at most so long."""
        self._waiting.put(None)
        self._thread.join(seconds)

    def _put(self, path: Path, piece: tuple[bytes, bytes] | None) -> bool:
        """Hand a piece, or the end (None), to the thread; false for a piece that finds too many there."""
        if piece is not None and self._waiting.qsize() >= _WAITING_PIECES:
            self._lose(path, "the disk is too slow")
            return False
        self._waiting.put((path, piece))
        return True

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            path, piece = item
            try:
                self._end(path) if piece is None else self._write(path, piece)
            except CallbotError as error:
                self._lose(path, str(error))

    def _write(self, path: Path, piece: tuple[bytes, bytes]) -> None:
        if path not in self._tapes:
            self._tapes[path] = None  # unless it can be made
            self._tapes[path] = Tape(path, PHONE.rate)
        if (tape := self._tapes[path]) is not None:
            tape.write(*(decode_mulaw(side) for side in piece))
            if tape.fault:
                self._tapes[path] = None
                tape.close()
                raise CallbotError(tape.fault)

    def _end(self, path: Path) -> None:
        if (tape := self._tapes.pop(path, None)) is not None:
            tape.close()
            if tape.fault:
                raise CallbotError(tape.fault)

    def _lose(self, path: Path, why: str) -> None:
        self._on_lost()
        _log.error("a recording is not whole", extra={"file": str(path), "why": why})
