"""What customers were added up to, and what was spent on it."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from recsys.types import Json, UserKey


class Sums(Protocol):
    """Sums before noise, sealed, each with the terms of the customers that are in it."""

    def create_sum(self, sum_id: str, content: bytes, terms: Iterable[tuple[UserKey, bytes]]) -> None:
        """Keep a new sum and every customer's term, in one transaction.

        Terms of customers who were suppressed meanwhile must not be passed, whatever for; the store refuses them.

        Raises:
            InputError: a term belongs to a suppressed customer; read the histories again and rebuild.
        """

    def load_sum(self, sum_id: str) -> bytes:
        """The content of a sum.

        Raises:
            NotFoundError: no such sum.
            ArtifactError: it does not open.
        """

    def latest_sum(self) -> str | None:
        """The id of the sum that was created last."""

    def terms_of(self, user_key: UserKey) -> dict[str, bytes]:
        """The customer's term in every sum that holds one, by sum id; empty of a sum that the customer left."""

    def terms_in(self, sum_id: str) -> Iterator[tuple[UserKey, bytes]]:
        """Every customer's term in the sum, in the order of keys; none, for a sum that there is none of."""


class LedgerLog(Protocol):
    """An append-only list of ledger entries."""

    def entries(self) -> list[dict[str, Json]]:
        """Every entry, oldest first."""

    def append(self, entry: dict[str, Json]) -> None:
        """Append the entry durably.

        Raises:
            StateError: another process appended first (the entry's `index` is not the next one); read again and retry.
        """
