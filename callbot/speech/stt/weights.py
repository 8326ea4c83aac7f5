"""Which of Whisper's models are on this machine already: nothing is downloaded to find out."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

WEIGHTS = {
    "he": ("ivrit-ai/whisper-large-v3-turbo-ct2", "ivrit-ai/whisper-large-v3-ct2"),
    "en": ("large-v3-turbo", "large-v3", "medium", "small", "base", "medium.en", "small.en", "base.en"),
}
"""Names of faster-whisper models that understand a language well enough to talk, the best first."""


def local_weights(language: str) -> str | None:
    """The best of Whisper's models for a language whose weights were downloaded before; None: none were."""
    return next((name for name in WEIGHTS[language] if is_local(name)), None)


def is_local(model: str) -> bool:
    """Whether a model's weights, by its name or its folder, are on this machine."""
    if find_spec("faster_whisper") is None:
        return False
    from faster_whisper.utils import download_model  # type: ignore[import-untyped]

    with suppress(Exception):  # whatever says that it is not there
        folder = Path(model).expanduser()
        if not folder.is_dir():
            folder = Path(download_model(model, local_files_only=True))
        return (folder / "model.bin").is_file()
    return False
