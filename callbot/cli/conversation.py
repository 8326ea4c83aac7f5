"""The work behind ``callbot chat``: one call on the text line, shown and saved."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from callbot import events as ev
from callbot.business import Business, rules_of
from callbot.call import Call
from callbot.cli.outputs import check_writable
from callbot.config import Settings
from callbot.driver import Dialogue, Driver, ManualClock
from callbot.errors import CallbotError
from callbot.fields import check_caller_number
from callbot.files import write_whole
from callbot.lines.text import ReadLine, TextLine
from callbot.lookup import DEFAULT_PROMPTS_DIR, business_files, find_business
from callbot.models.base import Model
from callbot.models.registry import default_model, make_model
from callbot.record import Record, header
from callbot.reporting.bidi import for_terminal

_SHOWN_NOTES = {
    "end_refused": "guard refused the end: {why}",
    "reply_failed": "the model failed: {error}",
    "contract_fault": "contract fault: {fault}",
    "invalid_value": "not a valid {field}: {value}",
    "mark_lost": "a mark was lost",
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one ``callbot chat`` was asked for."""

    business: str | None
    caller_number: str | None
    quiet: bool
    settings: Settings


def hold(conversation: Conversation) -> None:
    """Hold the conversation and save it. Raises CallbotError for what cannot be started or saved."""
    settings = conversation.settings
    check_caller_number(conversation.caller_number)
    business = _business(conversation)
    call_id = f"chat-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    place = settings.recordings_dir / "calls" / call_id / "record.jsonl"
    check_writable(place)
    name = settings.model or default_model()
    model = make_model(name)
    fallback = _fallback(settings, name)
    screen = ChatScreen(settings.bidi, quiet=conversation.quiet)
    screen.opening(business, model, fallback, chosen=settings.model is not None)
    clock = ManualClock()
    rules = rules_of(business, has_fallback=fallback is not None)
    line = TextLine(rules, clock, screen, _keyboard(screen))
    record = Record(
        header(
            call_id=call_id,
            rules=rules,
            business=business.id,
            model=model.name,
            line="text",
            caller_number=conversation.caller_number,
            started_at=dt.datetime.now(dt.UTC).isoformat(),
        )
    )

    def watch(t: float, what: ev.Event | ev.Command, call: Call) -> None:
        screen.happened(what)
        line.follow(call)

    zone = ZoneInfo(business.timezone)
    dialogue = Dialogue(
        business, model, fallback, conversation.caller_number, wall_clock=lambda: dt.datetime.now(zone)
    )
    call = Call(rules)
    try:
        asyncio.run(_run(Driver(call, line, dialogue, record, clock=clock, observe=watch), (model, fallback)))
    except KeyboardInterrupt:
        now = clock.now()
        record.event(now, ev.CallerHungUp())
        for command in call.receive(ev.CallerHungUp(), now):
            record.command(now, command)
    screen.closing(call)
    screen.saved(_save(record, place, settings.database))


async def _run(driver: Driver, models: tuple[Model | None, ...]) -> None:
    try:
        await driver.run()
    finally:
        for model in models:
            if model is not None:
                await model.close()


def _business(conversation: Conversation) -> Business:
    settings = conversation.settings
    if conversation.business is not None:
        return find_business(conversation.business, settings.prompts_dir, settings.database)
    known = list(business_files(settings.prompts_dir or DEFAULT_PROMPTS_DIR))
    if len(known) != 1:
        listed = (
            f"one of {', '.join(known)}" if known else "there are none in prompts/; callbot init makes one"
        )
        raise CallbotError(f"say which business to call: {listed}")
    return find_business(known[0], settings.prompts_dir, settings.database)


def _fallback(settings: Settings, model: str) -> Model | None:
    name = settings.fallback or ("offline" if model.startswith("openai") else None)
    return make_model(name) if name is not None and name != model else None


