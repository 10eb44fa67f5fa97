"""A hash chain: no entry can be changed, dropped, moved or put between."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recsys.errors import LedgerTamperedError
from recsys.evidence.canonical import json_digest
from recsys.evidence.chain import GENESIS, entries_since, head, link, verify_chain
from recsys.evidence.signing import Document

BODIES = st.lists(
    st.dictionaries(st.sampled_from(["mu", "purpose"]), st.integers() | st.text("ab")), min_size=1, max_size=5
)


def chain(bodies: list[Document]) -> list[Document]:
    entries: list[Document] = []
    for body in bodies:
        entries.append(link(entries, body))
    return entries


@given(BODIES)
def test_a_chain_that_was_not_touched_holds(bodies: list[Document]) -> None:
    entries = chain(bodies)
    verify_chain(entries)
    assert [entry["index"] for entry in entries] == list(range(len(bodies)))
    assert head(entries) == entries[-1]["digest"]


def test_an_empty_chain_holds_and_begins_at_genesis() -> None:
    verify_chain([])
    assert head([]) == GENESIS
    assert link([], {"mu": 1})["previous"] == GENESIS


@given(BODIES, st.data())
def test_a_changed_field_is_caught(bodies: list[Document], data: st.DataObject) -> None:
    entries = chain(bodies)
    index = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(sorted(entries[index])))
    changed = data.draw(st.integers() | st.text())
    assume(changed != entries[index][field])
    entries[index] = {**entries[index], field: changed}
    with pytest.raises(LedgerTamperedError):
        verify_chain(entries)


@given(BODIES, st.data())
def test_a_field_added_or_taken_away_is_caught(bodies: list[Document], data: st.DataObject) -> None:
    entries = chain(bodies)
    index = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from([*entries[index], "new"]))
    entry = dict(entries[index])
    if entry.pop(field, None) is None:
        entry[field] = 1
    entries[index] = entry
    with pytest.raises(LedgerTamperedError):
        verify_chain(entries)


@given(BODIES, st.data())
def test_a_dropped_entry_is_caught_unless_it_is_the_last(bodies: list[Document], data: st.DataObject) -> None:
    entries = chain([*bodies, {"mu": 1}])
    del entries[data.draw(st.integers(0, len(bodies) - 1))]
    with pytest.raises(LedgerTamperedError):
        verify_chain(entries)


@given(BODIES, st.data())
def test_a_dropped_end_is_seen_in_the_head(bodies: list[Document], data: st.DataObject) -> None:
    entries = chain(bodies)
    kept = entries[: data.draw(st.integers(0, len(entries) - 1))]
    verify_chain(kept)
    assert head(kept) != head(entries)


@given(BODIES, st.data())
def test_two_entries_in_each_others_place_are_caught(bodies: list[Document], data: st.DataObject) -> None:
    entries = chain([*bodies, {"mu": 1}])
    first, second = data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True))
    entries[first], entries[second] = entries[second], entries[first]
    with pytest.raises(LedgerTamperedError):
        verify_chain(entries)


@given(BODIES, st.data())
def test_an_entry_put_between_is_caught(bodies: list[Document], data: st.DataObject) -> None:
    entries = chain(bodies)
    index = data.draw(st.integers(0, len(entries) - 1))
    entries.insert(index, link(entries[:index], {"forged": True}))
    with pytest.raises(LedgerTamperedError):
        verify_chain(entries)


@given(BODIES, st.data())
def test_an_entry_whose_own_digest_was_made_again_is_caught_at_the_next(
    bodies: list[Document], data: st.DataObject
) -> None:
    entries = chain([*bodies, {"mu": 1}])
    index = data.draw(st.integers(0, len(bodies) - 1))
    forged = {key: value for key, value in entries[index].items() if key != "digest"} | {"forged": True}
    entries[index] = {**forged, "digest": json_digest(forged)}
    with pytest.raises(LedgerTamperedError, match=f"entry {index + 1} "):
        verify_chain(entries)


@given(BODIES, st.data())
def test_a_head_that_was_kept_elsewhere_finds_an_end_that_was_cut_off(
    bodies: list[Document], data: st.DataObject
) -> None:
    entries = chain(bodies)
    kept = data.draw(st.integers(0, len(entries)))
    assert entries_since(entries, head(entries[:kept])) == len(entries) - kept
    for shorter in range(kept):
        verify_chain(entries[:shorter])
        with pytest.raises(LedgerTamperedError, match="expected a chain that has had the head"):
            entries_since(entries[:shorter], head(entries[:kept]))


@given(BODIES, BODIES)
def test_the_head_of_another_chain_vouches_for_nothing(bodies: list[Document], others: list[Document]) -> None:
    assume(bodies[: len(others)] != others)
    with pytest.raises(LedgerTamperedError):
        entries_since(chain(bodies), head(chain(others)))
