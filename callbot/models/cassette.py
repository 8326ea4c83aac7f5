"""Cassettes: a model's answers kept in a file, so that what was asked once need not be asked again.

An answer is found by what was asked (the messages, the schema, the model, the seed) and by where in
the evaluation (scenario, attempt, the how-manieth question of the attempt): repeats have answers of
their own, and a changed prompt finds none. Its pieces keep the times at which they came, so that a
call played from a cassette is the same call on virtual time. What a provider failed to answer is not
kept, nor is anything of the connection: no key, no header, no address beyond the model's name.

The file (``callbot.cassette/1``) is JSON lines, a header and one line an answer, sorted, to be read
and tracked. It is written whole when a run is over; until then answers are in ``FILE.PID.part``
beside it, so that a killed run loses none: ``fill`` takes up what such runs left.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import groupby
from pathlib import Path
from typing import IO, Literal, get_args

from callbot.errors import CallbotError
from callbot.events import CallerSaid
from callbot.models.base import ChatRequest, Delta, Finished, Model, Request
from callbot.models.cassette_file import (
    Ending,
    Question,
    Take,
    abandoned_parts,
    alone_in,
    new_part,
    read_part,
    read_takes,
    write_takes,
)
from callbot.models.messages import contract_of, messages_of

Mode = Literal["write", "read", "fill"]

CALLER = " (caller)"
"""After the scenario's name: answers of a model that plays the caller."""
JUDGE = " (judge)"
"""After the scenario's name: answers of a model that judges the call."""


class CassetteMiss(CallbotError):
    """A question that the cassette holds no answer to."""


class Cassette:
    """The answers of one file, and those that a run adds. Made by ``open``; ``save`` ends it.

    ``played`` and ``recorded`` count the answers taken from it and added to it.
    """

    def __init__(self, path: Path, mode: Mode, takes: dict[Question, Take], seed: int) -> None:
        self.path, self.mode, self.seed = path, mode, seed
        self._takes = takes
        self._new: dict[Question, Take] = {}
        self._taken_up: list[Path] = []
        """Parts that killed runs left."""
        self._part: IO[str] | None = None
        self.played = self.recorded = 0

    @classmethod
    def open(cls, path: Path, mode: Mode, *, seed: int) -> Cassette:
        """Read what there is. Raises CallbotError: nothing to read from, or no cassette of this version."""
        if path.is_dir():
            raise CallbotError(f"--cassette: {path} is a folder; name a file in it")
        if mode == "read" and not path.exists():
            raise CallbotError(
                f"--cassette: there is no {path} to read; record it with --cassette write:{path}"
            )
        takes = read_takes(path) if mode != "write" and path.exists() else {}
        cassette = cls(path, mode, takes, seed)
        if mode == "fill":
            cassette._take_up()
        return cassette

    def model_recorded(self) -> str:
        """The model whose answers as the bot these are. Raises CallbotError if they are several's."""
        bots = {each.model for each in self._takes if not each.scenario.endswith((CALLER, JUDGE))}
        if len(bots) != 1:
            known = ", ".join(sorted(bots)) or "nobody"
            raise CallbotError(f"{self.path} holds answers of {known}; name the --model to play")
        return bots.pop()

    def model(self, model: Model, scenario: str, attempt: int) -> Model:
        """``model`` as one attempt asks it: answers from here, or kept here."""
        return _Played(self, model, scenario, attempt)

    def find(self, question: Question) -> Take | None:
        """The answer to a question; None to record one. Raises CassetteMiss when only reading."""
        take = self._takes.get(question) or self._new.get(question)
        if take is not None:
            self.played += 1
        elif self.mode == "read":
            raise CassetteMiss(self._missing(question))
        return take

    def keep(self, take: Take) -> None:
        """Add an answer; it is on disk when this returns."""
        if self._part is None:
            self._part = new_part(self.path)
        self._part.write(take.line() + "\n")
        self._part.flush()
        self._new[take.question] = take
        self.recorded += 1

    def save(self, *, complete: bool) -> str:
        """Put the file in place and say what became of it.

        ``complete``: everything was asked. An unfinished ``write`` leaves an older file as it is.
        """
        if self.mode == "read":
            return f"{self.path}: {self.played:,} answers played"
        if self.mode == "write" and not complete and self.path.exists():
            left = f"; the {self.recorded:,} answers recorded are taken up by --cassette fill:{self.path}"
            return f"{self.path} is as it was, for not everything was asked{left if self.recorded else ''}"
        if self._new or self.mode == "write":
            with alone_in(self.path.parent):
                # Another run may have filled the same file meanwhile.
                now = read_takes(self.path) if self.mode == "fill" and self.path.exists() else {}
                write_takes(self.path, {**now, **self._new}.values())
            self._forget_parts()
        found = f", those of {len(self._taken_up)} runs that were cut off taken up" if self._taken_up else ""
        return f"{self.path}: {self.played:,} answers played, {self.recorded:,} recorded{found}"

    def _take_up(self) -> None:
        for part in abandoned_parts(self.path):
            self._new.update(read_part(part))
            self._taken_up.append(part)

    def _forget_parts(self) -> None:
        done = [*self._taken_up, *(abandoned_parts(self.path) if self.mode == "write" else ())]
        if self._part is not None:
            done.append(Path(self._part.name))
            self._part.close()
        for part in done:
            part.unlink(missing_ok=True)

    def _missing(self, asked: Question) -> str:
        place = (
            f"{self.path} holds no answer for {asked.scenario}, attempt {asked.attempt}, question {asked.n}"
        )
        again = f"record it with --cassette fill:{self.path}"
        near = [each for each in self._takes if each.scenario == asked.scenario]
        if not near:
            return f"{place}: nothing of this scenario was recorded; {again}"
        attempts = sorted({each.attempt for each in near})
        if asked.attempt not in attempts:
            return f"{place}: recorded were the attempts {', '.join(map(str, attempts))}; {again}"
        near = [each for each in near if (each.attempt, each.n) == (asked.attempt, asked.n)]
        if not near:
            return f"{place}: when it was recorded, the call had ended before; {again}"
        changes = min((_changes(each, asked) for each in near), key=len)
        return f"{place}: since it was recorded, {' and '.join(changes)} changed; {again}"


