"""A small project for tests of ``callbot eval`` against a server: two businesses, a few calls."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli import callbot
from openai_server import OpenAIServer, Reply, reply_json

SHOP = """\
id: shop
name: Shop
language: en
greeting: {text: "Hello, this is the shop."}
fields: [{name: full_name, required: true}]
prompt: You answer the phone of {{ business.name }}.
"""
CLINIC = SHOP.replace("id: shop", "id: clinic").replace("name: Shop", "name: Clinic")
CALLS = """\
scenarios:
  - name: declines
    business: shop
    caller: {turns: [{say: hello}, {say: "לא, תודה"}]}
    expect: {end: {turns: [2, 2], reason: customer_declined}}
  - name: asks
    business: clinic
    caller: {turns: [{say: are you open?}]}
    expect: {end: open}
"""
KEY = "sk-secret-0123456789abcdef"


def polite(body: dict[str, Any]) -> Reply:
    """The answer of a good model: lets go of callers who want nothing."""
    declined = body["messages"][-1]["content"] == "לא, תודה"
    text = (
        reply_json("בסדר, להתראות.", end="customer_declined", status="declined")
        if declined
        else reply_json("Yes, go on.")
    )
    return Reply(text, tokens=(1000, 200))


class EvalProject:
    """A folder with businesses and scenarios, and ``callbot eval`` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("prompts/shop.yaml", SHOP)
        self.write("prompts/clinic.yaml", CLINIC)
        self.write("scenarios/calls.yaml", CALLS)

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file's text."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def eval(
        self, server: OpenAIServer | str | None, *options: str | Path, paths: str | None = "scenarios"
    ) -> subprocess.CompletedProcess[str]:
        """Evaluate on a server (or the model named), with a key; a traceback fails the test."""
        arguments: list[str | Path] = ["eval", *([paths] if paths else [])]
        if server is not None:
            name = server if isinstance(server, str) else f"openai:m@{server.base_url}"
            arguments += ["--model", name]
        done = callbot(*arguments, *options, cwd=self.folder, env={"OPENAI_API_KEY": KEY})
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def reports(self) -> list[Path]:
        """The folders of all runs, oldest first."""
        return sorted(self.folder.glob("reports/*"))

    def report(self, folder: Path | None = None) -> dict[str, Any]:
        """The report of a run; the newest if none is named."""
        path = (folder or self.reports()[-1]) / "report.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


@pytest.fixture
def evals(tmp_path: Path) -> EvalProject:
    """A project of the test's own."""
    return EvalProject(tmp_path)
