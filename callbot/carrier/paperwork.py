"""What Twilio tells a bot about a call, beside the call itself: request fields, resources, callbacks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

from callbot.carrier.g711 import RATE
from callbot.carrier.messages import Ids
from callbot.carrier.network import Network
from callbot.carrier.tape import Tape
from callbot.carrier.trouble import TwilioError
from callbot.carrier.twiml import Stream

WITHHELD = "+266696687"
"""What Twilio gives as the number of a caller who withholds it: ANONYMOUS on a keypad."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """Who calls whom, and where the bot is."""

    webhook: str
    to: str
    caller_number: str | None = None
    fallback: str | None = None
    """URL asked when the webhook fails."""
    status_callback: str | None = None
    account: str = "AC" + "0" * 32
    limit_seconds: float = 600.0
    plain_sockets: bool = False


class Paperwork:
    """Writes a call's papers, and sends the callbacks: what a bot answers to those changes nothing."""

    def __init__(self, sid: str, dialled: Dialled, network: Network, tape: Tape) -> None:
        self._sid, self._dialled, self._network, self._tape = sid, dialled, network, tape
        self._began = dt.datetime.now(dt.UTC)
        self._caller = dialled.caller_number or WITHHELD

    def fields(self, status: str) -> dict[str, str]:
        """The standard parameters of a request about this call."""
        return {
            "AccountSid": self._dialled.account,
            "ApiVersion": "2010-04-01",
            "CallSid": self._sid,
            "CallStatus": status,
            "Called": self._dialled.to,
            "Caller": self._caller,
            "Direction": "inbound",
            "From": self._caller,
            "To": self._dialled.to,
        }

    def resource(self, status: str, seconds: int) -> dict[str, Any]:
        """The call as the REST API shows it."""
        return {
            "sid": self._sid,
            "account_sid": self._dialled.account,
            "api_version": "2010-04-01",
            "status": status,
            "direction": "inbound",
            "from": self._caller,
            "to": self._dialled.to,
            "date_created": format_datetime(self._began),
            "start_time": format_datetime(self._began),
            "duration": str(seconds) if status == "completed" else None,
            "uri": f"/2010-04-01/Accounts/{self._dialled.account}/Calls/{self._sid}.json",
        }

    async def call_completed(self, status: str, samples: int) -> None:
        """Tell the status callback, if the number has one, how the call ended."""
        if self._dialled.status_callback:
            fields = {
                **self.fields(status),
                "CallDuration": str(-(-samples // RATE)),
                "Timestamp": format_datetime(dt.datetime.now(dt.UTC)),
                "CallbackSource": "call-progress-events",
                "SequenceNumber": "0",
            }
            await self._callback(self._dialled.status_callback, fields)

    async def stream_event(self, verb: Stream, ids: Ids, event: str, error: str = "") -> None:
        """Tell a stream's status callback, if it has one."""
        if not verb.status_callback:
            return
        fields = {
            "AccountSid": ids.account,
            "CallSid": ids.call,
            "StreamSid": ids.stream,
            "StreamName": verb.name or ids.stream,
            "StreamEvent": event,
            "Timestamp": dt.datetime.now(dt.UTC).isoformat(),
            **({"StreamError": error} if error else {}),
        }
        await self._callback(verb.status_callback, fields, verb.status_callback_method)

    async def _callback(self, url: str, fields: Mapping[str, str], method: str = "POST") -> None:
        try:
            await self._network.webhook(url, fields, method)
        except TwilioError as error:
            self._tape.log("carrier", "callback_failed", str(error), error.code)
