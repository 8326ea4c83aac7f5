"""``callbot eval --cluster``: the runs of an evaluation on the workers of an existing Dask cluster.

Attempts go out one by one and come back as a report and files, which are written here as a run on one
machine writes them: so resuming, reports and gates know no difference. Dask plays an attempt again if
its worker dies; one that outlives no worker is ``infra``.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from callbot.business import rules_of
from callbot.cli.cluster_work import Order, Played, Refused, Setup, build, play
from callbot.errors import CallbotError
from callbot.evals.budget import Budget
from callbot.evals.judging import run_report
from callbot.evals.pace import Pace
from callbot.evals.report import RunReport
from callbot.evals.runner import Attempt, OnFinished, Results, record_header, record_path, run_all
from callbot.evals.scenario import Scenario
from callbot.record import Record

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 5.0
"""A scheduler, or a first worker, that takes longer to be found is not there."""
PATIENCE_SECONDS = 10.0
"""A cluster that has had no worker, or a scheduler that has said nothing, for so long is gone."""
_LOOK_SECONDS = 1.0
"""How often it is looked after."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is there, and how much of it. Made by ``reach``."""

    address: str
    workers: int
    threads: int

    def __str__(self) -> str:
        workers = f"{self.workers} worker{'s' * (self.workers != 1)}"
        return f"{self.address}: {workers}, {self.threads} thread{'s' * (self.threads != 1)}"

    @property
    def concurrency(self) -> int:
        """Attempts out at a time that leave no thread idle between two."""
        return 2 * self.threads


def reach(address: str) -> Cluster:
    """Find a cluster whose workers can play. Raises CallbotError for one that is not there or cannot."""

    async def found() -> Cluster:
        async with _client(address) as client:
            threads = await _threads(client)
            if faults := await _unfit(client):
                raise CallbotError(f"--cluster: {faults[0]}{_and_more(faults)}")
            return Cluster(address, len(threads), sum(threads.values()))

    return asyncio.run(found())


async def _unfit(client: Client) -> list[str]:
    """Which workers cannot play, and why."""
    builds = await client.run(build, on_error="return")
    return [
        f"the worker {worker} has no callbot such as this one ({there}); install {build()} there"
        if isinstance(there, Exception)
        else f"the worker {worker} runs callbot {there}, and this is {build()}; install the same there and start it again"
        for worker, there in builds.items()
        if there != build() and not isinstance(there, OSError)  # it died just now: nothing is asked of it
    ]


def _and_more(faults: Sequence[str]) -> str:
    return f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""


@asynccontextmanager
async def _client(address: str) -> AsyncIterator[Client]:
    """A connection to a cluster that has a worker. Raises CallbotError."""
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port, normalize_address
    except ImportError as error:
        raise CallbotError(
            "--cluster needs Dask, which is not installed: pip install 'callbot[cluster]'"
        ) from error
    for name in ("distributed", "distributed.client"):  # what is wrong is said once, by us
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        get_address_host_port(normalize_address(address))
    except ValueError as error:
        raise CallbotError(
            f"--cluster {address}: {error}; write the address that `dask scheduler` prints, such as tcp://HOST:8786"
        ) from error
    try:
        client = await Client(  # type: ignore[no-untyped-call]
            address, asynchronous=True, timeout=CONNECT_SECONDS, set_as_default=False
        )
    except OSError as error:
        raise CallbotError(
            f"--cluster: no Dask scheduler answers at {address} (start one with: dask scheduler)"
        ) from error
    try:
        try:
            await client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise CallbotError(
                f"--cluster: the cluster at {address} has no worker; start one with: dask worker {address}"
            ) from error
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            await client.close(timeout=CONNECT_SECONDS)


