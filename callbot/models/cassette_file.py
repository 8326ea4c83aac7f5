"""The file of a cassette (``callbot.cassette/1``): a header line, then one answer a line, sorted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.files import claim, in_use, write_whole
from callbot.models.base import Delta, Finished

SCHEMA = "callbot.cassette/1"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(_Part):
    """What an answer is found by. Hashes are the first 16 hex digits of SHA-256."""

    scenario: str
    attempt: int = Field(ge=1)
    n: int = Field(ge=1)
    """The how-manieth question of the attempt."""
    model: str
    seed: int
    prompt: str
    """Hash of the system message, as rendered."""
    reply: str
    """Hash of the schema of the reply."""
    conversation: str
    """Hash of the occasion and of every other message."""


class Ending(_Part):
    """The end of an answer, as ``models.base.Finished``."""

    reason: str
    seconds: float = Field(ge=0)
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    detail: str = ""


class Take(_Part):
    """One answer. ``pieces``: characters of ``text`` and the second at which they came, in order."""

    question: Question
    caller: str
    """The caller's last words before it, for whoever reads the file."""
    text: str
    pieces: tuple[tuple[int, float], ...]
    finished: Ending

    def replay(self) -> Iterator[Delta | Finished]:
        """The answer as the model gave it, with its times."""
        start = 0
        for length, at in self.pieces:
            yield Delta(self.text[start : start + length], at)
            start += length
        end = self.finished
        yield Finished(
            end.reason, end.input_tokens, end.output_tokens, end.detail, end.cached_tokens, end.seconds
        )

    def line(self) -> str:
        """The take as a line of a cassette."""
        return json.dumps(self.model_dump(exclude_defaults=True), ensure_ascii=False)


def read_takes(path: Path) -> dict[Question, Take]:
    """Every answer of a cassette. Raises InvalidInput naming the first line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")  # texts may hold U+2028
    except OSError as error:
        raise CallbotError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem(path, None, "", "is not UTF-8 text, so it is no cassette")]) from error
    _check_header(path, lines[0])
    takes: dict[Question, Take] = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            take = Take.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"]))
            message = f"is no answer of a cassette: {fault['msg']}; put it right, or record again"
            raise InvalidInput([Problem(path, number, where, message)]) from error
        if sum(length for length, _ in take.pieces) != len(take.text):
            raise InvalidInput([Problem(path, number, "pieces", "do not add up to text; record it again")])
        if take.question in takes:
            raise InvalidInput([Problem(path, number, "question", "has its answer above already; keep one")])
        takes[take.question] = take
    return takes


def _check_header(path: Path, line: str) -> None:
    try:
        found = json.loads(line)["schema"]
    except (ValueError, TypeError, KeyError) as error:
        message = f'is no cassette: it must begin with {{"schema": "{SCHEMA}"}}'
        raise InvalidInput([Problem(path, 1, "", message)]) from error
    if found != SCHEMA:
        message = f'must be "{SCHEMA}", found "{found}": it is of another version of callbot; record it again'
        raise InvalidInput([Problem(path, 1, "schema", message)])


def write_takes(path: Path, takes: Iterable[Take]) -> None:
    """Write a cassette whole. Raises CallbotError."""
    ordered = sorted(takes, key=lambda take: tuple(dict(take.question).values()))
    lines = [json.dumps({"schema": SCHEMA}), *(take.line() for take in ordered)]
    write_whole(path, "\n".join(lines) + "\n")


def read_part(path: Path) -> dict[Question, Take]:
    """The answers that a killed run left; its last line may be half written."""
    takes: dict[Question, Take] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            take = Take.model_validate_json(line)
        except ValidationError:
            continue
        takes[take.question] = take
    return takes


def new_part(path: Path) -> IO[str]:
    """Where a run keeps its answers until it is over; locked while the run lives. Raises CallbotError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part").open("a", encoding="utf-8")
    except OSError as error:
        raise CallbotError(f"--cassette: nothing can be written beside {path}: {error.strerror}") from error
    claim(part)  # held until this process is gone: how others know whose it is
    return part


def abandoned_parts(path: Path) -> list[Path]:
    """Parts of this cassette whose runs are gone."""
    return [part for part in sorted(path.parent.glob(f"{path.name}.*.part")) if not in_use(part)]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One process at a time, among those that write cassettes in a folder."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
