"""Businesses and calls to put into stores."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

from callbot import events as ev
from callbot.record import Entry, Record, header
from callbot.rules import Rules
from callbot.yamlfile import Document, parse_yaml

NOON = dt.datetime(2026, 11, 27, 12, 0, tzinfo=dt.UTC)


def business_yaml(id: str = "ruti", *, greeting: str = "שלום, כאן רותי", number: str = "+97235550100") -> str:
    """A small business file."""
    return f"""\
id: {id}
name: הניקיון של רותי
phone_numbers: ["{number}"]
greeting: {{text: "{greeting}"}}
facts: {{מחיר: "250", פתוח: "no"}}
fields:
  - {{name: full_name, required: true}}
prompt: |
  את רותי.
  Now: {{{{ now }}}}
"""


def document(id: str = "ruti", *, greeting: str = "שלום, כאן רותי", number: str = "+97235550100") -> Document:
    """A small business."""
    return parse_yaml(business_yaml(id, greeting=greeting, number=number), Path(f"{id}.yaml"))


def call_record(
    call_id: str, *, business: str = "ruti", at: dt.datetime = NOON, lead: dict[str, str] | None = None
) -> Record:
    """A short call that the model ended, 20 s long."""
    captured = {"full_name": "דנה לוי"} if lead is None else lead
    control = ev.Control(
        should_end_call=True, end_reason="lead_complete", lead_status="complete", notes="הכול"
    )
    rules = Rules(greeting="שלום, כאן רותי", required=("full_name",))
    head = header(
        call_id=call_id,
        rules=rules,
        business=business,
        business_version=1,
        model="offline",
        line="text",
        caller_number="+972541112233",
        dialled_number="+97235550100",
        started_at=at.isoformat(),
    )
    record = Record(head)
    record.event(100.0, ev.CallStarted())
    record.event(102.0, ev.SpeechStarted())
    record.event(105.0, ev.UserSpoke("דנה לוי"))
    record.command(105.0, ev.AskModel(1, (), {}, ("full_name",)))
    record.event(106.0, ev.SentenceReady(1, "תודה ולהתראות."))
    record.command(106.0, ev.Speak(1, "תודה ולהתראות."))
    record.event(106.5, ev.ReplyDone(1, control, captured))
    record.command(106.5, ev.SaveLead(captured, "complete"))
    record.note(106.5, "drift", turn=1, missing=["phone"])
    record.event(119.0, ev.Played(1))
    record.command(120.0, ev.HangUp(ev.EndedBy.MODEL, "lead_complete"))
    return record


def numbered(record: Record) -> list[tuple[int, Entry]]:
    """Its entries as ``append`` takes them."""
    return list(enumerate(record.entries))


def start_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process, its output readable line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
