"""A file that is taken in over HTTP: what it holds, how far it has come, and what became of its rows."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from recsys.clock import isoformat
from recsys.errors import InputError
from recsys.types import EventStatus, FileFormat, Json

SHOWN_BAD_ROWS = 100
"""Rows that a report names: enough to see what is wrong with an export."""


class ImportKind(StrEnum):
    """What the rows of a file are."""

    PURCHASES = "purchases"
    CATALOGUE = "catalogue"


REQUIRED: Mapping[ImportKind, tuple[str, ...]] = {
    ImportKind.PURCHASES: ("user_id", "item_id", "timestamp"),
    ImportKind.CATALOGUE: ("item_id",),
}
OPTIONAL: Mapping[ImportKind, tuple[str, ...]] = {
    ImportKind.PURCHASES: ("quantity", "event_id"),
    ImportKind.CATALOGUE: ("name", "category", "price", "stock"),
}


class ImportState(StrEnum):
    """How far an import has come; the last four are ends."""

    UPLOADING = "uploading"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OPEN = frozenset({ImportState.UPLOADING, ImportState.WORKING})


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that cannot be used: its number, counted from 1 without a header, and why. Never what it says."""

    row: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What became of the rows that were worked off."""

    rows: int = 0
    """How many: where the work goes on after a crash."""
    counts: Mapping[EventStatus, int]
    """By status; they add up to `rows`."""
    bad_rows: tuple[BadRow, ...] = ()
    """The first of those that are invalid or in conflict."""

    @classmethod
    def empty(cls) -> "ImportReport":
        """The report before the first row."""
        return cls(counts=dict.fromkeys(EventStatus, 0))

    def plus(self, statuses: Iterable[tuple[EventStatus, str]]) -> "ImportReport":
        """The report after the next rows, each with its status and, if it is to be named, the reason."""
        counts, bad, row = dict(self.counts), list(self.bad_rows), self.rows
        for status, reason in statuses:
            row += 1
            counts[status] += 1
            if reason and len(bad) < SHOWN_BAD_ROWS:
                bad.append(BadRow(row=row, reason=reason))
        return ImportReport(rows=row, counts=counts, bad_rows=tuple(bad))


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportJob:
    """One import. It outlives the file, and holds nothing that a row says."""

    import_id: str
    kind: ImportKind
    format: FileFormat
    columns: Mapping[str, str]
    """Names of columns, by field; a field that is not named here is looked for under its own name."""
    dry_run: bool
    size: int
    """Bytes of the whole file."""
    sha256: str | None
    """Of the whole file in hex, if the sender wants it checked."""
    created_at: datetime
    state: ImportState = ImportState.UPLOADING
    offset: int = 0
    """Bytes that came so far."""
    report: ImportReport
    error: str = ""
    """Why it failed."""

    @property
    def is_open(self) -> bool:
        """Whether parts or rows may still be taken."""
        return self.state in OPEN

    def with_part(self, size: int) -> "ImportJob":
        """The job after a part of this size; the last part lets the work begin."""
        offset = self.offset + size
        return replace(self, offset=offset, state=ImportState.WORKING if offset == self.size else self.state)

    def to_json(self) -> dict[str, Json]:
        """The job for a store."""
        return asdict(self) | {"created_at": isoformat(self.created_at)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ImportJob":
        """The job that `to_json` gave."""
        report = data["report"]
        known = ImportReport(
            rows=report["rows"],
            counts={EventStatus(status): count for status, count in report["counts"].items()},
            bad_rows=tuple(BadRow(**row) for row in report["bad_rows"]),
        )
        typed = {
            "kind": ImportKind(data["kind"]),
            "format": FileFormat(data["format"]),
            "state": ImportState(data["state"]),
            "created_at": datetime.fromisoformat(data["created_at"]),
        }
        return cls(**{**data, **typed, "report": known})


def fields_of(kind: ImportKind) -> tuple[str, ...]:
    """What a file of this kind may say."""
    return REQUIRED[kind] + OPTIONAL[kind]


def check_mapping(kind: ImportKind, columns: Mapping[str, str]) -> None:
    """Nothing, if every name in the mapping is a field of this kind, and no column is two of them.

    Raises:
        InputError: one is not. What was given is not repeated.
    """
    fields = fields_of(kind)
    if not set(columns) <= set(fields):
        msg = f"expected names of columns for fields of {kind} ({', '.join(fields)}), got another field; see /docs"
        raise InputError(msg)
    names = [columns.get(field, field) for field in fields]
    if len(set(names)) < len(names):
        msg = "expected a column of its own for each field, got one for two; name each column once"
        raise InputError(msg)
