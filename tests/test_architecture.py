"""The house keeps its rooms apart: who may import whom, what ``--help`` costs, how long a file is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "callbot"
ENGINE = {"call", "ending", "events", "rules", "playback", "history"}
STRANGERS = ("lines", "models", "speech", "store")
"""Rooms that do not know one another."""
HEAVY = {"openai", "sqlalchemy", "alembic", "rich", "numpy", "httpx", "pydantic", "starlette", "jinja2"}
LONGEST = 400


def sources() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The package or top-level module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written out"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name: str) -> str | None:
    """The room of an import of our own, or None for anybody else's."""
    parts = name.split(".")
    return parts[1] if parts[0] == "callbot" and len(parts) > 1 else None


def broken(forbidden: dict[str, set[str]]) -> list[str]:
    """Imports from a room into one that it must not know."""
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        for name in imports(path)
        if own(name) in forbidden.get(room(path), set())
    ]


@pytest.mark.parametrize("module", sorted(ENGINE))
def test_engine_imports_the_standard_library_and_itself(module):
    """The engine does no I/O because it can reach none: no package of ours or anybody else's."""
    for name in imports(PACKAGE / f"{module}.py"):
        first = name.split(".")[0]
        assert own(name) in ENGINE if first == "callbot" else first in sys.stdlib_module_names, name


def test_rooms_do_not_know_one_another():
    """Lines, models, speech and store meet only in the driver and above it."""
    assert broken({one: set(STRANGERS) - {one} for one in STRANGERS}) == []


def test_evaluation_and_reports_see_records_never_a_line():
    """So that every check works on every line's calls."""
    assert broken({"evals": {"lines"}, "reporting": {"lines"}}) == []


def test_only_the_command_line_knows_of_calls_held_aloud():
    """A rehearsal knows both ends of the phone; neither end, nor the evaluation, knows of it."""
    rooms = {room(path) for path in sources()} - {"cli", "rehearsal"}
    assert broken({one: {"rehearsal"} for one in rooms}) == []


def test_the_simulated_carrier_shares_nothing_with_the_bots_that_it_calls():
    """Its codec and its books are its own, so that it cannot share their mistakes."""
    bots = {"lines", "speech", "models", "store", "server", "call", "driver", "replay"}
    assert broken({"carrier": bots}) == []
    assert broken({one: {"carrier"} for one in bots}) == []


def test_nobody_imports_the_command_line():
    """The cli sits on top; only ``python -m callbot`` stands beside it."""
    rooms = {room(path) for path in sources()} - {"cli", "__main__"}
    assert broken({one: {"cli"} for one in rooms}) == []


def test_no_file_is_long_without_a_reason():
    """A file past 400 lines says in its first lines why it is."""
    for path in sources():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LONGEST:
            reason = ast.get_docstring(ast.parse(text)) or ""
            assert "longer than" in reason, f"{path.relative_to(ROOT)} is long and does not say why"


def test_help_imports_nothing_heavy():
    """``callbot --help`` loads no SDK, database, template engine or terminal library for its commands."""
    program = (
        "import sys\n"
        "from callbot.cli.app import main\n"
        "before = set(sys.modules)\n"
        "print(*sorted(name for name in before if name.startswith('callbot') or '.' not in name))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "callbot.cli.app" in loaded
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith(("callbot.store", "callbot.models"))} == set()


def test_printing_the_help_imports_no_sdk_database_or_numpy():
    """Showing the help itself loads Rich (Typer's doing), and still nothing heavier."""
    program = (
        "import sys\n"
        "from callbot.cli.app import main\n"
        "sys.argv = ['callbot', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted(name for name in sys.modules if '.' not in name))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.rsplit("LOADED", 1)[1].split())
    assert loaded & (HEAVY - {"rich"}) == set()
