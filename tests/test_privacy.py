"""What was said goes when it is old; everything goes when a caller asks; and what is promised is kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cli import callbot
from hypothesis import given
from hypothesis import strategies as st
from store_samples import business_yaml, call_record, numbered

from callbot.recordings import recorded_calls
from callbot.store.database import Store, StoreError, open_store
from callbot.store.live import CallWrite, Finish
from callbot.store.privacy import names_number

CALLER = "+972541112233"
NOW = dt.datetime.now(dt.UTC)


def ago(**time: float) -> dt.datetime:
    """A time that is over."""
    return NOW - dt.timedelta(**time)


def keep_record(folder: Path, call_id: str, at: dt.datetime, *, audio: bool = False) -> None:
    """The files that a call leaves: a folder of its Record, and sound beside it."""
    path = folder / "recordings" / "calls" / call_id / "record.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(call_record(call_id, at=at).to_jsonl())
    if audio:
        path.with_name("call.wav").write_bytes(b"RIFF")


def everything(folder: Path) -> bytes:
    """All bytes of the database's files."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("callbot.db*")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A business that keeps words for 10 days and sound for 12 hours; an old call and a young one."""
    (tmp_path / "prompts").mkdir()
    keep = "privacy: {keep: {transcript: 10d, audio: 12h}}\n"
    (tmp_path / "prompts" / "ruti.yaml").write_text(business_yaml() + keep, encoding="utf-8")
    with open_store(f"sqlite:///{tmp_path}/callbot.db") as store:
        store.calls.save_record(call_record("old", at=ago(days=11)))
        store.calls.save_record(call_record("young", at=ago(days=9)))
        store.calls.save_record(call_record("lost", business="gone", at=ago(days=179)))
    keep_record(tmp_path, "old", ago(days=11), audio=True)
    keep_record(tmp_path, "young", ago(days=9), audio=True)
    return tmp_path


def test_purge_removes_what_each_business_keeps_no_longer(project: Path) -> None:
    """Words after ``keep.transcript``, sound after ``keep.audio``; a business that is gone keeps 180 days."""
    said = (
        "gone: {} 0 transcripts and 0 files of them older than 180d, 0 audio files older than 30d\n"
        "ruti: {} 1 transcripts and 1 files of them older than 10d, 2 audio files older than 12h\n"
    )
    before = everything(project)
    done = callbot("calls", "purge", "--dry-run", cwd=project)
    assert (done.returncode, done.stdout) == (0, said.format("would remove", "would remove")), done.stderr
    assert everything(project) == before
    done = callbot("calls", "purge", cwd=project)
    assert done.stdout == said.format("removed", "removed"), done.stderr
    with open_store(f"sqlite:///{project}/callbot.db") as store:
        left = {call.id: len(store.calls.load_record(call.id).entries) for call in store.calls.list()}
        assert left["old"] == 0
        assert min(left["young"], left["lost"]) > 0
        assert store.calls.get("old").turns == 1
        assert store.leads.get("old") is not None
    assert [(one.call_id, len(one.files)) for one in recorded_calls(project / "recordings")] == [("young", 1)]
    assert "what was said is not kept" in callbot("calls", "show", "old", cwd=project).stdout
    again = callbot("calls", "purge", cwd=project).stdout
    assert "ruti: removed 0 transcripts and 0 files of them older than 10d, 0 audio files" in again


def test_sound_goes_by_its_business_even_if_no_record_is_left(project: Path) -> None:
    """The names of ``talk`` and of recorded phone calls; a call that goes on keeps its own."""
    calls = project / "recordings" / "calls"
    lone = [calls / "old.wav", calls / "young" / "stream-1.wav", calls / "on" / "stream-1.wav"]
    for path in (calls / "old" / "record.jsonl", calls / "young" / "record.jsonl"):
        path.unlink()
    for path in lone:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"RIFF")
    with open_store(f"sqlite:///{project}/callbot.db") as store:
        header = call_record("on", at=ago(days=1)).header
        store.live.begin("on", header, "n1", NOW + dt.timedelta(minutes=9))
        store.live.admit("on", "n1", "me", NOW + dt.timedelta(minutes=9))
    done = callbot("calls", "purge", cwd=project)
    assert "ruti: removed 1 transcripts and 0 files of them older than 10d, 4 audio files" in done.stdout
    assert [path.exists() for path in lone] == [False, False, True]


