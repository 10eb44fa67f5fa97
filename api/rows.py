"""Rows of a batch that are judged one by one."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from pydantic import ValidationError

from api.errors import explain
from api.schemas import Incoming
from recsys.errors import InputError
from recsys.identifiers import check_event_id

Row = TypeVar("Row", bound=Incoming)
Status = TypeVar("Status", bound=StrEnum)


def check_row(form: type[Row], row: object) -> Row | str:
    """The row in its strict form, or why it cannot be used."""
    try:
        return form.model_validate(row)
    except ValidationError as error:
        return explain(error.errors())
    except InputError as error:
        return str(error)


def readable_event_id(row: object) -> str | None:
    """The event id as it was sent, if the row has one that can be repeated in an answer."""
    event_id = row.get("event_id") if isinstance(row, dict) else None
    if not isinstance(event_id, str):
        return None
    try:
        check_event_id(event_id)
    except InputError:
        return None
    return event_id


def count_statuses(kinds: type[Status], statuses: Iterable[Status]) -> dict[Status, int]:
    """How often each status came, with zeros, so that the answer has one form."""
    counts = Counter(statuses)
    return {status: counts[status] for status in kinds}
