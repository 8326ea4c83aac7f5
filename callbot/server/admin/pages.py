"""What the operator's pages show, in words, and how it becomes HTML. Blocking: called in a thread."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from callbot.business import Business
from callbot.certificate import GOES_BY, Certificate, greeting_certificate
from callbot.events import EndedBy, LeadStatus
from callbot.record import Record
from callbot.reporting import markup
from callbot.reporting.bidi import direction
from callbot.reporting.view import NONE
from callbot.server.admin.turns import Course, Decision, Heard, Said, Turn
from callbot.store.calls import CallInfo
from callbot.store.database import Store
from callbot.store.leads import Lead
from callbot.store.overview import BROKE_OFF, Cursor, ListedCall, Page, Wanted
from callbot.suspicion import MEANING

TEMPLATES = Path(__file__).parent / "templates"
CALLS = "/admin"
PAGE = 25
"""Past calls on a page."""
RUNNING = 100
"""Calls in progress that are shown."""

STATES = {"talking": "on the phone", "opening": "opening", "lost": "line lost", "over": "over"}
ENDERS: Mapping[str | None, str] = {
    EndedBy.MODEL: "the bot",
    EndedBy.CALLER: "the caller",
    EndedBy.SILENCE: "silence",
    EndedBy.LIMIT: "the limit",
    EndedBy.FAILURE: "failure",
    None: "broke off",
}
_HOW: Mapping[str | None, str] = {
    EndedBy.MODEL: "The bot ended it",
    EndedBy.CALLER: "The caller hung up",
    EndedBy.SILENCE: "Nobody answered any more; the bot said so and hung up",
    EndedBy.LIMIT: "It had reached its limit; the bot said so and hung up",
    EndedBy.FAILURE: "Nobody could answer the caller any more; the bot apologised and hung up",
    None: "It broke off: the line was lost, and nobody said how it ended",
}
GREETINGS = {"pass": "heard", "fail": "faulty", "caller_left": "caller left"}
"""What a certificate comes to in a list."""


Certified = dict[tuple[str, bool], Certificate | None]
"""Certificates by call, and whether it was over when it was judged."""


@dataclass(frozen=True, slots=True)
class Row:
    """A call in a list. ``greeting``: None where nothing is kept of it."""

    call: ListedCall
    greeting: Certificate | None


@dataclass(frozen=True, slots=True)
class Found:
    """Calls in progress, and a page of past ones."""

    running: tuple[ListedCall, ...]
    past: Page


@dataclass(frozen=True, slots=True)
class Listing:
    """The list as somebody asked for it."""

    running: list[Row]
    past: list[Row]
    older: str | None
    """Address of the next page."""
    first: bool
    """Nothing newer is left out."""
    wanted: Wanted

    @property
    def newest(self) -> str:
        """Address of the first page."""
        return CALLS + query_of(self.wanted)

    @property
    def filtered(self) -> bool:
        """Whether some calls are not asked for."""
        return self.wanted != Wanted()


@dataclass(slots=True)
class CallView:
    """One call. ``business``: None if it is not known any more."""

    call: ListedCall
    header: Mapping[str, Any]
    course: Course
    record: Record
    business: Business | None = None
    lead: Lead | None = None
    seen_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    """When somebody began to look: until when a call in progress is measured, so that what is sent of
    it changes only with the call. Browsers count on by themselves."""

    @property
    def info(self) -> CallInfo:
        """Its row."""
        return self.call.info

    @property
    def live(self) -> bool:
        """Whether more may happen."""
        return self.call.state != "over"

    @property
    def turns(self) -> list[Turn]:
        """Turns in which anything has happened."""
        return [turn for turn in self.course.turns if turn.items]

    @property
    def spoken(self) -> bool:
        """Whether anything is known of what was said."""
        return bool(self.record.entries)

    @property
    def greeting(self) -> Certificate | None:
        """Its certificate; None while it cannot be judged, and when its words are not kept."""
        return greeting_certificate(self.record) if self.spoken and may_be_judged(self.call) else None

    @property
    def recordings(self) -> list[str]:
        """Files of its sound, on the machine that recorded them."""
        return [str(data["file"]) for _, data in self.record.notes("recorded")]

    @property
    def dir(self) -> str:
        """The side from which the talk is read: that of the greeting."""
        return direction(str(self.header.get("rules", {}).get("greeting", "")))

    @property
    def fields(self) -> Mapping[str, Any]:
        """The lead; of a call whose words are not kept, the one in the store."""
        return self.course.turns[-1].lead or (self.lead.fields if self.lead else {})

    def label(self, name: str) -> str:
        """What the business calls a field."""
        known = {one.name: one.label for one in self.business.fields} if self.business else {}
        return known.get(name) or worded(name)

    @property
    def transfer(self) -> str | None:
        """The number that the caller was connected to after the call."""
        if self.business is None or self.info.ended_by != EndedBy.MODEL:
            return None
        then = {reason.name: reason.then for reason in self.business.end_reasons}
        found = then.get(self.info.end_reason or "")
        return found.dial if found else None

    @property
    def how(self) -> str:
        """How it ended, in a sentence."""
        reason = f": {worded(self.info.end_reason)}" if self.info.end_reason else ""
        return f"{_HOW.get(self.info.ended_by, 'It is over')}{reason}."

    @property
    def unheard(self) -> bool:
        """The bot hung up although its last words were not heard to their end."""
        if self.info.ended_by in (None, EndedBy.CALLER):
            return False
        words = [i for t in self.course.turns for i in t.items if isinstance(i, Said) and i.speaker == "bot"]
        return bool(words) and words[-1].heard not in ("heard", "assumed")

    def heard(self, said: Said) -> Heard:
        """What became of words; nobody will say any more of a call that is over."""
        return "assumed" if not self.live and said.heard in ("waiting", "speaking") else said.heard

    def guard(self, decision: Decision) -> tuple[str, str]:
        """What became of a request to end: a class, and words."""
        match decision.guard:
            case "accepted":
                return "ok", "accepted"
            case "refused":
                return "bad", f"refused: {decision.why}"
            case "withdrawn":
                return "", "dropped: the caller spoke first"
            case "asked" if self.info.ended_by == EndedBy.MODEL:
                return "ok", "accepted"
            case "asked" if self.live:
                return "", "waits until the last words are heard"
            case "asked":
                return "", "not carried out"
            case _:
                return "", ""


def may_be_judged(call: ListedCall) -> bool:
    """Whether the greeting is over, one way or another: it is before anything is answered."""
    return call.state == "over" or call.info.turns > 0


def worded(name: object) -> str:
    """A name as words."""
    return "" if name is None else str(name).replace("_", " ")


def clock(seconds: float) -> str:
    """A length as minutes and seconds, or with hours."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def length(call: ListedCall, seen_at: dt.datetime | None = None) -> str:
    """How long a call has lasted, until it ended or is seen (now)."""
    end = call.info.ended_at
    if end is None and call.state == "over":
        return NONE
    return clock(((end or seen_at or dt.datetime.now(dt.UTC)) - call.info.started_at).total_seconds())


