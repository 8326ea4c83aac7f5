"""Versions of businesses: imported, activated, rolled back, and found by the number that was dialled."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from store_samples import business_yaml, document, start_python

from callbot.business import business_of, read_business, read_document
from callbot.errors import InvalidInput
from callbot.store.database import Store, StoreError, open_store
from callbot.store.documents import canonical_yaml
from callbot.yamlfile import Document, parse_yaml

PROMPTS = Path(__file__).parent.parent / "prompts"


def test_a_business_comes_back_as_it_was(store: Store) -> None:
    """What answers calls from the database is what its file says, Hebrew included."""
    assert store.businesses.import_version(document(), comment="ראשון") == 1
    assert store.businesses.get("ruti") == business_of(document())
    version = store.businesses.version("ruti")
    assert (version.number, version.active, version.comment) == (1, True, "ראשון")
    assert version.created_at.utcoffset() is not None
    assert "הניקיון של רותי" in version.yaml


@pytest.mark.parametrize("path", sorted(PROMPTS.glob("[!_]*.yaml")), ids=lambda path: path.stem)
def test_shipped_businesses_come_back_without_what_they_extend(path: Path, tmp_path: Path) -> None:
    """A version is whole: reading it back needs no base file."""
    text = canonical_yaml(read_document(path))
    alone = tmp_path / path.name
    alone.write_text(text, encoding="utf-8")
    assert read_business(alone) == read_business(path)
    assert canonical_yaml(read_document(alone)) == text
    assert "extends" not in yaml.safe_load(text)


def test_an_unchanged_file_makes_no_new_version(store: Store) -> None:
    """Comments and quotes are not a change; a text that was there before is that version again."""
    assert store.businesses.import_version(document()) == 1
    requoted = "# a comment\n" + business_yaml().replace("id: ruti", "'id': \"ruti\"")
    assert store.businesses.import_version(parse_yaml(requoted, Path("ruti.yaml"))) == 1
    assert store.businesses.import_version(document(greeting="הלו")) == 2
    assert store.businesses.import_version(document()) == 1
    assert [(v.number, v.active) for v in store.businesses.versions("ruti")] == [(1, True), (2, False)]


def test_an_import_can_wait_for_its_activation(store: Store) -> None:
    """Only a business's very first version is active without being asked for."""
    store.businesses.import_version(document(), activate=False)
    store.businesses.import_version(document(greeting="הלו"), activate=False)
    assert store.businesses.get("ruti").greeting.text == "שלום, כאן רותי"
    store.businesses.activate("ruti", 2)
    assert store.businesses.get("ruti").greeting.text == "הלו"
    assert store.businesses.get("ruti", 1).greeting.text == "שלום, כאן רותי"


def test_rollback_goes_back_step_by_step(store: Store) -> None:
    """A second rollback does not return to the version that the first one fled."""
    for greeting in ("א", "ב", "ג"):
        store.businesses.import_version(document(greeting=greeting))
    assert store.businesses.rollback("ruti") == 2
    assert store.businesses.rollback("ruti") == 1
    with pytest.raises(StoreError, match="no other version was active before"):
        store.businesses.rollback("ruti")
    store.businesses.activate("ruti", 3)
    store.businesses.activate("ruti", 3)
    assert store.businesses.rollback("ruti") == 1
    assert store.businesses.get("ruti").greeting.text == "א"


def test_all_documents_are_stored_or_none(store: Store) -> None:
    """One broken file keeps all of them out, and nothing is half-written."""
    broken = parse_yaml(business_yaml("broken").replace("fields:", "feilds:"), Path("broken.yaml"))
    with pytest.raises(InvalidInput, match=r'feilds: unknown key; did you mean "fields"\?'):
        store.businesses.import_versions([document(), broken])
    with pytest.raises(StoreError, match="imported twice"):
        store.businesses.import_versions([document(), document(greeting="הלו")])
    with pytest.raises(StoreError, match=r'\+97235550100 is answered by "dan" already; "ruti" cannot'):
        store.businesses.import_versions([document("ruti"), document("dan")])
    assert store.businesses.list() == ()


def test_a_dialled_number_finds_its_business(store: Store) -> None:
    """Numbers are compared as E.164, belong to active versions, and may be swapped in one import."""
    store.businesses.import_versions(
        [document("ruti", number="03-555-0100"), document("dan", number="+97235550101")]
    )
    found = store.businesses.find_by_number("+97235550100")
    assert found is not None
    assert found.business() == store.businesses.get("ruti")
    assert store.businesses.find_by_number("+97235559999") is None
    swapped = [document("ruti", number="+97235550101"), document("dan", number="+97235550100")]
    assert [done.version for done in store.businesses.import_versions(swapped)] == [2, 2]
    assert {info.id: info.numbers for info in store.businesses.list()} == {
        "dan": ("+97235550100",),
        "ruti": ("+97235550101",),
    }
    with pytest.raises(StoreError, match="is answered by"):
        store.businesses.rollback("ruti")
    assert store.businesses.version("ruti").number == 2


def test_unknown_names_say_what_is_known(store: Store) -> None:
    """A typing error is answered with the nearest name."""
    with pytest.raises(StoreError, match="none is stored"):
        store.businesses.get("ruti")
    store.businesses.import_version(document())
    with pytest.raises(StoreError, match='unknown business "rutti": did you mean "ruti"'):
        store.businesses.get("rutti")
    with pytest.raises(StoreError, match="ruti: there is no version 7; versions: 1"):
        store.businesses.activate("ruti", 7)
    with pytest.raises(StoreError, match="unknown business"):
        store.businesses.rollback("nobody")
    with pytest.raises(StoreError, match="unknown business"):
        store.businesses.versions("nobody")


_IMPORTER = """
import sys
from store_samples import document
from callbot.store.database import open_store
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(10):
        store.businesses.import_versions(
            [document("ruti", greeting=f"{sys.argv[2]} {n}"), document("dan", number="+97235550101")]
        )
"""


def test_two_importers_at_once_lose_nothing(store_url: str) -> None:
    """Version numbers stay consecutive and every text is kept."""
    importers = [start_python(_IMPORTER, store_url, name) for name in ("א", "ב")]
    for importer in importers:
        assert importer.stdout is not None
        assert importer.stdout.readline() == "ready\n"
    for importer in importers:
        assert importer.stdin is not None
        importer.stdin.write("go\n")
        importer.stdin.flush()
    for importer in importers:
        importer.communicate()
        assert importer.returncode == 0
    with open_store(store_url) as store:
        versions = store.businesses.versions("ruti")
        assert [version.number for version in versions] == list(range(1, 21))
        assert len({version.sha256 for version in versions}) == 20
        assert len(store.businesses.versions("dan")) == 1


_SCALARS = st.one_of(
    st.text(),
    st.sampled_from(
        ["null", "~", "no", "0521234567", "12:30", "1.0", "8", "", "# x", "a: b", "x #y", "1\n 2\n", "- a"]
    ),
)


@given(
    st.recursive(
        st.none() | _SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_SCALARS, inner, max_size=4),
    )
)
def test_any_document_survives_its_text(data: object) -> None:
    """Whatever a file can hold is read back from its canonical text unchanged."""
    written = {"id": data}
    text = canonical_yaml(Document(Path("x"), yaml.ScalarNode("", ""), written))
    assert parse_yaml(text, Path("x")).data == written
