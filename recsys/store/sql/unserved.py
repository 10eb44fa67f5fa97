"""Who is served nothing personal: the erased, the restricted, and those who object to profiling."""

from typing import Any

from sqlalchemy import ColumnElement, exists, or_

from recsys.data.subject_request import LIMITS
from recsys.store.sql.tables import subject_requests, suppressed


def unserved(user_key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the customer of this key is one of them: two indexed reads."""
    return or_(
        exists().where(suppressed.c.user_key == user_key),
        exists().where(subject_requests.c.user_key == user_key, subject_requests.c.kind.in_(sorted(LIMITS))),
    )