class _Played:
    """A model as one attempt asks it through a cassette."""

    latency: float | None = 0.0  # every piece says when it came

    def __init__(self, cassette: Cassette, model: Model, scenario: str, attempt: int) -> None:
        self._cassette, self._model = cassette, model
        self._scenario, self._attempt, self._asked = scenario, attempt, 0
        self.name, self.uses_prompt = model.name, model.uses_prompt

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Answer from the cassette, or ask and keep. Raises CassetteMiss, and what the model raises."""
        self._asked += 1
        question = self._question(request)
        take = self._cassette.find(question)
        if take is None:
            take = await self._record(question, request)
            self._cassette.keep(take)
        for piece in take.replay():
            yield piece

    async def _record(self, question: Question, request: Request) -> Take:
        pieces: list[tuple[str, float]] = []
        finished: Ending | None = None
        started = time.perf_counter()
        async with aclosing(self._model.stream(request)) as stream:
            async for piece in stream:
                at = piece.at if piece.at is not None else self._model.latency
                at = round(time.perf_counter() - started if at is None else at, 3)
                if isinstance(piece, Delta):
                    pieces.append((piece.text, at))
                else:
                    finished = Ending(
                        reason=piece.reason,
                        seconds=at,
                        input_tokens=piece.input_tokens,
                        output_tokens=piece.output_tokens,
                        cached_tokens=piece.cached_tokens,
                        detail=piece.detail,
                    )
        assert finished is not None, "a stream ends with Finished, or raises"
        text = "".join(piece for piece, _ in pieces)
        if not _fits_a_file(text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            pieces = [(text, finished.seconds)]
        together = groupby(pieces, key=lambda piece: piece[1])
        return Take(
            question=question,
            caller=_last_words(request),
            text=text,
            pieces=tuple((sum(len(piece) for piece, _ in each), at) for at, each in together),
            finished=finished,
        )

    def _question(self, request: Request | ChatRequest) -> Question:
        prompt, *conversation = messages_of(request)
        occasion = (request.occasion, request.detail) if isinstance(request, Request) else ("", "")
        return Question(
            scenario=self._scenario,
            attempt=self._attempt,
            n=self._asked,
            model=self.name,
            seed=self._cassette.seed,
            prompt=_hash(prompt["content"]),
            reply=_hash(contract_of(request)[1]),
            conversation=_hash([*occasion, conversation]),
        )

    async def close(self) -> None:
        """The model is closed by whoever made it."""


class Unplugged:
    """Stands in for a model that is not asked in this process: needs no key and no network."""

    latency: float | None = None
    uses_prompt = True

    def __init__(self, name: str) -> None:
        self.name = name

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Nobody answers. Raises CallbotError."""
        raise CallbotError(f"{self.name} is not asked here")
        yield Delta("")  # makes it a generator

    async def close(self) -> None:
        """Nothing is open."""


def parse_cassette(option: str) -> tuple[Mode, Path]:
    """The mode and file of ``MODE:FILE``. Raises CallbotError."""
    mode, colon, name = option.partition(":")
    for known in get_args(Mode):
        if mode == known and name:
            return known, Path(name)
    hint = f"; did you mean {option.replace(' ', ':')}?" if not colon and " " in option else ""
    raise CallbotError(f'--cassette "{option}" is not write:FILE, read:FILE or fill:FILE{hint}')


def _changes(recorded: Question, asked: Question) -> list[str]:
    """What differs between two questions of one place, in a reader's words; the first causes the rest."""
    found = []
    if recorded.model != asked.model:
        found.append(f"the model ({recorded.model} was asked, not {asked.model})")
    if recorded.seed != asked.seed:
        found.append(f"--seed ({recorded.seed}, now {asked.seed})")
    if recorded.prompt != asked.prompt:
        found.append(f"the prompt (hash {recorded.prompt}, now {asked.prompt})")
    if recorded.reply != asked.reply:
        found.append("the fields or end reasons of the business")
    return found or ["what was said before"]


def _fits_a_file(text: str) -> bool:
    """Whether there are no surrogates in it: some servers stream the halves of an emoji apart."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _last_words(request: Request | ChatRequest) -> str:
    if isinstance(request, ChatRequest):  # what the bot said to a caller, what a judge was asked
        return next((m["content"] for m in reversed(request.messages) if m["role"] == "user"), "")
    return next((said.text for said in reversed(request.history) if isinstance(said, CallerSaid)), "")


def _hash(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
