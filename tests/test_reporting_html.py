"""The page of transcripts in a real browser: direction, filters, folding, and words that mean harm."""

import json
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from chromium import browser
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from callbot.evals.report import Check, NotJudged, Report
from callbot.reporting.html import write_html

__all__ = ["browser"]


class Page:
    """The page of a report, open in a browser."""

    def __init__(self, browser: webdriver.Chrome, folder: Path) -> None:
        self.browser, self.path = browser, folder / "report.html"

    def show(self, report: Report, anchor: str = "") -> None:
        """Write the page and open it, logs empty."""
        write_html(report, self.path)
        self.browser.get("about:blank")
        for log in ("browser", "performance"):
            self.browser.get_log(log)
        self.browser.get(self.path.as_uri() + anchor)

    def all(self, selector: str) -> list[WebElement]:
        """Elements by CSS."""
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def calls(self) -> list[str]:
        """Names of the calls that can be seen."""
        return [name.text for name in self.all(".call > summary strong") if name.is_displayed()]

    def choose(self, name: str, value: str) -> None:
        """Pick a value of a filter."""
        Select(self.browser.find_element(By.NAME, name)).select_by_value(value)

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script as the reader's own hands would."""
        return self.browser.execute_script(script, *arguments)


@pytest.fixture
def page(browser: webdriver.Chrome, tmp_path: Path) -> Page:
    """A page, not yet opened."""
    return Page(browser, tmp_path)


