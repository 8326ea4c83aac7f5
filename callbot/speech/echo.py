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
import numpy.typing as npt

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

_SPAN = 4096
"""Samples at 4 kHz of the bot that are compared: the delays, and the window beside the last of them."""
_WINDOW = 1024
_HOLDS = {True: 2, False: 5}
"""Frames that a verdict stands for; shorter for an echo, so that a caller's first syllable is not lost."""
_DELAY_FRAMES = LONGEST_DELAY_MS // 20
_SURE = 10 ** (-SURE_LOSS_DB / 20)


class Echo:
    """The books of one call's bot audio, by the caller's clock: one frame heard is one frame played."""

    def __init__(self, format: AudioFormat) -> None:
        self._decoder = Converter(format, AudioFormat("pcm16", RATE))
        self._queue = bytearray()
        self._played: deque[bytes] = deque(maxlen=-(-2 * _SPAN // FRAME))
        self._levels: deque[int] = deque(maxlen=_DELAY_FRAMES)
        self._heard: deque[bytes] = deque(maxlen=-(-2 * _WINDOW // FRAME))
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
                if self._played:
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

    def is_faint(self) -> bool:
        """Whether the frame just heard is too weak for a caller while the bot can be heard."""
        return self.audible and audioop.rms(self._heard[-1], 2) <= _SURE * max(self._levels)

    def is_alike(self) -> bool:
        """Whether what was heard last is a copy of what the bot said."""
        if not self.audible:
            return False
        if not self._stands:
            self._verdict = self._likeness() >= LIKENESS
            self._stands = _HOLDS[self._verdict]
        return self._verdict

    def _likeness(self) -> float:
        """The largest share of the energy lately heard that one delayed copy of the bot explains."""
        heard = _halved(b"".join(self._heard))[-_WINDOW:]
        recent = _halved(b"".join(self._played))[-_SPAN:]
        played = np.zeros(_SPAN, np.float32)
        played[_SPAN - len(recent) :] = recent
        spectrum = np.fft.rfft(played) * np.conj(np.fft.rfft(heard, _SPAN))
        products = np.fft.irfft(spectrum, _SPAN)[: _SPAN - len(heard) + 1]
        energy = np.concatenate(([0.0], np.cumsum(np.square(played, dtype=np.float64))))
        energies = energy[len(heard) :] - energy[: _SPAN - len(heard) + 1]
        own = float(heard @ heard)
        loud = energies > 1e-6 * energies.max(initial=0.0)
        if not own or not loud.any():
            return 0.0
        return float((np.square(products[loud]) / energies[loud]).max() / own)


def _halved(pcm: bytes) -> npt.NDArray[np.float32]:
    """Samples at half the rate, where voices have nearly all their energy: a comparison then costs half."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    return samples[::2] + samples[1::2]
