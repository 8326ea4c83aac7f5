"""Runs the real ``callbot`` command as a process, as a user would."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock

REPOSITORY = Path(__file__).resolve().parent.parent
_OURS = ("CALLBOT_", "OPENAI_", "CI", "VTE_", "COLUMNS", "FORCE_COLOR", "NO_COLOR")
_STARTING = Lock()


def callbot(
    *arguments: str | Path, cwd: Path, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; no key and no setting of the surroundings reaches it."""
    if env and any(name.startswith("PYTHON") for name in env):  # these are read as Python starts
        return subprocess.run(
            [sys.executable, "-m", "callbot", *map(str, arguments)],
            cwd=cwd,
            env=_environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    return start(*arguments, cwd=cwd, stdin=stdin, env=env).done()


class Started:
    """A command that runs."""

    def __init__(self, arguments: list[str], cwd: Path, stdin: str, env: Mapping[str, str]) -> None:
        self.arguments = arguments
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed in done
        told, tell = os.pipe()
        self._told = os.fdopen(told, "rb", buffering=0)
        request = {"arguments": arguments, "folder": str(cwd), "environment": dict(env)}
        with tempfile.TemporaryFile() as typed:
            typed.write(stdin.encode())
            typed.seek(0)
            streams = [typed.fileno(), self._out.fileno(), self._err.fileno(), tell]
            with _STARTING:
                warm = _warm_process()
            socket.send_fds(warm, [json.dumps(request).encode()], streams)
        os.close(tell)
        self.pid = int(self._told.readline())

    def send_signal(self, how: signal.Signals) -> None:
        """Signal it, as a terminal or an operator does."""
        os.kill(self.pid, how)

    def done(self, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Wait for its end; after ``timeout`` seconds it is killed and fails the test."""
        if not select.select([self._told], [], [], timeout)[0]:
            self.send_signal(signal.SIGKILL)
            raise subprocess.TimeoutExpired(
                self.arguments, timeout, self._read(self._out), self._read(self._err)
            )
        with self._told, self._out, self._err:
            code = int(self._told.readline())
            return subprocess.CompletedProcess(
                self.arguments, code, self._read(self._out), self._read(self._err)
            )

    def _read(self, stream: tempfile._TemporaryFileWrapper[bytes]) -> str:
        stream.seek(0)
        return stream.read().decode().replace("\r\n", "\n")


def start(
    *arguments: str | Path, cwd: Path, stdin: str = "", env: Mapping[str, str] | None = None
) -> Started:
    """A command, while it runs."""
    return Started([str(argument) for argument in arguments], cwd, stdin, _environment(env or {}))


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**clean, "COLUMNS": "200", "PYTHONUTF8": "1", **more}


@cache
def _warm_process() -> socket.socket:
    """Where to ask for a fork of ``warm.py``, which leaves when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, str(Path(__file__).with_name("warm.py")), str(theirs.fileno())]
        subprocess.Popen(command, env=_environment({}), cwd="/", pass_fds=[theirs.fileno()])
    return ours
