"""Cassettes: what was answered once is answered again, the same, by nobody; what changed is not."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli import callbot, start
from eval_project import KEY, EvalProject, evals, polite
from openai_server import OpenAIServer, Refuse, Reply, Stall, reply_json

from callbot.errors import CallbotError
from callbot.models.base import Delta, Finished, Request
from callbot.models.cassette import Cassette, Mode, parse_cassette
from callbot.record import Entry, read_record

__all__ = ["evals"]
FILE = "recordings/cassettes/calls.jsonl"


def numbered() -> Callable[[dict[str, Any]], Reply]:
    """A good model that never says the same twice."""
    counts = iter(range(1000))

    def respond(body: dict[str, Any]) -> Reply:
        answer = polite(body)
        words = json.loads(answer.text)["spoken_reply"]
        return Reply(answer.text.replace(words, f"{words} {next(counts)}"), latency=0.03, gap=0.002)

    return respond


def lines(evals: EvalProject) -> list[dict[str, Any]]:
    """The file's lines; the header first."""
    text = (evals.folder / FILE).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


def records(evals: EvalProject, folder: Path) -> dict[str, list[Entry]]:
    """What happened on every call of a run, times and words."""
    found = {path.name: read_record(path).entries for path in sorted((folder / "records").iterdir())}
    assert found
    return found