def test_a_business_that_cannot_be_read_keeps_everything_from_being_removed(project: Path) -> None:
    """A broken file must not mean the default."""
    (project / "prompts" / "ruti.yaml").write_text("id: ruti\nprivacy: {keep: 3}\n", encoding="utf-8")
    before = everything(project)
    done = callbot("calls", "purge", cwd=project)
    assert done.returncode == 2
    assert "ruti.yaml" in done.stderr
    assert everything(project) == before


def test_a_call_in_progress_is_not_purged(store: Store) -> None:
    """Its snapshot and its entries are what it lives on."""
    record = call_record("CA1", at=ago(days=1))
    soon = NOW + dt.timedelta(minutes=9)
    store.live.begin("CA1", record.header, "n1", soon)
    store.live.admit("CA1", "n1", "me", soon)
    store.live.commit("me", [CallWrite("CA1", numbered(record), {"phase": "talk"})])
    assert store.personal.expired("ruti", NOW) == ()
    with pytest.raises(StoreError, match="is on the phone now"):
        store.personal.forget(CALLER)
    assert len(store.calls.load_record("CA1").entries) == len(record.entries)
    store.live.commit("me", [CallWrite("CA1", finish=Finish("caller", None), release=True)])
    late = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)  # it ended now, however long the tests have run
    assert store.personal.expired("ruti", late) == ("CA1",)
    assert store.personal.purge(["CA1"]) == len(record.entries)


def test_forgetting_ends_a_call_that_broke_off_and_waits_for_one_that_opens(store: Store) -> None:
    """Nobody could go on with it; a caller who hears the greeting now is on the phone."""
    header = call_record("CA1", at=ago(minutes=9)).header
    store.live.begin("CA1", header, "n1", NOW + dt.timedelta(minutes=9))
    with pytest.raises(StoreError, match="is on the phone now"):
        store.personal.forget(CALLER)
    store.live.begin("CA2", {**header, "call": "CA2", "caller_number": "+972525550000"}, "n2", ago(minutes=8))
    assert store.personal.forget("+972525550000").calls == ("CA2",)
    assert [call.info.id for call in store.overview.in_progress(9)] == ["CA1"]
    assert store.calls.get("CA2").ended_by is None


def test_forgetting_removes_a_caller_and_keeps_counts(store: Store) -> None:
    """Calls from the number and calls whose lead names it; nobody else's; what was delivered is counted."""
    for n, (caller, notes) in enumerate(
        [(CALLER, "x"), ("+972525550000", "call 054-111-2233"), ("+972525550001", "call 054-111-2234")]
    ):
        record = call_record(f"CA{n}", lead={"full_name": "דנה לוי", "notes": notes})
        head = {**record.header, "caller_number": caller, "deliver": True}
        soon = NOW + dt.timedelta(minutes=9)
        store.live.begin(f"CA{n}", head, f"n{n}", soon)
        store.live.admit(f"CA{n}", f"n{n}", "me", soon)
        finish = Finish("model", "lead_complete", "complete", 1)
        store.live.commit("me", [CallWrite(f"CA{n}", numbered(record), finish=finish, release=True)])
    store.outbox.delivered("CA0", NOW)
    entries = 2 * len(call_record("CA0").entries)
    found = store.personal.forget(CALLER)
    assert (set(found.calls), found.entries) == ({"CA0", "CA1"}, entries)
    assert (found.leads, found.deliveries, found.delivered) == (2, 2, 1)
    assert [lead.call_id for lead in store.leads.list()] == ["CA2"]
    assert [one.call_id for one in store.outbox.list()] == ["CA2"]
    for call in ("CA0", "CA1"):
        info = store.calls.get(call)
        assert (info.caller_number, info.turns, info.ended_by) == (None, 1, "model")
        record = store.calls.load_record(call)
        assert record.entries == []
        assert record.header["caller_number"] is None
    assert store.calls.get("CA2").caller_number == "+972525550001"
    assert store.personal.forget(CALLER).calls == ()


