"""Whether a request is Twilio's: its signature over the URL that the operator has configured.

The URL is never made from the Host header, which anybody can write. A socket's handshake is signed
over the ``wss://`` URL, by some of Twilio's edges with a slash at its end (Twilio, "Security";
both forms are tried). Signatures hold no time: what stops replays are idempotence and nonces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from callbot.server.options import ServeOptions

HEADER = "x-twilio-signature"
_MOST_FIELDS = 300
_CALL_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NotTwilio(Exception):
    """A request without a valid signature."""


class Signatures:
    """Checks what claims to be Twilio's."""

    def __init__(self, options: ServeOptions) -> None:
        self._validator = RequestValidator(options.credentials.auth_token)
        self._http, self._socket = options.public_url, options.socket_url

    def form(self, path: str, query: str, body: bytes, signature: str) -> dict[str, str]:
        """The fields of a signed POST of a form, a CallSid among them. Raises NotTwilio."""
        try:
            fields = parse_qsl(
                body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
            )
        except ValueError as error:
            raise NotTwilio("not a form") from error
        url = f"{self._http}{path}" + (f"?{query}" if query else "")
        if not self._valid(url, fields, signature):
            raise NotTwilio("the signature does not match")
        found = dict(fields)
        if not _CALL_SID.fullmatch(found.get("CallSid", "")):
            raise NotTwilio("no CallSid")
        return found

    def socket(self, path: str, signature: str | None) -> bool:
        """Whether a handshake is signed."""
        if not signature:
            return False
        url = f"{self._socket}{path}"
        return any(self._valid(form, (), signature) for form in (url, f"{url}/"))

    def _valid(self, url: str, fields: Sequence[tuple[str, str]], signature: str) -> bool:
        return bool(self._validator.validate(url, ImmutableMultiDict(fields), signature))
