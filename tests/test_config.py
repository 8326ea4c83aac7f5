"""Settings: which source wins, and what is said about a value that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callbot.config import load_settings
from callbot.errors import CallbotError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an environment without callbot's variables."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.upper().startswith("CALLBOT_"):
            monkeypatch.delenv(name)
    return tmp_path


def _error(**overrides: object) -> str:
    with pytest.raises(CallbotError) as caught:
        load_settings(**overrides)
    return str(caught.value)


def test_defaults() -> None:
    """Nothing has to be configured."""
    settings = load_settings()
    assert settings.database == "sqlite:///callbot.db"
    assert (settings.model, settings.fallback, settings.prompts_dir) == (None, None, None)
    assert (settings.reports_dir, settings.recordings_dir) == (Path("reports"), Path("recordings"))
    assert settings.bidi == "auto"


def test_the_command_line_wins_over_the_environment_over_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key by key: what a higher source leaves out comes from the one below."""
    (folder / "callbot.toml").write_text(
        'model = "file"\nfallback = "file"\nbidi = "visual"\nprompts_dir = "~/מספרים"\n', encoding="utf-8"
    )
    monkeypatch.setenv("CALLBOT_MODEL", "variable")
    monkeypatch.setenv("CALLBOT_FALLBACK", "variable")
    settings = load_settings(model="line", fallback=None)
    assert (settings.model, settings.fallback, settings.bidi) == ("line", "variable", "visual")
    assert settings.prompts_dir == Path.home() / "מספרים"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI sets secrets that it does not have to nothing."""
    monkeypatch.setenv("CALLBOT_MODEL", "")
    monkeypatch.setenv("CALLBOT_CONFIG", "")
    assert load_settings().model is None


def test_another_file_can_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And must exist then."""
    (folder / "callbot.toml").write_text('model = "here"')
    (folder / "other.toml").write_text('model = "there"')
    monkeypatch.setenv("CALLBOT_CONFIG", "other.toml")
    assert load_settings().model == "there"
    monkeypatch.setenv("CALLBOT_CONFIG", "none.toml")
    assert _error() == "CALLBOT_CONFIG: there is no file none.toml"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('databse = "x"', 'callbot.toml:1: databse: unknown key; did you mean "database"?'),
        (
            "\n[server]\nport = 1\n",
            "callbot.toml:2: server: unknown key; known keys: bidi, currency, database",
        ),
        ('# x\nbidi = "left"', "callbot.toml:2: bidi: must be 'auto', 'visual' or 'logical'; found 'left'"),
        ("model = 3", "callbot.toml:1: model: must be a valid string; found 3"),
        ('model = ""', "callbot.toml:1: model: string should have at least 1 character; found ''"),
        ("\nmodel = x\n", "callbot.toml: not valid TOML: Invalid value (at line 2, column 9)"),
    ],
)
def test_a_bad_file_is_answered_with_line_and_key(folder: Path, toml: str, message: str) -> None:
    """And with the nearest known key."""
    (folder / "callbot.toml").write_text(toml)
    assert _error().startswith(message)


def test_a_file_that_is_no_text(folder: Path) -> None:
    """Saved by an editor in another encoding."""
    (folder / "callbot.toml").write_bytes('model = "שלום"'.encode("cp1255"))
    assert _error() == "callbot.toml: is not UTF-8 text; save it as UTF-8"


def test_a_bad_variable_or_option_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source that was used is the one to mend."""
    (folder / "callbot.toml").write_text('bidi = "auto"')
    monkeypatch.setenv("CALLBOT_BIDI", "left")
    assert _error() == "CALLBOT_BIDI: must be 'auto', 'visual' or 'logical'; found 'left'"
    assert _error(bidi="right") == "--bidi: must be 'auto', 'visual' or 'logical'; found 'right'"
    monkeypatch.delenv("CALLBOT_BIDI")
    monkeypatch.setenv("CALLBOT_DATABSE", "x")
    assert _error() == "CALLBOT_DATABSE: unknown environment variable; did you mean CALLBOT_DATABASE?"


def test_variables_that_kubernetes_sets_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service named callbot is announced to every pod."""
    for name in (
        "CALLBOT_SERVICE_HOST",
        "CALLBOT_SERVICE_PORT_HTTP",
        "CALLBOT_PORT",
        "CALLBOT_PORT_80_TCP_ADDR",
    ):
        monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    assert load_settings().model is None
