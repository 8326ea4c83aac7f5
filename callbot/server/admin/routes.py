"""The addresses of the operator's pages, and who may see them: nobody without the token sees anything.

A browser shows the token once, in a form, and gets a cookie that proves it; anything else may send
``Authorization: Bearer TOKEN``. Every answer forbids caches, frames, and scripts that are not ours.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from callbot.server.access import Access
from callbot.server.admin.pages import CALLS, Pages, address, cursor_of
from callbot.server.admin.reading import Reading
from callbot.server.admin.sessions import SESSION_SECONDS, Guesses, Sessions
from callbot.server.admin.watching import Watching
from callbot.server.host import CallHost
from callbot.store.calls import UnknownCall
from callbot.store.database import StoreError
from callbot.store.overview import Cursor, Wanted

LOGIN, LOGOUT = f"{CALLS}/login", f"{CALLS}/logout"
COOKIE = "callbot_admin"
FORM_BYTES = 4096
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_PAGE = re.compile(rf"{CALLS}/calls/[^/\\\\]+")
_WRONG = "This is not the token."
_TOO_MANY = "Too many wrong tokens; try again in a few seconds."

_log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


def admin_routes(host: CallHost, access: Access) -> list[BaseRoute]:
    """The pages of a started host; none without a token."""
    token = host.options.admin_token
    return [] if token is None else _Admin(host, access, Sessions(token)).routes()


class _Admin:
    def __init__(self, host: CallHost, access: Access, sessions: Sessions) -> None:
        self._access, self._sessions, self._guesses = access, sessions, Guesses()
        self._secure = host.options.public_url.startswith("https:")
        self._pages = Pages()
        self._reading = Reading(host.store, host.directory)
        self._watching = Watching(
            self._reading, self._pages, closing=lambda: host.draining and not host.running
        )

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        shown: dict[str, Endpoint] = {
            CALLS: self._calls,
            f"{CALLS}/events": self._calls_events,
            f"{CALLS}/calls/{{id}}": self._call,
            f"{CALLS}/calls/{{id}}/events": self._call_events,
        }
        return [
            *(Route(path, self._guarded(endpoint), methods=["GET"]) for path, endpoint in shown.items()),
            Route(LOGIN, self._safe(self._login), methods=["POST"]),
            Route(LOGIN, self._safe(self._form), methods=["GET"]),
            Route(LOGOUT, self._safe(self._logout), methods=["POST"]),
            Route(f"{CALLS}/static/{{name}}", self._safe(self._static), methods=["GET"]),
        ]

    # --- who may --------------------------------------------------------------------------------------
    def _safe(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint whose every answer has the headers."""

        async def safe(request: Request) -> Response:
            response = await endpoint(request)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return safe

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint that only who knows the token gets to."""

        async def guarded(request: Request) -> Response:
            if not self._sessions.holds(request.cookies.get(COOKIE, "")):
                if "authorization" not in request.headers:
                    return self._ask(request.url.path)
                if (refused := self._try(lambda: self._access.by_header(request))) is not None:
                    return PlainTextResponse(refused, 429 if refused == _TOO_MANY else 401, _BEARER)
            try:
                return await endpoint(request)
            except UnknownCall:
                return self._problem("No such call", "It was never made, or its id was cut.", 404)
            except StoreError as error:
                _log.warning("a page cannot be shown", extra={"error": str(error)})
                return self._problem("The database does not answer", "Try again in a moment.", 503)

        return self._safe(guarded)

    def _try(self, right: Callable[[], bool]) -> str | None:
        """Why a token is refused; None if it is right."""
        if not self._guesses.allowed():
            return _TOO_MANY
        if right():
            return None
        self._guesses.wrong()
        _log.warning("somebody tried a wrong admin token")
        return _WRONG

    def _ask(self, back: str, problem: str = "", status: int = 401) -> Response:
        return HTMLResponse(self._pages.login(_ours(back), problem), status, _BEARER)

    def _problem(self, title: str, text: str, status: int) -> Response:
        return HTMLResponse(self._pages.problem(title, text), status)

    async def _form(self, request: Request) -> Response:
        return self._ask(CALLS, status=200)

    async def _login(self, request: Request) -> Response:
        form = await _form_of(request)
        back, token = _ours(form.get("back", "")), form.get("token", "").strip()
        if (refused := self._try(lambda: self._access.is_token(token))) is not None:
            return self._ask(back, refused, 429 if refused == _TOO_MANY else 401)
        response = RedirectResponse(back, 303)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(),
            max_age=SESSION_SECONDS,
            path=CALLS,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def _logout(self, request: Request) -> Response:
        response = RedirectResponse(LOGIN, 303)
        if self._sessions.holds(request.cookies.get(COOKIE, "")):  # else another site's form sent it
            response.delete_cookie(COOKIE, CALLS, secure=self._secure, httponly=True, samesite="strict")
        return response

    async def _static(self, request: Request) -> Response:
        """Style and script: they hold nothing of any call."""
        name = request.path_params["name"]
        if name not in self._pages.files:
            return PlainTextResponse("no such file", 404)
        content, kind = self._pages.files[name]
        fresh = {"Cache-Control": "public, max-age=31536000, immutable"}  # its address holds its hash
        return Response(content, headers=fresh, media_type=kind)

    # --- pages ----------------------------------------------------------------------------------------
    async def _calls(self, request: Request) -> Response:
        wanted = _wanted(request.query_params)
        try:
            after = _after(request.query_params)
        except ValueError:
            return self._problem("No such page", "Its address was cut; begin at the newest calls.", 400)
        if wanted.text and await self._reading.exists(wanted.text):
            return RedirectResponse(address(wanted.text), 303)
        found = await self._reading.found(wanted, after)
        listing = await self._reading.listing(found, wanted, after, {})
        businesses = await self._reading.businesses()
        return HTMLResponse(await self._reading.in_thread(self._pages.calls, listing, businesses))

    async def _call(self, request: Request) -> Response:
        view = await self._reading.call(request.path_params["id"])
        return HTMLResponse(await self._reading.in_thread(self._pages.call, view))

    # --- what happens now -----------------------------------------------------------------------------
    async def _calls_events(self, request: Request) -> Response:
        return self._watched(self._watching.calls(_wanted(request.query_params)))

    async def _call_events(self, request: Request) -> Response:
        call_id = request.path_params["id"]
        if not await self._reading.exists(call_id):
            return PlainTextResponse("no such call", 404)
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        after = int(last) if last.isascii() and last.isdigit() else -1
        return self._watched(self._watching.call(call_id, after))

    def _watched(self, events: AsyncIterator[str]) -> Response:
        if not self._watching.enter():
            return PlainTextResponse("too many watch already", 503, {"Retry-After": "10"})
        return _Events(events, self._watching.leave)


_BEARER = {"WWW-Authenticate": 'Bearer realm="callbot"'}


class _Events(StreamingResponse):
    """Server-sent events. ``over`` is called in the end, however it comes."""

    def __init__(self, events: AsyncIterator[str], over: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()


def _ours(path: str) -> str:
    """A page of these, for after the login; nobody else's, and no stream of events."""
    return path if _PAGE.fullmatch(path) and path.isprintable() else CALLS


def _wanted(query: Mapping[str, str]) -> Wanted:
    def value(name: str) -> str | None:
        return query.get(name, "").strip()[:200] or None

    return Wanted(
        value("business"), value("ended_by"), value("lead"), value("q"), suspect=bool(value("suspect"))
    )


def _after(query: Mapping[str, str]) -> Cursor | None:
    """Raises ValueError."""
    text = query.get("before", "")
    return cursor_of(text) if text else None


async def _form_of(request: Request) -> dict[str, str]:
    """A small form; what is none, or no small one, is empty."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > FORM_BYTES:
                return {}
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10))
    except (ClientDisconnect, ValueError):
        return {}