def test_the_page_is_one_file_and_nothing_it_holds_runs(page: Page) -> None:
    """No request but the file itself, no error, no script of a caller's; the text is there as said."""
    page.show(samples.full())
    sent = [json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")]
    urls = {m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"}
    assert {url for url in urls if not url.startswith("data:")} == {page.path.as_uri()}
    assert page.browser.get_log("browser") == []
    assert page.browser.title == "FAIL offline 20261127-100000-offline"
    said = page.browser.find_element(By.CSS_SELECTOR, "#call-hostile-caller .caller p")
    assert said.text == samples.HOSTILE
    assert page.all("main script, main img, main b b") == []


def test_even_unescaped_words_could_not_run(page: Page) -> None:
    """The content security policy stands on its own: markup that got in would stay dead."""
    page.show(samples.passing())
    title = page.browser.title
    wait = """
        const done = arguments[1];
        document.querySelector("main").insertAdjacentHTML("beforeend", arguments[0]);
        document.querySelector("main img").addEventListener("error", () => done(document.title));
    """
    assert page.browser.execute_async_script(wait, samples.HOSTILE) == title


def test_hebrew_is_laid_out_from_the_right_and_numbers_keep_their_order(page: Page) -> None:
    """Computed direction by utterance, and the characters of a phone number from left to right."""
    page.show(samples.full(), "#call-wrong-name-kept")
    directions = "return [...document.querySelectorAll(arguments[0])].map(e => getComputedStyle(e).direction)"
    assert set(page.run(directions, "#call-wrong-name-kept .said:not(.wants, .ended) p")) == {"rtl"}
    assert set(page.run(directions, "#call-hostile-caller .said p")) == {"ltr"}
    assert set(page.run(directions, "#call-wrong-name-kept .wants p")) == {"ltr"}
    places = """
        const text = [...document.querySelectorAll("#call-wrong-name-kept .bot bdi")]
            .find(e => e.textContent.startsWith("+972")).firstChild;
        return [...text.data].map((_, i) => {
            const range = document.createRange();
            range.setStart(text, i);
            range.setEnd(text, i + 1);
            return range.getBoundingClientRect().left;
        });
    """
    lefts = page.run(places)
    assert len(lefts) == len("+972521234567")
    assert lefts == sorted(lefts)
    question = """
        const text = document.querySelector("#call-no-thanks-then-yes .bot p").lastChild;
        const at = (i) => {
            const range = document.createRange();
            range.setStart(text, i);
            range.setEnd(text, i + 1);
            return range.getBoundingClientRect().left;
        };
        return at(text.length - 1) < at(0);
    """
    assert page.run(question) is True, "punctuation at the end of Hebrew stands left of it"


def test_failing_calls_stand_first_and_open(page: Page) -> None:
    """Passing ones are folded away."""
    page.show(samples.full())
    outcomes = [call.find_element(By.CSS_SELECTOR, "summary .outcome").text for call in page.all(".call")]
    assert outcomes == ["failed"] * 8 + ["infra", "excused"] + ["passed"] * 4
    assert [call.get_dom_attribute("open") is not None for call in page.all(".call")] == [True] * 8 + [
        False
    ] * 6


def test_the_window_and_the_wants_are_drawn_over_the_turns(page: Page) -> None:
    """Window turns are marked, the first request to end stands out, a refusal is told."""
    page.show(samples.full())
    late = page.browser.find_element(By.ID, "call-goodbye-three-times")
    assert [n.text for n in late.find_elements(By.CSS_SELECTOR, ".window > .n")] == ["6"]
    assert [w.text for w in late.find_elements(By.CSS_SELECTOR, ".asked b")] == ["ENDS lead_complete"]
    refused = page.browser.find_element(By.ID, "call-no-phone-yet")
    assert [n.text for n in refused.find_elements(By.CSS_SELECTOR, ".window > .n")] == ["1", "2"]
    assert "lead_complete needs phone" in refused.find_element(By.CSS_SELECTOR, ".guard").text
    wrong = page.browser.find_element(By.ID, "call-wrong-name-kept")
    assert "expected 'דנה לוי'" in wrong.find_element(By.CSS_SELECTOR, "dt.bad + dd").text
    assert "+972521234567" in wrong.find_element(By.CSS_SELECTOR, ".facts").text


def test_calls_are_filtered_by_verdict_business_tag_and_text(page: Page) -> None:
    """Filters add up, the count follows, and nothing found is said."""
    page.show(samples.full())
    page.choose("verdict", "never")
    assert page.calls() == ["asks-for-ever", "irony"]
    page.choose("verdict", "")
    page.choose("outcome", "failed")
    page.choose("tag", "critical")
    assert page.calls() == ["no-thanks-then-yes", "no-phone-yet"]
    page.choose("tag", "")
    page.choose("business", "harborside-home")
    assert page.calls() == ["hostile-caller"]
    page.choose("outcome", "")
    page.choose("business", "")
    box = page.browser.find_element(By.NAME, "text")
    box.send_keys("ראשון לציון")
    assert page.calls() == ["asks-for-ever"]
    assert page.browser.find_element(By.ID, "count").text == "1 of 14 calls"
    box.send_keys(" nowhere")
    assert page.calls() == []
    assert page.browser.find_element(By.ID, "none").is_displayed()


def test_a_link_opens_its_call_and_keys_are_enough(page: Page) -> None:
    """An anchor unfolds a passing call; slash finds the search box; Enter folds and unfolds."""
    page.show(samples.full(), "#call-english-boiler")
    linked = page.browser.find_element(By.ID, "call-english-boiler")
    assert linked.get_dom_attribute("open") is not None
    page.browser.find_element(By.TAG_NAME, "body").send_keys("/")
    assert page.browser.switch_to.active_element.get_dom_attribute("name") == "text"
    assert page.browser.switch_to.active_element.get_property("value") == ""
    summary = linked.find_element(By.TAG_NAME, "summary")
    summary.send_keys(Keys.ENTER)
    assert linked.get_dom_attribute("open") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_colours_follow_the_reader_and_nothing_overflows(page: Page, scheme: str, width: int) -> None:
    """Dark ink on light paper or the other way, and no sideways scrolling on a telephone."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.show(samples.full())
        lightness = """
            const sum = (colour) => colour.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0);
            const style = getComputedStyle(document.body);
            return [sum(style.backgroundColor), sum(style.color)];
        """
        paper, ink = page.run(lightness)
        assert (paper > ink) == (scheme == "light")
        assert page.run("return document.documentElement.scrollWidth") <= width
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_every_attempt_is_there(page: Page) -> None:
    """The telling attempt is open, the others folded under it."""
    page.show(samples.repeated())
    bad = page.browser.find_element(By.ID, "call-mostly-bad")
    assert "attempt 3 · 1 of 4 attempts passed" in bad.find_element(By.CSS_SELECTOR, ".file").text
    assert [s.text for s in bad.find_elements(By.CSS_SELECTOR, ".other > summary")] == [
        "attempt 1: on time",
        "attempt 2: infra",
        "attempt 4: premature",
    ]


def test_five_hundred_calls_stay_small(page: Page) -> None:
    """Under 5 MB, with one id for each call even where names repeat."""
    big = samples.large(500)
    big.scenarios[1].name = big.scenarios[0].name
    page.show(big)
    assert page.path.stat().st_size < 5_000_000
    ids = [call.get_dom_attribute("id") for call in page.all(".call")]
    assert len(set(ids)) == 500


def test_the_bar_of_verdicts_filters_and_an_early_end_shows_what_was_still_to_come(page: Page) -> None:
    """A part's button picks its verdict; the turns up to the window stand behind those that came."""
    page.show(samples.full())
    early = page.browser.find_element(By.CSS_SELECTOR, ".verdicts button[value=premature]")
    assert early.text == "2 premature"
    early.send_keys(Keys.ENTER)
    assert page.calls() == ["no-thanks-then-yes", "hostile-caller"]
    call = page.browser.find_element(By.ID, "call-no-thanks-then-yes")
    strip = call.find_elements(By.CSS_SELECTOR, "summary .strip .to-come")
    assert [cell.get_dom_attribute("class") for cell in strip] == ["to-come", "to-come w", "to-come w"]
    assert call.find_element(By.CSS_SELECTOR, "li.to-come").text == "6\nthe end was due here, or until turn 7"


def test_opinions_are_told_from_what_was_computed(page: Page) -> None:
    """A line with its answer, reason and judge, in its own direction; open ones too."""
    report = samples.passing(1)
    [run] = report.scenarios[0].runs
    run.checks = [
        Check(name="judge: הבוט לא מבטיח מחיר", passed=False, detail="in turn 4", judged_by="openai:m"),
        Check(name="judge: it is polite", passed=True, detail="thanks", judged_by="openai:m"),
        Check(name="greeting_once", passed=True),
    ]
    run.not_judged = [NotJudged(line="it is brief", why="the transcript does not tell")]
    page.show(report, "#call-plain-0")
    facts = page.browser.find_element(By.CSS_SELECTOR, "#call-plain-0 .facts").text.splitlines()
    told = facts[facts.index("judge: no") : facts.index("checks hold") + 2]
    assert told == [
        *("judge: no", "הבוט לא מבטיח מחיר", "in turn 4", "judged by openai:m"),
        *("judge: holds", "it is polite", "thanks", "judged by openai:m"),
        *("not judged", "it is brief", "the transcript does not tell", "checks hold", "greeting_once"),
    ]
    assert page.all("#call-plain-0 .line")[0].value_of_css_property("direction") == "rtl"


def test_a_reader_without_a_mouse_sees_where_they_are(page: Page) -> None:
    """The first Tab offers the way to the calls; j and k walk over them; focus has an outline."""
    page.show(samples.full())
    body = page.browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    skip = page.browser.switch_to.active_element
    assert skip.text == "Skip to the calls"
    assert skip.rect["x"] >= 0
    skip.send_keys(Keys.ENTER)
    for key, name in (("j", "no-thanks-then-yes"), ("j", "goodbye-three-times"), ("k", "no-thanks-then-yes")):
        page.browser.switch_to.active_element.send_keys(key)
        here = page.browser.switch_to.active_element
        assert name in here.text
        assert here.value_of_css_property("outline-style") == "solid"
        assert here.rect["y"] >= page.run(
            "return scrollY + document.getElementById('filter').getBoundingClientRect().bottom"
        )
