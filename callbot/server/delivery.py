"""Posts leads to their businesses' webhooks, from the outbox, until they arrive or are given up.

A post is signed as Standard Webhooks 1.0 lays down (standardwebhooks.com), so that any of its
libraries verifies it: ``webhook-id`` (the call's id, the same for every attempt: the receiver's
idempotency key), ``webhook-timestamp`` (Unix seconds of the attempt) and ``webhook-signature``
(``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``). An answer of 2xx is an arrival.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import datetime as dt
import hashlib
import hmac
import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from callbot import __version__
from callbot.business import Business, Delivery
from callbot.errors import CallbotError
from callbot.lookup import answering_business
from callbot.server.threads import in_thread
from callbot.store.database import Store, StoreError
from callbot.store.engine import json_text
from callbot.store.outbox import Due
from callbot.tls import trusted

if TYPE_CHECKING:
    import httpx2

POST_SECONDS = 10.0
"""For one attempt as a whole."""
HOLD_SECONDS = 60.0
"""A process that has not said how its attempt went for so long is dead."""
GIVE_UP = dt.timedelta(hours=72)
"""Since the call's end: a webhook that broke on Friday evening may be mended on Monday."""
FIRST_WAIT, LAST_WAIT = 5.0, 3600.0
"""Seconds between attempts: doubled each time, each shortened by up to a half by chance."""
POLL_SECONDS = 5.0
AT_ONCE = 20

