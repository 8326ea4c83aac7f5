"""A real Dask cluster on loopback: schedulers and workers as processes, and evaluations that run on them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import pytest
from distributed import Client, LocalCluster
from eval_project import KEY


@pytest.fixture(scope="session")
def dask_cluster() -> Iterator[LocalCluster]:
    """Two worker processes of one thread each, which hold the key; one that dies is started again."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=":0",
        env={"OPENAI_API_KEY": KEY},
    ) as cluster:
        yield cluster


class Scheduler:
    """``dask scheduler`` and workers of its own, for tests that break them. Use as a context."""

    def __init__(self, folder: Path, *, allowed_failures: int = 3) -> None:
        self._file = folder / "scheduler.json"
        self._environment = {
            **os.environ,
            "OPENAI_API_KEY": KEY,
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.process = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        deadline = time.monotonic() + 30
        while not self._file.exists():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.05)
        with Client(scheduler_file=str(self._file)) as client:  # type: ignore[no-untyped-call]
            self.address: str = client.scheduler.address
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def worker(self, *options: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it is known."""
        with Client(scheduler_file=str(self._file)) as client:  # type: ignore[no-untyped-call]
            known = len(client.scheduler_info()["workers"])
            process = self._start(
                "worker", "--nthreads", "1", "--no-dashboard", *options, environment=environment
            )
            client.wait_for_workers(known + 1, timeout=30)
        return process

    def _start(self, *what: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *what, "--scheduler-file", str(self._file)],
            cwd=self._file.parent,
            env={**self._environment, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process


def processing(address: str) -> int:
    """How many tasks a cluster has been given and not finished."""
    with Client(address) as client:  # type: ignore[no-untyped-call]
        return sum(len(tasks) for tasks in client.processing().values())
