"""The commands on the store, as they are called: prompts, calls, leads, db; and finding a business."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from store_samples import NOON, business_yaml, call_record

from callbot import events as ev
from callbot.business import Business
from callbot.cli.app import main
from callbot.errors import CallbotError, InvalidInput
from callbot.lookup import UnknownBusiness, find_business
from callbot.record import header
from callbot.rules import Rules
from callbot.store.database import open_store
from callbot.store.tables import REVISION

URL = "sqlite:///callbot.db"


@dataclass
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs ``callbot`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("CALLBOT_"):
            monkeypatch.delenv(name)

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["callbot", *arguments])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        printed = capfd.readouterr()
        return Done(code, printed.out, printed.err)

    return call


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A folder of two businesses, one of which extends a base."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "_base.yaml").write_text("silence: {after: 5}\n", encoding="utf-8")
    ruti = "extends: _base.yaml\n" + business_yaml("ruti")
    (folder / "ruti.yaml").write_text(ruti, encoding="utf-8")
    (folder / "dan.yaml").write_text(business_yaml("dan", number="+97235550101"), encoding="utf-8")
    return folder


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# --- prompts ------------------------------------------------------------------------------------
def test_prompts_from_import_to_rollback(run: Run, prompts: Path) -> None:
    """The life of a prompt: imported, edited, compared, imported again, rolled back."""
    assert run("prompts", "status") == Done(1, "business\tstate\ndan\tnot imported\nruti\tnot imported\n", "")
    assert not Path("callbot.db").exists()
    done = run("prompts", "import", "prompts")
    assert done.out.splitlines() == ["dan: version 1 imported, active", "ruti: version 1 imported, active"]
    assert run("prompts", "status") == Done(0, "business\tstate\ndan\tsame\nruti\tsame\n", "")

    _edit(prompts / "ruti.yaml", "שלום, כאן רותי", "הגעתם לרותי")
    assert "ruti\tdiffers from the active version 1" in run("prompts", "status").out
    changes = run("prompts", "diff", "ruti").out.splitlines()
    assert "-  text: שלום, כאן רותי" in changes
    assert "+  text: הגעתם לרותי" in changes
    done = run("prompts", "import", "prompts/ruti.yaml", "-m", "ברכה חדשה")
    assert done.out == "ruti: version 2 imported, active\n"
    assert run("prompts", "import", "prompts/ruti.yaml").out == "ruti: version 2 known already, active\n"

    listed = [line.split("\t") for line in run("prompts", "list").out.splitlines()]
    assert [line[:4] for line in listed[1:]] == [
        ["dan", "1", "1", "+97235550101"],
        ["ruti", "2", "2", "+97235550100"],
    ]
    versions = [line.split("\t") for line in run("prompts", "list", "ruti").out.splitlines()]
    assert [(line[0], line[1], line[4]) for line in versions[1:]] == [
        ("1", "", ""),
        ("2", "active", "ברכה חדשה"),
    ]

    assert run("prompts", "rollback", "ruti").out == "ruti: version 1 is active again\n"
    assert "text: שלום, כאן רותי" in run("prompts", "show", "ruti").out
    assert "text: הגעתם לרותי" in run("prompts", "show", "ruti", "--version", "2").out
    assert "after: 5" in run("prompts", "show", "ruti").out
    assert "+  text: הגעתם לרותי" in run("prompts", "diff", "ruti", "1", "2").out
    assert run("prompts", "diff", "ruti", "2").out.endswith("are the same\n")
    assert run("prompts", "activate", "ruti", "2").out == "ruti: version 2 is active\n"
    assert run("prompts", "rollback", "dan").code == 2

    (prompts / "dan.yaml").unlink()
    done = run("prompts", "status")
    assert (done.code, "dan\tonly in the database" in done.out) == (1, True)
    assert (
        run("prompts", "diff", "dan").err
        == "Error: dan: has no file on disk to compare with; name two versions\n"
    )


def test_an_import_with_a_broken_file_writes_nothing(run: Run, prompts: Path) -> None:
    """Every fault of every file is said at once."""
    _edit(prompts / "dan.yaml", "fields:", "feilds:")
    _edit(prompts / "ruti.yaml", "id: ruti", "id: rutti")
    done = run("prompts", "import", "prompts")
    assert done.code == 2
    assert 'prompts/dan.yaml:6: feilds: unknown key; did you mean "fields"?' in done.err
    assert 'prompts/ruti.yaml: id: must be "ruti", the name of its file; found "rutti"' in done.err
    assert not Path("callbot.db").exists()
    (prompts / "empty").mkdir()
    assert "no business files" in run("prompts", "import", "prompts/empty").err
    assert "cannot be read" in run("prompts", "import", "nowhere.yaml").err


def test_render_is_what_the_model_gets(run: Run, prompts: Path) -> None:
    """The system prompt with its time, and the schema of the reply; of the file, or of the active version."""
    run("prompts", "import", "prompts")
    _edit(prompts / "ruti.yaml", "את רותי.", "את רותי, ומספר המתקשר {{ caller.number }}.")
    done = run("prompts", "render", "ruti", "--now", "2026-11-27T10:00", "--from", "+972541112233")
    prompt, _, schema = done.out.partition("\n--- JSON Schema of the reply ---\n")
    assert prompt.splitlines() == [
        "את רותי, ומספר המתקשר +972541112233.",
        "Now: 2026-11-27 10:00:00+02:00",
    ]
    assert set(json.loads(schema)["properties"]) == {"spoken_reply", "control", "lead"}
    active = run("prompts", "render", "ruti", "--active", "--now", "2026-11-27T10:00")
    assert active.out.startswith("את רותי.\nNow: 2026-11-27 10:00:00+02:00\n")
    assert run("prompts", "render", "ruti", "--now", "soon").code == 2


def test_commands_name_what_is_unknown(run: Run, prompts: Path) -> None:
    """Each with what there is instead; looking at a database makes none."""
    assert "no such database yet" in run("prompts", "list").err
    assert run("calls", "list").code == run("leads", "list").code == 2
    assert not Path("callbot.db").exists()
    run("prompts", "import", "prompts")
    assert 'unknown business "rutti": did you mean "ruti"' in run("prompts", "show", "rutti").err
    assert "versions: 1" in run("prompts", "activate", "ruti", "9").err
    assert 'unknown call "CA"' in run("calls", "show", "CA").err
    assert "is none of model, silence" in run("calls", "list", "--ended-by", "nobody").err
    assert "is no time" in run("calls", "list", "--since", "yesterday").err


# --- calls --------------------------------------------------------------------------------------
@pytest.fixture
def calls(run: Run) -> Run:
    """``run``, in a folder with three stored calls."""
    with open_store(URL) as store:
        store.calls.save_record(call_record("CA-first"))
        store.calls.save_record(call_record("CA-second", business="dan", at=NOON.replace(hour=14)))
        store.calls.start("CB-open", call_record("CB-open", at=NOON.replace(hour=16)).header)
    return run


def test_calls_are_listed_for_people_and_programs(calls: Run) -> None:
    """In a pipe: tabs and whole values; with --json one object a line, times in UTC."""
    lines = [line.split("\t") for line in calls("calls", "list").out.splitlines()]
    assert [line[0] for line in lines] == ["call", "CB-open", "CA-second", "CA-first"]
    assert lines[3][2:] == [
        "ruti",
        "text",
        "+972541112233",
        "0:20",
        "1",
        "model",
        "lead_complete",
        "complete",
    ]
    found = [
        json.loads(line) for line in calls("calls", "list", "--json", "--ended-by", "model").out.splitlines()
    ]
    assert [call["id"] for call in found] == ["CA-second", "CA-first"]
    assert found[1]["started_at"] == "2026-11-27T12:00:00Z"

    def ids(*filters: str) -> list[str]:
        return [line.split("\t")[0] for line in calls("calls", "list", *filters).out.splitlines()[1:]]

    assert ids("--business", "dan") == ["CA-second"]
    assert ids("--reason", "lead_complete", "--limit", "1") == ["CA-second"]
    assert ids("--since", "2026-11-27T13:00:00+00:00") == ["CB-open", "CA-second"]


def test_a_call_is_shown_as_it_was_heard(calls: Run) -> None:
    """The played greeting, both voices, what the model wanted, the lead and the end."""
    shown = calls("calls", "show", "CA-f").out
    assert shown.splitlines()[0] == "CA-first: ruti version 1, text, model offline, from +972541112233"
    transcript = [re.split(r"\s{2,}", line.strip(), maxsplit=2) for line in shown.splitlines()[3:9]]
    assert transcript == [
        ["0:00", "bot", "שלום, כאן רותי"],
        ["0:05", "caller", "דנה לוי"],
        ["0:06", "bot", "תודה ולהתראות."],
        ["0:06", "note", "the model asks to end: lead_complete"],
        ["0:06", "note", "drift: turn 1, missing ['phone']"],
        ["0:20", "note", "hung up by model: lead_complete"],
    ]
    assert "lead: complete\n  full_name: דנה לוי\n" in shown
    assert shown.endswith("ended by model, lead_complete, after 0:20 and 1 turns\n")
    with_events = calls("calls", "show", "CA-f", "--events").out
    assert '{"t":105.0,"kind":"event","type":"user_spoke","text":"דנה לוי"}' in with_events
    assert "not ended" in calls("calls", "show", "CB-open").out


def test_a_call_is_shown_as_json(calls: Run) -> None:
    """With --events the whole Record is in it."""
    plain = json.loads(calls("calls", "show", "CA-first", "--json").out)
    assert plain["call"]["ended_by"] == "model"
    assert plain["lead"]["fields"] == {"full_name": "דנה לוי"}
    assert [line["speaker"] for line in plain["transcript"]][:3] == ["bot", "caller", "bot"]
    assert "events" not in plain
    full = json.loads(calls("calls", "show", "CA-first", "--json", "--events").out)
    assert len(full["events"]) == len(call_record("CA-first").entries)
    assert full["header"]["dialled_number"] == "+97235550100"


def test_the_transcript_says_what_became_of_the_words(run: Run) -> None:
    """Cut off, never synthesised, keys pressed, the end refused; control characters cannot steer."""
    record = call_record("CA1")
    record.header = header(call_id="CA1", rules=Rules(greeting="הלו", greeting_streamed=True), line="text")
    record.entries.clear()
    record.event(0.0, ev.CallStarted())
    record.command(0.0, ev.Speak(1, "הלו", ev.SpeechKind.GREETING))
    record.event(1.0, ev.Played(1))
    record.command(1.0, ev.Speak(2, "נשמע"))
    record.command(1.0, ev.Speak(3, "נקטע"))
    record.event(2.0, ev.Played(2))
    record.command(2.0, ev.ClearAudio())
    record.event(2.5, ev.UserSpoke(""))
    record.event(3.0, ev.UserSpoke("רגע\x1b[31m\n"))
    record.event(3.0, ev.KeyPressed("5"))
    record.command(4.0, ev.Speak(4, "אבד"))
    record.event(4.0, ev.VoiceFailed(4, "timeout"))
    record.note(5.0, "end_refused", turn=1, reason="lead_complete", why="phone is missing")
    record.note(5.0, "model_answered", turn=1)
    record.event(65.0, ev.CallerHungUp())
    with open_store(URL) as store:
        store.calls.save_record(record)
    shown = run("calls", "show", "CA1").out
    lines = [re.split(r"\s{2,}", line.strip(), maxsplit=2) for line in shown.splitlines()[3:11]]
    assert lines == [
        ["0:00", "bot", "הלו"],
        ["0:01", "bot", "נשמע"],
        ["0:01", "bot", "נקטע (cut off)"],
        ["0:03", "caller", "רגע\ufffd[31m"],
        ["0:03", "caller", "[5]"],
        ["0:04", "bot", "אבד (not heard: timeout)"],
        ["0:05", "note", "end_refused: turn 1, reason lead_complete, why phone is missing"],
        ["1:05", "note", "the caller hung up"],
    ]
    assert shown.endswith(
        "lead: nothing captured, in_progress\ngreeting: pass (stream)\nended by caller, after 1:05 and 0 turns\n"
        "suspect: the model asked to end it and was refused\n"
    )


def test_on_a_terminal_lists_are_tables(calls: Run) -> None:
    """Drawn, wrapped to the width and reordered for terminals that do not do it themselves."""
    parent, child = pty.openpty()
    command = [sys.executable, "-c", "from callbot.cli.app import main; main()", "leads", "list"]
    env = {**os.environ, "COLUMNS": "200", "TERM": "xterm", "CALLBOT_BIDI": "visual"}
    process = subprocess.Popen(command, stdout=child, stderr=child, stdin=child, env=env)
    os.close(child)
    output = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(parent)
    assert process.wait() == 0
    text = output.decode()
    assert "full_name: יול הנד" in text
    assert "\t" not in text


# --- leads --------------------------------------------------------------------------------------
def test_leads_are_exported_with_every_field_and_no_formulas(run: Run) -> None:
    """A caller who says "=HYPERLINK(...)" reaches no spreadsheet; a phone number stays one."""
    evil = {
        "full_name": '=HYPERLINK("http://x")',
        "phone": "+972521234567",
        "notes": "+1+1",
        "z": "  @SUM(A1)",
    }
    fine = {"full_name": 'כהן, "דנה"\nקומה 3', "status": "חם", "y": "-5", "w": "a=b"}
    with open_store(URL) as store:
        store.calls.save_record(call_record("CA1", lead=fine))
        store.calls.save_record(call_record("CA2", lead=evil, business="dan", at=NOON.replace(hour=13)))
    assert len(run("leads", "list").out.splitlines()) == 3
    done = run("leads", "export")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["call_id"] for row in rows] == ["CA1", "CA2"]
    assert rows[0]["full_name"] == fine["full_name"]
    assert (rows[0]["status"], rows[0]["field_status"]) == ("complete", "חם")
    assert (rows[0]["y"], rows[0]["w"], rows[0]["phone"]) == ("'-5", "a=b", "")
    assert (rows[1]["full_name"], rows[1]["notes"]) == ("'" + evil["full_name"], "'+1+1")
    assert (rows[1]["phone"], rows[1]["z"]) == ("+972521234567", "'  @SUM(A1)")

    done = run("leads", "export", "--business", "dan", "--output", "out/leads.csv", "--bom")
    assert (done.out, done.err) == ("", "1 leads written to out/leads.csv\n")
    written = Path("out/leads.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfcall_id,")
    lines = run(
        "leads", "export", "--format", "jsonl", "--since", "2026-11-27T12:00:00+00:00"
    ).out.splitlines()
    assert [json.loads(line)["fields"] for line in lines] == [fine, evil]
    assert "כהן" in lines[0]
    assert run("leads", "export", "--status", "declined", "--format", "jsonl").out == ""


# --- db -----------------------------------------------------------------------------------------
def test_db_upgrade_and_status(run: Run, postgres_url: str) -> None:
    """Status tells a deployment whether it has to upgrade; upgrading twice is harmless."""
    done = run("db", "status", "--database", postgres_url)
    assert (done.code, "run: callbot db upgrade" in done.out) == (1, True)
    assert (
        run("db", "upgrade", "--database", postgres_url).out
        == f"upgraded from nothing to revision {REVISION}\n"
    )
    assert run("db", "upgrade", "--database", postgres_url).out == f"up to date at revision {REVISION}\n"
    assert run("db", "status", "--database", postgres_url).code == 0
    assert run("prompts", "status", "--database", postgres_url).code == 0


# --- finding a business -------------------------------------------------------------------------
def test_a_file_is_found_before_the_store(run: Run, prompts: Path) -> None:
    """And the store answers for what has no file."""
    run("prompts", "import", "prompts")
    _edit(prompts / "ruti.yaml", "שלום, כאן רותי", "מהקובץ")
    assert find_business("ruti", None, URL).greeting.text == "מהקובץ"
    (prompts / "ruti.yaml").unlink()
    assert find_business("ruti", prompts, URL).greeting.text == "שלום, כאן רותי"
    with pytest.raises(
        UnknownBusiness, match=r'unknown business "rut": did you mean "ruti"\? known in prompts/ and'
    ):
        find_business("rut", None, URL)
    with pytest.raises(UnknownBusiness, match=r"known in prompts/: dan$"):
        find_business("ruti", None, None)
    with pytest.raises(CallbotError, match="there is no such folder"):
        find_business("ruti", Path("nowhere"), URL)


def test_looking_for_a_business_makes_no_database(run: Run, prompts: Path) -> None:
    """And tells ids from paths."""
    for unknown in ("nobody", "../prompts/ruti", "_base"):
        with pytest.raises(UnknownBusiness, match="known in prompts/ and in the database: dan, ruti"):
            find_business(unknown, None, URL)
    assert not Path("callbot.db").exists()
    (prompts / "ruti.yml").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"ruti\.yaml has the same id"):
        find_business("ruti", None, None)


def test_files_are_found_without_loading_a_database_library(run: Run, prompts: Path) -> None:
    """Commands that read files start without SQLAlchemy, and command modules import nothing heavy."""
    code = (
        "import sys\n"
        "from callbot.cli import calls, db, leads, prompts\n"
        "heavy = {'sqlalchemy', 'alembic', 'pydantic', 'pydantic_settings', 'yaml', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from callbot.lookup import find_business\n"
        "find_business('ruti', None, 'sqlite:///callbot.db')\n"
        "assert 'sqlalchemy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_businesses_from_both_places_are_the_same(run: Run, prompts: Path) -> None:
    """What is imported answers as its file did."""
    before: list[Business] = [find_business(name, None, None) for name in ("dan", "ruti")]
    run("prompts", "import", "prompts")
    (prompts / "dan.yaml").unlink()
    (prompts / "ruti.yaml").unlink()
    assert [find_business(name, None, URL) for name in ("dan", "ruti")] == before
