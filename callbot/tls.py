"""The certificates that this process trusts, read once for all its HTTP clients."""

from __future__ import annotations

import ssl
from functools import cache


@cache
def trusted() -> ssl.SSLContext:
    """What a client of httpx2 takes as ``verify``. The first call reads for 30 ms or more."""
    import httpx2

    return httpx2.create_ssl_context()
