"""The operator of a running bot: logs in, asks for pages, watches."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urlencode

from serving import Bot

ADMIN_TOKEN = "the-operators-own-token"
ADMIN = {"CALLBOT_ADMIN_TOKEN": ADMIN_TOKEN}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def log_in(bot: Bot, token: str = ADMIN_TOKEN, **form: str) -> tuple[int, dict[str, str], str]:
    """Send the form: status, headers, page."""
    body = urlencode({"token": token, **form}).encode()
    status, headers, page = bot.request("POST", "/admin/login", body, FORM)
    return status, headers, page.decode()


@dataclass
class Operator:
    """Somebody who has logged in."""

    bot: Bot
    cookie: str

    @classmethod
    def of(cls, bot: Bot) -> Operator:
        """Log in."""
        status, headers, page = log_in(bot)
        assert status == 303, page
        return cls(bot, headers["set-cookie"].partition(";")[0])

    def get(self, path: str) -> tuple[int, str]:
        """A page."""
        status, _, body = self.bot.get(path, Cookie=self.cookie)
        return status, body.decode()

    def page(self, path: str) -> str:
        """A page that is there."""
        status, page = self.get(path)
        assert status == 200, page
        return page

    def watch(self, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """An open stream of events."""
        connection = http.client.HTTPConnection("127.0.0.1", self.bot.port, timeout=20)
        connection.request("GET", path, headers={"Cookie": self.cookie})
        return connection, connection.getresponse()
