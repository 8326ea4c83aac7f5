"""What CI and pull requests read: JUnit XML and a comment in Markdown."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import report_samples as samples

from callbot.errors import CallbotError
from callbot.evals.compare import compare
from callbot.evals.report import Report
from callbot.files import write_whole
from callbot.reporting.html import write_html
from callbot.reporting.junit import write_junit
from callbot.reporting.markdown import LIMIT, write_markdown


@pytest.fixture
def suites(tmp_path: Path) -> ET.Element:
    """The JUnit XML of a run in which everything happened."""
    write_junit(samples.full(), tmp_path / "ci" / "junit.xml")
    return ET.parse(tmp_path / "ci" / "junit.xml").getroot()


def test_junit_has_a_suite_a_business_and_a_case_a_scenario(suites: ET.Element) -> None:
    """Counts agree with the cases, in each suite and over all."""
    assert suites.tag == "testsuites"
    assert [suite.get("name") for suite in suites] == ["harborside-home", "ruti-cleaning", "shaked-dental"]
    for element, cases in [
        (suites, suites.findall("testsuite/testcase")),
        *((s, s.findall("testcase")) for s in suites),
    ]:
        assert int(element.attrib["tests"]) == len(cases)
        for attribute, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.attrib[attribute]) == sum(case.find(child) is not None for case in cases)
        assert float(element.attrib["time"]) == pytest.approx(
            sum(float(c.attrib["time"]) for c in cases), abs=0.01
        )


SHAPE: dict[str, tuple[set[str], set[str], list[str]]] = {
    # element: attributes that it must have, those it may have, children in their order
    "testsuites": ({"tests", "failures", "errors"}, {"name", "time", "skipped"}, ["testsuite"]),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"time", "timestamp", "skipped"},
        ["properties", "testcase"],
    ),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": (
        {"name", "classname", "time"},
        {"file", "line"},
        ["properties", "skipped", "error", "failure"],
    ),
    "failure": ({"message", "type"}, set(), []),
    "error": ({"message", "type"}, set(), []),
    "skipped": ({"message"}, set(), []),
}
"""What the schemas in use (Ant's, Jenkins's, pytest's xunit2) and the readers of CI services agree on;
``file`` and ``line`` are in none of the schemas, and what annotations are made of."""


def test_junit_has_the_shape_that_every_reader_knows(suites: ET.Element) -> None:
    """Elements, attributes and their order; moments without a zone, places that annotations can point to."""
    for element in suites.iter():
        required, optional, children = SHAPE[element.tag]
        assert required <= element.attrib.keys() <= required | optional, element.tag
        order = [children.index(child.tag) for child in element]
        assert order == sorted(order), element.tag
    for suite in suites:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp") or "")
    cases = {case.attrib["name"]: case for case in suites.iter("testcase")}
    case = cases["no-thanks-then-yes"]
    assert (case.get("file"), case.get("line")) == ("scenarios/no-thanks/no-thanks.yaml", "7")
    properties = [(each.get("name"), each.get("value")) for each in case.iter("property")]
    assert properties == [("verdict", "premature"), ("tag", "no-thanks"), ("tag", "critical")]
    assert ("model", "offline") in [(p.get("name"), p.get("value")) for p in suites[0].iter("property")]


def test_junit_tells_failure_from_infra_and_excuse(suites: ET.Element) -> None:
    """A failure has verdict and transcript; infra is an error; excused is skipped; a pass is empty."""
    cases = {case.attrib["name"]: case for case in suites.iter("testcase")}
    failure = cases["no-thanks-then-yes"][1]
    assert (failure.tag, failure.get("type")) == ("failure", "premature")
    assert (failure.get("message") or "").startswith("premature. should: ends in turn 6 to 7")
    assert "  2   caller: לא צריך\n" in (failure.text or "")
    assert " >>   wants:  ENDS customer_declined" in (failure.text or "")
    assert "lead.full_name: expected 'דנה לוי'" in (cases["wrong-name-kept"][1].get("message") or "")
    assert cases["provider-down"][1].tag == "error"
    assert "HTTP 503" in (cases["provider-down"][1].get("message") or "")
    assert cases["irony"][1].tag == "skipped"
    assert [child.tag for child in cases["details-one-by-one"]] == ["properties"]


def test_junit_survives_what_xml_forbids(tmp_path: Path) -> None:
    """Control characters and broken code points in a call leave the file well-formed."""
    bad = samples.run(
        "premature", [samples.turn(1, "\x00\x0b\ufffe]]> & <", "\x1b[2J", "human")], detail="a\x01b"
    )
    write_junit(samples.report([samples.scenario("na\x02me", [bad], window=None)]), tmp_path / "junit.xml")
    case = next(ET.parse(tmp_path / "junit.xml").getroot().iter("testcase"))
    assert "]]> & <" in (case[1].text or "")


class Tags(HTMLParser):
    """Collects tags of HTML, to see that they are balanced and which there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an opened tag."""
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost."""
        assert self.open.pop() == tag


def comment(report: Report, folder: Path) -> str:
    """The comment on a run."""
    write_markdown(report, folder / "comment.md")
    return (folder / "comment.md").read_text("utf-8")


def test_the_comment_starts_with_the_result_and_a_table(tmp_path: Path) -> None:
    """One line says it; the table has the numbers; what did not fail is listed, not told."""
    text = comment(samples.full(), tmp_path)
    assert text.startswith("❌ **FAIL** the gate does not hold: 4 passed, 8 failed, 1 infra, 1 excused\n")
    assert "| model wants to end | precision 0.962, recall 0.926, f1 0.944 |" in text
    assert "Infra: the provider failed (1): provider-down" in text
    assert text.count("<details>") == 8
    assert comment(samples.passing(), tmp_path).startswith("✅ **PASS** the gate holds: 3 passed\n")


def test_what_flipped_stands_before_everything_else(tmp_path: Path) -> None:
    """Critical losses first, each with its call, and told once; gains by name; then the numbers."""
    after = samples.full()
    before = after.model_copy(deep=True)
    for scenario in before.scenarios:
        held = scenario.name in ("wrong-reason", "no-thanks-then-yes", "no-phone-yet")
        if held or scenario.name == "only-asking":
            scenario.passed, scenario.runs = held, [samples.run("open" if held else "never", [])]
    comparison = compare(before, after)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/comparison.json").write_text(comparison.model_dump_json(by_alias=True), encoding="utf-8")
    write_markdown(after, tmp_path / "comment.md", tmp_path / "run")
    text = (tmp_path / "comment.md").read_text("utf-8")
    assert "### Flipped since 20261127-100000-offline: 2 critical lost, 3 lost, 1 gained\n" in text
    order = [
        "no-thanks-then-yes</b>",
        "wrong-reason</b>",
        "Gained (1): only-asking",
        "| model wants to end |",
    ]
    assert sorted(order, key=text.index) == order
    assert "- critical: 1 of 1 passed before, 0 of 1 now" in text
    assert text.count("<summary><b>wrong-reason</b>") == 1
    assert "### 5 other failing scenarios" in text
    tags = Tags()
    tags.feed(text)
    assert not tags.open


def test_hebrew_in_the_comment_reads_from_the_right(tmp_path: Path) -> None:
    """Each utterance carries its own direction, and numbers keep theirs."""
    text = comment(samples.full(), tmp_path)
    assert '<div dir="rtl"><i>2 caller</i>: לא צריך</div>' in text
    assert '<div dir="rtl"><i>3 caller</i>: <span dir="ltr">052-123-4567</span></div>' in text
    assert "<div><i>2 bot</i>: How can I help?</div>" in text


def test_callers_words_are_neither_markup_nor_mentions(tmp_path: Path) -> None:
    """No tag, cell, mention or reference comes from what was said."""
    hostile = samples.scenario(
        "a|b`c` @team #7", samples.every_outcome()[9].runs, window=None, tags=["security"]
    )
    text = comment(samples.report([*samples.every_outcome(), hostile]), tmp_path)
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    assert tags.seen <= {"details", "summary", "b", "i", "div", "br", "span", "p"}
    assert not re.search(r"@\w", text)
    assert not re.search(r"#\d", text)


def test_a_long_call_is_cut_and_a_large_run_fits(tmp_path: Path) -> None:
    """Only the turns around the window; and what does not fit is counted."""
    text = comment(samples.full(), tmp_path)
    assert "<i>18 caller</i>" not in text
    assert "<i>19 caller</i>" in text
    long = [
        samples.scenario(f"long-{n}", [samples.run("never", samples.long_call(12))], window=(9, 12))
        for n in range(60)
    ]
    text = comment(samples.report(long), tmp_path)
    assert len(text) < LIMIT
    assert re.search(r"… and \d+ more, in `report\.html`", text)


@pytest.mark.parametrize("write", [write_junit, write_markdown, write_html])
def test_a_report_can_be_empty(write: object, tmp_path: Path) -> None:
    """An interrupted run may hold nothing at all."""
    assert callable(write)
    write(samples.report([]), tmp_path / "out")
    assert (tmp_path / "out").stat().st_size > 100


def test_files_are_written_whole(tmp_path: Path) -> None:
    """A write that fails leaves what was there and nothing beside it."""
    write_whole(tmp_path / "a" / "report", "old")
    write_whole(tmp_path / "a" / "report", "new")
    assert (tmp_path / "a" / "report").read_text() == "new"
    (tmp_path / "a" / "taken").mkdir()
    with pytest.raises(CallbotError, match="taken cannot be written"):
        write_whole(tmp_path / "a" / "taken", "text")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report", "taken"]
