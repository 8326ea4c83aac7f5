"""Audio keeps its length, pitch and level from one format into another, however it is cut."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from callbot.sound import PHONE, AudioFormat
from callbot.speech.audio import (
    Converter,
    UnreadableAudio,
    convert,
    decode_mulaw,
    encode_mulaw,
    read_audio,
    wav_bytes,
)

FORMATS = [PHONE, *(AudioFormat("pcm16", rate) for rate in (8000, 16000, 22050, 24000, 48000))]


def tone(format, hertz=440.0, seconds=1.0, level=0.5):
    """A sine in a format."""
    t = np.arange(int(format.rate * seconds)) / format.rate
    pcm = (level * 32767 * np.sin(2 * np.pi * hertz * t)).astype("<i2").tobytes()
    return pcm if format.encoding == "pcm16" else encode_mulaw(pcm)


def samples(audio, format):
    """As numbers between -1 and 1."""
    pcm = audio if format.encoding == "pcm16" else decode_mulaw(audio)
    return np.frombuffer(pcm, "<i2") / 32768


def test_mulaw_is_g711():
    """Values of ITU-T G.711's table: silence, the smallest steps, full scale."""
    pcm = np.array([0, 8, -8, 32124, -32124], "<i2").tobytes()
    assert encode_mulaw(pcm) == bytes([0xFF, 0xFE, 0x7E, 0x80, 0x00])
    assert np.frombuffer(decode_mulaw(bytes(range(256))), "<i2").astype(int).tolist()[:1] == [-32124]
    assert encode_mulaw(decode_mulaw(bytes(range(256)))).replace(b"\xff", b"\x7f", 0)[:127] == bytes(
        range(127)
    )


def test_half_a_sample_is_no_audio():
    """It would turn everything behind it into noise."""
    with pytest.raises(ValueError, match="middle of a sample"):
        encode_mulaw(b"\0\0\0")


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_a_tone_stays_that_tone(source, target):
    """Its length, its pitch and its level."""
    there = samples(convert(tone(source), source, target), target)
    assert len(there) == pytest.approx(target.rate, abs=2)
    spectrum = np.abs(np.fft.rfft(there * np.hanning(len(there))))
    assert spectrum.argmax() * target.rate / len(there) == pytest.approx(440, abs=1.5)
    assert np.abs(there[len(there) // 4 : -len(there) // 4]).max() == pytest.approx(0.5, abs=0.03)


def test_what_the_phone_cannot_carry_is_filtered_not_folded():
    """5 kHz at 24 kHz would come back as 3 kHz."""
    source = AudioFormat("pcm16", 24000)
    folded = samples(convert(tone(source, hertz=5000), source, AudioFormat("pcm16", 8000)), FORMATS[1])
    assert np.abs(folded[100:-100]).max() < 0.01


def test_full_scale_does_not_wrap_around():
    """What resampling swings past full scale is held there."""
    source, target = AudioFormat("pcm16", 24000), AudioFormat("pcm16", 16000)
    square = np.where(np.arange(2400) % 240 < 120, 32767, -32768).astype("<i2").tobytes()
    there = samples(convert(square, source, target), target)
    assert (np.sign(there[45:75]) == 1).all()


@given(st.sampled_from(FORMATS), st.sampled_from(FORMATS), st.lists(st.integers(0, 900), max_size=12))
def test_cuts_do_not_matter(source, target, cuts):
    """Pieces of any length give the audio of the whole."""
    audio = tone(source, seconds=0.05)
    converter, pieces, start = Converter(source, target), [], 0
    for length in [*cuts, len(audio)]:
        pieces.append(converter.feed(audio[start : start + length]))
        start += length
    assert b"".join([*pieces, converter.flush()]) == convert(audio, source, target)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("WAV", "PCM_24"), ("WAV", "ULAW"), ("FLAC", None), ("OGG", None)]
)
def test_files_are_read_and_their_channels_mixed(tmp_path, kind, subtype):
    """As a studio, a telephone or a recorder writes them."""
    left = samples(tone(AudioFormat("pcm16", 44100)), AudioFormat("pcm16", 44100))
    path = tmp_path / "greeting"
    soundfile.write(path, np.stack([left, np.zeros_like(left)], axis=1), 44100, format=kind, subtype=subtype)
    for source in (path, path.read_bytes()):
        audio = read_audio(source, PHONE)
        assert PHONE.seconds(len(audio)) == pytest.approx(1.0, abs=0.01)
        assert np.abs(samples(audio, PHONE)[2000:6000]).max() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"<html>not found</html>", bytes(1000)])
def test_what_is_no_audio_is_said_to_be_none(data, tmp_path):
    """Not played as noise."""
    path = tmp_path / "greeting.wav"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(UnreadableAudio, match="use WAV, FLAC, Ogg or MP3"):
            read_audio(source, PHONE)


def test_a_wav_is_one():
    """Others read what we write."""
    read, rate = soundfile.read(io.BytesIO(wav_bytes(tone(PHONE), PHONE)))
    assert (rate, len(read)) == (8000, 8000)
    assert np.abs(read).max() == pytest.approx(0.5, abs=0.02)