def test_forget_leaves_no_byte_behind(project: Path) -> None:
    """Not in the database's file or its log, not among the recordings; and it says what it did."""
    known = ("דנה לוי".encode(), CALLER.encode())
    with open_store(f"sqlite:///{project}/callbot.db") as store:
        other = call_record("other", lead={"full_name": "Yossi"})
        other.header["caller_number"] = "+972525550000"
        other.entries[:] = [entry for entry in other.entries if "דנה" not in str(entry)]
        store.calls.save_record(other)
    assert all(word in everything(project) for word in known)
    done = callbot("forget", "+972 54-111-2233", "--yes", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "removed of 3 calls: 33 events, 3 leads, 0 deliveries, 4 files\n"
    assert not any(word in everything(project) for word in known)
    assert recorded_calls(project / "recordings") == []
    assert callbot("forget", CALLER, cwd=project).stdout == f"nothing is known of {CALLER}\n"
    with open_store(f"sqlite:///{project}/callbot.db") as store:
        assert len(store.calls.list()) == 4


@pytest.mark.parametrize("then", [("calls", "purge"), ("forget", CALLER, "--yes")])
def test_sound_on_another_machine_goes_too(project: Path, then: tuple[str, ...]) -> None:
    """A call that went on elsewhere left its sound there, where nobody knows any more who called."""
    elsewhere = project / "elsewhere"
    for call_id in ("young", "stranger"):
        folder = elsewhere / "recordings" / "calls" / call_id
        folder.mkdir(parents=True)
        (folder / "stream-2.wav").write_bytes(b"RIFF")
    assert callbot("forget", CALLER, "--yes", cwd=project).returncode == 0
    shared = {"CALLBOT_DATABASE": f"sqlite:///{project}/callbot.db"}
    done = callbot(*then, cwd=elsewhere, env=shared)
    assert done.returncode == 0, done.stderr
    assert "1 audio file" in done.stdout or "1 file" in done.stdout
    assert [one.call_id for one in recorded_calls(elsewhere / "recordings")] == ["stranger"]


def test_forget_asks_first_and_wants_a_whole_number(project: Path) -> None:
    """Without ``--yes`` and without an answer nothing is removed."""
    before = everything(project)
    for answer in ("", "n\n"):
        done = callbot("forget", CALLER, cwd=project, stdin=answer)
        assert done.returncode == 1
        assert "3 calls: 33 events, 3 leads" in done.stdout
    done = callbot("forget", "054-111-2233", cwd=project)
    assert (done.returncode, "is no number with its country" in done.stderr) == (2, True)
    assert everything(project) == before


@given(
    st.integers(10_000_000, 999_999_999), st.text(alphabet=" -./()", max_size=3), st.text("ab ", max_size=9)
)
def test_a_number_is_found_however_it_is_written(digits: int, between: str, around: str) -> None:
    """With any punctuation between its digits; and no other number is."""
    written = around + "0" + between.join(str(digits)) + around
    assert names_number(written, f"+972{digits}")
    assert not names_number(written, f"+972{digits + 1}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "privacy: {record_audio: true}",
            "ruti.yaml:11: privacy.record_audio: needs privacy.notice: tell callers in greeting.text",
        ),
        (
            "deliver: {webhook: 'https://example.com/', secret_env: NO_SUCH_SECRET}",
            "ruti: deliver.secret_env: the environment variable NO_SUCH_SECRET is not set",
        ),
    ],
)
def test_serve_refuses_a_business_that_promises_what_it_cannot_do(
    line: str, said: str, tmp_path: Path
) -> None:
    """Before the first call, in one sentence."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "ruti.yaml").write_text(business_yaml() + line + "\n", encoding="utf-8")
    done = callbot(
        *("serve", "--public-url", "https://bot.example.com", "--port", "0", "--model", "offline"),
        *("--tts", "espeak", "--allow-espeak", "--stt", "oracle", "--simulated-callers-only"),
        cwd=tmp_path,
        env={"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "a-token"},
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
