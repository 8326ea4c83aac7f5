"""What goes to a cluster's workers and comes back, and how a worker plays one attempt.

An attempt is played by the same ``Runner`` as on one machine, in a folder of its own; whatever it left
there goes home with its report. Keys are never sent: a worker asks models by its own environment. This
module knows nothing of Dask, and everything in it can be pickled.
"""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING

import callbot
from callbot.cli.judges import Judges
from callbot.cli.players import Bot, Players, known_as
from callbot.cli.rehearsing import Aloud
from callbot.errors import CallbotError
from callbot.evals.budget import Budget
from callbot.evals.callers import Callers
from callbot.evals.casting import PersonaSpec
from callbot.evals.opinions import Judge
from callbot.evals.pace import Pace, Paced
from callbot.evals.report import RunReport
from callbot.evals.runner import Attempt, Runner
from callbot.evals.scenario import Scenario
from callbot.models.registry import make_model
from callbot.prices import Price

if TYPE_CHECKING:
    from callbot.rehearsal.studio import Studio


@dataclass(frozen=True, slots=True)
class Setup:
    """How every attempt of a run is played.

    ``run``: its folder's name; runs share no counts. ``max_requests``, ``max_cost``: no attempt alone goes
    past them.
    """

    run: str
    model: str
    caller_model: str | None
    seed: int
    concurrency: int
    run_on: bool
    price: Price | None
    max_requests: int | None
    max_cost: float | None
    judge_model: str | None = None
    judge_price: Price | None = None
    aloud: Aloud | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt for a worker. ``work`` is pickled apart, so that another build can say what it is."""

    build: str
    work: bytes

    @classmethod
    def of(cls, setup: Setup, attempt: Attempt) -> Order:
        """Pack it."""
        return cls(build(), pickle.dumps((setup, attempt)))


@dataclass(frozen=True, slots=True)
class Played:
    """An attempt that was played.

    ``files``: by path in the run's folder. ``requests`` and ``spent`` on the bot and on callers,
    ``judge_requests`` and ``judge_spent``, ``refusals`` and ``waited``: what has come up in this worker
    since it last answered. ``stopped_by``: why nothing more can be judged.
    """

    report: RunReport
    files: Mapping[str, bytes]
    requests: int
    spent: float
    judge_requests: int
    judge_spent: float
    refusals: int
    waited: float
    stopped_by: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why it makes no sense to go on: a worker without a key, a limit that was reached."""

    host: str
    why: str


def play(order: Order) -> Played | Refused:
    """Play one attempt in this process. The errors that a user can mend are values: they travel whole."""
    host = socket.gethostname()
    if order.build != build():
        return Refused(host, f"it runs callbot {build()}, and this is {order.build}; install the same there")
    try:
        setup, attempt = pickle.loads(order.work)  # noqa: S301 - a cluster runs what its client sends anyway
        with _playing_of(setup) as playing:
            return playing.play(attempt)
    except CallbotError as error:
        return Refused(host, str(error))


