"""Callers and the offline model must understand each other, not recognise each other's phrases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callbot.evals.callers.phrases import LANGUAGES, written
from callbot.fields import folded
from callbot.models import offline
from callbot.models.offline.phrases import table

OFFLINE = sorted(Path(offline.__file__).parent.glob("*.yaml"))


def texts(data: Any) -> Iterator[str]:
    """Every text in a phrase file."""
    if isinstance(data, dict):
        for value in data.values():
            yield from texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value)
    elif isinstance(data, str):
        yield data


def plain(text: str) -> str:
    """Words alone, for comparing."""
    return " ".join(re.findall(r"[\w']+", folded(re.sub(r"\{\w+\}", " detail ", text))))


def offline_texts() -> list[str]:
    """Everything in the offline model's phrase files, inline lists of cues apart."""
    found = []
    for path in OFFLINE:
        found.extend(texts(table(path.stem)))
    return found


def cue(text: str) -> re.Pattern[str]:
    """One line of the offline model's cues: a|b either word, x? may be missing, * up to two words."""
    parts = []
    for part in folded(text).replace("'", "").split():
        words = [re.escape(word) for word in part.removesuffix("?").split("|") if word]
        one = r"(?:\w+ ){0,2}" if part == "*" else f"(?:{'|'.join(words)}) "
        parts.append(f"(?:{one})?" if part.endswith("?") and len(part) > 1 else one)
    return re.compile("".join(parts))


def sayings() -> list[str]:
    """Everything that a caller may say, a word standing for the details."""
    said = [plain(text) for language in LANGUAGES for text in texts(written(language)["says"])]
    return [text for text in said if text != "detail"]


def hearings() -> list[str]:
    """Everything that a caller listens for."""
    return [text for language in LANGUAGES for text in texts(written(language)["hears"])]


def test_the_phrase_files_share_no_line() -> None:
    theirs = {plain(text) for text in offline_texts()}
    shared = {text for text in (*sayings(), *map(plain, hearings())) if text in theirs}
    assert not shared


def test_no_cue_of_the_offline_model_is_all_that_a_caller_says() -> None:
    cues = [cue(text) for text in offline_texts() if "{" not in text and len(text.split()) < 12]
    assert len(cues) > 1000
    whole = {
        (text, pattern.pattern)
        for text in sayings()
        for pattern in cues
        if pattern.fullmatch(text.replace("'", "") + " ")
    }
    assert not whole


def test_nothing_that_the_offline_model_says_is_all_that_a_caller_listens_for() -> None:
    replies = {
        plain(text)
        for path in OFFLINE
        if path.name.startswith("replies")
        for text in texts(table(path.stem)["ask"])
    }
    literal = {plain(re.sub(r"\\[bWsw]|[\^$?*+()|\\]", " ", pattern)) for pattern in hearings()}
    assert len(replies) > 50
    assert not [text for text in replies & literal if " " in text]


@pytest.mark.parametrize(
    ("line", "said", "whole"),
    [
        ("thanks|cheers a? lot", "cheers lot ", True),
        ("no * need", "no there is need ", True),
        ("no * need", "no need for it ", False),
    ],
)
def test_cues_are_read_as_the_offline_model_reads_them(line: str, said: str, whole: bool) -> None:
    assert bool(cue(line).fullmatch(said)) == whole
