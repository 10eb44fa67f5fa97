"""Two accounts of one customer that become one.

    history   the other account's purchases are this one's, by event: where both have an event, this one's stays
    objection holds for both; a restriction of either keeps everything as it is
    terms     what of the other account is in sums stays there under its key, and is this customer's from now on: the
              request lists these sums. A sum that both are in follows (see `recsys.rights.worker`).

Of who was erased nothing is taken along, and nothing is taken in: nothing changes, as for somebody unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

from recsys.data.subject_request import SubjectKind, SubjectRequest, SubjectState
from recsys.identifiers import nobodys_key
from recsys.types import UserKey

SUMS = "terms"
"""The detail of a merge that lists the sums whose terms came with the account."""


class MergeStatus(StrEnum):
    """What became of a merge."""

    ACKNOWLEDGED = "acknowledged"
    """In force; also where there is nothing to take along, or nothing may be: nobody learns who was erased."""
    RESTRICTED = "restricted"
    """Nothing of one of the two may be changed: lift the restriction first."""
    UNSETTLED = "unsettled"
    """Sums do not follow an earlier correction of one of the two yet: ask again in a moment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountMerge:
    """Which account goes into which, with the requests that stand for it in the record."""

    account: UserKey
    into: UserKey
    request: SubjectRequest
    objection: SubjectRequest
    """Recorded if the account objected and `into` did not."""

    def between(self, account: "Standing", into: "Standing") -> "AccountMerge":
        """What is merged when they stand like this: of who was erased nobody's, which takes as long as a stranger's."""
        return replace(self, account=nobodys_key()) if account.erased or into.erased else self


@dataclass(frozen=True, slots=True)
class Standing:
    """What of an account decides about a merge: read with it in one transaction."""

    erased: bool
    requests: tuple[SubjectRequest, ...]

    def has(self, kind: SubjectKind) -> bool:
        """Whether it has a request of this kind; who was erased has none, as a stranger."""
        return not self.erased and any(request.kind is kind for request in self.requests)

    @property
    def is_settled(self) -> bool:
        """Whether the sums that it is in follow every correction of its purchases."""
        corrections = (request for request in self.requests if request.kind is SubjectKind.RECTIFICATION)
        return self.erased or all(request.state is not SubjectState.ACKNOWLEDGED for request in corrections)


def takes_objection(account: Standing, into: Standing) -> bool:
    """Whether an objection of the account has to be recorded for the other."""
    objects = account.has(SubjectKind.OBJECTION) and not into.has(SubjectKind.OBJECTION)
    return objects and not into.erased


def merge_status(both: Iterable[Standing]) -> MergeStatus:
    """What becomes of a merge of two accounts that stand like this."""
    standings = tuple(both)
    if any(each.has(SubjectKind.RESTRICTION) for each in standings):
        return MergeStatus.RESTRICTED
    return MergeStatus.ACKNOWLEDGED if all(each.is_settled for each in standings) else MergeStatus.UNSETTLED


@dataclass(frozen=True, slots=True)
class Accounts:
    """Which terms in sums are a customer's though under another key, and which are not though under their own."""

    merged: Mapping[UserKey, frozenset[str]]
    """Every account that was merged into the customer's, with the sums whose terms came with it."""
    left: frozenset[str]
    """The sums whose terms under the customer's own key went to another account: the id was used anew since."""

    def taking(self, account: UserKey, of_account: "Accounts", held: Iterable[str]) -> frozenset[str]:
        """The sums whose terms come with the account, those of an earlier merge among them.

        Args:
            account: the account
            of_account: its own merges
            held: every sum with a term under its key
        """
        return frozenset(held) - (of_account.left - self.merged.get(account, frozenset()))


def accounts_of(user_key: UserKey, merges: Iterable[tuple[SubjectRequest, UserKey]]) -> Accounts:
    """What these merges say of the customer: each took something in for the customer of the key beside it."""
    merged: dict[UserKey, frozenset[str]] = {}
    left: frozenset[str] = frozenset()
    for request, owner in merges:
        sums = frozenset(cast("list[str]", request.details[SUMS]))
        if owner == user_key:
            account = UserKey(request.account)
            merged[account] = merged.get(account, frozenset()) | sums
        else:
            left |= sums
    return Accounts(merged, left)
