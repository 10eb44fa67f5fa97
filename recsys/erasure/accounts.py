"""The accounts that were merged into a customer: an erasure of the customer is one of each of them.

Their purchases are the customer's since the merge; but terms in sums, files and backups still go by their own keys, and
what the shop sends late comes under their ids. So each gets a request of its own, with its own way and receipt.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace

from recsys.erasure.stores import ErasureStores
from recsys.types import ErasureRequest, JournalEntry, Json, UserKey

MERGED = "merged"
"""The detail of an account's request that names the customer's."""


def suppress_accounts(
    stores: ErasureStores, request: ErasureRequest, user_key: UserKey
) -> Iterator[tuple[ErasureRequest, UserKey]]:
    """The request that each account has from now on, and its key; the earlier one where one holds.

    As at the desk, nothing personal of an account is served when its request comes back. Doing it again finds the same.

    Guarantees:
        - Done before anything of the customer is destroyed, it leaves no account behind, though the worker dies.

    Tested by: tests/recsys/erasure/test_accounts.py::test_killed_at_any_moment_the_next_worker_leaves_nothing
    """
    for account in stores.subjects.accounts(user_key).merged:
        held = stores.erasures.suppress(_beside(request), account)
        if held.is_open:  # also one that came before: whoever made it may have died before it was in the journal
            stores.journal.note(JournalEntry(user_key=account, request=held))
        stores.fence.bury(account)
        yield held, account


def requests_beside(requests: Iterable[tuple[ErasureRequest, UserKey]]) -> dict[str, dict[str, UserKey]]:
    """Of these requests those that were made for accounts, with their keys, by the customer's request."""
    found: dict[str, dict[str, UserKey]] = {}
    for request, key in requests:
        merged = request.details.get(MERGED)
        if isinstance(merged, dict):
            found.setdefault(str(merged["into"]), {})[request.request_id] = key
    return found


def accounts_ever(stores: ErasureStores, user_key: UserKey) -> set[UserKey]:
    """The customer's key and those of the accounts that were merged into it, also once they were erased together."""
    everyone = stores.erasures.customers()
    beside = requests_beside(everyone)
    own = (request.request_id for request, key in everyone if key == user_key)
    erased = {key for request_id in own for key in beside.get(request_id, {}).values()}
    return {user_key, *stores.subjects.accounts(user_key).merged, *erased}


def _beside(request: ErasureRequest) -> ErasureRequest:
    """The customer's request as one of an account: the same reason, dates and commitment, which the same salt opens."""
    made: dict[str, Json] = {"into": request.request_id}
    beside = replace(request, request_id=str(uuid.uuid4()), details={MERGED: made})
    return replace(beside, attempts=0, problem="", next_at=None, stuck=False)
