"""The operator's pages in a real browser: a call that grows while it is watched, at another replica too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from chromium import browser
from operating import ADMIN, ADMIN_TOKEN
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from serving import NUMBER, Bot, Caller, Rest, eventually, serving
from store_samples import call_record

from callbot.store.database import open_store

__all__ = ["browser"]
HOSTILE = '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'
SALON = f"""\
id: clinic
name: "<b>מרפאה</b>"
language: he
phone_numbers: ["{NUMBER}"]
greeting: {{text: "שלום, הגעתם למרפאה."}}
fields:
  - {{name: name, label: שם, required: true}}
  - {{name: phone, type: phone, label: טלפון, required: true}}
ending: {{linger: 0}}
prompt: Answer.
"""


def reply(words: str, **lead: str) -> dict[str, Any]:
    """A reply of the scripted model that goes on."""
    control = {"should_end_call": False, "end_reason": None, "lead_status": "in_progress"}
    control |= {"missing_fields": [], "notes": HOSTILE}
    return {"spoken_reply": words, "control": control, "lead": {"name": None, "phone": None, **lead}}


REPLIES = [
    reply("נעים מאוד. מה הטלפון?", name=HOSTILE),
    reply("רשמתי 052-123-4567, נכון?", phone="052-123-4567"),
]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bot, Bot]]:
    """Two processes on one store: calls run at the first, the operator looks at the second."""
    rest = Rest()
    folder = tmp_path_factory.mktemp("first")
    settings: dict[str, Any] = {"replies": REPLIES, "business": SALON, "environment": ADMIN}
    with serving(folder, rest, **settings) as first:
        shared = {**settings, "database": first.database_url}
        with serving(tmp_path_factory.mktemp("second"), rest, **shared) as second:
            yield first, second
    rest.close()


class Reader:
    """The operator's browser, logged in."""

    def __init__(self, chrome: webdriver.Chrome, bot: Bot) -> None:
        self.chrome, self.url = chrome, bot.url
        chrome.delete_all_cookies()
        chrome.get(f"{self.url}/admin")
        self.css("#token")[0].send_keys(ADMIN_TOKEN + Keys.ENTER)
        chrome.get_log("browser")

    def css(self, selector: str) -> list[Any]:
        """Elements."""
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def open(self, path: str) -> None:
        """A page, logs empty."""
        self.chrome.get(self.url + path)

    def text(self, selector: str = "main") -> str:
        """Text as it is seen; elements that have just been replaced count as empty."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.chrome.execute_script(script, selector))

    async def until(self, words: str, selector: str = "main") -> None:
        """Wait, while the call goes on, for words to be seen."""
        await eventually(lambda: words in self.text(selector), 15)

    def width(self, pixels: int) -> int:
        """Make the window so wide, as a phone does; how much wider the page wants to be."""
        metrics = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": pixels < 600}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        width = int(self.chrome.execute_script("return document.documentElement.scrollWidth"))
        return max(0, width - pixels)


@pytest.fixture
def reader(browser: webdriver.Chrome, replicas: tuple[Bot, Bot]) -> Iterator[Reader]:
    """Somebody who looks at the second replica."""
    yield Reader(browser, replicas[1])
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


async def test_a_call_grows_while_it_is_watched(replicas: tuple[Bot, Bot], reader: Reader) -> None:
    """From the list to its end, run by another process; nothing of a caller's or model's words runs."""
    await asyncio.to_thread(reader.open, "/admin")
    await reader.until("live", "nav")
    caller = Caller(replicas[0])
    stream = await caller.answered()
    await reader.until("+16175550123", "#running")
    await asyncio.to_thread(reader.css("#running a")[0].click)
    await reader.until("live", "nav")
    await reader.until("הגעתם למרפאה", "#turn-0")
    await stream.say(HOSTILE)
    await reader.until("מה הטלפון?", "#turn-1")
    await reader.until("שם", "#turn-1 .captured")
    await stream.say("052-123-4567")
    await reader.until("נכון?", "#turn-2")
    await reader.until("keeps open", "#turn-2")
    phone = reader.css("#turn-2 .caller p bdi, #turn-2 .bot p bdi")
    assert [(one.text, one.get_attribute("dir")) for one in phone] == [("052-123-4567", "ltr")] * 2
    assert reader.css("#turns")[0].value_of_css_property("direction") == "rtl"
    assert reader.css("#turn-1 .bot p")[0].value_of_css_property("direction") == "rtl"
    assert reader.css("#turn-1 .caller p")[0].text == HOSTILE
    assert reader.css("main script, main img, main p b b, main h1 b") == []
    await stream.stop()
    await reader.until("The caller hung up.", "#facts")
    await reader.until("The call is over.", "nav")
    assert reader.text("#state") == "over"
    followed = reader.text()
    reader.chrome.refresh()
    assert reader.text() == followed, "who reloads sees the same"
    assert "owned" not in reader.chrome.title
    assert reader.chrome.get_log("browser") == []


def test_the_pages_fit_a_phone(replicas: tuple[Bot, Bot], reader: Reader) -> None:
    """No page scrolls sideways, however long a word is; on a desktop neither."""
    long = call_record("CA" + "f" * 32, lead={"full_name": "ל" * 300})
    with open_store(replicas[1].database_url) as store:
        store.calls.save_record(long)
    for path in ("/admin", f"/admin/calls/{long.header['call']}", "/admin/calls/no", "/admin/login"):
        reader.open(path)
        assert [reader.width(pixels) for pixels in (390, 320, 1280)] == [0, 0, 0], path


def test_the_pages_work_by_keyboard_and_without_scripts(replicas: tuple[Bot, Bot], reader: Reader) -> None:
    """Tab and Enter lead from the list to a call; without scripts everything stands there, too."""
    with open_store(replicas[1].database_url) as store:
        store.calls.save_record(call_record("CAkeys", business="keys"))
    reader.chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        reader.open("/admin?business=keys")
        link = reader.css("#past .calls a")[0]
        active = reader.chrome.switch_to.active_element
        for _ in range(20):
            active.send_keys(Keys.TAB)
            if (active := reader.chrome.switch_to.active_element) == link:
                break
        active.send_keys(Keys.ENTER)
        assert reader.chrome.current_url.endswith("/admin/calls/CAkeys")
        assert "דנה לוי" in reader.css("main")[0].text
        assert "UTC" in reader.css("#more time")[0].text
    finally:
        reader.chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_even_unescaped_words_could_not_run(reader: Reader) -> None:
    """The policy stands on its own: markup that got in would stay dead, and could send nothing away."""
    reader.open("/admin")
    title = reader.chrome.title
    wait = """
        const done = arguments[1];
        document.querySelector("main").insertAdjacentHTML("beforeend", arguments[0]);
        fetch("https://127.0.0.2/").then(() => done("sent"), () => done(document.title));
    """
    assert reader.chrome.execute_async_script(wait, HOSTILE) == title
    refused = [json.dumps(line) for line in reader.chrome.get_log("browser")]
    assert any("connect-src" in line for line in refused)
    assert any("script-src" in line for line in refused)


async def test_a_page_that_nobody_looks_at_is_not_followed(replicas: tuple[Bot, Bot], reader: Reader) -> None:
    """After it was hidden it goes on where it was."""
    await asyncio.to_thread(reader.open, "/admin")
    await reader.until("live", "nav")
    hide = """
        Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
        return events.readyState === EventSource.CLOSED;
    """
    assert reader.chrome.execute_script(hide, True) is True
    caller = Caller(replicas[0], caller="+16175550142")
    await caller.ring()
    assert reader.chrome.execute_script(hide, False) is False
    await reader.until("+16175550142", "#running")
    await caller.ring("/webhook/call_status", CallStatus="completed")
    await eventually(lambda: "+16175550142" in reader.text("#past"))
