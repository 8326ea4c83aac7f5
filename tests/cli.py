"""Runs the real ``callbot`` command as a process, as a user would."""

from __future__ import annotations

import contextlib
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
from threading import Lock, Thread

REPOSITORY = Path(__file__).resolve().parent.parent
_OURS = ("CALLBOT_", "OPENAI_", "CI", "VTE_", "COLUMNS", "FORCE_COLOR", "NO_COLOR")
_STARTING = Lock()
_MORE = {"serve": ("callbot.server.host", "callbot.server.app", "uvicorn", "uvloop")}
"""What some commands import beside what all do."""


def callbot(
    *arguments: str | Path, cwd: Path, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; no key and no setting of the surroundings reaches it."""
    fresh = any(name.startswith("PYTHON") for name in env or {})  # these are read as Python starts
    return start(*arguments, cwd=cwd, stdin=stdin, env=env, fresh=fresh).done()


class Started:
    """A command that runs; ``fresh``: in a Python of its own, which imports for itself."""

    def __init__(
        self, arguments: list[str], cwd: Path, stdin: str, env: Mapping[str, str], *, fresh: bool
    ) -> None:
        self.arguments = arguments
        self.returncode: int | None = None
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed in done
        told, tell = os.pipe()
        self._told = os.fdopen(told, "rb", buffering=0)
        request = {"arguments": arguments, "folder": str(cwd), "environment": dict(env), "fresh": fresh}
        theirs, ours = os.pipe()
        with _STARTING:
            warm = _warm_process(*_MORE.get(arguments[0], ()))
        socket.send_fds(
            warm,
            [json.dumps(request).encode()],
            [theirs, self._out.fileno(), self._err.fileno(), tell],
        )
        os.close(theirs)
        Thread(target=_type, args=(stdin, ours)).start()
        os.close(tell)
        self.pid = int(self._told.readline())

    def send_signal(self, how: signal.Signals) -> None:
        """Signal it, as a terminal or an operator does; nothing if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, how)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that killed it; None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.returncode = int(self._told.readline())
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has ended; after ``timeout`` seconds it is killed and fails the test."""
        if self.returncode is None and not select.select([self._told], [], [], timeout)[0]:
            os.kill(self.pid, signal.SIGKILL)
            out, err = self._read(self._out), self._read(self._err)
            raise subprocess.TimeoutExpired(self.arguments, timeout, out, err)
        code = self.poll()
        assert code is not None
        return code

    def done(self, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Wait as ``wait`` does, and say what it has printed."""
        code = self.wait(timeout)
        with self._told, self._out, self._err:
            out, err = self._read(self._out), self._read(self._err)
        return subprocess.CompletedProcess(self.arguments, code, out, err)

    def printed(self) -> str:
        """Everything that it has written to its standard error by now."""
        return self._read(self._err)

    def _read(self, stream: tempfile._TemporaryFileWrapper[bytes]) -> str:
        size = os.fstat(stream.fileno()).st_size
        return os.pread(stream.fileno(), size, 0).decode().replace("\r\n", "\n")


def start(
    *arguments: str | Path,
    cwd: Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Started:
    """A command, while it runs."""
    return Started(
        [str(argument) for argument in arguments], cwd, stdin, _environment(env or {}), fresh=fresh
    )


def _type(text: str, pipe: int) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "wb") as stdin:
        stdin.write(text.encode())


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**clean, "COLUMNS": "200", "PYTHONUTF8": "1", **more}


@cache
def _warm_process(*modules: str) -> socket.socket:
    """Where to ask for a fork of ``warm.py`` that has these too, and leaves when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, str(Path(__file__).with_name("warm.py")), str(theirs.fileno()), *modules]
        subprocess.Popen(command, env=_environment({}), cwd="/", pass_fds=[theirs.fileno()])
    return ours
