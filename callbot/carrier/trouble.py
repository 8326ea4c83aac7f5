"""What Twilio calls an error: a number of its public list, and what happened."""

from __future__ import annotations

from callbot.errors import CallbotError

HTTP_FAILED, UNREACHABLE = 11200, 11205
TWIML_TOO_LONG, BAD_XML, BAD_CONTENT_TYPE, BAD_ATTRIBUTE = 11750, 12100, 12300, 12200
STREAM_BROKE, HANDSHAKE_FAILED, STREAM_CLOSED = 31903, 31920, 31921
NOT_WSS, MALFORMED_URL = 31922, 31923
BUFFER_FULL, BINARY_FRAME, INVALID_MESSAGE = 31931, 31950, 31951


class TwilioError(CallbotError):
    """The bot did what Twilio refuses. ``code`` is Twilio's number for it, None where it has none."""

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
