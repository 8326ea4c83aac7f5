"""What Twilio asks by HTTP, and what it is told. No model is asked here, and nothing is synthesised.

Every POST is checked before anything is done; one that comes twice (Twilio tries again when an answer
is lost) gets the same answer and does nothing twice.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
import re
import time
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from callbot.business import rules_of
from callbot.events import EndedBy
from callbot.fields import phone_e164
from callbot.record import header
from callbot.server import twiml
from callbot.server.addresses import AFTER_DIAL, AFTER_STREAM, AUDIO, MEDIA, STREAM_STATUS
from callbot.server.admission import LEASE_SECONDS
from callbot.server.directory import Answering
from callbot.server.host import LINE, CallHost
from callbot.server.logs import pseudonym
from callbot.server.phonecall import Outcome
from callbot.server.signature import HEADER, NotTwilio
from callbot.store.database import StoreError
from callbot.store.live import Finish, LeaseLost, LiveCall

BODY_BYTES = 64 * 1024
_ASK_AGAIN_SECONDS = 0.2
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_WITHHELD = frozenset({"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"})
"""What Twilio calls callers without a number: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and UNAVAILABLE, as
the keys of a telephone spell them. Nobody can be called back by it, and each is many callers."""
_OVER = {"completed", "busy", "failed", "no-answer", "canceled"}

_log = logging.getLogger(__name__)

Handler = Callable[[dict[str, str]], Awaitable[str]]


class Webhooks:
    """The handlers of Twilio's requests: fields in, TwiML out."""

    def __init__(self, host: CallHost) -> None:
        self._host = host
        self._url = host.options.public_url

    def signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that lets only Twilio's requests through to a handler."""

        async def endpoint(request: Request) -> Response:
            began = time.perf_counter()
            try:
                body = await _body(request)
                fields = self._host.signatures.form(
                    request.scope["path"], request.url.query, body, request.headers[HEADER]
                )
            except NotTwilio as error:
                self._host.refusals.note(
                    "webhooks_refused",
                    "a webhook was refused",
                    path=request.scope["path"],
                    why=str(error),
                )
                return PlainTextResponse("forbidden", 403, {"Connection": "close"})
            document = await handler(fields)
            seconds = time.perf_counter() - began
            self._host.metrics.webhooks.labels(request.scope["path"]).observe(seconds)
            _log.info(
                "webhook",
                extra={
                    "path": request.scope["path"],
                    "call": fields["CallSid"],
                    "ms": round(1000 * seconds, 1),
                },
            )
            return Response(document, media_type="text/xml")

        return endpoint

    # --- a call comes in --------------------------------------------------------------------------
    async def incoming(self, fields: dict[str, str]) -> str:
        """Greet, and open the stream."""
        host, call_id = self._host, fields["CallSid"]
        dialled, caller = _number(fields.get("To", "")), _number(fields.get("From", ""))
        if host.draining or host.full:
            host.counts["calls_turned_away"] += 1
            _log.warning("turned away", extra={"call": call_id, "draining": host.draining})
            return twiml.reject("busy")
        answering = await host.directory.by_number(dialled) if dialled else None
        if answering is None:
            host.counts["numbers_unknown"] += 1
            _log.warning("nobody answers this number", extra={"call": call_id, "to": self._hide(dialled)})
            return twiml.reject("rejected")
        business, spoken = answering.business, answering.spoken
        rules = rules_of(business, has_fallback=host.fallback is not None)
        greeting = spoken.greeting if spoken else None
        if greeting is None and not rules.greeting_streamed:  # not rendered yet: the call says it itself
            rules = dataclasses.replace(rules, greeting_streamed=True)
        played = greeting if not rules.greeting_streamed else None
        head = header(
            call_id=call_id,
            rules=rules,
            business=business.id,
            business_version=answering.version,
            model=host.model.name,
            line=LINE,
            caller_number=caller,
            dialled_number=dialled,
            started_at=dt.datetime.now(dt.UTC).isoformat(),
            deliver=business.deliver is not None,
        )
        nonce = await host.admissions.begin(call_id, head, answering, played.seconds if played else 0.0)
        if nonce is None:
            return twiml.goodbye()
        host.warm(call_id)
        _log.info("incoming", extra={"call": call_id, "business": business.id, "from": self._hide(caller)})
        return self._connect(nonce, f"{self._url}{AUDIO}{played.id}" if played else None)

    # --- a stream is over -------------------------------------------------------------------------
    async def after_stream(self, fields: dict[str, str]) -> str:
        """Hang up, connect the caller to a person, or go on with a call whose line was lost."""
        host, call_id = self._host, fields["CallSid"]
        if (outcome := await host.stream_over(call_id)) is not None:
            return self._after(outcome)
        try:
            call = await host.look_up(call_id)
            if call is None:
                return twiml.goodbye()
            if call.ended:
                return self._after(await self._outcome_of(call))
            if (decided := _decided_and_heard(call)) is not None:
                await host.finish(call_id, decided)
                return self._after(Outcome(decided.ended_by, decided.end_reason))
            nonce = await self._another_stream(call)
        except StoreError as error:
            _log.warning("a lost call cannot go on", extra={"call": call_id, "error": str(error)})
            return twiml.goodbye()
        if nonce is not None:
            host.counts["calls_resumed"] += 1
            return self._connect(nonce, None)
        host.counts["calls_given_up"] += 1
        await host.finish(call_id, Finish(str(EndedBy.FAILURE), None))
        return twiml.goodbye(
            self._apology(await host.directory.by_id(call.business_id, call.business_version))
        )

    async def _another_stream(self, call: LiveCall) -> str | None:
        """A nonce; None when the call had all its streams, or its process lives on and holds it."""
        give_up = time.monotonic() + LEASE_SECONDS + 1.0
        while True:
            try:
                return await self._host.admissions.again(call)
            except LeaseLost:
                if time.monotonic() > give_up:
                    return None
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _outcome_of(self, call: LiveCall) -> Outcome:
        answering = await self._host.directory.by_id(call.business_id, call.business_version)
        reasons = answering.business.end_reasons if answering else []
        then = next((r.then for r in reasons if r.name == call.end_reason), None)
        return Outcome(call.ended_by, call.end_reason, then if call.ended_by == EndedBy.MODEL else None)

    def _after(self, outcome: Outcome) -> str:
        if outcome.transfer is None:
            return twiml.goodbye()
        return twiml.dial(outcome.transfer.dial, outcome.transfer.timeout, self._url + AFTER_DIAL)

    async def after_dial(self, fields: dict[str, str]) -> str:
        """The call to a person is over, or nobody answered: then say so before hanging up."""
        answered = fields.get("DialCallStatus") in ("completed", "answered")
        if answered:
            return twiml.goodbye()
        self._host.counts["transfers_failed"] += 1
        _log.warning("nobody took a transferred call", extra={"call": fields["CallSid"]})
        try:
            call = await self._host.look_up(fields["CallSid"])
        except StoreError:
            return twiml.goodbye()
        if call is None:
            return twiml.goodbye()
        answering = await self._host.directory.by_id(call.business_id, call.business_version)
        return twiml.goodbye(self._apology(answering))

    # --- what else Twilio tells -------------------------------------------------------------------
    async def call_status(self, fields: dict[str, str]) -> str:
        """A call's status has changed."""
        status = fields.get("CallStatus", "")
        if status in _OVER:
            await self._host.caller_gone(fields["CallSid"])
        _log.info("call status", extra={"call": fields["CallSid"], "status": status[:20]})
        return twiml.nothing()

    async def stream_status(self, fields: dict[str, str]) -> str:
        """A stream has started, stopped or failed."""
        event = fields.get("StreamEvent", "")[:20]
        if event == "stream-error":
            self._host.counts["stream_errors"] += 1
        _log.log(
            logging.WARNING if event == "stream-error" else logging.INFO,
            "stream status",
            extra={"call": fields["CallSid"], "event": event, "error": fields.get("StreamError", "")[:200]},
        )
        return twiml.nothing()

    # --- parts of documents -----------------------------------------------------------------------
    def _connect(self, nonce: str, greeting_url: str | None) -> str:
        url = self._url
        return twiml.connect(
            self._host.options.socket_url + MEDIA,
            url + STREAM_STATUS,
            url + AFTER_STREAM,
            nonce,
            greeting_url,
        )

    def _apology(self, answering: Answering | None) -> str | None:
        if answering is None or answering.spoken is None or answering.spoken.failure is None:
            return None
        return f"{self._url}{AUDIO}{answering.spoken.failure.id}"

    def _hide(self, number: str | None) -> str | None:
        return pseudonym(number, self._host.options.credentials.auth_token)


async def _body(request: Request) -> bytes:
    """The request's body, if it is signed and a form of a size that Twilio sends. Raises NotTwilio."""
    if not request.headers.get(HEADER):
        raise NotTwilio("no signature")
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        raise NotTwilio("not a form")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES:
                raise NotTwilio("too long")
    except ClientDisconnect as error:
        raise NotTwilio("broken off") from error
    return bytes(body)


def _number(text: str) -> str | None:
    """A number in E.164; None for withheld ones and for what is no number."""
    if text in _WITHHELD:
        return None
    if _E164.fullmatch(text):
        return text
    return phone_e164(text, "US") if text.startswith("+") else None


def _decided_and_heard(call: LiveCall) -> Finish | None:
    """A call that broke off while it lingered after its farewell has ended as it was decided."""
    snapshot = call.snapshot or {}
    if snapshot.get("phase") != "linger" or not snapshot.get("ending"):
        return None
    return Finish(snapshot["ending"]["by"], snapshot["ending"]["reason"])