@cache
def build() -> str:
    """The version of callbot and a hash of its files: the same build plays a call the same way anywhere."""
    root = Path(callbot.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in (".py", ".yaml")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{callbot.__version__} ({digest.hexdigest()[:8]})"


class _Playing:
    """Plays the attempts of one run in this process, several threads' side by side on one event loop.

    They share the model, its connections, what it has learnt of its server, and the pace.
    """

    def __init__(self, setup: Setup) -> None:
        self.users = 0
        self._setup = setup
        self._model = make_model(setup.model, seed=setup.seed, retries=0)  # its pace tries again
        self._pace = Pace(setup.concurrency, seed=setup.seed)
        self._asked = Paced(self._model, self._pace) if self._model.latency is None else self._model
        self._whole = Budget(setup.max_requests, max_cost=setup.max_cost)
        self._budget = Budget(price=setup.price, within=self._whole)
        self._callers = Callers(seed=setup.seed)
        self._players: Players | None = None
        self._judges: Judges | None = None
        self._studio: Studio | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def play(self, attempt: Attempt) -> Played:
        """Play one attempt. Raises CallbotError if it makes no sense to go on."""
        return asyncio.run_coroutine_threadsafe(self._play(attempt), self._loop).result()

    def close(self) -> None:
        """Release connections."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _play(self, attempt: Attempt) -> Played:
        with TemporaryDirectory(prefix="callbot-") as name:
            folder = Path(name)
            (folder / "records").mkdir()
            runner = Runner(
                self._asked,
                folder,
                budget=self._budget,
                callers=self._callers_of(attempt.scenario),
                on_finished=lambda scenario, run: None,
                run_on=self._setup.run_on,
                judge=(judge := self._judge_of(attempt.scenario)),
                stage=self._stage_of(attempt.scenario),
            )
            report = await runner.attempt(attempt)
            files = _left_in(folder)
        bot, whole, pace = self._budget, self._whole, self._pace
        played = Played(
            report,
            files,
            requests=bot.used,
            spent=bot.spent,
            judge_requests=whole.used - bot.used,
            judge_spent=whole.spent - bot.spent,
            refusals=pace.refusals,
            waited=pace.waited,
            stopped_by=_taken_from(judge),
        )
        for budget in (bot, whole):
            budget.used, budget.spent = 0, 0.0
        pace.refusals, pace.waited = 0, 0.0
        return played

    def _callers_of(self, scenario: Scenario) -> Callers:
        if not isinstance(scenario.caller, PersonaSpec):
            return self._callers
        if self._players is None:
            self._players = Players(
                self._setup.caller_model,
                Bot(self._model, self._asked, self._budget),
                [scenario],
                seed=self._setup.seed,
                concurrency=self._setup.concurrency,
                cassette=None,
            )
        return self._players.callers

    def _judge_of(self, scenario: Scenario) -> Judge | None:
        setup = self._setup
        if setup.judge_model is None or not scenario.expect.judge:
            return None
        if self._judges is None:
            price = setup.judge_price
            self._judges = Judges(
                setup.judge_model,
                Bot(self._model, self._asked, self._budget),
                [scenario],
                whole=self._whole,
                prices={known_as(setup.judge_model): price} if price else {},
                seed=setup.seed,
                concurrency=setup.concurrency,
                cassette=None,
            )
        return self._judges.judge

    def _stage_of(self, scenario: Scenario) -> Studio | None:
        """Where calls are held aloud; sentences are kept beside what else this machine can do without."""
        aloud = self._setup.aloud
        if aloud is not None and self._studio is None:
            here = replace(aloud, clips=Path(gettempdir()) / "callbot-clips")
            self._studio = here.stage([scenario], self._model, self._setup.concurrency)
        return self._studio

    async def _close(self) -> None:
        for part in (self._studio, self._model, self._players, self._judges):
            if part is not None:
                await part.close()


def _taken_from(judge: Judge | None) -> str | None:
    """Why a judge cannot go on. It is told once: the run may be gone on with when that is mended."""
    if judge is None or judge.stopped_by is None:
        return None
    why, judge.stopped_by = str(judge.stopped_by), None
    return why


def _left_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


_in_play: dict[Setup, _Playing] = {}
_lock = threading.Lock()


@contextmanager
def _playing_of(setup: Setup) -> Iterator[_Playing]:
    """What plays a run; it stays for the run's next attempt, and goes when another run's comes."""
    with _lock:
        for idle in [old for old, playing in _in_play.items() if old != setup and not playing.users]:
            _in_play.pop(idle).close()
        if setup not in _in_play:
            _in_play[setup] = _Playing(setup)
        playing = _in_play[setup]
        playing.users += 1
    try:
        yield playing
    finally:
        with _lock:
            playing.users -= 1
