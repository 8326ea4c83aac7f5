"""Sound cards through PortAudio (sounddevice): found, opened, and their errors said in plain words.

One duplex stream carries both directions, so that what is heard and what is played are exchanged in
one callback. Where a microphone and a loudspeaker cannot be opened as one stream (two devices with
clocks of their own, mostly), there are two, and what was heard last is handed over when the
loudspeaker asks for more: aligned to ``APART_SECONDS``, and drifting as the clocks do. A card
that does not take the wanted rate is opened at its own.

``null`` is no card at all: it hears silence and plays to nobody, in real time.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from callbot.errors import CallbotError
from callbot.lines.microphone import RESTARTED, Card, Exchange
from callbot.lines.stream_watch import StreamWatch
from callbot.sound import AudioFormat

BLOCK_SECONDS = 0.02
"""One exchange with a card."""
LATENCY_SECONDS = 0.06
"""Of buffer asked for, each way: three blocks, so that an interpreter that is busy elsewhere for two
loses nothing. PortAudio's own default for robustness, 40 ms on PulseAudio, does lose some."""
NULL = "null"
"""The name of no card."""

_KEPT_BLOCKS = 4
"""Of what two separate streams have heard and not exchanged yet: sound servers give several at once."""
APART_SECONDS = _KEPT_BLOCKS * BLOCK_SECONDS
"""How far what two separate streams heard and played may be apart."""
_BUSY, _INVALID_RATE, _INVALID_CHANNELS = -9985, -9997, -9998
"""PortAudio's paDeviceUnavailable, paInvalidSampleRate, paInvalidChannelCount (portaudio.h)."""
_PACKAGES = {
    "debian": "apt-get install libportaudio2",
    "fedora": "dnf install portaudio",
    "arch": "pacman -S portaudio",
    "alpine": "apk add portaudio",
    "suse": "zypper install libportaudio2",
}
"""How families of Linux (ID and ID_LIKE of os-release(5)) install PortAudio."""


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device. ``rate``: its own, in hertz; channels: 0 where it has none."""

    number: int
    name: str
    host: str
    inputs: int
    outputs: int
    rate: float
    default_input: bool
    default_output: bool


def devices() -> list[Device]:
    """All sound devices that PortAudio finds. Raises CallbotError where PortAudio is missing."""
    sounddevice = _portaudio()
    hosts = sounddevice.query_hostapis()
    heard, played = sounddevice.default.device
    return [
        Device(
            number,
            str(found["name"]),
            str(hosts[found["hostapi"]]["name"]),
            int(found["max_input_channels"]),
            int(found["max_output_channels"]),
            float(found["default_samplerate"]),
            number == heard,
            number == played,
        )
        for number, found in enumerate(sounddevice.query_devices())
    ]


def portaudio_version() -> str:
    """PortAudio's own version text. Raises CallbotError where it is missing."""
    return str(_portaudio().get_portaudio_version()[1])


def how_to_install() -> str:
    """What to type to get PortAudio on this system; sounddevice's own wheels bring it on Windows and macOS."""
    if sys.platform != "linux":
        return 'pip install --force-reinstall sounddevice, or on a Mac "brew install portaudio"'
    try:
        system = platform.freedesktop_os_release()
    except OSError:  # there is no os-release
        system = {}
    families = [system.get("ID", ""), *system.get("ID_LIKE", "").split()]
    return next(
        (_PACKAGES[name] for name in families if name in _PACKAGES),
        f"{_PACKAGES['debian']}, or as your system names the package",
    )


def open_card(microphone: str | None, loudspeaker: str | None, rate: int, *, hears: bool) -> Card:
    """Open a card at ``rate``, or at its own where it does not take that.

    Devices are named by number or by part of their name; None is the system's default. Without
    ``hears`` no microphone is opened. Raises CallbotError for what cannot be opened, and why.
    """
    if loudspeaker == NULL:
        return NullCard(rate)
    sounddevice = _portaudio()
    played = _find(sounddevice, loudspeaker, "output")
    heard = _find(sounddevice, microphone, "input") if hears and microphone != NULL else None
    try:
        return SoundCard(sounddevice, heard, played, rate)
    except sounddevice.PortAudioError as error:
        if _code(error) != _INVALID_RATE:
            raise _plainly(sounddevice, error, heard, played) from error
    own = int(sounddevice.query_devices(played)["default_samplerate"])
    try:
        return SoundCard(sounddevice, heard, played, own)
    except sounddevice.PortAudioError as error:
        raise _plainly(sounddevice, error, heard, played) from error


