"""Everything that is held of one customer, gathered: for who asks what it is, and for the file that they are given."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from recsys.clock import EPOCH, isoformat
from recsys.data.history import History
from recsys.data.subject_request import SubjectRequest
from recsys.identifiers import nobodys_key
from recsys.ports import Cache, Catalogue, Histories, Registry, Seals, SubjectRequests, Sums
from recsys.rights.purposes import PROCESSINGS
from recsys.rights.terms import terms_of_customer
from recsys.serving.sealed_lists import open_lists
from recsys.types import SLOTS, CatalogueItem, Json, UserKey

INTERNAL = "internal, not private: exact, for the operator and the customer alone"
NOT_HELD = (
    "an erasure's receipt names nobody: the salted commitment in it is opened by the salt that only the customer has",
    "feedback is kept without customers: which lists somebody saw or clicked is written nowhere",
    "models released under noise hold no record of anybody",
    "files with lists that the shop fetched, and answers already sent, are outside this installation",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldPurchase:
    """One purchase of the history."""

    item_id: str
    name: str
    at: datetime
    quantity: float
    event_digest: str
    """64 bits of a digest in hex: the event id itself is not kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldTerm:
    """What of the customer is in one sum, and which versions were made from it."""

    sum_id: str
    versions: tuple[str, ...]
    item_ids: tuple[str, ...]
    """Empty once the customer left the sum: that they were in it is known still."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldList:
    """One list in the cache, as it would be served."""

    version: str
    task: str
    made_at: datetime
    items: tuple[tuple[str, str, float, str], ...]
    """Item, name, score, reason; best first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Everything that is held of one customer."""

    purchases: tuple[HeldPurchase, ...]
    terms: tuple[HeldTerm, ...]
    lists: tuple[HeldList, ...]
    requests: tuple[SubjectRequest, ...]

    def summary(self) -> dict[str, Json]:
        """How much of what, for the operator: counts and dates, no purchase."""
        times = [purchase.at for purchase in self.purchases]
        return {
            "purchases": {
                "count": len(self.purchases),
                "first": isoformat(min(times)) if times else None,
                "last": isoformat(max(times)) if times else None,
            },
            "sums": [
                {"sum_id": term.sum_id, "versions": [*term.versions], "items": len(term.item_ids)}
                for term in self.terms
            ],
            "lists": [
                {
                    "version": each.version,
                    "task": each.task,
                    "items": len(each.items),
                    "made_at": isoformat(each.made_at),
                }
                for each in self.lists
            ],
            "requests": [request_json(request) for request in self.requests],
            "purposes": [processing.purpose for processing in PROCESSINGS],
            "not_held": [*NOT_HELD],
            "counted": INTERNAL,
        }


def request_json(request: SubjectRequest) -> dict[str, Json]:
    """An objection, restriction, rectification or merge as it is shown."""
    return {
        "kind": request.kind.value,
        "received_at": isoformat(request.received_at),
        "state": request.state.value,
        "details": dict(request.details),
    }


class HoldingStores(Protocol):
    """Where something of a customer can be; a workspace has them all."""

    @property
    def catalogue(self) -> Catalogue:
        """The public items."""

    @property
    def histories(self) -> Histories:
        """The purchases."""

    @property
    def sums(self) -> Sums:
        """The sealed sums, and the customers' terms in them."""

    @property
    def registry(self) -> Registry:
        """The model versions."""

    @property
    def cache(self) -> Cache:
        """The finished lists."""

    @property
    def subjects(self) -> SubjectRequests:
        """Objections, restrictions, rectifications, merges."""


def gather(stores: HoldingStores, seals: Seals, user_key: UserKey) -> Held:
    """Everything that is held of the customer.

    Of an erased customer it is nothing, also while the erasure is under way: what is read then is nobody's, so that
    shape and time are those of a stranger.

    Raises:
        CacheUnavailableError: the cache does not answer.

    Guarantees:
        - Nothing in it is another customer's.

    Tested by: tests/recsys/rights/test_holding.py::test_nothing_of_anybody_else_is_in_it
    """
    if stores.histories.state(user_key).erased:
        user_key = nobodys_key()
    history, terms = stores.histories.history(user_key), _terms_of(stores, user_key)
    versions = stores.registry.versions()
    served = stores.registry.served().slots
    values = [(stores.cache.get(user_key, slot) or b"", served[slot] or "") for slot in SLOTS]
    items = stores.catalogue.items()  # last: it has every item that the others speak of
    made = {sum_id: tuple(v.version for v in versions if v.sum_id == sum_id) for sum_id in terms}
    return Held(
        purchases=tuple(_purchases(history, items)),
        terms=tuple(_term(sum_id, made[sum_id], term, items) for sum_id, term in sorted(terms.items())),
        lists=tuple(each for value, name in values for each in _lists(seals, user_key, value, name, items)),
        requests=stores.subjects.of_customer(user_key),
    )


def _terms_of(stores: HoldingStores, user_key: UserKey) -> dict[str, bytes]:
    """The customer's items in each sum, also where they came with an account that was merged into theirs."""
    found = terms_of_customer(stores.sums, stores.subjects, user_key)
    return {sum_id: _together(own.values()) for sum_id, own in found.items()}


def _together(terms: Iterable[bytes]) -> bytes:
    """All their items as one term: until a worker has been there, a sum may hold several."""
    items = np.frombuffer(b"".join(terms), dtype="<i4")
    return np.unique(items).tobytes()


def _purchases(history: History, items: Sequence[CatalogueItem]) -> Iterator[HeldPurchase]:
    for at, item, quantity, event in history.purchases.tolist():
        yield HeldPurchase(
            item_id=items[item].item_id,
            name=items[item].name,
            at=EPOCH + timedelta(milliseconds=at),
            quantity=quantity,
            event_digest=f"{event:016x}",
        )


def _term(sum_id: str, versions: tuple[str, ...], term: bytes, items: Sequence[CatalogueItem]) -> HeldTerm:
    positions = np.frombuffer(term, dtype="<i4").tolist()
    return HeldTerm(sum_id=sum_id, versions=versions, item_ids=tuple(items[place].item_id for place in positions))


def _lists(
    seals: Seals, user_key: UserKey, value: bytes, version: str, items: Sequence[CatalogueItem]
) -> Iterator[HeldList]:
    opened = open_lists(seals, user_key, value, version)
    if opened is None:
        return
    for task, rows in opened.lists.items():
        shown = tuple((items[place].item_id, items[place].name, score, reason.value) for place, score, reason in rows)
        yield HeldList(version=opened.version, task=task.value, made_at=opened.generated_at, items=shown)
