"""How Twilio signs what it sends: base64(HMAC-SHA1(auth token, URL + sorted names and values))."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

HEADER = "X-Twilio-Signature"


def sign(token: str, url: str, fields: Mapping[str, str] | None = None) -> str:
    """The signature of a request with these form fields; of a GET or a handshake, without any."""
    text = signed_url(url) + "".join(name + value for name, value in sorted((fields or {}).items()))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()


def signed_url(url: str) -> str:
    """The URL as it is signed: no fragment and no user; over TLS, no port either."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme in ("https", "wss") and parts.port is not None:
        host = host.removesuffix(f":{parts.port}")
    return parts._replace(netloc=host, fragment="").geturl()
