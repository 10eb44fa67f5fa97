"""The journal of suppressions: what outlives a backup of the database."""

import base64
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.data.subject_request import LIMITS, LimitEntry, SubjectKind, SubjectRequest, SubjectState
from recsys.errors import ArtifactError, StorageError
from recsys.ports import Journal
from recsys.store.journal import CONTEXT, FileJournal
from recsys.store.keys import KeyRing, Purpose
from recsys.store.memory_journal import MemoryJournal
from recsys.types import ErasureRequest, ErasureState, JournalEntry, UserKey
from tests.recsys.store.conftest import NOON


@pytest.fixture(params=["memory", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, ring: KeyRing) -> Journal:
    return MemoryJournal() if request.param == "memory" else FileJournal(tmp_path / "journal", ring)


def entry(request: ErasureRequest, number: int, *, lifted: bool = False) -> JournalEntry:
    asked = replace(request, request_id=f"r{number}")
    return JournalEntry(user_key=UserKey(bytes([number]) * 16), request=asked, lifted=lifted)


def limit(number: int, *, kind: SubjectKind = SubjectKind.OBJECTION, lifted: bool = False) -> LimitEntry:
    asked = SubjectRequest(request_id=f"l{number}", kind=kind, received_at=NOON)
    return LimitEntry(user_key=UserKey(bytes([number]) * 16), request=asked, lifted=lifted)


def test_entries_come_back_in_their_order_with_the_requests_as_they_came(
    journal: Journal, erasure_request: ErasureRequest
) -> None:
    made = [entry(erasure_request, 1), entry(erasure_request, 2), entry(erasure_request, 1, lifted=True)]
    gone_on = replace(made[0], request=replace(made[0].request, state=ErasureState.PURGED, details={"a": 1}))
    journal.note(gone_on)
    journal.note(*made[1:])
    journal.note()
    assert journal.entries()[0] == tuple(made)


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_limits_stand_among_erasures_as_they_came(
    journal: Journal, erasure_request: ErasureRequest, kind: SubjectKind
) -> None:
    first, erased, lifted = limit(1, kind=kind), entry(erasure_request, 1), limit(1, kind=kind, lifted=True)
    done = replace(first.request, state=SubjectState.DONE, details={"a": 1}, moves=b"x")
    journal.note(replace(first, request=done), erased, lifted)
    assert journal.entries()[0] == (first, erased, lifted)


def test_a_line_from_before_there_were_limits_is_read(
    tmp_path: Path, ring: KeyRing, erasure_request: ErasureRequest
) -> None:
    line = {
        "user_key": "01" * 16,
        "lifted": True,
        "request_id": "r1",
        "subject": "ab" * 32,
        "reason": "customer request",
        "received_at": "2026-01-31T12:00:00.000Z",
        "due_at": "2026-03-02T12:00:00.000Z",
        "release": True,
    }
    sealed = ring.seal(Purpose.JOURNAL, json.dumps(line).encode(), CONTEXT)
    (tmp_path / "journal").write_bytes(base64.b64encode(sealed) + b"\n")
    assert FileJournal(tmp_path / "journal", ring).entries()[0] == (entry(erasure_request, 1, lifted=True),)


def test_reading_goes_on_from_a_place_and_from_the_beginning_if_there_is_no_such_place(
    journal: Journal, erasure_request: ErasureRequest
) -> None:
    assert journal.entries() == ((), "")
    journal.note(entry(erasure_request, 1))
    _, place = journal.entries()
    journal.note(entry(erasure_request, 2))
    later, end = journal.entries(place)
    assert [each.request.request_id for each in later] == ["r2"]
    assert journal.entries(end) == ((), end)
    for none in ("0", "1", "999", f"9{end}", end + "0", "x"):
        assert journal.entries(none) == (journal.entries()[0], end)


def test_it_has_the_places_that_it_gave_and_no_others(journal: Journal, erasure_request: ErasureRequest) -> None:
    places = [journal.entries()[1]]
    for number in (1, 2):
        journal.note(entry(erasure_request, number))
        places.append(journal.entries()[1])
    assert [journal.has(place) for place in (*places, "1")] == [False, True, True, False]


def test_to_begin_notes_who_has_no_entry_yet_and_leaves_who_was_let_in(
    journal: Journal, erasure_request: ErasureRequest
) -> None:
    lifted = entry(erasure_request, 2, lifted=True)
    journal.note(lifted)
    for _ in range(2):
        journal.begin(*(entry(erasure_request, number) for number in (1, 2, 3)))
    assert journal.entries()[0] == (lifted, entry(erasure_request, 1), entry(erasure_request, 3))


def test_to_begin_notes_each_limit_that_has_no_entry_yet(journal: Journal, erasure_request: ErasureRequest) -> None:
    erased, lifted = entry(erasure_request, 1), limit(1, lifted=True)
    objected_too = replace(limit(2), user_key=erased.user_key)
    journal.note(erased, lifted)
    for _ in range(2):
        journal.begin(limit(1), objected_too, entry(erasure_request, 2))
    assert journal.entries()[0] == (erased, lifted, objected_too, entry(erasure_request, 2))


def test_entries_that_did_not_fit_on_the_disk_are_not_there(
    tmp_path: Path, ring: KeyRing, erasure_request: ErasureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path / "journal", ring)
    journal.note(entry(erasure_request, 1))
    before = (tmp_path / "journal").read_bytes()
    fill_the_disk(monkeypatch, after=1000)
    with pytest.raises(StorageError):
        journal.note(*(entry(erasure_request, number) for number in (2, 3, 4)))
    assert (tmp_path / "journal").read_bytes() == before


def fill_the_disk(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Let the next write take so many bytes, and every other none."""
    write, room = os.write, [after]

    def writes(file: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "no space left on device")
        return write(file, data[: room.pop()])

    monkeypatch.setattr("recsys.store.journal.os.write", writes)


def test_a_place_in_another_journal_is_none_of_this_one(
    tmp_path: Path, ring: KeyRing, erasure_request: ErasureRequest
) -> None:
    """Their lines are of one length, so that a place of bytes alone would be the end of a line in both."""
    lost, anew = FileJournal(tmp_path / "lost", ring), FileJournal(tmp_path / "anew", ring)
    lost.note(entry(erasure_request, 1))
    _, place = lost.entries()
    anew.note(entry(erasure_request, 2), entry(erasure_request, 3))
    assert (tmp_path / "anew").stat().st_size == 2 * (tmp_path / "lost").stat().st_size
    assert [each.request.request_id for each in anew.entries(place)[0]] == ["r2", "r3"]
    old_mark = str((tmp_path / "lost").stat().st_size)
    assert len(anew.entries(old_mark)[0]) == 2


@pytest.mark.parametrize("cut", [1, 10, 5000])
def test_a_line_that_was_cut_short_hides_no_other(
    tmp_path: Path, ring: KeyRing, erasure_request: ErasureRequest, cut: int
) -> None:
    path = tmp_path / "journal"
    journal = FileJournal(path, ring)
    journal.note(entry(erasure_request, 1))
    with path.open("ab") as file:
        file.write(b"x" * cut)
    assert [each.request.request_id for each in journal.entries()[0]] == ["r1"]
    journal.note(entry(erasure_request, 2))
    assert [each.request.request_id for each in journal.entries()[0]] == ["r1", "r2"]


def test_neither_reason_nor_key_of_a_customer_can_be_read_in_the_file(
    tmp_path: Path, ring: KeyRing, erasure_request: ErasureRequest
) -> None:
    journal = FileJournal(tmp_path / "journal", ring)
    journal.note(entry(replace(erasure_request, reason="by letter"), 65), limit(65))
    content = (tmp_path / "journal").read_bytes()
    assert b"by letter" not in content
    assert b"objection" not in content
    assert b"A" * 16 not in content
    assert (b"41" * 16) not in content
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0


def test_a_line_that_was_changed_or_is_another_installations_is_refused(
    tmp_path: Path, ring: KeyRing, erasure_request: ErasureRequest
) -> None:
    path = tmp_path / "journal"
    FileJournal(path, ring).note(entry(erasure_request, 1))
    with pytest.raises(ArtifactError, match="restore it"):
        FileJournal(path, KeyRing.ephemeral()).entries()
    path.write_bytes(b"!" + path.read_bytes()[1:])
    with pytest.raises(ArtifactError, match="restore it"):
        FileJournal(path, ring).entries()


def test_a_journal_that_cannot_be_written_says_so(
    tmp_path: Path, ring: KeyRing, erasure_request: ErasureRequest
) -> None:
    with pytest.raises(StorageError, match="journal of suppressions"):
        FileJournal(tmp_path / "nowhere" / "journal", ring).note(entry(erasure_request, 1))