class SoundCard:
    """A card that is open; see ``microphone.Card``. ``together``: one stream carries both directions."""

    def __init__(self, sounddevice: Any, heard: int | None, played: int, rate: int) -> None:
        self.format = AudioFormat("pcm16", rate)
        self.hears = heard is not None
        self.together = True
        self._exchange: Exchange | None = None
        self._gone: Any = lambda: None
        self._closing = self._playing = False
        self._watch: StreamWatch | None = None
        self._restarts = self._told = 0
        self._kept: deque[bytes] = deque(maxlen=_KEPT_BLOCKS)
        common = {
            "samplerate": rate,
            "blocksize": round(rate * BLOCK_SECONDS),
            "channels": 1,
            "dtype": "int16",
            "latency": LATENCY_SECONDS,
        }
        ended = self._finished
        with quiet_stderr():
            if heard is None:
                self._streams = [
                    sounddevice.RawOutputStream(
                        device=played, callback=self._play, finished_callback=ended, **common
                    )
                ]
            else:
                try:
                    self._streams = [
                        sounddevice.RawStream(
                            device=(heard, played), callback=self._both, finished_callback=ended, **common
                        )
                    ]
                except sounddevice.PortAudioError:
                    self.together = False
                    self._streams = [
                        sounddevice.RawInputStream(
                            device=heard, callback=self._hear, finished_callback=ended, **common
                        ),
                        sounddevice.RawOutputStream(
                            device=played, callback=self._play, finished_callback=ended, **common
                        ),
                    ]
        latency = self._streams[-1].latency
        self.latency = float(latency[1] if isinstance(latency, tuple) else latency)

    def start(self, exchange: Exchange, gone: Any) -> None:
        """Begin; see ``microphone.Card``."""
        self._exchange, self._gone = exchange, gone
        if self.hears and self.together:
            self._watch = StreamWatch(self._restart, gone)
            self._watch.start()
        for stream in self._streams:
            stream.start()

    def _restart(self) -> None:
        (stream,) = self._streams
        self._restarts += 1
        self._closing = True
        stream.abort()
        stream.start()
        self._closing = False

    def close(self) -> None:
        """Play the rest and stop; see ``microphone.Card``."""
        if self._watch is not None:
            self._watch.stop()
        self._closing = True
        with quiet_stderr():
            for stream in reversed(self._streams):
                with contextlib.suppress(Exception):  # a card that has gone refuses to stop
                    stream.stop()
                stream.close(ignore_errors=True)

    def _finished(self) -> None:
        if not self._closing:
            self._gone()

    def _both(self, heard: Any, out: Any, frames: int, when: Any, status: Any) -> None:
        assert self._exchange is not None
        assert self._watch is not None
        slips = _slips(status) + (RESTARTED,) * (self._restarts - self._told)
        self._told = self._restarts
        out[:] = self._exchange(bytes(heard), slips)
        self._watch.passed()

    def _hear(self, heard: Any, frames: int, when: Any, status: Any) -> None:
        self._kept.append(bytes(heard))

    def _play(self, out: Any, frames: int, when: Any, status: Any) -> None:
        assert self._exchange is not None
        if not self._playing:  # the microphone ran before the loudspeaker did: begin with what is new
            self._playing = True
            self._kept.clear()
        try:
            heard = self._kept.popleft()
        except IndexError:
            heard = b""
        out[:] = self._exchange(heard[: len(out)].ljust(len(out), b"\0"), _slips(status))