def without_server(evals: EvalProject, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``eval`` with no key and no --model."""
    done = callbot("eval", "scenarios", *options, cwd=evals.folder, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a cassette of all its calls; to be copied."""
    evals = EvalProject(tmp_path_factory.mktemp("recorded"))
    with OpenAIServer(respond=polite) as server:
        assert evals.eval(server, "--cassette", f"write:{FILE}").returncode == 0
    return evals.folder


@pytest.fixture
def played(recorded: Path, tmp_path: Path) -> EvalProject:
    """A copy of it, far from the server that answered."""
    evals = EvalProject(tmp_path / "copy")
    evals.write(FILE, (recorded / FILE).read_text(encoding="utf-8"))
    return evals


def test_a_recorded_run_is_played_to_the_millisecond_by_nobody(evals: EvalProject) -> None:
    """No key, no network, no request; every event of every call at the time at which it was."""
    with OpenAIServer(respond=numbered()) as server:
        done = evals.eval(server, "--cassette", f"write:{FILE}", "--repeat", "2")
        assert done.returncode == 0, done.stdout
        assert f"Cassette {FILE}: 0 answers played, 6 recorded" in done.stdout
        asked = len(server.requests)
    done = without_server(evals, "--cassette", f"read:{FILE}", "--repeat", "2", CI="true")
    assert (done.returncode, asked) == (0, 6)
    written, read = evals.reports()
    assert records(evals, written) == records(evals, read)
    assert evals.report(read)["run"]["requests"] == 0
    assert evals.report(read)["run"]["model"] == evals.report(written)["run"]["model"]
    assert evals.report(read)["summary"] == evals.report(written)["summary"]
    assert evals.report(written)["summary"]["latency_ms"]["p50"] >= 30


def test_repeats_have_answers_of_their_own(evals: EvalProject) -> None:
    """The same question in another attempt is another sample, when recorded and when played."""
    with OpenAIServer(respond=numbered()) as server:
        evals.eval(server, "--cassette", f"fill:{FILE}", "--repeat", "3", "-k", "asks")
    spoken = [json.loads(take["text"])["spoken_reply"] for take in lines(evals)[1:]]
    assert len(set(spoken)) == 3
    without_server(evals, "--cassette", f"read:{FILE}", "--repeat", "3", "-k", "asks")
    assert [run["turns"][-1]["bot"] for run in evals.report()["scenarios"][0]["runs"]] == spoken


def test_a_cassette_of_two_models_asks_which_one_to_play(evals: EvalProject) -> None:
    """It neither guesses nor falls back to the model that needs no key."""
    with OpenAIServer(respond=polite) as server:
        for name in ("a", "b"):
            evals.eval(f"openai:{name}@{server.base_url}", "--cassette", f"fill:{FILE}", "-k", "asks")
        both = f"openai:a@{server.base_url}, openai:b@{server.base_url}"
    done = without_server(evals, "--cassette", f"read:{FILE}", "-k", "asks")
    assert (done.returncode, done.stderr) == (
        2,
        f"Error: {FILE} holds answers of {both}; name the --model to play\n",
    )


def test_no_key_lands_in_the_file(evals: EvalProject) -> None:
    """Nor a header, nor anything of a connection but the model's name."""
    with OpenAIServer(respond=polite, key=KEY) as server:
        assert evals.eval(server, "--cassette", f"write:{FILE}").returncode == 0
        text = (evals.folder / FILE).read_text(encoding="utf-8")
        assert KEY not in text
        assert "authorization" not in text.lower()
        assert text.count("127.0.0.1") == text.count(f"openai:m@{server.base_url}") == 3
    done = evals.eval("openai:m@http://user:pass@127.0.0.1:1/v1", "--cassette", f"read:{FILE}")
    assert done.returncode == 2
    assert "leave user, password and query out of it" in done.stderr
    assert "pass@" not in done.stderr


def test_the_file_is_sorted_and_the_same_again(evals: EvalProject) -> None:
    """Whatever order the answers came in; filling what is full changes no byte."""
    with OpenAIServer(respond=polite) as server:
        evals.eval(server, "--cassette", f"write:{FILE}", "--repeat", "3", "--concurrency", "6")
        before = (evals.folder / FILE).read_bytes()
        places = [
            (t["question"]["scenario"], t["question"]["attempt"], t["question"]["n"])
            for t in lines(evals)[1:]
        ]
        assert places == sorted(places)
        assert len(places) == 9
        assert lines(evals)[0] == {"schema": "callbot.cassette/1"}
        assert "לא, תודה" in before.decode(), "to be read by people"
        asked = len(server.requests)
        done = evals.eval(server, "--cassette", f"fill:{FILE}", "--repeat", "3")
        assert "9 answers played, 0 recorded" in done.stdout
        assert len(server.requests) == asked
    assert (evals.folder / FILE).read_bytes() == before
    assert [path.name for path in (evals.folder / FILE).parent.iterdir()] == ["calls.jsonl"]


MISSES: dict[str, tuple[list[str], tuple[str, str, str] | None, str]] = {
    # name: options, an edit (file, old, new), what is said after "holds no answer for ..."
    "another prompt": (
        ["-k", "asks"],
        ("prompts/clinic.yaml", "You answer", "Kindly answer"),
        "asks, attempt 1, question 1: since it was recorded, the prompt (hash ",
    ),
    "another field": (
        ["-k", "asks"],
        ("prompts/clinic.yaml", "{name: full_name", "{name: phone, type: phone}, {name: full_name"),
        "asks, attempt 1, question 1: since it was recorded, the fields or end reasons of the business changed",
    ),
    "other words": (
        ["-k", "declines"],
        ("scenarios/calls.yaml", "לא, תודה", "לא צריך"),
        "declines, attempt 1, question 2: since it was recorded, what was said before changed",
    ),
    "another seed": (
        ["--seed", "3", "-k", "asks"],
        None,
        "asks, attempt 1, question 1: since it was recorded, --seed (0, now 3)",
    ),
    "more attempts": (
        ["--repeat", "2", "-k", "asks"],
        None,
        "asks, attempt 2, question 1: recorded were the attempts 1;",
    ),
    "another scenario": (
        ["-k", "wonders"],
        ("scenarios/calls.yaml", "name: asks", "name: wonders"),
        "wonders, attempt 1, question 1: nothing of this scenario was recorded",
    ),
    "another model": (
        ["-k", "asks", "--model", "openai:other"],
        None,
        "asks, attempt 1, question 1: since it was recorded, the model (openai:m@",
    ),
}


@pytest.mark.parametrize("case", MISSES)
def test_what_was_not_asked_is_not_answered(case: str, played: EvalProject) -> None:
    """Exit code 2, saying where and why; what is there is asked of nobody else."""
    options, edit, said = MISSES[case]
    if edit:
        played.edit(*edit)
    done = without_server(played, "--cassette", f"read:{FILE}", *options)
    assert done.returncode == 2
    assert f"{FILE} holds no answer for {said}" in done.stderr
    assert done.stderr.rstrip().endswith(f"record it with --cassette fill:{FILE}")


def test_fill_asks_only_for_what_changed_and_keeps_the_rest(evals: EvalProject) -> None:
    """After a change of one business's prompt its calls are asked anew; both prompts then play."""
    with OpenAIServer(respond=polite) as server:
        evals.eval(server, "--cassette", f"fill:{FILE}")
        evals.edit("prompts/clinic.yaml", "You answer", "Kindly answer")
        done = evals.eval(server, "--cassette", f"fill:{FILE}")
        assert "2 answers played, 1 recorded" in done.stdout
        assert len(server.requests) == 4
    assert without_server(evals, "--cassette", f"read:{FILE}").returncode == 0
    evals.edit("prompts/clinic.yaml", "Kindly answer", "You answer")
    assert without_server(evals, "--cassette", f"read:{FILE}").returncode == 0


def test_failures_of_the_provider_are_not_kept(evals: EvalProject) -> None:
    """They are infra when recorded, and asked again when filled."""
    with OpenAIServer(
        respond=lambda body: Refuse(400, "no") if "open" in str(body) else polite(body)
    ) as server:
        assert evals.eval(server, "--cassette", f"fill:{FILE}").returncode == 3
        assert {take["question"]["scenario"] for take in lines(evals)[1:]} == {"declines"}
        server.respond = polite
        assert evals.eval(server, "--cassette", f"fill:{FILE}").returncode == 0
    assert len(lines(evals)) == 4


def interrupted(evals: EvalProject, mode: str, how: signal.Signals) -> subprocess.CompletedProcess[str]:
    """A recording run that is ended while its second answer is waited for."""
    waiting = threading.Event()

    def respond(body: dict[str, Any]) -> Reply | Stall:
        if len(server.requests) == 1:
            return Reply(reply_json("First."))
        waiting.set()
        return Stall(60)

    with OpenAIServer(respond=respond) as server:
        process = start(
            *("eval", "scenarios", "-k", "asks", "--repeat", "2", "--concurrency", "1"),
            *("--model", f"openai:m@{server.base_url}", "--cassette", f"{mode}:{FILE}"),
            cwd=evals.folder,
            env={"OPENAI_API_KEY": KEY},
        )
        assert waiting.wait(30)
        process.send_signal(how)
        return process.done()


def test_an_interrupted_write_leaves_the_older_file_and_says_so(evals: EvalProject) -> None:
    """What it recorded is kept beside it, and taken up by the next fill."""
    with OpenAIServer(respond=polite) as server:
        evals.eval(server, "--cassette", f"write:{FILE}")
    before = (evals.folder / FILE).read_bytes()
    done = interrupted(evals, "write", signal.SIGINT)
    assert done.returncode == 130
    assert f"{FILE} is as it was, for not everything was asked; the 1 answers recorded" in done.stdout
    assert (evals.folder / FILE).read_bytes() == before
    with OpenAIServer(respond=polite) as server:
        done = evals.eval(server, "--cassette", f"fill:{FILE}", "-k", "declines")
    assert "those of 1 runs that were cut off taken up" in done.stdout
    assert "First." in (evals.folder / FILE).read_text(encoding="utf-8")
    assert [path.name for path in (evals.folder / FILE).parent.iterdir()] == ["calls.jsonl"]


def test_a_killed_run_loses_no_answer(evals: EvalProject) -> None:
    """Not even to kill -9, nor to a last line that was half written."""
    interrupted(evals, "fill", signal.SIGKILL)
    [part] = (evals.folder / FILE).parent.iterdir()
    with part.open("a", encoding="utf-8") as file:
        file.write('{"question": {"scen')
    with OpenAIServer(respond=polite) as server:
        evals.eval(server, "--cassette", f"fill:{FILE}", "-k", "declines")
    assert [take["question"]["scenario"] for take in lines(evals)[1:]] == ["asks", "declines", "declines"]


def test_two_runs_may_fill_one_file_at_once(evals: EvalProject) -> None:
    """Neither overwrites what the other recorded, and a living run's part is not taken from it."""
    evals.edit("scenarios/calls.yaml", "{say: hello}, ", "")
    evals.edit("scenarios/calls.yaml", "[2, 2]", "[1, 1]")
    with OpenAIServer(respond=lambda body: Reply(polite(body).text, latency=1.5)) as server:
        threads = [
            threading.Thread(target=evals.eval, args=(server, "--cassette", f"fill:{FILE}", "-k", name))
            for name in ("asks", "declines")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [take["question"]["scenario"] for take in lines(evals)[1:]] == ["asks", "declines"]


BROKEN: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    # name: what is done to the lines, what is said
    "no cassette": (lambda text: text[1:], f"{FILE}:1: is no cassette: it must begin with"),
    "another version": (
        lambda text: ['{"schema": "callbot.cassette/2"}', *text[1:]],
        f'{FILE}:1: schema: must be "callbot.cassette/1", found "callbot.cassette/2"',
    ),
    "half a line": (
        lambda text: [*text[:2], text[2][:40], *text[3:]],
        f"{FILE}:3: is no answer of a cassette",
    ),
    "conflict marks": (
        lambda text: [text[0], "<<<<<<< HEAD", *text[1:]],
        f"{FILE}:2: is no answer of a cassette",
    ),
    "a value that cannot be": (
        lambda text: [line.replace('"attempt": 1', '"attempt": 0') for line in text],
        f"{FILE}:2: question.attempt: is no answer of a cassette: Input should be greater than or equal to 1",
    ),
    "an answer twice": (lambda text: [*text, text[1]], f"{FILE}:5: question: has its answer above already"),
    "an edited text": (
        lambda text: [line.replace("Yes, go on.", "Yes.") for line in text],
        f"{FILE}:2: pieces: do not add up to text",
    ),
    "nothing": (lambda text: [], f"{FILE}:1: is no cassette"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("mode", ["read", "fill"])
def test_a_broken_file_is_named_with_its_line(
    case: str, mode: Mode, played: EvalProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks, said = BROKEN[case]
    path = played.folder / FILE
    path.write_text("\n".join([*breaks(path.read_text(encoding="utf-8").splitlines()), ""]), encoding="utf-8")
    monkeypatch.chdir(played.folder)
    with pytest.raises(CallbotError, match=re.escape(said)):
        Cassette.open(Path(FILE), mode, seed=0)


def test_a_broken_file_ends_a_run_before_it_begins(played: EvalProject) -> None:
    """Nothing is asked, no report is begun, and the file is left for whoever mends it."""
    path = played.write(FILE, (played.folder / FILE).read_text(encoding="utf-8")[:-30])
    before = path.read_bytes()
    done = played.eval("openai:m@http://127.0.0.1:9/v1", "--cassette", f"fill:{FILE}")
    assert done.returncode == 2
    assert f"{FILE}:4: is no answer of a cassette" in done.stderr
    assert path.read_bytes() == before
    assert played.reports() == []


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("read:x.jsonl", "there is no x.jsonl to read; record it with --cassette write:x.jsonl"),
        ("x.jsonl", '"x.jsonl" is not write:FILE, read:FILE or fill:FILE'),
        ("fill x.jsonl", "did you mean fill:x.jsonl?"),
        ("replay:x.jsonl", "is not write:FILE, read:FILE or fill:FILE"),
        ("fill:scenarios", "scenarios is a folder; name a file in it"),
    ],
)
def test_a_cassette_that_cannot_be(
    option: str, said: str, evals: EvalProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(evals.folder)
    with pytest.raises(CallbotError, match=re.escape(said)):  # noqa: PT012
        mode, path = parse_cassette(option)
        Cassette.open(path, mode, seed=0)


class Odd:
    """A model whose pieces are hard to keep: halves of an emoji, line separators, nothing."""

    name, latency, uses_prompt = "odd", 0.25, True

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    async def stream(self, request: Request) -> Any:
        for text in self.texts:
            yield Delta(text)
        yield Finished("refusal", 3, 4, detail="no\u2028no")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (("\ud83d", "\ude00 hello"), "😀 hello"),
        (("\ud83d alone",), "\ufffd alone"),
        (("a\u2028b", "", "c\x85\x00"), "a\u2028bc\x85\x00"),
        ((), ""),
    ],
)
async def test_any_text_plays_as_it_was_recorded(texts: tuple[str, ...], whole: str, tmp_path: Path) -> None:
    """What is spoken while recording is what is spoken ever after."""
    from openai_talk import question

    path = tmp_path / "x.jsonl"
    tapes = Cassette.open(path, "write", seed=1)
    first = [piece async for piece in tapes.model(Odd(*texts), "s", 1).stream(question())]
    tapes.save(complete=True)
    tapes = Cassette.open(path, "read", seed=1)
    again = [piece async for piece in tapes.model(Odd(), "s", 1).stream(question())]
    assert again == first
    assert "".join(piece.text for piece in first if isinstance(piece, Delta)) == whole
    assert first[-1] == Finished("refusal", 3, 4, "no\u2028no", 0, 0.25)
