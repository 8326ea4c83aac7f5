"""A business's webhook on this machine, which answers as it is told to."""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import Any


class Receiver:
    """A business's webhook. ``answers``: (status, headers) of the next posts; 204 after them."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.hold: threading.Event | None = None
        self.came = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
                receiver.came.set()
                if receiver.hold is not None:
                    receiver.hold.wait(20)
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in {"Content-Length": "0", **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/leads"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        if self.hold is not None:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()
