"""``callbot dial`` and ``callbot load`` as a user runs them."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import pytest
from bot import TOKEN, Bot, running
from cli import REPOSITORY, callbot

from callbot.cli.app import main

SCENARIO = """\
name: two-turns
business: ruti-cleaning
from: "+972541112233"
caller:
  turns:
    - say: "שלום, אני צריכה ניקוי"
    - say: thank you goodbye
expect:
  end: {turns: [2, 2]}
"""
PROMPTS = {"CALLBOT_PROMPTS_DIR": str(REPOSITORY / "prompts")}
ENV = {"TWILIO_AUTH_TOKEN": TOKEN, **PROMPTS}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_dialling_a_good_bot(tmp_path: Path) -> None:
    """It passes, leaves a recording and a report, and dialled the number of the business."""
    (tmp_path / "two.yaml").write_text(SCENARIO, encoding="utf-8")
    port = free_port()
    async with running(Bot(rest=f"http://127.0.0.1:{port}")) as bot:
        options = ("--rest", f"127.0.0.1:{port}", "--output", "out", "--pause", "0.5")
        done = await asyncio.to_thread(
            lambda: callbot("dial", f"{bot.base}/incoming", "two.yaml", *options, cwd=tmp_path, env=ENV)
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("PASS two-turns")
    report = json.loads((tmp_path / "out/two-turns.1.json").read_text())
    assert report["schema"] == "callbot.audio/1"
    assert report["greeting"]["times"] == 1
    assert report["ending"]["by"] == "rest"
    assert (tmp_path / "out/two-turns.1.wav").stat().st_size > 32000
    assert bot.seen[0][1]["To"] == "+97235550100"
    assert bot.seen[0][1]["From"] == "+972541112233"


async def test_a_bad_bot_fails_and_load_counts_its_callers(tmp_path: Path) -> None:
    """Exit code 1, and the check is named; a load of it is placed at once."""
    (tmp_path / "two.yaml").write_text(SCENARIO, encoding="utf-8")
    ports = [free_port(), free_port()]
    async with running(Bot(frozenset({"hangs-up-twice"}), rest=f"http://127.0.0.1:{ports[0]}")) as bot:
        dialled, loaded = await asyncio.gather(
            asyncio.to_thread(
                lambda: callbot(
                    *("dial", f"{bot.base}/incoming", "two.yaml", "--to", "+97235550101"),
                    *("--rest", f"127.0.0.1:{ports[0]}", "--pause", "0.4"),
                    cwd=tmp_path,
                    env=ENV,
                )
            ),
            asyncio.to_thread(
                lambda: callbot(
                    *(
                        "load",
                        f"{bot.base}/incoming",
                        "--calls",
                        "3",
                        "--duration",
                        "1",
                        "--say",
                        "Hello you",
                    ),
                    *("--rest", f"127.0.0.1:{ports[1]}", "--json", "load.json"),
                    cwd=tmp_path,
                    env=ENV,
                )
            ),
        )
    assert dialled.returncode == 1, dialled.stdout + dialled.stderr
    assert "2 REST hang-ups" in dialled.stdout
    assert "two-turns.1.wav" in dialled.stdout
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    assert "3 of 3 calls good" in loaded.stdout
    report = json.loads((tmp_path / "load.json").read_text())
    assert (report["schema"], report["calls"], report["ended_by"]) == ("callbot.load/1", 3, {"caller": 3})
    assert report["first_audio"]["max"] >= report["first_audio"]["p50"] >= 0


DIAL = ("dial", "http://127.0.0.1:9/incoming", "two.yaml")
WRONG = [
    (DIAL, {"TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN"),
    (("dial", "bot.example.com", "two.yaml"), {}, "must be a URL"),
    ((*DIAL, "--to", "123"), {}, "--to 123: must be a phone number"),
    ((*DIAL, "--fault", "jiter"), {}, "did you mean jitter?"),
    ((*DIAL, "--rest", "8650"), {}, "must be HOST:PORT"),
    ((*DIAL, "-k", "nothing"), {}, "none with -k nothing"),
    ((*DIAL, "--greeting", "two.yaml"), {}, "cannot be read as audio"),
    ((*DIAL, "--output", "two.yaml/calls"), {}, "cannot be written: nothing can be written in"),
    (("dial", "http://127.0.0.1:9/x", "cued.yaml"), {}, "cued.yaml:1: cued has turns that wait for words"),
    (("load", "https://bot.example.com/incoming"), {}, "--allow-remote"),
    (("load", "http://127.0.0.1:9/x", "--say", " "), {}, "--say holds no words"),
]


@pytest.mark.parametrize(("arguments", "env", "says"), WRONG, ids=[says for _, _, says in WRONG])
def test_bad_usage_is_explained(tmp_path: Path, monkeypatch, capsys, arguments, env, says) -> None:
    """Exit code 2, and no call is placed."""
    (tmp_path / "two.yaml").write_text(SCENARIO, encoding="utf-8")
    cued = SCENARIO.replace("two-turns", "cued").replace(
        "thank you goodbye", "0521234567\n      when: {asks: phone}"
    )
    (tmp_path / "cued.yaml").write_text(cued, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in {**ENV, **env}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["callbot", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (2, "")
    assert says in said.err


@pytest.mark.parametrize("command", ["dial", "load"])
def test_a_bot_that_is_not_there(tmp_path: Path, command: str) -> None:
    """Exit code 3, whatever else was asked."""
    (tmp_path / "two.yaml").write_text(SCENARIO, encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}/incoming"
    scenario = ["two.yaml"] if command == "dial" else ["--calls", "2"]
    done = callbot(command, url, *scenario, "--rest", f"127.0.0.1:{free_port()}", cwd=tmp_path, env=ENV)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "cannot be reached" in done.stderr


def test_a_taken_port_is_explained(tmp_path: Path) -> None:
    """It names the option."""
    (tmp_path / "two.yaml").write_text(SCENARIO, encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = callbot(*DIAL, "--rest", f"127.0.0.1:{port}", cwd=tmp_path, env=ENV)
    assert done.returncode == 2
    assert "--rest" in done.stderr
