"""Structured logs: one JSON object a line, without personal data.

CallSids may stand in logs; what callers say, their names and their numbers may not. Numbers are
logged as ``pseudonym``: a keyed hash, so that one caller's lines can be found without saying who.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import logging
import sys

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """A log record as one JSON object: time, level, logger, message, and the fields given in ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((key, value) for key, value in record.__dict__.items() if key not in _STANDARD)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logs(level: int = logging.INFO) -> None:
    """Send every logger of the process to standard error, as JSON lines; access logs are left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "twilio", "httpx2", "openai", "alembic"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # It warns of every stranger that sends rubbish, without an end.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def pseudonym(number: str | None, key: str) -> str | None:
    """Twelve hexadecimal digits that stand for a phone number."""
    if not number:
        return None
    return hmac.new(key.encode(), number.encode(), hashlib.sha256).hexdigest()[:12]
