"""The journal of suppressions: a file beside the database, because a backup of that brings everybody back.

One sealed entry a line, appended under a lock and synced before anything is acknowledged. A line that a crash cut short
was never acknowledged, and goes with the next append.
"""

import base64
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys.clock import isoformat
from recsys.data.subject_request import LimitEntry, Noted, SubjectKind, SubjectRequest
from recsys.errors import ArtifactError
from recsys.evidence.canonical import canonical_json
from recsys.store.files import file_errors, sync_directory
from recsys.store.keys import KeyRing, Purpose
from recsys.types import ErasureRequest, ErasureState, JournalEntry, Json, UserKey

CONTEXT = b"journal of suppressions"


class FileJournal:
    """Satisfies `ports.Journal`; several processes may write to one file.

    Guarantees:
        - An entry that was noted is found again, whatever was being written when the power went.

    Tested by: tests/recsys/store/test_journal.py::test_a_line_that_was_cut_short_hides_no_other
    """

    def __init__(self, path: Path, ring: KeyRing) -> None:
        """The journal in this file, which is made with the first entry."""
        self._path, self._ring = path, ring

    def note(self, *entries: Noted) -> None:
        """Append the entries durably: all of them or none.

        Tested by: tests/recsys/store/test_journal.py::test_entries_that_did_not_fit_on_the_disk_are_not_there
        """
        if not entries:
            return
        lines = self._lines(entries)
        with file_errors("the journal of suppressions"), _locked(self._path) as file:
            _append(file, lines)

    def begin(self, *entries: Noted) -> None:
        """Append those about which nothing is noted yet, while nobody else can write."""
        if not entries:
            return
        with file_errors("the journal of suppressions"), _locked(self._path) as file:
            there = {entry.about for entry in self.entries()[0]}
            missing = [entry for entry in entries if entry.about not in there]
            if missing:
                _append(file, self._lines(missing))

    def has(self, place: str) -> bool:
        """Whether the line that the place names is here."""
        with file_errors("the journal of suppressions"):
            return self._path.exists() and _content(self._path, place)[0] > 0

    def entries(self, after: str = "") -> tuple[tuple[Noted, ...], str]:
        """The entries behind this place, oldest first, and the place behind the last.

        Guarantees:
            - A place in a journal that was lost is none in the one that was made anew, however long their lines are.

        Tested by: tests/recsys/store/test_journal.py::test_a_place_in_another_journal_is_none_of_this_one
        """
        with file_errors("the journal of suppressions"):
            begin, content = _content(self._path, after) if self._path.exists() else (0, b"")
        lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
        place = _place(begin + sum(map(len, lines[:-1])), lines[-1]) if lines else after if begin else ""
        return tuple(self._read(line) for line in lines), place

    def _lines(self, entries: Iterable[Noted]) -> bytes:
        sealed = (self._ring.seal(Purpose.JOURNAL, _written(entry), CONTEXT) for entry in entries)
        return b"".join(base64.b64encode(each) + b"\n" for each in sealed)

    def _read(self, line: bytes) -> Noted:
        try:
            return _entry(self._ring.open(Purpose.JOURNAL, base64.b64decode(line), CONTEXT))
        except (ArtifactError, ValueError, KeyError) as error:
            msg = (
                "expected the journal of suppressions as it was written, got a line that does not open; restore it "
                "from its latest copy: without it a backup of the database could bring back who was erased or objected"
            )
            raise ArtifactError(msg) from error


def _place(begin: int, line: bytes) -> str:
    """The place behind the line that begins here: it names the line, for every journal has some line there."""
    return f"{begin}:{hashlib.sha256(line).hexdigest()}"


def _content(path: Path, after: str) -> tuple[int, bytes]:
    """Where this place is, and what lies behind: the beginning, if that very line is not there."""
    begin = int(found) if (found := after.partition(":")[0]).isdecimal() else 0
    with path.open("rb") as file:
        file.seek(begin)
        line = file.readline()
        end = begin + len(line) if after == _place(begin, line) else 0
        file.seek(end)
        return end, file.read()


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, for this writer alone."""
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if is_new:
            sync_directory(path.parent)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _append(file: int, lines: bytes) -> None:
    """Write the lines durably behind the last whole one; what the disk did not take whole is taken out again."""
    end = _end(file)
    os.ftruncate(file, end)
    try:
        _write(file, lines)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def _write(file: int, data: bytes) -> None:
    """Write all of it: a call of the system may write a part."""
    while data:
        data = data[os.write(file, data) :]


def _end(file: int) -> int:
    """Where the last whole line ends."""
    size = os.fstat(file).st_size
    while size:
        begin = max(0, size - 4096)
        found = os.pread(file, size - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        size = begin
    return 0


def _written(entry: Noted) -> bytes:
    request = entry.request
    own = _erasure(request) if isinstance(request, ErasureRequest) else _limit(request)
    return canonical_json(
        {
            "user_key": entry.user_key.hex(),
            "lifted": entry.lifted,
            "request_id": request.request_id,
            "received_at": isoformat(request.received_at),
            **own,
        }
    )


def _erasure(request: ErasureRequest) -> dict[str, Json]:
    return {
        "subject": request.subject,
        "reason": request.reason,
        "due_at": isoformat(request.due_at),
        "release": request.release,
    }


def _limit(request: SubjectRequest) -> dict[str, Json]:
    return {"limit": request.kind.value}


def _entry(data: bytes) -> Noted:
    found = json.loads(data)
    user_key, lifted = UserKey(bytes.fromhex(found["user_key"])), found["lifted"]
    if "limit" in found:
        return LimitEntry(user_key=user_key, request=_limit_of(found), lifted=lifted)
    return JournalEntry(user_key=user_key, request=_erasure_of(found), lifted=lifted)


def _limit_of(found: dict[str, Any]) -> SubjectRequest:
    return SubjectRequest(
        request_id=found["request_id"],
        kind=SubjectKind(found["limit"]),
        received_at=datetime.fromisoformat(found["received_at"]),
    )


def _erasure_of(found: dict[str, Any]) -> ErasureRequest:
    return ErasureRequest(
        request_id=found["request_id"],
        subject=found["subject"],
        reason=found["reason"],
        received_at=datetime.fromisoformat(found["received_at"]),
        due_at=datetime.fromisoformat(found["due_at"]),
        state=ErasureState.SUPPRESSED,
        release=found["release"],
    )