class ClusterRunner:
    """Runs attempts on a cluster; see ``evals/runner.Runs``.

    ``budget`` and ``pace`` count what the workers report, ``whole`` what they spend on a judge beside it;
    a limit is seen between two attempts.
    """

    def __init__(
        self,
        address: str,
        setup: Setup,
        folder: Path,
        *,
        budget: Budget,
        whole: Budget,
        pace: Pace,
        on_finished: OnFinished,
    ) -> None:
        self._address, self._setup, self._folder = address, setup, folder
        self._budget, self._whole, self._pace = budget, whole, pace
        self._on_finished = on_finished
        self._stopped_by: CallbotError | None = None

    async def run(self, attempts: Sequence[Attempt], concurrency: int) -> Results:
        """Run everything, ``concurrency`` attempts out at a time. Cancelling it keeps what has finished."""
        try:
            async with _client(self._address) as client:
                gone = asyncio.create_task(_gone(client))
                try:
                    play_there = partial(self._play, client, gone)
                    return await run_all(attempts, play_there, self._folder, concurrency, self._finished)
                finally:
                    gone.cancel()
        except CallbotError as error:
            return Results(stopped_by=error)

    def _finished(self, scenario: Scenario, run: RunReport) -> None:
        self._on_finished(scenario, run)
        if self._stopped_by is not None:
            raise self._stopped_by

    async def _play(self, client: Client, gone: asyncio.Task[str], attempt: Attempt) -> RunReport:
        """Have one attempt played. Raises CallbotError: a limit, a worker that cannot, the cluster is gone."""
        self._budget.check()
        name = f"{attempt.scenario.name}.{attempt.number}-{uuid.uuid4().hex}"
        answer = asyncio.create_task(
            _answer(client.submit(play, Order.of(self._setup, attempt), key=name, pure=False))
        )
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise self._lost(gone.result())
            return self._taken(attempt, answer)
        finally:
            answer.cancel()

    def _taken(self, attempt: Attempt, answer: asyncio.Task[Played | Refused]) -> RunReport:
        from distributed import CancelledError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        try:
            played = answer.result()
        except KilledWorker as killed:
            return self._infra(attempt, killed)
        except (CancelledError, CommClosedError) as error:
            raise self._lost("went away") from error
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise CallbotError(
                f"--cluster: a worker could not play {attempt.scenario.name}: {what}"
            ) from error
        if isinstance(played, Refused):
            raise CallbotError(f"the worker on {played.host}: {played.why}")
        for name, content in played.files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self._budget.add(played.requests, played.spent)
        self._whole.add(played.judge_requests, played.judge_spent)
        if played.stopped_by is not None:
            self._stopped_by = CallbotError(f"a worker's judge: {played.stopped_by}")
        self._pace.refusals += played.refusals
        self._pace.waited += played.waited
        return played.report

    def _infra(self, attempt: Attempt, killed: Exception) -> RunReport:
        """The report of an attempt that outlived no worker."""
        why = "every worker that played it died"
        path = record_path(attempt)
        record = Record(record_header(attempt, rules_of(attempt.business), self._setup.model))
        record.note(0.0, "reply_failed", turn=1, error=f"{why}: {killed}")
        record.write(self._folder / path)
        report = run_report(attempt.scenario, attempt.number, record, path)
        return report.model_copy(update={"detail": why})

    def _lost(self, how: str) -> CallbotError:
        return CallbotError(
            f"the cluster at {self._address} {how}; what ran is kept: "
            f"go on with --resume {self._folder.name}, with a --cluster or without"
        )


async def _answer(future: Future[Played | Refused]) -> Played | Refused:
    answer: Played | Refused = await future
    return answer


async def _threads(client: Client) -> dict[str, int]:
    """How many threads each worker has, by address."""
    assert client.scheduler is not None
    threads: dict[str, int] = await client.scheduler.ncores()
    return threads


async def _gone(client: Client) -> str:
    """What has become of the cluster; returns only when nothing more is to be expected of it."""
    seen = time.monotonic()
    while time.monotonic() < seen + PATIENCE_SECONDS:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                workers = await _threads(client)
        except (OSError, TimeoutError):
            return "went away"
        if workers:
            seen = time.monotonic()
    return f"has had no worker for {PATIENCE_SECONDS:g} seconds"
