"""The bot's own voice, come back from the caller's side: is a frame of the caller only that?

What the line was given to play is known sample by sample; when it comes back is not (network, jitter
buffers and the caller's room: up to ``LONGEST_DELAY_MS``), nor how loud. Two tests, cheap first:

1. Level. An echo is weaker than the voice that it is of. A frame that is ``SURE_LOSS_DB`` below the
   loudest frame that may be coming back is taken for echo, whatever a room has made of it.
2. Likeness. Else the last 256 ms are compared with the bot's audio at every delay by normalised
   cross-correlation, through one FFT. Its square is the share of the energy that one delayed copy
   explains: near 1 for an echo, small for a caller who speaks over the bot.

The bot is deaf only to what both tests let it: a caller speaks at about the bot's own level.
"""

from __future__ import annotations

import audioop
from collections import deque

import numpy as np

from callbot.sound import AudioFormat
from callbot.speech.audio import Converter
from callbot.speech.vad import FRAME, FRAME_BYTES, RATE

LONGEST_DELAY_MS = 760
"""Between the playing of a sound by the line's books and its echo."""
SURE_LOSS_DB = 17
"""A frame weaker than this below the loudest of the bot is no caller. Line echo that nobody cancels is
at -20 dB and less in telephone networks; people speak within 10 dB of a voice made for telephones."""
LIKENESS = 0.4
"""Share of the energy that a delayed copy must explain. Two voices reach 0.2 by chance of their pitch."""

_SPAN = 8192
"""Samples of the bot that are compared: the delays, and the window beside the last of them."""
_WINDOW = 2048
_EVERY = 5
"""Frames for which one comparison stands: 100 ms."""
_DELAY_FRAMES = LONGEST_DELAY_MS // 20
_SURE = 10 ** (-SURE_LOSS_DB / 20)


class Echo:
    """The books of one call's bot audio, by the caller's clock: one frame heard is one frame played."""

    def __init__(self, format: AudioFormat) -> None:
        self._decoder = Converter(format, AudioFormat("pcm16", RATE))
        self._queue = bytearray()
        self._played: deque[bytes] = deque(maxlen=-(-_SPAN // FRAME))
        self._levels: deque[int] = deque(maxlen=_DELAY_FRAMES)
        self._heard: deque[bytes] = deque(maxlen=-(-_WINDOW // FRAME))
        self._silent_for = _DELAY_FRAMES
        """Frames since the bot was last on the air."""
        self._verdict, self._stands = False, 0

    def plays(self, audio: bytes) -> None:
        """The line queues this audio, in its own format."""
        self._queue += self._decoder.feed(audio)

    def silenced(self) -> None:
        """The line dropped what was queued; what was played may still come back."""
        self._queue.clear()

    @property
    def audible(self) -> bool:
        """Whether the bot is on the air, or was so recently that its echo may be."""
        return self._silent_for < _DELAY_FRAMES

    def hears(self, frame: bytes) -> None:
        """Time passes by one frame of the caller: 160 samples."""
        self._stands = max(0, self._stands - 1)
        if not self._queue:
            self._silent_for += 1
            if not self.audible:
                self._played.clear()
                self._levels.clear()
                self._heard.clear()
                return
        else:
            self._silent_for = 0
        playing = bytes(self._queue[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
        del self._queue[:FRAME_BYTES]
        self._played.append(playing)
        self._levels.append(audioop.rms(playing, 2))
        self._heard.append(frame)

    def explains(self) -> bool:
        """Whether the frame just heard is the bot's echo and nobody's voice."""
        if not self.audible:
            return False
        if audioop.rms(self._heard[-1], 2) <= _SURE * max(self._levels):
            return True
        if not self._stands:
            self._verdict, self._stands = self._likeness() >= LIKENESS, _EVERY
        return self._verdict

    def _likeness(self) -> float:
        """The largest share of the energy lately heard that one delayed copy of the bot explains."""
        heard = np.frombuffer(b"".join(self._heard), "<i2")[-_WINDOW:].astype(np.float64)
        played = np.zeros(_SPAN)
        recent = np.frombuffer(b"".join(self._played), "<i2")[-_SPAN:]
        played[_SPAN - len(recent) :] = recent
        spectrum = np.fft.rfft(played) * np.conj(np.fft.rfft(heard, _SPAN))
        delays = _SPAN - len(heard) + 1
        products = np.fft.irfft(spectrum, _SPAN)[:delays]
        energy = np.concatenate(([0.0], np.cumsum(played**2)))
        energies = energy[len(heard) :] - energy[: _SPAN - len(heard) + 1]
        own = float(heard @ heard)
        loud = energies > 1e-6 * energies.max(initial=0.0)
        if not own or not loud.any():
            return 0.0
        return float((products[loud] ** 2 / energies[loud]).max() / own)