def address(call_id: str) -> str:
    """A call's page."""
    return f"{CALLS}/calls/{quote(call_id, safe='')}"


def cursor_text(cursor: Cursor) -> str:
    """A place in the list, for an address."""
    return f"{cursor.started_at.isoformat()}~{cursor.call_id or ''}"


def cursor_of(text: str) -> Cursor:
    """The place that an address names. Raises ValueError."""
    time, _, call_id = text.partition("~")
    started_at = dt.datetime.fromisoformat(time)
    if started_at.tzinfo is None:
        raise ValueError("a place in the list has a zone")
    return Cursor(started_at, call_id or None)


def query_of(wanted: Wanted, cursor: Cursor | None = None) -> str:
    """The address of a list."""
    named = {
        "q": wanted.text,
        "business": wanted.business,
        "ended_by": wanted.ended_by,
        "lead": wanted.lead_status,
        "suspect": "1" if wanted.suspect else None,
        "before": cursor_text(cursor) if cursor else None,
    }
    text = urlencode({name: value for name, value in named.items() if value})
    return f"?{text}" if text else ""


# --- what the store says ----------------------------------------------------------------------------
def found_calls(store: Store, wanted: Wanted, after: Cursor | None) -> Found:
    """Which calls there are. Raises StoreError."""
    return Found(store.overview.in_progress(RUNNING), store.overview.past(wanted, after, PAGE))


