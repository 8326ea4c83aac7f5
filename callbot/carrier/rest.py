"""Twilio's REST API as far as a bot's calls need it: read a call, end it, give it another document.

A bot points the real SDK at it by one line: ``client.api.base_url = "http://127.0.0.1:8650"``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from callbot.errors import CallbotError

LONGEST_TWIML = 4000
"""Characters of a ``Twiml`` parameter."""
_PATH = "/2010-04-01/Accounts/{account}/Calls/{call}.json"


class Controlled(Protocol):
    """A call that REST requests act on."""

    def status(self) -> str:
        """Twilio's word for how it stands."""
        ...

    def fields(self) -> dict[str, Any]:
        """Its REST resource."""
        ...

    def end_by_rest(self) -> bool:
        """Hang up; False if the call had ended."""
        ...

    def redirect_by_rest(self, *, twiml: str | None, url: str | None, method: str) -> None:
        """Go on with another document."""
        ...

    def refused_rest(self) -> tuple[int, int] | None:
        """HTTP status and error code to answer with instead, for a fault; None to obey."""
        ...


class _Server(uvicorn.Server):
    """Leaves the process's signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class RestApi:
    """The calls of one account, served on a local port while the context ``serving`` is open."""

    def __init__(self, account: str, token: str) -> None:
        self._account, self._token = account, token
        self._calls: dict[str, Controlled] = {}
        self.url = ""
        self._app = Starlette(routes=[Route(_PATH, self._call, methods=["GET", "POST"])])

    def add(self, sid: str, call: Controlled) -> None:
        """Let requests reach a call."""
        self._calls[sid] = call

    def forget(self, sid: str) -> None:
        """Let no more requests reach a call."""
        self._calls.pop(sid, None)

    @contextlib.asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[str]:
        """Serve; the base URL. Port 0 takes a free one. Raises CallbotError if it is taken."""
        listening = _listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{listening.getsockname()[1]}"
        config = uvicorn.Config(self._app, log_config=None, access_log=False, lifespan="off", ws="none")
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn offers no event
                await asyncio.sleep(0.005)
            yield self.url
        finally:
            server.should_exit = True
            await serving

    async def _call(self, request: Request) -> Response:
        if not self._is_allowed(request.headers.get("authorization", "")):
            return _error(401, 20003, "Authenticate")
        sid = request.path_params["call"]
        call = self._calls.get(sid)
        missing = f"The requested resource /Accounts/{self._account}/Calls/{sid}.json was not found"
        if call is None or request.path_params["account"] != self._account:
            return _error(404, 20404, missing)
        if request.method == "GET":
            return JSONResponse(call.fields())
        refused = call.refused_rest()
        if refused is not None:
            return _error(*refused, "Injected by --fault")
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        return self._update(call, form, missing)

    def _update(self, call: Controlled, form: Mapping[str, str], missing: str) -> Response:
        status, twiml, url = form.get("Status"), form.get("Twiml"), form.get("Url")
        if status not in (None, "completed", "canceled"):
            return _error(400, 21218, f"Invalid Status: {status}")
        if twiml is not None and url is not None:
            return _error(400, 21218, "Url and Twiml are exclusive")
        if twiml is not None and len(twiml) > LONGEST_TWIML:
            return _error(400, 32018, f"Twiml of {len(twiml)} characters; at most {LONGEST_TWIML}")
        if status == "completed":
            if not call.end_by_rest():
                return _error(404, 20404, missing)
        elif status == "canceled" and call.status() == "in-progress":
            return _error(400, 21220, "Call is in-progress; it can only be completed")
        elif twiml is not None or url is not None:
            if call.status() != "in-progress":
                return _error(404, 20404, missing)
            call.redirect_by_rest(twiml=twiml, url=url, method=form.get("Method", "POST"))
        return JSONResponse(call.fields())

    def _is_allowed(self, header: str) -> bool:
        kind, _, code = header.partition(" ")
        try:
            given = base64.b64decode(code, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        return kind.lower() == "basic" and given == f"{self._account}:{self._token}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CallbotError(
            f"cannot serve Twilio's REST API at {host}:{port}: {error.strerror}; choose another --rest"
        ) from error
    return listening


def _error(status: int, code: int, message: str) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": status}
    return JSONResponse(body, status_code=status)
