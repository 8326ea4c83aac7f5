"""A process that has imported what ``callbot`` imports, and forks one for every command that a test runs.

Each command is a process of its own all the same, with its own arguments, folder, environment, standard
streams, signals and exit code. Only the second that Python and the imports take is paid once.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
from typing import Any

from callbot.cli.app import main

LIGHT = ("business", "cli", "evals", "models", "reporting", "store", "yamlfile")
"""Parts of callbot that import neither a web framework nor a library of sound."""
NOT = ("callbot.cli.starter", "callbot.cli.talk", "callbot.store.migrations")
LATE = ("openai.resources.chat", "sqlalchemy.dialects.sqlite", "alembic.command", "twilio.rest", "psycopg")
"""What they import only once they run."""


def warm_up(*more: str) -> None:
    """Import all of it, and these modules."""
    for part in LIGHT:
        module = importlib.import_module(f"callbot.{part}")
        if hasattr(module, "__path__"):
            for found in pkgutil.walk_packages(module.__path__, f"{module.__name__}."):
                if not found.name.startswith(NOT):
                    importlib.import_module(found.name)
    for name in (*LATE, *more):
        importlib.import_module(name)
    gc.freeze()  # else each fork's last collection touches, and so copies, every page


def serve(requests: socket.socket) -> None:
    """Fork for each request, until nobody is left who asks. A request: JSON, and four descriptors."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for commands
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(json.loads(request), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def run(request: dict[str, Any], stdin: int, stdout: int, stderr: int, tell: int) -> None:
    """Be the command in a process of its own; tell its id, and its exit code when it has ended."""
    if child := os.fork():
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        os.write(tell, b"%d\n" % child)
        os.write(tell, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    os.close(tell)
    for number, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    if request["fresh"]:
        command = [sys.executable, "-m", "callbot", *request["arguments"]]
        os.execve(command[0], command, request["environment"])
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.argv = ["callbot", *request["arguments"]]
    os.environ.clear()
    os.environ.update(request["environment"])
    main()


if __name__ == "__main__":
    warm_up(*sys.argv[2:])
    serve(socket.socket(fileno=int(sys.argv[1])))
