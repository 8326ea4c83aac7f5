"""Who has shown the operator's token: sessions that any replica knows, and a limit on guesses."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

SESSION_SECONDS = 12 * 3600
GUESSES = 10
"""Wrong tokens in a row that are answered at once; after them one a second, whoever asks."""


class Sessions:
    """What a cookie holds instead of the token: when it ends, and proof that the token was known.

    Nothing is kept of a session, so that it is good at every replica with the same token; another
    token ends them all. The key is derived slowly, so that a stolen cookie helps nobody to the token.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        salt = b"callbot admin session"
        self._key = hashlib.scrypt(token.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
        self._clock = clock

    def begin(self) -> str:
        """A cookie for somebody who has shown the token."""
        body = f"{int(self._clock()) + SESSION_SECONDS}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._proof(body)}"

    def holds(self, cookie: str) -> bool:
        """Whether a cookie is ours and not over."""
        body, _, proof = cookie.rpartition(".")
        if not hmac.compare_digest(self._proof(body).encode(), proof.encode()):
            return False
        return int(body.partition(".")[0]) > self._clock()

    def _proof(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()


class Guesses:
    """Wrong tokens of late. A limit for all clients together: behind a proxy they look like one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left, self._at = float(GUESSES), clock()

    def allowed(self) -> bool:
        """Whether another token may be tried now."""
        now = self._clock()
        self._left, self._at = min(float(GUESSES), self._left + now - self._at), now
        return self._left >= 1

    def wrong(self) -> None:
        """A wrong token was tried."""
        self._left -= 1
