"""What ``callbot serve`` says before it serves, and which business, version and recording answer."""

from __future__ import annotations

import dataclasses
import io
import re
import socket
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli import callbot
from serving import CLINIC, LEAD, SID, Caller, Rest, eventually, serving

from callbot.errors import CallbotError
from callbot.lines.twilio_rest import Credentials
from callbot.server.host import CallHost
from callbot.server.options import ServeOptions, api_url, credentials, public_url
from callbot.store.database import open_store
from callbot.yamlfile import parse_yaml

TWILIO = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": "secret-token"}
URL = ["--public-url", "https://bot.example.com"]


@pytest.fixture(scope="module")
def rest() -> Iterator[Rest]:
    """The REST API of the module's bots."""
    server = Rest()
    yield server
    server.close()


def clinic(folder: Path, business: str = CLINIC) -> None:
    """A business in a folder."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "clinic.yaml").write_text(business, encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "serve needs the address that Twilio reaches it by: --public-url https://"),
        ([*URL, "--tts", "espeak"], "espeak is a robot's voice, for tests; choose another with --tts"),
    ],
)
def test_serve_says_what_is_missing(options: list[str], said: str, tmp_path: Path) -> None:
    """And how to mend it, without a traceback and without secrets."""
    clinic(tmp_path)
    done = callbot("serve", "--port", "0", *options, cwd=tmp_path, env=TWILIO)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret-token" not in done.stderr


@pytest.mark.parametrize(
    ("check", "given", "said"),
    [
        (public_url, "bot.example.com", '"bot.example.com" is no address of a server'),
        (public_url, "http://bot.example.com", "over TLS only; write https://bot.example.com"),
        (public_url, "https://me:pw@bot.example.com", "leave user and password out of it"),
        (credentials, {}, "serve needs TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN in the environment"),
        (credentials, {"TWILIO_ACCOUNT_SID": SID}, "serve needs TWILIO_AUTH_TOKEN in the environment"),
        (credentials, {**TWILIO, "TWILIO_ACCOUNT_SID": "ACx"}, "must be AC and 32 letters or digits"),
        (api_url, "http://api.example.com", "must be https://, or http:// on this machine"),
    ],
)
def test_an_option_that_cannot_be_used(check: Callable[[Any], Any], given: Any, said: str) -> None:
    """Says what it should be."""
    with pytest.raises(CallbotError, match=re.escape(said)):
        check(given)


@pytest.mark.parametrize(
    ("changes", "business", "said"),
    [
        ({"tts": None}, CLINIC, "clinic has no voice: set voice.tts in its file, or choose one with --tts"),
        ({"stt": None}, CLINIC, "clinic has no recogniser: set voice.stt in its file, or choose one"),
        ({"simulated_callers_only": False}, CLINIC, "hears no real caller; choose another with --stt"),
        ({"model": "openia"}, CLINIC, 'did you mean "openai"?'),
        ({"database": "mysql://x"}, CLINIC, "use SQLite or PostgreSQL"),
        ({}, CLINIC.replace('phone_numbers: ["+16175550100"]', ""), "no business answers a phone number"),
        ({}, CLINIC.replace('clinic."}', 'clinic.", audio: x.wav}'), "greeting.audio: there is no file"),
        (
            {"calls_dir": Path("/dev/null/calls")},
            CLINIC + "privacy: {record_audio: true, notice: this is the clinic}\n",
            "calls cannot be recorded in /dev/null/calls: Not a directory; mend that",
        ),
    ],
)
async def test_what_cannot_answer_is_told_at_once(
    changes: dict[str, Any], business: str, said: str, tmp_path: Path
) -> None:
    """Not by the first caller."""
    clinic(tmp_path, business)
    options = ServeOptions(
        public_url="https://bot.example.com",
        credentials=Credentials(SID, "secret-token"),
        database=f"sqlite:///{tmp_path}/callbot.db",
        model="offline",
        fallback=None,
        tts="espeak",
        stt="oracle",
        prompts_dir=tmp_path / "prompts",
        clips_dir=tmp_path / "clips",
        allow_espeak=True,
        simulated_callers_only=True,
    )
    with pytest.raises(CallbotError, match=re.escape(said)):
        await started(dataclasses.replace(options, **changes))


async def started(options: ServeOptions) -> None:
    """Start a host, and close it."""
    host = CallHost(options)
    try:
        await host.start()
    finally:
        await host.close()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Said before anything is loaded."""
    clinic(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        voice = ["--tts", "espeak", "--allow-espeak", "--stt", "oracle", "--simulated-callers-only"]
        done = callbot("serve", "--port", port, *URL, *voice, cwd=tmp_path, env=TWILIO)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


async def test_the_active_version_answers_and_a_recording_is_played(rest: Rest, tmp_path: Path) -> None:
    """The database before files; a version activated meanwhile answers the next call; its own audio."""
    clinic(tmp_path)
    with wave.open(str(tmp_path / "prompts" / "hello.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\x10\x20" * 16000 * 2)
    recorded = CLINIC.replace('clinic."}', 'clinic, recorded.", audio: hello.wav}')
    url = f"sqlite:///{tmp_path}/callbot.db"
    with open_store(url) as store:
        store.businesses.import_version(parse_yaml(recorded, Path("clinic.yaml")))
        with serving(tmp_path, rest, replies=LEAD) as bot:
            document = await Caller(bot).ring()
            _, _, audio = bot.get(document.text_of("Play").removeprefix(bot.url))
            with wave.open(io.BytesIO(audio)) as played:
                seconds = played.getnframes() / played.getframerate()
            assert seconds == pytest.approx(2.0, abs=0.05)

            changed = CLINIC.replace("this is the clinic", "this is the new clinic")
            store.businesses.import_version(parse_yaml(changed, Path("clinic.yaml")))
            caller = Caller(bot)
            first = await caller.ring()  # its greeting is not rendered yet, or is by now
            stream = await caller.answered(first)
            if "Play" not in first.verbs:
                await stream.until(1)
            await stream.stop()
            call = await eventually(lambda: (c := store.calls.get(caller.call_sid)).ended_at and c)
            assert call.business_version == 2
            record = store.calls.load_record(caller.call_sid)
            assert record.header["rules"]["greeting"] == "Hello, this is the new clinic."
            assert record.header["rules"]["greeting_streamed"] == ("Play" not in first.verbs)

            async def ring() -> str:
                return (await Caller(bot).ring()).text_of("Play")

            for _ in range(100):
                if path := (await ring()).removeprefix(bot.url):
                    break
            assert bot.get(path)[0] == 200
            store.businesses.rollback("clinic")
            assert (await ring()) == document.text_of("Play")