def _keyboard(screen: ChatScreen) -> ReadLine:
    """Lines of standard input, read by a daemon thread so that Ctrl-C is never kept waiting."""
    typed = sys.stdin.isatty()

    async def read() -> str | None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def deliver(line: str | None) -> None:
            if not answer.done():
                answer.set_result(line)

        def ask() -> None:
            try:
                line: str | None = input(screen.PROMPT if typed else "")
            except (EOFError, UnicodeDecodeError):
                line = None
            try:
                loop.call_soon_threadsafe(deliver, line)
            except RuntimeError:
                return  # the call is over and its loop closed; nobody waits for this line

        threading.Thread(target=ask, daemon=True).start()
        line = await answer
        if line is not None and not typed:
            screen.user_said(line)
        return line

    return read


class ChatScreen:
    """A text call on a terminal: one utterance a line, what the model decided in dim lines below it."""

    PROMPT = "you> "
    """What stands before the user's typing."""

    def __init__(self, bidi: str, *, quiet: bool) -> None:
        self._console = Console(highlight=False)
        self._bidi, self._quiet = bidi, quiet
        self._control: ev.Control | None = None

    def opening(self, business: Business, model: Model, fallback: Model | None, *, chosen: bool) -> None:
        """Say who answers, and who answers when that fails."""
        if self._quiet:
            return
        why = (
            ""
            if chosen or model.name != "offline"
            else " (embedded; no --model named, no OPENAI_API_KEY set)"
        )
        then = f", and {fallback.name} if it fails" if fallback else ""
        self._aside(
            f"{business.id}, model {model.name}{then}{why}. /silence 9, /interrupt, /press 1, /hangup"
        )

    def bot_said(self, text: str, speech: ev.SpeechKind) -> None:
        """Show an utterance of the bot."""
        label = (
            "bot> " if speech in (ev.SpeechKind.REPLY, ev.SpeechKind.GREETING) else f"bot ({speech.value})> "
        )
        self._put(Text.assemble((label, "bold cyan"), for_terminal(text, self._bidi)))  # type: ignore[arg-type]

    def user_said(self, text: str) -> None:
        """Show what came from a pipe, where typing leaves no trace."""
        self._put(Text.assemble((self.PROMPT, "bold"), for_terminal(text, self._bidi)))  # type: ignore[arg-type]

    def hint(self, text: str) -> None:
        """Show help."""
        self._aside(text)

    def happened(self, what: ev.Event | ev.Command) -> None:
        """Show what the model decided and what changed, unless quiet."""
        if self._quiet:
            return
        if isinstance(what, ev.ReplyDone) and what.control != self._control:
            self._control = what.control
            self._aside(_control_line(what.control))
        elif isinstance(what, ev.AskModel) and what.fallback:
            self._aside("the fallback model answers this turn", style="yellow")
        elif isinstance(what, ev.SaveLead):
            values = ", ".join(f"{name}: {value}" for name, value in what.lead.items())
            self._aside(f"lead {what.status}: {values or 'nothing yet'}")
        elif isinstance(what, ev.Note) and what.type in _SHOWN_NOTES:
            self._aside(_SHOWN_NOTES[what.type].format_map(what.data), style="yellow")

    def closing(self, call: Call) -> None:
        """Say how the call ended."""
        assert call.ending is not None
        reason = f": {call.ending.reason}" if call.ending.reason else ""
        self._aside(f"call ended by {call.ending.by.value}{reason}; lead {call.lead_status}")

    def saved(self, place: str) -> None:
        """Say where everything is."""
        self._aside(place)

    def _aside(self, text: str, style: str = "dim") -> None:
        for line in text.splitlines():
            self._put(Text(f"     {for_terminal(line, self._bidi)}", style=style))  # type: ignore[arg-type]

    def _put(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def _control_line(control: ev.Control) -> str:
    wants = f"ENDS {control.end_reason}" if control.should_end_call else "goes on"
    missing = f"; missing {', '.join(control.missing_fields)}" if control.missing_fields else ""
    notes = f"; {control.notes}" if control.notes else ""
    return f"control: {wants}; {control.lead_status}{missing}{notes}"


def _save(record: Record, path: Path, database: str) -> str:
    """Write the Record first, so that a database that fails loses nothing."""
    write_whole(path, record.to_jsonl())
    from callbot.store.database import open_store

    try:
        with open_store(database) as store:
            store.calls.save_record(record)
    except CallbotError as error:
        raise CallbotError(f"the call is kept in {path}, but could not be stored: {error}") from error
    return f"saved as {record.header['call']}: {path} and the database (callbot calls show {record.header['call']})"
