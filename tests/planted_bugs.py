"""Plants bugs in the engine, one at a time, and sees whether the engine's tests notice.

    python tests/planted_bugs.py [WORD ...]

Each bug is applied to a copy of the package; the working tree is not touched. Prints KILLED (and by
which test) or SURVIVED for each, and exits with 1 if one survived or fits the source no more.
With words, only bugs whose names contain one of them are planted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORKERS = 2
PATIENCE = 180
"""Seconds for one bug. A bug that makes the engine go round for ever is found by this."""
ORDER = tuple(
    f"tests/test_{name}.py"
    for name in ("walks", "stories_found", "stories_caller", "stories_ending", "hostile")
)
"""Dice and stories first, for they are quick; hypothesis for what survives them."""
CALL, HISTORY, PLAYBACK, ENDING, RULES = "call.py", "history.py", "playback.py", "ending.py", "rules.py"


@dataclass(frozen=True, slots=True)
class Bug:
    """``old`` must stand exactly once in ``file``; ``new`` takes its place."""

    name: str
    file: str
    old: str
    new: str


BUGS = (
    # greeting
    Bug(
        "greets again when the line reports its start twice",
        CALL,
        "def _on_started(self, event: ev.CallStarted, now: float) -> None:\n        if self.phase is not Phase.IDLE:",
        "def _on_started(self, event: ev.CallStarted, now: float) -> None:\n        if self.phase is Phase.OVER:",
    ),
    Bug(
        "greets although the carrier has played the greeting",
        CALL,
        "        self.history.heard(greeting)\n        self.phase = Phase.TALKING",
        "        self._speak(greeting, now)\n        self.phase = Phase.GREETING",
    ),
    Bug(
        "barge-in cuts a greeting that must be heard whole",
        CALL,
        "elif self.phase is Phase.GREETING and self.rules.greeting_barge_in:",
        "elif self.phase is Phase.GREETING:",
    ),
    Bug(
        "greeting that was cut is resumed",
        CALL,
        "            self.playback.cut()\n            self.history.interrupted(0, SpeechKind.GREETING)",
        "            self.unsaid = self.playback.cut()\n            self.history.interrupted(0, SpeechKind.GREETING)",
    ),
    Bug(
        "answers before the greeting is over",
        CALL,
        "if self.phase is Phase.GREETING and not self.playback:",
        "if self.phase is Phase.GREETING:",
    ),
    Bug(
        "words said while the carrier played the greeting reach the model",
        CALL,
        "        self.said.clear()  # said while the carrier played",
        "        # said while the carrier played",
    ),
    Bug(
        "keys pressed while the carrier played the greeting reach the model",
        CALL,
        'it reaches nobody, on any line\n        self.keys = ""',
        "it reaches nobody, on any line",
    ),
    Bug(
        "restored call greets a second time",
        CALL,
        "self.unsaid.append(Utterance(self.rules.resume, SpeechKind.RESUME))",
        "self._speak(Utterance(self.rules.greeting, SpeechKind.GREETING), now)",
    ),
    # one voice
    Bug(
        "talks over the caller",
        CALL,
        "        if self.phase is Phase.TALKING and self._floor_is_free:\n            self._settle_talking(now)",
        "        if self.phase is Phase.TALKING:\n            self._settle_talking(now)",
    ),
    Bug(
        "a voice without words does not stop the bot",
        CALL,
        "        self._speech_sign = now\n        self._cut(now)",
        "        self._speech_sign = now",
    ),
    Bug(
        "farewell is cut by the caller",
        CALL,
        "        if self.phase is Phase.TALKING:\n            cut = self.playback.cut()",
        "        if self.phase in (Phase.TALKING, Phase.FAREWELL):\n            cut = self.playback.cut()",
    ),
    Bug(
        "sentence cut by a cough is never said again",
        CALL,
        "self.unsaid[:0] = [u for u in cut if u.kind is not SpeechKind.FILLER]",
        "pass",
    ),
    Bug(
        "cut sentences are said again in the wrong order",
        CALL,
        "self.unsaid[:0] = [u for u in cut if u.kind is not SpeechKind.FILLER]",
        "self.unsaid[:0] = [u for u in reversed(cut) if u.kind is not SpeechKind.FILLER]",
    ),
    Bug(
        "sentence cut by words is said again",
        CALL,
        "            self.unsaid.clear()\n            self.ending = None",
        "            self.ending = None",
    ),
    Bug(
        "cut filler is said again",
        CALL,
        "[u for u in cut if u.kind is not SpeechKind.FILLER]",
        "cut",
    ),
    Bug(
        "resumes over a caller who is speaking",
        CALL,
        "self.unsaid.append(Utterance(self.rules.resume, SpeechKind.RESUME))",
        "self._speak(Utterance(self.rules.resume, SpeechKind.RESUME), now)",
    ),
    # marks
    Bug(
        "any mark counts as heard",
        PLAYBACK,
        "while self.queue and self.queue[0].mark <= mark:",
        "while self.queue:",
    ),
    Bug(
        "mark of cleared audio counts as heard",
        PLAYBACK,
        "        unheard = list(self.queue)\n        self.queue.clear()\n        return unheard",
        "        return list(self.queue)",
    ),
    Bug(
        "marks are used twice",
        PLAYBACK,
        "        self._next_mark += 1\n        utterance.started = True",
        "        self._next_mark += 0 if utterance.started else 1\n        utterance.started = True",
    ),
    Bug(
        "mark proves only its own sentence, not those before it",
        PLAYBACK,
        "while self.queue and self.queue[0].mark <= mark:",
        "while self.queue and self.queue[0].mark == mark:",
    ),
    Bug(
        "length of queued audio is ignored",
        PLAYBACK,
        "                utterance.seconds = seconds",
        "                pass",
    ),
    Bug(
        "queued sentences are thought to play side by side",
        PLAYBACK,
        "max(now, self.queue[-1].ends if self.queue else now) + utterance.seconds",
        "now + utterance.seconds",
    ),
    Bug("no patience with a late mark", RULES, "MARK_GRACE = 3.0", "MARK_GRACE = 0.0"),
    Bug(
        "restored call uses its marks again",
        CALL,
        'call.playback = Playback(snapshot["mark"])',
        "call.playback = Playback()",
    ),
    # ending and hang-up
    Bug(
        "hangs up before the farewell was heard",
        CALL,
        "if self.phase is Phase.FAREWELL and not self.playback:",
        "if self.phase is Phase.FAREWELL:",
    ),
    Bug(
        "does not linger",
        CALL,
        "self.linger_until = now + self.rules.linger",
        "self.linger_until = now",
    ),
    Bug(
        "hangs up on a caller who speaks in the linger",
        CALL,
        "if self.phase is Phase.LINGER and self._floor_is_free:\n            self._settle",
        "if self.phase is Phase.LINGER:\n            self._settle",
    ),
    Bug(
        "a caller's goodbye ends the call",
        CALL,
        "        self._interrupt_reply()\n        self.turn.held = None",
        "        self._interrupt_reply()\n        if 'goodbye' in said.text:\n"
        "            self.ending = Ending(EndedBy.MODEL)\n            return\n        self.turn.held = None",
    ),
    Bug(
        "a bot's goodbye ends the call",
        CALL,
        "        if not reply.control.should_end_call:\n",
        "        if any('oodbye' in u.text for u in self.playback.queue):\n"
        "            self.ending = Ending(EndedBy.MODEL)\n        elif not reply.control.should_end_call:\n",
    ),
    Bug(
        "ends without a word when the model has none",
        CALL,
        "self.unsaid.append(Utterance(self.rules.goodbye, SpeechKind.CLOSING))",
        "pass",
    ),
    Bug(
        "second farewell after a reprieve",
        CALL,
        "if not self.turn.spoke and self.turn.cause is not Occasion.AFTER_FAREWELL:",
        "if not self.turn.spoke:",
    ),
    Bug(
        "one reprieve too many",
        CALL,
        "self.reprieves < self.rules.reprieves",
        "self.reprieves <= self.rules.reprieves",
    ),
    Bug(
        "one reprieve too few",
        CALL,
        "self.reprieves < self.rules.reprieves",
        "self.reprieves + 1 < self.rules.reprieves",
    ),
    Bug("reprieves are not counted", CALL, "            self.reprieves += 1\n", ""),
    Bug(
        "reprieves are forgotten in a crash",
        CALL,
        'snapshot["reprieves"], snapshot["failures"]',
        '0, snapshot["failures"]',
    ),
    Bug(
        "limit is talked out of",
        CALL,
        "return self.by in (EndedBy.MODEL, EndedBy.SILENCE)",
        "return self.by is not EndedBy.CALLER",
    ),
    Bug(
        "closing sentence of the silence rule is final",
        CALL,
        "return self.by in (EndedBy.MODEL, EndedBy.SILENCE)",
        "return self.by is EndedBy.MODEL",
    ),
    Bug(
        "goes on after the end",
        CALL,
        "        if self.phase is Phase.OVER:\n            return []\n",
        "",
    ),
    Bug(
        "lets the model think on after the caller left",
        CALL,
        "        self._interrupt_reply()\n        self._stop_asking()\n        if self.keys:",
        "        self._interrupt_reply()\n        if self.keys:",
    ),
    # stale replies
    Bug(
        "stale control is accepted",
        CALL,
        "        if not self._is_current(event.turn):\n            return",
        "        if not self.turn.asking:\n            return",
    ),
    Bug(
        "stale words are spoken",
        CALL,
        "if self._is_current(event.turn) and event.text.strip():",
        "if self.turn.asking and event.text.strip():",
    ),
    Bug(
        "failure of an old turn fails the new one",
        CALL,
        "        if self._is_current(event.turn):\n            self.turn.asking = False\n            self._fail",
        "        if self.turn.asking:\n            self.turn.asking = False\n            self._fail",
    ),
    Bug(
        "reply that waits for a noise survives the caller's words",
        CALL,
        "        self._interrupt_reply()\n        self.turn.held = None\n",
        "        self._interrupt_reply()\n",
    ),
    Bug(
        "overtaken question is not taken back",
        CALL,
        "            self.turn.asking = False\n            self._out.append(ev.CancelModel(self.turn.number))",
        "            self.turn.asking = False",
    ),
    # history
    Bug(
        "caller utterance stands twice in the history",
        CALL,
        "    def _put_to_model(self, occasion: Occasion, now: float) -> None:\n"
        "        self.history.caller_said(self.said)\n        self.said.clear()",
        "    def _put_to_model(self, occasion: Occasion, now: float) -> None:\n"
        "        self.history.caller_said(self.said)",
    ),
    Bug(
        "cut sentence stands in the history",
        CALL,
        "            cut = self.playback.cut()\n",
        "            cut = self.playback.cut()\n            for u in cut:\n                self.history.heard(u)\n",
    ),
    Bug(
        "interruption leaves no mark",
        CALL,
        "            self.history.interrupted(cut_off)",
        "            pass",
    ),
    Bug(
        "reply broken off while it was written leaves no mark",
        CALL,
        "            self.history.interrupted(self.turn.number)",
        "            pass",
    ),
    Bug(
        "sentences after an interruption join what was interrupted",
        HISTORY,
        "last.turn == utterance.turn != 0 and not last.interrupted:",
        "last.turn == utterance.turn:",
    ),
    Bug(
        "control that comes after the words is lost to the history",
        HISTORY,
        "self.entries[index] = replace(entry, control=reply.control, lead=reply.lead)",
        "pass",
    ),
    Bug(
        "words over the farewell are forgotten when the call ends",
        CALL,
        "        elif now >= self.linger_until:\n            self.history.caller_said(self.said)\n",
        "        elif now >= self.linger_until:\n",
    ),
    Bug(
        "refused model is not shown its own words",
        CALL,
        "if u.turn == turn.refused]",
        "if u.turn == turn.number]",
    ),
    # silence
    Bug(
        "noise resets the silence clock",
        CALL,
        "        self._speech_since = None\n        if text :=",
        "        self._speech_since = None\n        self.quiet_since = now\n        if text :=",
    ),
    Bug(
        "noise resets the count of silences",
        CALL,
        "        self._speech_since = None\n        if text :=",
        "        self._speech_since = None\n        self.silences = 0\n        if text :=",
    ),
    Bug(
        "words do not reset the count of silences",
        CALL,
        "        self.said.append(said)\n        self.silences = 0\n",
        "        self.said.append(said)\n",
    ),
    Bug(
        "silence clock runs from the end of thinking, not of playback",
        CALL,
        "            self.history.heard(utterance)\n            self.quiet_since = now",
        "            self.history.heard(utterance)",
    ),
    Bug(
        "one warning too many",
        CALL,
        "if self.silences <= self.rules.silence_warnings:",
        "if self.silences <= self.rules.silence_warnings + 1:",
    ),
    Bug(
        "one warning too few",
        CALL,
        "if self.silences <= self.rules.silence_warnings:",
        "if self.silences < self.rules.silence_warnings:",
    ),
    Bug(
        "caller is timed out while the bot thinks",
        CALL,
        "        elif self.turn.asking:\n            self._hurry(now)\n        elif self.is_quiet and",
        "        elif self.turn.asking and now < self.quiet_since + self.rules.silence_after:\n"
        "            self._hurry(now)\n        elif not self.playback and",
    ),
    Bug(
        "caller is timed out while the bot speaks",
        CALL,
        "            and not self.playback\n            and not self.unsaid\n            and not self.turn.asking",
        "            and not self.unsaid\n            and not self.turn.asking",
    ),
    Bug(
        "caller is timed out before a cut sentence was said again",
        CALL,
        "            and not self.unsaid\n            and not self.turn.asking",
        "            and not self.turn.asking",
    ),
    Bug(
        "model that will not end a silent call keeps it",
        CALL,
        "            if not self._close_if_silence_is_over(now):\n                self._fill_empty_reply()\n            return",
        "            self._fill_empty_reply()\n            return",
    ),
    Bug(
        "silence ends without a sentence",
        CALL,
        "self._end_with(Ending(EndedBy.SILENCE, NO_RESPONSE), self.rules.close)",
        "self.ending = Ending(EndedBy.SILENCE, NO_RESPONSE)",
    ),
    # waits
    Bug(
        "open speech has no deadline",
        CALL,
        "wait for wait in (self._speech_deadline, self.playback.lost_mark_deadline) if",
        "wait for wait in (self.playback.lost_mark_deadline,) if",
    ),
    Bug(
        "lost mark has no deadline",
        CALL,
        "wait for wait in (self._speech_deadline, self.playback.lost_mark_deadline) if",
        "wait for wait in (self._speech_deadline,) if",
    ),
    Bug(
        "keys have no deadline",
        CALL,
        "            waits.append(self.keys_at + KEYS_PAUSE)",
        "            pass",
    ),
    Bug(
        "linger has no deadline",
        CALL,
        "            waits.append(self.linger_until)",
        "            pass",
    ),
    Bug(
        "turn has no deadline",
        CALL,
        "            waits.append(self.turn.deadline)\n",
        "",
    ),
    Bug(
        "silence has no deadline",
        CALL,
        "            waits.append(self.quiet_since + self.rules.silence_after)",
        "            pass",
    ),
    Bug(
        "keys are never put to the model",
        CALL,
        "        if self.keys and now >= self.keys_at + KEYS_PAUSE:",
        "        if self.keys and self.keys.endswith('#') and now >= self.keys_at + KEYS_PAUSE:",
    ),
    Bug(
        "open speech closes although the caller goes on",
        CALL,
        "min(self._speech_sign + SPEECH_WITHOUT_WORDS, self._speech_since + SPEECH_LIMIT)",
        "self._speech_since + SPEECH_WITHOUT_WORDS",
    ),
    Bug(
        "radio in the room keeps the floor for ever",
        CALL,
        "min(self._speech_sign + SPEECH_WITHOUT_WORDS, self._speech_since + SPEECH_LIMIT)",
        "self._speech_sign + SPEECH_WITHOUT_WORDS",
    ),
    Bug(
        "stuck key keeps the floor for ever",
        CALL,
        "        if len(self.keys) < KEYS_LIMIT:\n            self.keys_at = now",
        "        self.keys_at = now",
    ),
    # slow and failing models
    Bug(
        "filler twice in one turn",
        CALL,
        "self.filled = (self.filled[0], True)",
        "self.filled = (True, self.filled[1])",
    ),
    Bug(
        "filler in two turns in a row",
        CALL,
        "self.filled = (self.filled[1], False)",
        "self.filled = (False, False)",
    ),
    Bug(
        "filler after the reply has begun",
        CALL,
        "            and not self.turn.spoke\n            and not any",
        "            and not any",
    ),
    Bug(
        "filler over the caller",
        CALL,
        "            and not self.unsaid\n            and self._floor_is_free\n        )\n\n    # --- what",
        "            and not self.unsaid\n        )\n\n    # --- what",
    ),
    Bug(
        "fallback is asked again and again",
        CALL,
        "if self.rules.has_fallback and not self.turn.fell_back:",
        "if self.rules.has_fallback:",
    ),
    Bug(
        "fallback is never asked",
        CALL,
        "if self.rules.has_fallback and not self.turn.fell_back:",
        "if self.rules.has_fallback and self.turn.fell_back:",
    ),
    Bug(
        "fallback answers under the failed turn's number",
        CALL,
        "            self.turn.number += 1\n",
        "",
    ),
    Bug("one failure ends the call", RULES, "FAILURES_TO_END = 2", "FAILURES_TO_END = 1"),
    Bug("two failures do not end the call", RULES, "FAILURES_TO_END = 2", "FAILURES_TO_END = 3"),
    Bug(
        "failures add up over the whole call",
        CALL,
        "        self.failures = 0\n        self.control",
        "        self.control",
    ),
    Bug(
        "reply that comes to nothing leaves the caller in silence",
        CALL,
        "self.unsaid.append(Utterance(self.rules.repeat, SpeechKind.APOLOGY))",
        "pass",
    ),
    # limits
    Bug(
        "limit ends without a sentence",
        CALL,
        "self._end_with(Ending(EndedBy.LIMIT), self.rules.limit)",
        "self.ending = Ending(EndedBy.LIMIT)",
    ),
    Bug(
        "one turn too many",
        CALL,
        "        if self.turns >= self.rules.limit_turns:\n            self._reach",
        "        if self.turns > self.rules.limit_turns:\n            self._reach",
    ),
    Bug(
        "time limit is looked at only in silence",
        CALL,
        "if self.limit_at is not None and now >= self.limit_at:\n            self._reach",
        "if self.limit_at is not None and now >= self.limit_at and self.is_quiet:\n            self._reach",
    ),
    Bug(
        "time limit starts again after a crash",
        CALL,
        'call.started_at = now - snapshot["elapsed"]',
        "call.started_at = now",
    ),
    Bug(
        "turns start again after a crash",
        CALL,
        '        call.turns = snapshot["turns"]\n',
        "",
    ),
    # the guard and the lead
    Bug(
        "guard accepts lead_complete with a field missing",
        ENDING,
        "lacking = [name for name in needed if name not in captured]",
        "lacking = [name for name in needed[1:] if name not in captured]",
    ),
    Bug(
        "guard believes customer_declined",
        ENDING,
        "            if control.lead_status == LeadStatus.DECLINED:\n                return None\n            return f",
        "            if control.lead_status:\n                return None\n            return f",
    ),
    Bug(
        "guard accepts no_response from a caller who speaks",
        ENDING,
        "return None if silence_is_over else",
        "return None if True else",
    ),
    Bug(
        "guard never accepts no_response",
        ENDING,
        "return None if silence_is_over else",
        "return None if False else",
    ),
    Bug(
        "guard accepts a reason nobody declared",
        ENDING,
        '            return f"{reason} is no end reason of this business"',
        "            return None",
    ),
    Bug(
        "guard accepts an end without a reason",
        ENDING,
        '            return "a request to end needs an end_reason"',
        "            return None",
    ),
    Bug(
        "second refusal asks a third time",
        CALL,
        "        if self.turn.occasion is Occasion.END_REFUSED:\n            self._fill_empty_reply()\n        else:",
        "        if False:\n            self._fill_empty_reply()\n        else:",
    ),
    Bug(
        "refused request is not asked again",
        CALL,
        "            self._ask(Occasion.END_REFUSED, now, why)",
        "            self._fill_empty_reply()",
    ),
    Bug(
        "model is not told why its request was refused",
        CALL,
        "self._ask(Occasion.END_REFUSED, now, why)",
        "self._ask(Occasion.END_REFUSED, now)",
    ),
    Bug(
        "asking again gets a new budget",
        CALL,
        "previous.started, now + previous.budget_left",
        "previous.started, self.turn.deadline",
    ),
    Bug(
        "lead of a reply that says nothing new is erased",
        CALL,
        "        self.lead.update(changed)\n",
        "        self.lead = dict(reply.lead)\n",
    ),
    Bug(
        "lead is saved although nothing changed",
        CALL,
        "if changed or status != self.lead_status:",
        "if reply.lead or status != self.lead_status:",
    ),
    Bug(
        "model's word is taken for the lead's status",
        ENDING,
        "    if all(name in captured for name in required):\n        return LeadStatus.COMPLETE\n",
        "    if control is not None and control.lead_status == LeadStatus.COMPLETE:\n"
        "        return LeadStatus.COMPLETE\n",
    ),
    Bug(
        "drift of missing fields is not noticed",
        ENDING,
        "if missing != set(control.missing_fields):",
        "if len(missing) != len(control.missing_fields):",
    ),
    Bug(
        "premature claim of a complete lead is not noticed",
        ENDING,
        "if (claims_complete and missing) or",
        "if",
    ),
    # snapshots
    Bug(
        "unanswered words are not asked again after a crash",
        CALL,
        "if not self.turn.spoke and self.history.entries:",
        "if self.turn.spoke and self.history.entries:",
    ),
    Bug(
        "words not yet put to the model are lost in a crash",
        CALL,
        "for entry in [*self.history.entries, *self.said]],",
        "for entry in self.history.entries],",
    ),
    Bug(
        "answer that was on the air counts as heard after a crash",
        CALL,
        "or self.unsaid or self.playback or self.said)",
        "or self.unsaid or self.said)",
    ),
    Bug(
        "reading the deadline moves it",
        CALL,
        "        if self.is_quiet:\n            waits",
        "        if self.is_quiet:\n            self.quiet_since += 0.001\n            waits",
    ),
)


def killer_of(bug: Bug) -> str | None:
    """The first test that fails with this bug; None if none does."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "callbot"
        shutil.copytree(ROOT / "callbot", package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "tests" / "engine", Path(folder) / "tests")
        source = package / bug.file
        source.write_text(source.read_text(encoding="utf-8").replace(bug.old, bug.new), encoding="utf-8")
        environment = {
            **os.environ,
            "PLANTED_BUG": "1",
            "CI": "true",
            "PYTHONPATH": folder,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            run = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-x",
                    "-q",
                    "--tb=no",
                    "-rf",
                    "-p",
                    "no:cacheprovider",
                    *ORDER,
                ],
                cwd=folder,
                env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return f"the tests came to no end in {PATIENCE} s"
    if run.returncode == 0:
        return None
    if run.returncode != 1:
        raise RuntimeError(f"{bug.name}: the tests did not run\n{run.stdout}{run.stderr}")
    failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0].split("::", 1)[-1]


def misfits(bugs: tuple[Bug, ...]) -> list[str]:
    """Bugs whose text no longer stands exactly once in its file."""
    found = []
    for bug in bugs:
        count = (ROOT / "callbot" / bug.file).read_text(encoding="utf-8").count(bug.old)
        if count != 1:
            found.append(f"MISFIT    {bug.name}: its text stands {count} times in {bug.file}")
    return found


def main(words: list[str]) -> int:
    """Plant them all; how it went, as an exit code."""
    bugs = tuple(bug for bug in BUGS if not words or any(word in bug.name for word in words))
    wrong = misfits(bugs)
    for line in wrong:
        print(line)
    if wrong or not bugs:
        return 1
    started = time.monotonic()
    survivors = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for bug, killer in zip(bugs, pool.map(killer_of, bugs), strict=True):
            survivors += killer is None
            print(f"KILLED    {bug.name}  ({killer})" if killer else f"SURVIVED  {bug.name}", flush=True)
    seconds = time.monotonic() - started
    print(f"{len(bugs) - survivors} of {len(bugs)} planted bugs killed in {seconds:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
