"""``callbot doctor``: what it finds in folders, environments, servers and databases that lack something."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import threading
import time
import tomllib
from importlib.metadata import packages_distributions
from typing import get_args

import jsonschema
import numpy as np
import pytest
import soundfile
from cli import _OURS, REPOSITORY, callbot
from openai_server import OpenAIServer
from typer.testing import CliRunner

from callbot.cli.app import app
from callbot.doctor.bounded import something_hangs
from callbot.doctor.checks import examine
from callbot.doctor.finding import EVERY, Check, Finding
from callbot.doctor.machine import EXTRAS
from callbot.doctor.parts import OPENAI_EARS
from callbot.doctor.retirement import announced_ends, findings
from callbot.doctor.surroundings import read_setup
from callbot.models.openai import DEFAULT_MODEL
from callbot.speech.stt import openai as openai_ears
from callbot.store.database import upgrade_store

SCHEMA = {
    "type": "object",
    "required": ["checks"],
    "additionalProperties": False,
    "properties": {
        "checks": {
            "type": "array",
            "minItems": 5,
            "items": {
                "type": "object",
                "required": ["name", "status", "detail", "remedy"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "status": {"enum": ["ok", "warn", "fail"]},
                    "detail": {"type": "string", "minLength": 1},
                    "remedy": {"type": "string"},
                },
            },
        }
    },
}
BUSINESS = """
id: shop
name: The Shop
language: en
greeting: {text: "Hello, you have reached the corner shop."}
fields: [{name: name, required: true}]
prompt: Answer.
"""
NOBODY = "http://127.0.0.1:9"
"""A port that refuses every connection."""
SERVING = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "the-token-of-this-account"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, in which commands run; no key and no setting of the surroundings reaches them."""
    for name in os.environ:
        if name.startswith((*_OURS, "AZURE_", "TWILIO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-weights"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add_business(folder, more=""):
    """A business, so that eval and chat are set up here."""
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts/shop.yaml").write_text(BUSINESS + more)


def diagnosis(*arguments, **env):
    """Exit code, and the findings by name, of a run within this process."""
    done = CliRunner().invoke(app, ["doctor", "--json", *arguments], env=env)
    told = json.loads(done.stdout)
    jsonschema.validate(told, SCHEMA)
    by_name = {check["name"]: check for check in told["checks"]}
    assert len(by_name) == len(told["checks"]), "each line has a name of its own"
    for check in told["checks"]:
        assert (check["status"] == "ok") or check["remedy"], f"{check} says not what to do"
    assert done.exit_code == int(any(check["status"] == "fail" for check in told["checks"]))
    return done.exit_code, by_name


def test_a_laptop_with_nothing_set_up_passes_with_warnings(here):
    """As a user runs it, through a pipe: one line a finding, its remedy below it, nothing left behind."""
    done = callbot("doctor", cwd=here, env={"HF_HOME": str(here)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "warn  modes: nothing is set up here yet" in done.stdout
    assert "ok    model offline: embedded: no key, no server" in done.stdout
    *lines, blank, summary = done.stdout.splitlines()
    assert blank == ""
    assert all(re.match(r"(ok  |warn)  \S|      -> \S", line) for line in lines)
    assert re.fullmatch(r"\d+ lines: 0 fail, \d+ warn", summary)
    assert list(here.iterdir()) == []


def test_it_fits_a_terminal_of_80_columns(here):
    """Wrapped under its own beginning; every line of the text is still there."""
    add_business(here)
    done = CliRunner().invoke(
        app, ["doctor"], env={"FORCE_COLOR": "1", "COLUMNS": "80", "CALLBOT_TTS": "azure:he-IL-HilaNeural"}
    )
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in done.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert all(re.match(r"(ok|warn|fail)  |      \S|$|\d+ lines", line) for line in lines)
    assert "AZURE_SPEECH_KEY: is not set, for voice" in " ".join(line.strip() for line in lines)


# --- servers, models, keys ------------------------------------------------------------------------------
def test_a_server_that_answers_and_lists_the_model_is_well(here):
    """Model, voice and recogniser on one server are asked for once."""
    add_business(here)
    with OpenAIServer(models=["qwen3", "ears", "kokoro"]) as server:
        _, found = diagnosis(
            CALLBOT_MODEL=f"openai:qwen3@{server.base_url}",
            CALLBOT_TTS=f"openai:kokoro/af@{server.base_url}",
            CALLBOT_STT=f"openai:ears@{server.base_url}",
        )
        (name,) = [name for name in found if name.startswith("server 127.0.0.1:")]
        assert found[name]["status"] == "ok", found[name]
        assert len(server.requests) == 1
    assert found[f"model openai:qwen3@{server.base_url}"]["status"] == "ok"
    assert found["retirement"]["status"] == "ok"
    assert "key OPENAI_API_KEY" not in found, "a server of one's own needs none"


@pytest.mark.parametrize(
    ("setting", "status", "said", "remedy"),
    [
        ({"models": ["llama4"]}, "warn", "does not list qwen3", "choose what it lists: llama4"),
        ({"models": [], "key": "another"}, "fail", "refuses the key, with 401", "check OPENAI_API_KEY"),
        ({}, "ok", "answers (model openai:qwen3", ""),  # it has no list: it answers all the same
    ],
)
def test_a_server_that_lacks_something_says_what(here, setting, status, said, remedy):
    """A model that it does not list is a warning; a key that it refuses breaks every mode that is set up."""
    add_business(here)
    with OpenAIServer(**setting) as server:
        _, found = diagnosis(CALLBOT_MODEL=f"openai:qwen3@{server.base_url}", OPENAI_API_KEY="sk-of-mine")
    (check,) = [check for name, check in found.items() if name.startswith("server ")]
    assert check["status"] == status
    assert said in check["detail"]
    assert remedy in check["remedy"]


def test_a_server_that_nobody_runs_fails_for_a_model_and_warns_for_a_voice_that_gives_way(here):
    """In talk another voice speaks; without a model nothing works."""
    add_business(here)
    for variable, name, status in (
        ("CALLBOT_MODEL", "openai:qwen3", "fail"),
        ("CALLBOT_TTS", "openai:kokoro/af", "warn"),
    ):
        _, found = diagnosis(**{variable: f"{name}@{NOBODY}/v1"})
        check = found["server 127.0.0.1:9"]
        assert check["status"] == status
        assert "cannot be reached" in check["detail"]
        assert f"{NOBODY}/v1/models" in check["remedy"]


def test_keys_are_told_by_name_and_their_values_nowhere(here):
    """Not in text, not in JSON, though a server repeats them and a database's URL holds one."""
    add_business(here, "deliver: {webhook: https://crm.example.com/leads, secret_env: SHOP_SIGNS}\n")
    values = {
        "OPENAI_API_KEY": "sk-0123456789-value",
        "AZURE_SPEECH_KEY": "azure 0123456789 value",  # with spaces: no key has them
        "TWILIO_ACCOUNT_SID": "AC-value-that-is-none",
        "TWILIO_AUTH_TOKEN": "twilio-0123456789-value",
        "CALLBOT_ADMIN_TOKEN": "adm-val",
        "SHOP_SIGNS": "signing-0123456789-value",
    }
    settings = {
        "CALLBOT_DATABASE": "postgresql://shop:password-0123456789@127.0.0.1:9/shop",
        "AZURE_SPEECH_REGION": "a-key-where-the-region-belongs-0123456789",
        "CALLBOT_TTS": "azure:he-IL-HilaNeural",
        "CALLBOT_STT": "openai:ears@http://me:ears-0123456789@127.0.0.1:9/v1",
        "CALLBOT_PUBLIC_URL": "https://user:pass-0123456789@bot.example.com",
    }
    with OpenAIServer(models=["qwen3"], key="another") as server:
        env = {**values, **settings, "CALLBOT_MODEL": f"openai:qwen3@{server.base_url}"}
        code, found = diagnosis(**env)
        text = CliRunner().invoke(app, ["doctor"], env=env).stdout
    assert code == 1
    for name in ("OPENAI_API_KEY", "TWILIO_AUTH_TOKEN", "SHOP_SIGNS"):
        assert found[f"key {name}"]["detail"].startswith("is set")
    assert found["key AZURE_SPEECH_KEY"]["detail"].startswith("holds characters that no key has")
    assert found["admin token"]["status"] == found["twilio"]["status"] == "fail"
    hidden = re.findall(r"[\w-]+-0123456789", " ".join(settings.values()))
    assert len(hidden) == 4
    for value in (*values.values(), *hidden):
        assert value not in json.dumps(found)
        assert value not in text


def test_models_that_openai_ends_are_warned_of_until_they_have_ended(here):
    """Dates are those of the installed SDK; which day it is, is an argument."""
    add_business(here)
    (here / "callbot.toml").write_text(
        'model = "openai:gpt-4o"\nfallback = "openai"\nstt = "openai:whisper-1"\ntts = "openai:tts-1/alloy"\n'
    )
    setup, _ = read_setup({"OPENAI_API_KEY": "sk-x"})
    ends = {"model": "gpt-4o", "recogniser": "whisper-1", "voice": "tts-1"}
    dates = {kind: announced_ends(kind)[name] for kind, name in ends.items()}
    before = list(findings(setup, min(dates.values()) - dt.timedelta(days=1)))
    assert [finding.status for finding in before] == ["warn"] * 3, "the default model ends not"
    for finding, day in zip(before, [dates["model"], dates["voice"], dates["recogniser"]], strict=True):
        assert f"will shut it down on {day}" in finding.detail
        assert finding.remedy
    after = list(findings(setup, max(dates.values())))
    assert [finding.status for finding in after] == ["fail", "warn", "warn"], "a voice gives way, a model not"
    assert all("shut it down on" in finding.detail for finding in after)


def test_a_retired_name_on_a_server_of_ones_own_is_that_servers_business(here):
    """Whisper servers call their model whisper-1 for ever."""
    add_business(here)
    (here / "callbot.toml").write_text(f'stt = "openai:whisper-1@{NOBODY}/v1"\n')
    setup, _ = read_setup({})
    assert [finding.status for finding in findings(setup, dt.date(2100, 1, 1))] == ["ok"]


def test_the_sdks_dates_can_be_read_and_spare_the_defaults():
    """Every list yields names of that list; what is chosen by default is not among them."""
    from openai.types import AudioModel, ChatModel
    from openai.types.audio import SpeechModel

    lists = {"model": ChatModel, "recogniser": AudioModel, "voice": SpeechModel}
    for kind, known in lists.items():
        ends = announced_ends(kind)
        assert set(ends) & set(get_args(known))
        assert DEFAULT_MODEL not in ends
        assert openai_ears.DEFAULT_MODEL not in ends
    assert len(announced_ends("model")) > 20
    assert openai_ears.DEFAULT_MODEL == OPENAI_EARS


# --- files, greetings, database -------------------------------------------------------------------------
def test_a_broken_setting_and_a_broken_business_are_lines_and_hide_nothing_else(here):
    """The rest is examined all the same, by the defaults."""
    add_business(here)
    (here / "prompts/bad.yaml").write_text("id: bad\nnmae: x\n")
    (here / "callbot.toml").write_text("modle = 'offline'\n")
    code, found = diagnosis()
    assert code == 1
    assert 'did you mean "model"' in found["settings"]["detail"]
    assert "nmae" in found["business bad"]["detail"]
    assert found["businesses"]["detail"] == "shop"
    assert found["database"]["status"] == "ok"


def test_a_greeting_is_recorded_well_or_told_what_is_wrong_with_it(here):
    """Missing, no audio, too loud, fine."""
    add_business(here)
    path = here / "prompts/shop.yaml"
    path.write_text(BUSINESS.replace('shop."}', 'shop.", audio: hello.wav}'))
    _, found = diagnosis()
    assert "there is no file prompts/hello.wav" in found["greeting shop"]["detail"]
    assert found["greeting shop"]["status"] == "fail", "talk is set up here, and would not start"
    file = here / "prompts/hello.wav"
    file.write_bytes(b"no audio at all")
    assert "holds no audio that can be read" in diagnosis()[1]["greeting shop"]["detail"]
    tone = np.sin(np.arange(32_000) * 0.1)
    soundfile.write(file, np.clip(tone * 4, -1, 1), 16_000, subtype="PCM_16")
    assert "clipped" in diagnosis()[1]["greeting shop"]["detail"]
    soundfile.write(file, tone * 0.5, 16_000)
    assert diagnosis()[1]["greeting shop"] == {
        "name": "greeting shop",
        "status": "ok",
        "detail": "hello.wav, 2.0 s",
        "remedy": "",
    }


def test_a_greeting_without_a_recording_is_looked_for_among_what_its_voice_has_rendered(here):
    """The remedy is a command that works."""
    add_business(here)
    _, found = diagnosis(CALLBOT_TTS="espeak:f2")
    assert found["greeting shop"]["status"] == "warn"
    remedy = found["greeting shop"]["remedy"].partition("callbot ")[2]
    assert remedy == "greeting render shop --tts espeak:f2"
    assert CliRunner().invoke(app, remedy.split()).exit_code == 0
    assert diagnosis(CALLBOT_TTS="espeak:f2")[1]["greeting shop"]["status"] == "ok"
    assert diagnosis(CALLBOT_TTS="espeak:f3")[1]["greeting shop"]["status"] == "warn"


def test_a_file_for_the_database_is_looked_at_without_making_it(here):
    """Not there yet, nowhere to make it, somebody else's; then one of ours, and one of its businesses."""
    add_business(here)
    assert "the first call makes it" in diagnosis()[1]["database"]["detail"]
    assert not (here / "callbot.db").exists()
    code, found = diagnosis("--database", "sqlite:///none/callbot.db")
    assert (code, found["database"]["status"]) == (1, "fail")
    (here / "text.db").write_text("this is no database" * 100)
    assert (
        "is not an SQLite database" in diagnosis("--database", "sqlite:///text.db")[1]["database"]["detail"]
    )
    assert CliRunner().invoke(app, ["prompts", "import", "prompts"]).exit_code == 0
    _, found = diagnosis(**SERVING)
    assert found["businesses"]["detail"] == "shop, of them 1 from the database", (
        "serve goes by what is active"
    )
    (here / "prompts/shop.yaml").unlink()
    _, found = diagnosis()
    assert "can be written" in found["database"]["detail"]
    assert found["businesses"]["detail"] == "shop, of them 1 from the database"


def test_a_postgresql_database_waits_for_its_upgrade(here, postgres_url):
    """Fails with the command; is well after it; fails where nobody answers."""
    add_business(here)
    _, found = diagnosis(CALLBOT_DATABASE=postgres_url)
    assert (found["database"]["status"], found["database"]["remedy"]) == ("fail", "callbot db upgrade")
    upgrade_store(postgres_url)
    assert diagnosis(CALLBOT_DATABASE=postgres_url)[1]["database"]["status"] == "ok"
    _, found = diagnosis(CALLBOT_DATABASE="postgresql://shop@127.0.0.1:9/shop")
    assert found["database"]["status"] == "fail"
    assert "Connection refused" in found["database"]["detail"]


def test_whispers_weights_are_found_where_they_were_downloaded_to(here):
    """In huggingface_hub's cache, as its own library finds them; a model that is named and not there is told."""
    add_business(here)
    model = here / "hf/hub/models--Systran--faster-whisper-base"
    (model / "refs").mkdir(parents=True)
    (model / "refs/main").write_text("0" * 40)
    (model / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (model / "snapshots" / ("0" * 40) / "model.bin").write_bytes(b"weights")
    env = {"HF_HOME": str(here / "hf"), "CALLBOT_STT": "faster-whisper:small"}
    told = json.loads(callbot("doctor", "--json", cwd=here, env=env).stdout)
    found = {check["name"]: check for check in told["checks"]}
    assert (found["whisper en"]["status"], found["whisper en"]["detail"]) == ("ok", "base is on this machine")
    assert found["weights small"]["status"] == "warn"
    assert "callbot talk --stt faster-whisper:small" in found["weights small"]["remedy"]


# --- the phone ------------------------------------------------------------------------------------------
def test_what_serve_lacks_fails_where_serve_is_set_up(here):
    """A public URL that Twilio cannot use, half of the credentials, no number, no voice, no recogniser."""
    add_business(here)
    code, found = diagnosis(CALLBOT_PUBLIC_URL="http://bot.example.com", TWILIO_AUTH_TOKEN="a-token-of-mine")
    assert code == 1
    for name, said in {
        "public URL": "over TLS only",
        "key TWILIO_ACCOUNT_SID": "is not set, for serve",
        "phone numbers": "no business answers one",
        "voice": "none is chosen for shop",
        "recogniser": "none is chosen for shop",
    }.items():
        assert found[name]["status"] == "fail", name
        assert said in found[name]["detail"]
    assert found["modes"]["detail"] == "set up here: eval, chat, serve; not talk"


def test_a_folder_that_takes_no_recordings_fails_where_calls_are_recorded(here):
    """A file in its place is one; looking makes no folder."""
    add_business(
        here, 'phone_numbers: ["+16175550100"]\nprivacy: {record_audio: true, notice: the corner shop}\n'
    )
    env = {"CALLBOT_PUBLIC_URL": NOBODY, "CALLBOT_TTS": "espeak", "CALLBOT_STT": "oracle", **SERVING}
    _, found = diagnosis(**env)
    folder = here / "recordings"
    assert found["recordings"]["detail"] == f"calls to shop are recorded in {folder / 'calls'}"
    assert not folder.exists()
    folder.write_text("in the way")
    code, found = diagnosis(**env)
    assert (code, found["recordings"]["status"]) == (1, "fail")
    assert f"nothing can be written to {folder}" in found["recordings"]["detail"]


def test_serve_refuses_some_parts_and_nobody_answers_at_its_address(here):
    """Warnings: an option allows them, and it may be started later."""
    add_business(here, 'phone_numbers: ["+16175550100"]\n')
    _, found = diagnosis(CALLBOT_PUBLIC_URL=NOBODY, CALLBOT_TTS="espeak", CALLBOT_STT="oracle", **SERVING)
    assert (
        found["twilio"]["status"] == found["public URL"]["status"] == found["phone numbers"]["status"] == "ok"
    )
    assert "nobody answers" in found["serve"]["detail"]
    assert "--allow-espeak" in found["voice of shop"]["remedy"]
    assert "--simulated-callers-only" in found["ears of shop"]["remedy"]
    assert {found[name]["status"] for name in ("serve", "voice of shop", "ears of shop")} == {"warn"}


# --- the diagnosis itself -------------------------------------------------------------------------------
def test_a_check_that_breaks_or_hangs_is_a_line_and_the_next_one_is_made(here):
    """A failure where a mode that is set up needs it, a warning elsewhere."""
    add_business(here)
    setup, _ = read_setup({})

    def breaks(setup):
        raise RuntimeError("no reason")

    over = threading.Event()

    def hangs(setup):
        over.wait(60)
        return []

    well = Finding("third", "ok", "well")
    checks = [
        Check("first", EVERY, breaks),
        Check("second", frozenset({"serve"}), hangs),
        Check("third", EVERY, lambda setup: [well]),
    ]
    first, second, third = examine(setup, checks, seconds=0.1)
    assert something_hangs(), "a command would leave without waiting for it"
    over.set()
    while something_hangs():
        time.sleep(0.01)
    assert (first.name, first.status) == ("first", "fail")
    assert "RuntimeError: no reason" in first.detail
    assert (second.name, second.status) == ("second", "warn")
    assert "did not come to an end within 0.1 s" in second.detail
    assert third == well


def test_the_table_of_extras_is_that_of_the_package():
    """Module by module; extras of tests are nobody else's."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules = {}
    for module, names in packages_distributions().items():
        for name in names:
            modules.setdefault(name.lower().replace("_", "-"), set()).add(module)

    def wanted(extra):
        for requirement in extras[extra]:
            name, _, others = re.match(r"([\w.-]+)(\[([\w,-]+)\])?", requirement).groups()
            if name == "callbot":
                for other in others.split(","):
                    yield from wanted(other)
            elif ";" not in requirement:
                yield modules[name.lower()]

    assert set(EXTRAS) == set(extras) - {"test", "speech-test"}
    for extra, listed in EXTRAS.items():
        needed = list(wanted(extra))
        assert len(listed) == len({frozenset(names) for names in needed}), extra
        assert all(names & set(listed) for names in needed), extra