class NullCard:
    """No card; see ``microphone.Card``. A thread keeps its time."""

    latency = 0.0
    hears = False

    def __init__(self, rate: int) -> None:
        self.format = AudioFormat("pcm16", rate)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, exchange: Exchange, gone: Any) -> None:
        """Begin; see ``microphone.Card``."""
        silence = bytes(2 * round(self.format.rate * BLOCK_SECONDS))

        def keep_time() -> None:
            due = time.monotonic()
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                exchange(silence, ())
                due += BLOCK_SECONDS

        self._thread = threading.Thread(target=keep_time, name="null sound card", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Let what C libraries (ALSA, PortAudio) write to stderr go nowhere; what Python writes arrives."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    python = sys.stderr
    python.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        with open(kept, "w", buffering=1, errors="backslashreplace", closefd=False) as sys.stderr:
            yield
    finally:
        sys.stderr = python
        os.dup2(kept, 2)
        os.close(kept)


def _portaudio() -> Any:
    try:
        with quiet_stderr():
            import sounddevice
    except ModuleNotFoundError as error:
        raise CallbotError(
            f'a sound card needs {error.name}; install it with: pip install "callbot[talk]"'
        ) from error
    except OSError as error:
        raise CallbotError(f"the library PortAudio is missing: {how_to_install()}") from error
    return sounddevice


def _find(sounddevice: Any, name: str | None, direction: str) -> int:
    """The number of a device. Raises CallbotError."""
    wanted: int | str | None = int(name) if name is not None and name.isdecimal() else name
    try:
        found = sounddevice.query_devices(wanted, direction)
    except (ValueError, sounddevice.PortAudioError) as error:
        what = "microphone" if direction == "input" else "loudspeaker"
        option = f"--{direction}-device"
        known = [
            f"  {device.number}: {device.name}"
            for device in devices()
            if (device.inputs if direction == "input" else device.outputs)
        ]
        if not known:
            raise CallbotError(
                f"this machine has no {what} that may be used. Plug one in, start the sound server "
                f"(PipeWire, PulseAudio), and look with: callbot devices\n{option} null does without"
                if direction == "output"
                else f"this machine has no {what} that may be used. Plug one in, allow this program to use "
                "it, and look with: callbot devices\n--from FILE or --type do without"
            ) from error
        said = f'"{name}" is no {what}' if name is not None else f"no {what} is the default"
        if isinstance(error, ValueError) and "Multiple" in str(error):
            said = f'"{name}" fits several'
        listed = "\n".join(known)
        raise CallbotError(f"{option}: {said}; choose by number or by part of the name\n{listed}") from error
    return int(found["index"])


def _code(error: Exception) -> int:
    return int(error.args[1]) if len(error.args) > 1 else 0


def _plainly(sounddevice: Any, error: Exception, heard: int | None, played: int) -> CallbotError:
    names = [
        str(sounddevice.query_devices(number)["name"]) for number in (heard, played) if number is not None
    ]
    which = " and ".join(f'"{name}"' for name in dict.fromkeys(names))
    code, said = _code(error), str(error.args[0]) if error.args else str(error)
    if code == _BUSY:
        return CallbotError(f"{which} cannot be had: another program may hold it, or it was unplugged. Close that one or choose another with --input-device and --output-device (callbot devices)")  # fmt: skip
    if code == _INVALID_RATE and len(set(names)) == 1:
        return CallbotError(f"{which} takes neither the call's sample rate nor its own; choose another with --input-device and --output-device (callbot devices)")  # fmt: skip
    if code == _INVALID_RATE:
        return CallbotError(f"{which} have no sample rate in common; choose two of one sound card (callbot devices)")  # fmt: skip
    if code == _INVALID_CHANNELS:
        return CallbotError(f"{which} cannot carry one channel of sound; choose others (callbot devices)")
    return CallbotError(f"{which} cannot be opened: {said.strip()}. If it is there, this program may not be allowed to use it: look at the system's privacy settings, or the group audio; callbot doctor says what else is wrong")  # fmt: skip


def _slips(status: Any) -> tuple[str, ...]:
    if not status:
        return ()
    return tuple(name for name in ("input_overflow", "output_underflow") if getattr(status, name))
