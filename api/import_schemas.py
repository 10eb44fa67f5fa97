"""What travels over HTTP about files that are taken in."""

from typing import Annotated

from pydantic import ConfigDict, Field

from api.schemas import INTERNAL, Incoming, Line, Moment, Outgoing
from recsys.data.import_job import ImportJob, ImportKind, ImportState
from recsys.types import EventStatus, FileFormat

MAX_COLUMN_NAME = 256
MAX_DECLARED = 2**53
"""The largest whole number that every reader of JSON keeps exactly."""

ColumnName = Annotated[Line, Field(min_length=1, max_length=MAX_COLUMN_NAME)]
SHA256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ImportBody(Incoming):
    """A file that is to come in parts."""

    model_config = ConfigDict(
        strict=False,  # names of kinds and formats are text in JSON
        json_schema_extra={
            "example": {
                "kind": "purchases",
                "format": "csv",
                "size": 73400320,
                "columns": {"user_id": "customer", "timestamp": "bought_at"},
                "dry_run": False,
            }
        },
    )

    kind: ImportKind
    format: FileFormat
    size: int = Field(ge=1, le=MAX_DECLARED, strict=True, description="Bytes of the whole file.")
    columns: dict[str, ColumnName] = Field(
        default={},
        description="Names of the file's columns, by field. A field that is left out is looked for under its own name. "
        "Purchases: user_id, item_id, timestamp; quantity and event_id if there are such columns. Catalogue: item_id; "
        "name, category, price, stock and attribute.NAME if there are such columns.",
    )
    dry_run: bool = Field(default=False, strict=True, description="Say what would become of the rows; store none.")
    sha256: SHA256 | None = Field(default=None, description="Of the whole file, in hex: checked before a row is taken.")


class ImportBadRow(Outgoing):
    """A row that was not taken."""

    row: int = Field(description="Counted from 1, without a header.")
    reason: str = Field(description="What was expected and what came, never what the row says.")


class ImportStatus(Outgoing):
    """How far an import has come, and what became of its rows so far."""

    import_id: str
    kind: ImportKind
    format: FileFormat
    dry_run: bool
    state: ImportState = Field(description="uploading, working; done, failed, cancelled or expired are ends.")
    size: int
    offset: int = Field(description="How many bytes came so far: the next part begins here.")
    created_at: Moment
    rows: int = Field(description="How many rows were worked off.")
    counts: dict[EventStatus, int] = Field(
        description="By status. After a crash, rows that were taken just before it count as duplicates."
    )
    counted: str = Field(default=INTERNAL, description="What the counts are: exact, for the operator alone.")
    bad_rows: list[ImportBadRow] = Field(description="The first hundred that are invalid or in conflict.")
    error: str | None = Field(description="Why it failed or expired.")


def status_of(job: ImportJob) -> ImportStatus:
    """What is shown of an import."""
    return ImportStatus(
        import_id=job.import_id,
        kind=job.kind,
        format=job.format,
        dry_run=job.dry_run,
        state=job.state,
        size=job.size,
        offset=job.offset,
        created_at=job.created_at,
        rows=job.report.rows,
        counts=dict(job.report.counts),
        bad_rows=[ImportBadRow.model_validate(row) for row in job.report.bad_rows],
        error=job.error or None,
    )
