"""What a customer has in sums: under their own key, and under those of accounts that were merged into theirs."""

from recsys.ports import SubjectRequests, Sums
from recsys.types import UserKey

Terms = dict[UserKey, bytes]
"""A customer's terms in one sum, by account: their own first."""


def terms_of_customer(sums: Sums, subjects: SubjectRequests, user_key: UserKey) -> dict[str, Terms]:
    """The customer's terms by sum.

    An id that was used anew after its account went into another has no part in the terms of before, nor has the other
    customer in those of since.
    """
    accounts = subjects.accounts(user_key)
    own = {sum_id: {user_key: term} for sum_id, term in sums.terms_of(user_key).items() if sum_id not in accounts.left}
    for account, came_with in accounts.merged.items():
        for sum_id, term in sums.terms_of(account).items():
            if sum_id in came_with:
                own.setdefault(sum_id, {})[account] = term
    return own
