"""What travels over HTTP about files that are handed out."""

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas import Incoming, Moment, Outgoing, UserId
from recsys.data.export_job import ExportKind, ExportState
from recsys.types import FileFormat

MAX_USERS, MAX_LENGTH = 10_000, 20
"""Together the rows of a file: it is made in memory."""


FileKind = Literal[ExportKind.CATALOGUE, ExportKind.RECOMMENDATIONS]
"""Those that the scope `operate` may ask for."""


class ExportBody(Incoming):
    """A file that is wanted."""

    model_config = ConfigDict(
        strict=False,  # names of kinds and formats are text in JSON
        json_schema_extra={
            "example": {"kind": "recommendations", "format": "csv", "user_ids": ["customer-42", "customer-7"], "n": 5}
        },
    )

    kind: FileKind
    format: FileFormat
    user_ids: list[UserId] = Field(
        default=[], max_length=MAX_USERS, description="Whose lists the file is to hold; none for the catalogue."
    )
    n: int = Field(default=20, ge=1, le=MAX_LENGTH, strict=True, description="The length of each list.")


class ExportStatus(Outgoing):
    """How far an export has come."""

    export_id: str
    kind: FileKind
    format: FileFormat
    state: ExportState = Field(
        description="working, done; failed, cancelled and expired are ends without a file, and so is withdrawn: "
        "somebody asked to be erased, or objected to profiling, after it began."
    )
    created_at: Moment
    size: int = Field(description="Bytes of the file; 0 while there is none.")
    sha256: str = Field(description="Of the file, in hex; empty while there is none.")
    error: str | None = Field(description="Why it failed.")
