"""Who may see what is the operator's: figures and calls, behind one token.

The server stands on a public address, so that what tells of calls is shown to nobody by default:
without a token these addresses do not exist.
"""

from __future__ import annotations

import secrets

from starlette.requests import Request


class Access:
    """Checks a token. ``token`` None: nobody has access."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    @property
    def exists(self) -> bool:
        """Whether anybody may have access at all."""
        return self._token is not None

    def is_token(self, text: str) -> bool:
        """Whether a text is the token, compared in constant time."""
        return self._token is not None and secrets.compare_digest(self._token.encode(), text.encode())

    def by_header(self, request: Request) -> bool:
        """Whether a request carries ``Authorization: Bearer TOKEN`` (RFC 6750)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())
