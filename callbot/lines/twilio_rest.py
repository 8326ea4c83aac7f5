"""Ends calls through Twilio's REST API, by its own SDK, within a time that a caller can bear.

The SDK is synchronous: every request runs in a thread. A call that is over already counts as ended
(404 or error 20404; 400 with error 21220, "call is not in-progress").
"""

from __future__ import annotations

import asyncio
import logging
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callbot.errors import CallbotError

if TYPE_CHECKING:
    from twilio.rest import Client

API_URL = "https://api.twilio.com"
REQUEST_SECONDS = 3.0
TOTAL_SECONDS = 5.0
"""For all tries: meanwhile the caller hears nothing, and closing the socket is the second way."""
TRIES = 4
_OVER = {20404, 21220}
_THREADS = 16

_log = logging.getLogger(__name__)


class HangUpFailed(CallbotError):
    """Twilio could not be told to end a call."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of a Twilio account: its SID and its primary auth token."""

    account_sid: str
    auth_token: str


class TwilioCalls:
    """The calls of an account. ``api_url``: another server that speaks the same, for simulations."""

    def __init__(self, credentials: Credentials, *, api_url: str = API_URL) -> None:
        from twilio.http.http_client import TwilioHttpClient
        from twilio.rest import Client

        self._client: Client = Client(
            credentials.account_sid,
            credentials.auth_token,
            http_client=TwilioHttpClient(timeout=REQUEST_SECONDS, max_retries=0),
        )
        self._client.api.base_url = api_url
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="twilio-rest")

    async def end(self, call_sid: str) -> None:
        """End a call that is ringing or in progress. Raises HangUpFailed after its last try."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                await self._end(call_sid)
        except TimeoutError as error:
            raise HangUpFailed(f"Twilio did not answer within {TOTAL_SECONDS:g} s") from error

    async def _end(self, call_sid: str) -> None:
        loop = asyncio.get_running_loop()
        for attempt in range(1, TRIES + 1):
            trouble = await loop.run_in_executor(self._threads, self._complete, call_sid)
            if trouble is None:
                return
            retry, what = trouble
            _log.warning("ending a call failed", extra={"call": call_sid, "attempt": attempt, "error": what})
            if not retry or attempt == TRIES:
                raise HangUpFailed(what)
            await asyncio.sleep(random.uniform(0.5, 1.0) * 0.25 * 2**attempt)  # noqa: S311 - jitter

    def _complete(self, call_sid: str) -> tuple[bool, str] | None:
        """One request: None if the call is over, else whether another try makes sense, and what went wrong."""
        from requests import RequestException
        from twilio.base.exceptions import TwilioException, TwilioRestException

        try:
            self._client.calls(call_sid).update(status="completed")
        except TwilioRestException as error:
            if error.status == 404 or error.code in _OVER:
                return None
            return error.status == 429 or error.status >= 500, f"status {error.status}, code {error.code}"
        except (TwilioException, RequestException, OSError, ValueError) as error:
            return True, type(error).__name__
        return None

    def close(self) -> None:
        """Release the threads; requests under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
