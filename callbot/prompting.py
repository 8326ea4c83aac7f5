"""Renders a business's prompt: Jinja over business, fields, facts, now and caller.number."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from callbot.business import Business
from callbot.errors import CallbotError


class PromptError(CallbotError):
    """A prompt that is not a valid template or names something that does not exist."""


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
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
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"line {line} of the prompt: " if line else ""
        raise PromptError(f"{where}{error.message}") from error
    except Exception as error:  # a template may call anything its objects offer
        raise PromptError(f"the prompt does not render: {error}") from error


def check_prompt(business: Business) -> None:
    """Render once with example values, so that a broken prompt is found when it is read."""
    render_prompt(business, dt.datetime(2026, 1, 1, 12, 0), "+972521234567")
