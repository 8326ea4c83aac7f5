"""Where the server is asked what; numbers are pointed at these without a server running."""

from __future__ import annotations

INCOMING = "/webhook/incoming_call"
AFTER_STREAM = "/webhook/after_stream"
AFTER_DIAL = "/webhook/after_dial"
CALL_STATUS = "/webhook/call_status"
STREAM_STATUS = "/webhook/stream_status"
MEDIA = "/media"
AUDIO = "/static/audio/"