_log = logging.getLogger(__name__)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Undelivered(Exception):
    """An attempt that failed. ``wait``: seconds that the receiver asked for; ``final``: it wants no other."""

    def __init__(self, why: str, *, wait: float = 0.0, final: bool = False) -> None:
        super().__init__(why)
        self.wait, self.final = wait, final


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt went: ``error`` is None if it arrived, ``due_at`` when there is another."""

    call_id: str
    business_id: str
    error: str | None
    due_at: dt.datetime | None


@dataclass(slots=True)
class Courier:
    """Sends what is due. ``holder`` names this process; ``environment`` holds the secrets."""

    store: Store
    prompts_dir: Path
    threads: Executor
    environment: Mapping[str, str]
    holder: str
    now: Callable[[], dt.datetime] = _utc_now
    chance: random.Random = field(default_factory=random.Random)
    failures: int = 0
    """Attempts that failed."""
    given_up: int = 0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._woken.clear()
            try:
                sent = await self.send_due()
            except StoreError as error:
                _log.warning("deliveries wait for the store", extra={"error": str(error)})
                sent = []
            except Exception:  # noqa: BLE001 - the deliveries to come must not suffer for it
                _log.exception("deliveries broke")
                sent = []
            if len(sent) < AT_ONCE:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()

    def wake(self) -> None:
        """A call has ended: look at once."""
        self._woken.set()

    async def send_due(self) -> list[Attempt]:
        """Send up to ``AT_ONCE`` deliveries that are due. Raises StoreError."""
        import httpx2

        now = self.now()
        until = now + dt.timedelta(seconds=HOLD_SECONDS)
        due = await in_thread(self.threads, self.store.outbox.claim, self.holder, now, until, AT_ONCE)
        if not due:
            return []
        verify = await in_thread(self.threads, trusted)  # reading it here would hold up the calls
        headers = {"user-agent": _AGENT}
        async with httpx2.AsyncClient(timeout=POST_SECONDS, headers=headers, verify=verify) as client:
            ends = await asyncio.gather(*(self._send(client, one) for one in due), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):  # not before the others have ended
                raise end
        return [end for end in ends if isinstance(end, Attempt)]

    async def _send(self, client: httpx2.AsyncClient, due: Due) -> Attempt:
        try:
            where = await in_thread(self.threads, self._where, due.business_id)
            secret = secret_of(where, self.environment)
            async with asyncio.timeout(POST_SECONDS):
                await _post(client, where.webhook, due, secret, self.now())
        except TimeoutError:
            return await self._failed(due, Undelivered(f"no answer within {POST_SECONDS:g} s"))
        except Undelivered as error:
            return await self._failed(due, error)
        except CallbotError as error:
            return await self._failed(due, Undelivered(str(error)))
        await in_thread(self.threads, self.store.outbox.delivered, due.call_id, self.now())
        _log.info("lead delivered", extra={"call": due.call_id, "attempts": due.attempts})
        return Attempt(due.call_id, due.business_id, None, None)

    async def _failed(self, due: Due, error: Undelivered) -> Attempt:
        self.failures += 1
        due_at = None if error.final else self._next(due, error.wait)
        if due_at is None:
            self.given_up += 1
        why = str(error)
        await in_thread(self.threads, self.store.outbox.failed, due.call_id, self.holder, why, due_at)
        _log.log(
            logging.WARNING if due_at else logging.ERROR,
            "lead not delivered" if due_at else "lead given up; see: callbot leads deliveries",
            extra={
                "call": due.call_id,
                "business": due.business_id,
                "attempts": due.attempts,
                "error": why,
            },
        )
        return Attempt(due.call_id, due.business_id, why, due_at)

    def _next(self, due: Due, asked: float) -> dt.datetime | None:
        """When to try again: no sooner than the receiver asked, and once more just before giving up."""
        now, last = self.now(), due.created_at + GIVE_UP
        if now >= last:
            return None
        usual = min(FIRST_WAIT * 2.0 ** min(due.attempts - 1, 20), LAST_WAIT)
        wait = max(usual * self.chance.uniform(0.5, 1.0), asked)
        return min(now + dt.timedelta(seconds=min(wait, GIVE_UP.total_seconds())), last)

    def _where(self, business_id: str) -> Delivery:
        """The webhook as it is now: one that was mended after the call gets the lead."""
        business = answering_business(business_id, self.prompts_dir, self.store)
        if business is None:
            raise CallbotError(f'the business "{business_id}" is neither in the database nor in files')
        if business.deliver is None:
            raise CallbotError(f"{business_id} has no deliver.webhook any more")
        return business.deliver


_AGENT = f"callbot/{__version__}"


def secret_of(delivery: Delivery, environment: Mapping[str, str]) -> bytes | None:
    """The key that posts are signed with; None without ``secret_env``. Raises CallbotError if it is not set.

    A secret that begins with ``whsec_`` is base64 behind it, as Standard Webhooks writes secrets; any
    other is taken as it is.
    """
    name = delivery.secret_env
    if name is None:
        return None
    text = environment.get(name, "").strip()
    if not text:
        raise CallbotError(f"deliver.secret_env: the environment variable {name} is not set")
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise CallbotError(f"deliver.secret_env: {name} is not base64 behind {_PREFIX}") from error


_PREFIX = "whsec_"


def signed_headers(call_id: str, body: bytes, secret: bytes | None, at: dt.datetime) -> dict[str, str]:
    """The headers of a post; without a secret it is not signed."""
    stamp = str(int(at.timestamp()))
    headers = {"content-type": "application/json", "webhook-id": call_id, "webhook-timestamp": stamp}
    if secret is not None:
        digest = hmac.new(secret, f"{call_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


async def _post(
    client: httpx2.AsyncClient, url: str, due: Due, secret: bytes | None, at: dt.datetime
) -> None:
    """One attempt. Raises Undelivered. The answer's body is not read: it may be of any size."""
    import httpx2

    body = json_text(due.body).encode()
    headers = signed_headers(due.call_id, body, secret, at)
    try:
        async with client.stream("POST", url, content=body, headers=headers) as answer:
            status, asked = answer.status_code, answer.headers.get("retry-after")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise Undelivered(f"{type(error).__name__}: {error}") from error
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise Undelivered(f"answered {status}, a redirect, which is not followed; mend deliver.webhook")
    raise Undelivered(f"answered {status}", wait=retry_after(asked, at), final=status == HTTPStatus.GONE)


def retry_after(text: str | None, now: dt.datetime) -> float:
    """Seconds that a Retry-After asks for (RFC 9110, 10.2.3: seconds or a date); 0 if it says nothing."""
    if not text:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max((date.replace(tzinfo=date.tzinfo or dt.UTC) - now).total_seconds(), 0.0)


def check_promises(business: Business, environment: Mapping[str, str]) -> None:
    """Refuse a business whose file promises what this server cannot do. Raises CallbotError."""
    if business.deliver is not None:
        try:
            secret_of(business.deliver, environment)
        except CallbotError as error:
            raise CallbotError(f"{business.id}: {error}") from error