def listing(
    store: Store, found: Found, wanted: Wanted, after: Cursor | None, certified: Certified
) -> Listing:
    """What is told of them. Raises StoreError.

    ``certified``: what is known of greetings, and is not judged again; more is added.
    """
    calls = {_judged(call): call for call in (*found.running, *found.past.calls) if may_be_judged(call)}
    new = [call_id for call_id, over in calls.keys() - certified.keys()]
    records = store.overview.records(new, GOES_BY) if new else {}
    for key in calls.keys() - certified.keys():
        record = records.get(key[0])
        certified[key] = greeting_certificate(record) if record else None
    return Listing(
        [Row(call, certified.get(_judged(call))) for call in found.running],
        [Row(call, certified.get(_judged(call))) for call in found.past.calls],
        CALLS + query_of(wanted, found.past.next) if found.past.next else None,
        after is None,
        wanted,
    )


def _judged(call: ListedCall) -> tuple[str, bool]:
    return call.info.id, call.state == "over"


# --- HTML -------------------------------------------------------------------------------------------
class Pages:
    """The templates. Everything in them is escaped."""

    def __init__(self) -> None:
        self._templates = markup.environment(TEMPLATES)
        self._templates.filters |= {"worded": worded, "address": address, "clock": clock}
        style = [markup.source("transcript.css"), markup.source("admin.css", TEMPLATES)]
        self.files = {
            "admin.css": ("\n".join(style).encode(), "text/css"),
            "admin.js": (markup.source("admin.js", TEMPLATES).encode(), "text/javascript"),
        }
        """What pages load, by name: content and type."""
        self._templates.globals |= {
            "files": {name: f"{CALLS}/static/{name}?{self.tag(name)}" for name in self.files},
            "states": STATES,
            "enders": ENDERS,
            "greetings": GREETINGS,
            "meaning": MEANING,
            "length": length,
            "ended_by": {name or BROKE_OFF: words for name, words in ENDERS.items()},
            "lead_statuses": {str(status): worded(status) for status in LeadStatus},
        }

    def tag(self, name: str) -> str:
        """What changes with a file's content."""
        return hashlib.sha256(self.files[name][0]).hexdigest()[:16]

    def login(self, back: str, problem: str = "") -> str:
        """The form that asks for the token. ``back``: where it leads."""
        return self._page("login", back=back, problem=problem)

    def problem(self, title: str, text: str) -> str:
        """Why there is nothing to see."""
        return self._page("problem", title=title, text=text)

    def calls(self, listing: Listing, businesses: Sequence[str]) -> str:
        """The list. ``businesses``: those that can be chosen."""
        events = f"{CALLS}/events{query_of(listing.wanted)}" if listing.first else None
        return self._page(
            "calls", listing=listing, businesses={name: name for name in businesses}, events=events
        )

    def call(self, view: CallView) -> str:
        """A call."""
        return self._page("call", view=view, events=f"{address(view.info.id)}/events")

    def blocks_of_list(self, listing: Listing) -> dict[str, str]:
        """What may change in the list, by the elements' ids."""
        module = self._module("calls")
        return {"running": str(module.running(listing)), "past": str(module.past(listing))}

    def blocks_of_call(self, view: CallView, after: int) -> dict[str, str]:
        """What has changed in a call since an entry, by the elements' ids."""
        module = self._module("call")
        changed = [turn for turn in view.turns if turn.changed > after]
        turns = {f"turn-{turn.place}": str(module.turn(turn, view)) for turn in changed}
        return {
            "state": str(module.state(view)),
            "facts": str(module.facts(view)),
            "more": str(module.more(view)),
            **turns,
        }

    def _page(self, name: str, **values: Any) -> str:
        return self._templates.get_template(f"{name}.html.j2").render(**values)

    def _module(self, name: str) -> Any:
        """The macros of a page, which draw its parts."""
        return self._templates.get_template(f"{name}.parts.html.j2").module
