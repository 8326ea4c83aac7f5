"""The carrier's mu-law against G.711's own table, an independent library, and itself."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from callbot.carrier import g711

# ITU-T G.711, table 2a: decoder output at the ends of the positive segments, in the recommendation's
# 14 bits; 16-bit samples are four times that.
TABLE = [
    (0b1000_0000, 8031),
    (0b1000_1111, 4191),
    (0b1001_1111, 2079),
    (0b1010_1111, 1023),
    (0b1011_1111, 495),
    (0b1100_1111, 231),
    (0b1101_1111, 99),
    (0b1110_1111, 33),
    (0b1111_1110, 2),
    (0b1111_1111, 0),
]


@pytest.mark.parametrize(("code", "value"), TABLE)
def test_codes_mean_what_the_recommendation_says(code, value):
    """The ends of the segments, both signs."""
    assert g711.decode(bytes([code]))[0] == 4 * value
    assert g711.decode(bytes([code & 0x7F]))[0] == -4 * value


def test_decoding_agrees_with_libsndfile():
    """Every code."""
    codes = bytes(range(256))
    theirs, _ = soundfile.read(
        io.BytesIO(codes), samplerate=8000, channels=1, format="RAW", subtype="ULAW", dtype="int16"
    )
    assert (g711.decode(codes) == theirs).all()


def test_every_code_stands_for_the_middle_of_what_is_encoded_as_it():
    """G.711's outputs lie midway between its decision values; the loudest bin takes all that is clipped."""
    samples = np.arange(-32768, 32768).astype(np.int16)
    codes = np.frombuffer(g711.encode(samples), dtype=np.uint8)
    assert (np.diff(np.flatnonzero(np.diff(codes.astype(int)))) >= 3).all(), "codes are intervals"
    for code in set(range(256)) - {0x00, 0x80, 0x7F, 0xFF}:
        bin_ = samples[codes == code].astype(int)
        assert abs((bin_.min() + bin_.max()) / 2 - int(g711.decode(bytes([code]))[0])) <= 4
    assert (np.abs(samples[codes == 0xFF].astype(int)) <= 4).all()


@given(st.binary(max_size=400))
def test_what_was_decoded_is_encoded_as_it_was(codes):
    """Except that there are two codes for zero."""
    again = g711.encode(g711.decode(codes))
    assert again.replace(b"\x7f", b"\xff") == codes.replace(b"\x7f", b"\xff")


@given(st.binary(min_size=1, max_size=160))
def test_the_cheap_peak_is_the_peak(codes):
    """Rounded down to 128."""
    loudest = np.abs(g711.decode(codes).astype(int)).max()
    assert g711.peak(codes) == loudest // 128 * 128
