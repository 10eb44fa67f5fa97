"""A file that is handed out over HTTP: what it holds, and how far it has come."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from recsys.clock import isoformat
from recsys.types import FileFormat, Json


class ExportKind(StrEnum):
    """What the rows of a file are."""

    CATALOGUE = "catalogue"
    RECOMMENDATIONS = "recommendations"
    SUBJECT = "subject"
    """Everything held of one customer: a zip archive, whatever the format says; see `recsys.rights.files`."""


class ExportState(StrEnum):
    """How far an export has come; the last four are ends without a file."""

    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportJob:
    """One export. It outlives the file, and names no customer."""

    export_id: str
    kind: ExportKind
    format: FileFormat
    n: int
    """The length of each list."""
    erasures: int
    """How many erasures had been asked for when it began: with the next one, personal lists are no longer given out."""
    created_at: datetime
    state: ExportState = ExportState.WORKING
    size: int = 0
    sha256: str = ""
    error: str = ""

    @property
    def is_open(self) -> bool:
        """Whether there is a file, or will be."""
        return self.state in {ExportState.WORKING, ExportState.DONE}

    def is_void(self, erasures: int) -> bool:
        """Whether it may hold a list of somebody who asked to be erased since; so many did so far."""
        return self.kind is ExportKind.RECOMMENDATIONS and self.erasures != erasures

    def to_json(self) -> dict[str, Json]:
        """The job for a store."""
        return asdict(self) | {"created_at": isoformat(self.created_at)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ExportJob":
        """The job that `to_json` gave."""
        typed = {
            "kind": ExportKind(data["kind"]),
            "format": FileFormat(data["format"]),
            "state": ExportState(data["state"]),
            "created_at": datetime.fromisoformat(data["created_at"]),
        }
        return cls(**{**data, **typed})
