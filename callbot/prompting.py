"""Renders a business's prompt: Jinja over business, fields, facts, now and caller.number.

A template may read what the business file says and nothing else: no methods of our objects, some of
which read files, and nothing that takes all memory.
"""

from __future__ import annotations

import datetime as dt
import re
import traceback
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, Template, TemplateError, TemplateNotFound, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.fields import LeadField
from callbot.plainly import suggestion

_KNOWN = ("business", "fields", "facts", "now", "caller")
_COMPUTED = frozenset({"required", "reasons", "phone_region"})
"""What a business computes from its file and a prompt may use."""
_OWNERS = {"dict": "there", "LeadField": "in a field", "EndReason": "in an end reason"}
_LONGEST = 100_000
"""Characters or items that multiplying may make."""


class PromptError(CallbotError):
    """A prompt that is not a valid template or names something that does not exist."""

    def __init__(self, what: str, line: int | None) -> None:
        super().__init__(f"line {line} of the prompt: {what}" if line else what)
        self.what = what
        self.line = line
        """Of the template, from 1; None if it cannot be told."""


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, BaseModel):
            return attr in type(obj).model_fields or attr in _COMPUTED
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("** is not for prompts")
        for side, times in ((left, right), (right, left)):
            if isinstance(side, (str, list, tuple)) and len(side) * int(times) > _LONGEST:
                raise SecurityError(f"* makes more than {_LONGEST} characters")
        return super().call_binop(context, operator, left, right)


@lru_cache(maxsize=1)
def _environment() -> _Sandbox:
    return _Sandbox(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )


@lru_cache(maxsize=256)
def _template(source: str) -> Template:
    return _environment().from_string(source)


def render_prompt(business: Business, now: dt.datetime, caller_number: str | None) -> str:
    """The prompt as the model gets it. ``now`` without a zone is local time of the business.

    Raises PromptError naming the line of the template.
    """
    zone = ZoneInfo(business.timezone)
    local = now.replace(tzinfo=zone) if now.tzinfo is None else now.astimezone(zone)
    try:
        return _template(business.prompt).render(
            business=business,
            fields=business.fields,
            facts=business.facts,
            now=local,
            caller={"number": caller_number},
        )
    except Exception as error:  # a template may call anything its objects offer
        raise PromptError(_what(error, business), _line(error)) from error


def _line(error: Exception) -> int | None:
    """The line of a template that fails; Jinja writes it into the traceback."""
    if (line := getattr(error, "lineno", None)) is not None:
        return int(line)
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == "<template>"), None)


def _what(error: Exception, business: Business) -> str:
    message = (error.message or "") if isinstance(error, TemplateError) else str(error)
    if isinstance(error, TemplateNotFound) or "no loader" in message:
        return "include, import and extends of templates are not for prompts; all of it stands here"
    if isinstance(error, UndefinedError):
        if unknown := re.fullmatch(r"'(\w+)' is undefined", message):
            known = f"; a prompt knows {', '.join(_KNOWN)}"
            return f'there is no "{unknown[1]}"{suggestion(unknown[1], _KNOWN) or known}'
        if unknown := re.search(r"(\w+) object' has no attribute '(.*)'", message):
            known_keys: dict[str, Iterable[str]] = {
                "dict": business.facts,
                "Business": Business.model_fields,
                "LeadField": LeadField.model_fields,
            }
            near = suggestion(unknown[2], known_keys.get(unknown[1], ()))
            return f'there is no "{unknown[2]}" {_OWNERS.get(unknown[1], f"in {unknown[1].lower()}")}{near}'
    return message or type(error).__name__


def check_prompt(business: Business) -> None:
    """Render once with example values, so that a broken prompt is found when it is read."""
    render_prompt(business, dt.datetime(2026, 1, 1, 12, 0), "+972521234567")
