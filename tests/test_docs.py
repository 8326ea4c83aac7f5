"""README, ``--help`` and behaviour say the same."""

from __future__ import annotations

import itertools
import re
import sys
import tomllib
from pathlib import Path

import pytest
from cli import REPOSITORY, callbot

from callbot.cli.app import COMMANDS

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```(?:bash|console)\n(.*?)```", README, flags=re.DOTALL)
CALLS = [
    line.removeprefix("$ ").split("#")[0].strip()
    for block in CODE
    for line in block.splitlines()
    if re.match(r"(\$ )?callbot ", line)
]


GROUPS = ("prompts", "greeting", "calls", "leads", "db", "scenario", "numbers")
"""Commands that have commands of their own."""


HELP_WIDTH = 198
"""What is left of the columns that ``cli.callbot`` gives, between margins."""


@pytest.fixture(scope="module")
def helps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """``--help`` of every command."""
    folder = tmp_path_factory.mktemp("help")
    return {name: callbot(name, "--help", cwd=folder).stdout for name in COMMANDS}


def test_every_command_has_help_and_stands_in_the_readme(helps: dict[str, str]) -> None:
    """A command that nobody describes does not exist."""
    for name, text in helps.items():
        assert "Usage" in text, name
        assert re.search(rf"callbot {name}\b", README), f"README does not mention callbot {name}"


def test_the_table_of_commands_says_what_each_command_says(helps: dict[str, str]) -> None:
    """The light table behind ``callbot --help`` and the commands' own first lines agree."""
    for name, text in helps.items():
        first = COMMANDS[name].rstrip(".").split(":")[0]
        assert first.split()[0] in text, name


def test_help_wraps_where_the_terminal_ends(helps: dict[str, str]) -> None:
    """A paragraph is one paragraph at any width, and no command offers what only ``callbot`` itself does."""
    assert "by keyboard" in helps["label"]
    for name, text in helps.items():
        words = text.split("╭")[0].strip()
        rows = [row.strip() for row in words.splitlines()]
        for row, below in itertools.pairwise(rows):
            full = not row or not below or len(f"{row} {below.split()[0]}") > HELP_WIDTH
            assert full, f"{name}: {row!r} ends before its line does"
        assert "--install-completion" not in text, name


def test_help_keeps_its_brackets(helps: dict[str, str]) -> None:
    """Defaults and extras stand in them."""
    assert "callbot[talk]" in helps["doctor"]
    assert "[default: prompts/ here]" in " ".join(helps["chat"].split())


def test_options_in_the_readme_exist(helps: dict[str, str]) -> None:
    """Every option the README shows is an option of the command it is shown with."""
    assert CALLS
    for call in CALLS:
        name = call.split()[1]
        text = helps[name]
        if name in GROUPS:
            continue
        for option in re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", call):
            assert re.search(rf"(?<![\w-]){re.escape(option)}\b", text), f"{call}: {option} is not in --help"


def test_the_readme_selects_scenarios_that_are_there(tmp_path: Path) -> None:
    """Every ``-k`` it shows finds one in the folder that it is shown with."""
    shown = {tuple(re.findall(r"(scenarios\S*) .*?-k (\S+)", call)) for call in CALLS if " -k " in call}
    assert shown
    for ((folder, name),) in sorted(shown):
        done = callbot("eval", REPOSITORY / folder, "-k", name, "--list", cwd=tmp_path)
        assert done.returncode == 0, f"{folder} -k {name}: {done.stderr}"


def test_subcommands_in_the_readme_exist(tmp_path: Path) -> None:
    """``callbot prompts import ...`` and its like."""
    shown = {tuple(call.split()[1:3]) for call in CALLS if call.split()[1] in GROUPS}
    assert shown
    for name, subcommand in sorted(shown):
        done = callbot(name, subcommand, "--help", cwd=tmp_path)
        assert done.returncode == 0, f"callbot {name} {subcommand}"


def test_ci_runs_the_readmes_commands() -> None:
    """The two set-up commands are run as they stand, from a fresh checkout."""
    ci = (REPOSITORY / ".ci/run").read_text()
    setup = [block.strip() for block in CODE if block.startswith(("python3 -m venv", ".venv/bin/pip"))]
    assert len(setup) == 2
    for command in setup:
        assert command in ci, command


def test_the_readmes_scenario_is_one(tmp_path: Path) -> None:
    """The example can be pasted and listed."""
    example = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)[0]
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    done = callbot("eval", "example.yaml", "--list", "--prompts-dir", REPOSITORY / "prompts", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 scenarios" in done.stdout


def test_help_is_light(tmp_path: Path) -> None:
    """``callbot --help`` imports no SDK, database, template engine or web framework."""
    import subprocess

    heavy = ("openai", "sqlalchemy", "alembic", "jinja2", "pydantic", "yaml", "numpy", "phonenumbers", "bidi")
    code = f"""
import sys
sys.argv = ["callbot", "--help"]
from callbot.cli.app import main
try:
    main()
except SystemExit:
    pass
found = [name for name in {heavy!r} if name in sys.modules]
sys.exit(f"imported {{found}}" if found else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_base_install_is_light() -> None:
    """No web framework, speech, telephony or numeric library comes with ``pip install callbot``."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    base = " ".join(project["dependencies"])
    for heavy in (
        "starlette",
        "fastapi",
        "uvicorn",
        "numpy",
        "twilio",
        "sounddevice",
        "soundfile",
        "psycopg",
    ):
        assert heavy not in base
    assert all(">=" in requirement for requirement in project["dependencies"])
