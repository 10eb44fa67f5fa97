"""What a customer may ask for beside erasure: not to be profiled, to be left alone, to be put right, to be one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from recsys.types import JournalEntry, Json, UserKey


class SubjectKind(StrEnum):
    """Which right it is."""

    OBJECTION = "objection"
    """To profiling (GDPR Art. 21): popular items only, and in no training; the history is kept and grows."""
    RESTRICTION = "restriction"
    """Of processing (Art. 18): as an objection, and the history is neither added to nor changed."""
    RECTIFICATION = "rectification"
    """Of purchases (Art. 16): the history is right at once, and the sums that they are in follow."""
    MERGE = "merge"
    """Of another account of the customer into this one: its purchases are here at once, and the sums follow."""


LIMITS = frozenset({SubjectKind.OBJECTION, SubjectKind.RESTRICTION})
"""What holds until it is taken back: while one is there, nothing personal is served."""


class SubjectState(StrEnum):
    """How far a request has come; the states are passed in this order, and each step can be repeated."""

    ACKNOWLEDGED = "acknowledged"
    """In force: what is served and taken in follows it from here on."""
    APPLIED = "applied"
    """The customer's terms, and the sums that they are in, are as they should be."""
    DONE = "done"
    """The models of these sums are, too; the details say which were replaced."""


STEPS = tuple(SubjectState)


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectRequest:
    """One request. It is kept by customer, and destroyed with the customer's erasure."""

    request_id: str
    kind: SubjectKind
    received_at: datetime
    state: SubjectState = SubjectState.ACKNOWLEDGED
    moves: bytes = field(default=b"", repr=False)
    """What a rectification changes in a term (see `recsys.data.corrections`); personal, and gone once it is applied."""
    account: bytes = field(default=b"", repr=False)
    """The key of the account that a merge took in (see `recsys.data.account_merge`)."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """What the finished steps found and did; no customer id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitEntry:
    """That an objection or a restriction holds from now on; or was taken back. A line of the journal."""

    user_key: UserKey
    request: SubjectRequest
    """As it came: what was done about it is the record's to know."""
    lifted: bool = False
    """Whether it holds no longer: it was taken back, or a fresh consent followed the erasure that destroyed it."""

    @property
    def about(self) -> str:
        """What one entry is enough for: the request, for a customer may object again and again."""
        return self.request.request_id


Noted: TypeAlias = JournalEntry | LimitEntry
"""A line of the journal of suppressions."""


def last_limits(entries: Iterable[Noted]) -> dict[str, LimitEntry]:
    """The last word of these entries on each objection and restriction, by request."""
    return {entry.about: entry for entry in entries if isinstance(entry, LimitEntry)}
