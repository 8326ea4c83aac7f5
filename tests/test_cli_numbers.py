"""``callbot numbers``: the account's numbers are compared and set through the real SDK, on a local REST API."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cli import callbot
from store_samples import business_yaml, document

from callbot.carrier.twiml import read_response
from callbot.store.database import open_store

SID, TOKEN = "AC" + "0" * 32, "a-secret-token"
ENVIRONMENT = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN}
RUTI, DAVID, STRAY = "+97235550100", "+97235550101", "+97235550109"
BOT = "https://bot.example.com"
SYNC = ("numbers", "sync", "--public-url", BOT)


class Numbers:
    """IncomingPhoneNumbers of an account, one a page, kept as Twilio keeps them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.posts: list[tuple[str, dict[str, list[str]]]] = []
        numbers = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.allowed():
                    return
                at = int(parse_qs(urlsplit(self.path).query).get("Page", ["0"])[0])
                path = f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json"
                more = f"{path}?Page={at + 1}" if at + 1 < len(numbers.rows) else None
                self.answer(200, {"incoming_phone_numbers": numbers.rows[at : at + 1], "next_page_uri": more})

            def do_POST(self) -> None:
                if not self.allowed():
                    return
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                sid = urlsplit(self.path).path.rsplit("/", 1)[1].removesuffix(".json")
                form = parse_qs(body, keep_blank_values=True)
                numbers.posts.append((sid, form))
                [row] = [row for row in numbers.rows if row["sid"] == sid]
                for name, [value] in form.items():
                    key = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
                    assert key in row, f"Twilio knows no {name}"
                    row[key] = value or None
                self.answer(200, row)

            def allowed(self) -> bool:
                wanted = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
                if self.headers["Authorization"] == f"Basic {wanted}":
                    return True
                self.answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
                return False

            def answer(self, status: int, value: object) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, number: str, **settings: str) -> None:
        """A number with Twilio's settings of a new one."""
        new = {
            "sid": f"PN{len(self.rows):032}",
            "phone_number": number,
            "voice_url": "https://demo.twilio.com/welcome/voice/",
            "voice_method": "POST",
            "voice_fallback_url": None,
            "voice_fallback_method": "POST",
            "voice_application_sid": None,
            "status_callback": "",
            "status_callback_method": "POST",
            "trunk_sid": None,
        }
        self.rows.append({**new, **settings})

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def account() -> Iterator[Numbers]:
    """An account of its own."""
    numbers = Numbers()
    yield numbers
    numbers.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One business in the database, one in a file."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "david.yaml").write_text(business_yaml("david", number=DAVID), encoding="utf-8")
    with open_store(f"sqlite:///{tmp_path}/callbot.db") as store:
        store.businesses.import_version(document("ruti", number=RUTI))
    return tmp_path


def test_numbers_are_shown_then_set_then_as_they_should_be(account: Numbers, project: Path) -> None:
    """A dry run changes nothing; a number that no business claims is never touched."""
    account.add(RUTI)
    account.add(STRAY)
    account.add(DAVID, voice_application_sid="AP1", voice_fallback_url="https://old.example.com/f.xml")
    api = ("--twilio-api-url", account.url)
    before = json.dumps(account.rows)
    dry = callbot(*SYNC, *api, "--dry-run", cwd=project, env=ENVIRONMENT)
    assert dry.returncode == 1, dry.stderr
    assert json.dumps(account.rows) == before
    assert f"{RUTI} (ruti): differs" in dry.stdout
    change = (
        "voice_url: https://demo.twilio.com/welcome/voice/ -> https://bot.example.com/webhook/incoming_call"
    )
    assert change in dry.stdout
    assert "voice_application_sid: AP1 -> nothing" in dry.stdout
    assert "1 more in the account, which no business claims: left alone" in dry.stdout
    done = callbot(*SYNC, *api, cwd=project, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert {sid for sid, _ in account.posts} == {account.rows[0]["sid"], account.rows[2]["sid"]}
    for row in (account.rows[0], account.rows[2]):
        assert row["voice_url"] == f"{BOT}/webhook/incoming_call"
        assert row["status_callback"] == f"{BOT}/webhook/call_status"
        assert row["voice_application_sid"] is None
    assert account.rows[1]["voice_url"] == "https://demo.twilio.com/welcome/voice/"
    assert account.rows[2]["voice_fallback_url"] == "https://old.example.com/f.xml"
    again = callbot(*SYNC, *api, "--dry-run", cwd=project, env=ENVIRONMENT)
    assert (again.returncode, again.stdout.count("as it should be")) == (0, 2)
    with_fallback = callbot(
        *SYNC, *api, "--fallback-url", "https://static.example.com/f.xml", cwd=project, env=ENVIRONMENT
    )
    assert with_fallback.returncode == 0
    assert account.rows[0]["voice_fallback_url"] == "https://static.example.com/f.xml"
    assert account.rows[0]["voice_fallback_method"] == "GET"


def test_what_cannot_be_set_is_said(account: Numbers, project: Path) -> None:
    """A claimed number that is not there, and one that a SIP trunk answers."""
    account.add(RUTI, trunk_sid="TK1")
    done = callbot(*SYNC, "--twilio-api-url", account.url, cwd=project, env=ENVIRONMENT)
    assert done.returncode == 1
    assert f"{RUTI} (ruti): belongs to a SIP trunk" in done.stdout
    assert f"{DAVID} (david): is not in this account" in done.stdout
    assert account.posts == []


@pytest.mark.parametrize(
    ("options", "environment", "said"),
    [
        ((), {}, "numbers sync needs TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
        (
            (),
            {**ENVIRONMENT, "TWILIO_AUTH_TOKEN": "wrong"},
            "Twilio refuses, status 401; check TWILIO_ACCOUNT_SID",
        ),
        (("--public-url", "http://bot.example.com"), ENVIRONMENT, "over TLS only"),
        (("--fallback-url", "http://x.example"), ENVIRONMENT, "--fallback-url"),
        (("--twilio-api-url", "http://127.0.0.1:9"), ENVIRONMENT, "Twilio cannot be asked"),
        (("--prompts-dir", "none", "--database", "sqlite:///none.db"), ENVIRONMENT, "no business claims"),
    ],
)
def test_bad_input_gets_a_sentence(
    options: tuple[str, ...],
    environment: dict[str, str],
    said: str,
    account: Numbers,
    project: Path,
) -> None:
    """What is wrong, without a traceback and without the token."""
    done = callbot(*SYNC, "--twilio-api-url", account.url, *options, cwd=project, env=environment)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr


@pytest.mark.parametrize(("language", "code"), [("he", "he-IL"), ("en", "en-US")])
def test_the_fallback_is_valid_twiml_that_apologises_and_hangs_up(
    language: str, code: str, tmp_path: Path
) -> None:
    """The simulated carrier, which refuses what Twilio refuses, reads it."""
    done = callbot("numbers", "fallback", "-o", "fallback.xml", "--language", language, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "fallback.xml").read_bytes()
    say, hang_up = ET.fromstring(content)
    assert (say.tag, say.get("language"), hang_up.tag) == ("Say", code, "Hangup")
    assert say.text
    verbs = read_response(content, "text/xml", BOT)
    assert [type(verb).__name__ for verb in verbs] == ["Say", "Hangup"]
    assert callbot("numbers", "fallback", "--language", language, cwd=tmp_path).stdout.encode() == content
