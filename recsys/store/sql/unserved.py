"""Who is served nothing personal: the erased, the restricted, and those who object to profiling."""

from typing import Any

from sqlalchemy import ColumnElement, exists, or_

from recsys.data.subject_request import LIMITS
from recsys.store.sql.tables import subject_requests, suppressed


def unserved(user_key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the customer of this key is one of them: two indexed reads."""
    return or_(exists().where(suppressed.c.user_key == user_key), limited(user_key))


def limited(user_key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the customer objected or is restricted: one indexed read."""
    # Not IN, whose text is written anew with every execution: this is asked with every request.
    kinds = or_(*(subject_requests.c.kind == kind.value for kind in sorted(LIMITS)))
    return exists().where(subject_requests.c.user_key == user_key, kinds)
