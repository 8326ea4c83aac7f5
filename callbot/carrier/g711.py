"""ITU-T G.711 mu-law, written from the recommendation's formula, as 16-bit linear samples.

A code's bits, inverted: sign, three bits of segment, four bits of step. Its magnitude is
``((step * 8 + 132) << segment) - 132``; the encoder adds the same bias of 132 and clips at 32,635.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
"""Samples, and mu-law bytes, a second."""
FRAME = 160
"""Samples in the 20 ms that the carrier sends at a time."""
SILENCE = 0xFF
"""The code of zero."""

_BIAS = 132
_CLIP = 32635

Samples = NDArray[np.int16]


def _decoding_table() -> Samples:
    bits = ~np.arange(256) & 0xFF
    magnitude = (((bits & 0x0F) * 8 + _BIAS) << ((bits >> 4) & 0x07)) - _BIAS
    return np.where(bits & 0x80, -magnitude, magnitude).astype(np.int16)


def _encoding_table() -> NDArray[np.uint8]:
    """Codes of every sample, indexed by the sample read as an unsigned number."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    biased = np.minimum(np.abs(samples), _CLIP) + _BIAS
    segment = np.floor(np.log2(biased)).astype(np.int32) - 7
    step = (biased >> (segment + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    codes: NDArray[np.int32] = ~(sign | (segment << 4) | step) & 0xFF
    return codes.astype(np.uint8)


_DECODED = _decoding_table()
_ENCODED = _encoding_table()
_LOUDNESS = (np.abs(_DECODED.astype(np.int32)) >> 7).astype(np.uint8).tobytes()


def decode(codes: bytes | bytearray) -> Samples:
    """Mu-law bytes as 16-bit samples."""
    return _DECODED[np.frombuffer(codes, dtype=np.uint8)]


def encode(samples: Samples) -> bytes:
    """16-bit samples as mu-law bytes."""
    return _ENCODED[samples.view(np.uint16)].tobytes()


def peak(codes: bytes) -> int:
    """Magnitude of the loudest sample, rounded down to 128; full scale is 32,124. Costs microseconds."""
    return max(codes.translate(_LOUDNESS), default=0) << 7
