"""Whether a server answers with the model that was looked at: a sample of its answers, each computed once more.

Two kinds are asked for. Baskets that are nobody's, drawn anew each time, so that a server cannot know them before: they
show which model is loaded. And lists of customers whom the auditor may ask for, who are made up or agreed: those come
from the cache, where an old list may lie. Everything in such a list, and its order, follows from the model and the
customer's own purchases; what could be in it and is not has no higher score, or is an item that the server says was
deleted. Where the model says nothing, no list is compared.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray

from privrec.answers import RecommendationList, RecommendedItem
from privrec.client import ApiError, Client
from recsys.errors import InputError, VerificationError
from recsys.models.factors import ItemFactors
from recsys.models.fold_in import FoldIn
from recsys.models.top_k import TopK
from recsys.types import Json

BASKETS, BASKET_ITEMS = 20, 4
ASKED_FOR = 20
"""Items of a list."""
TOLERANCE = 1e-5
"""Of the highest score: what two machines may round differently."""
SHOWN = 0.5e-4
"""Answers tell scores to four places."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A customer whom the auditor may ask for, with everything they bought."""

    user_id: str
    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """How many answers were found to be the model's."""

    baskets: int
    customers: int

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {"baskets": self.baskets, "customers": self.customers}


def read_known(data: bytes) -> list[Known]:
    """The customers in a file with a line of JSON for each: user_id, and items.

    Raises:
        InputError: a line is something else. It is not repeated.
    """
    try:
        rows = [json.loads(line) for line in data.splitlines() if line.strip()]
        return [Known(user_id=str(row["user_id"]), items=tuple(map(str, row["items"]))) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        msg = 'expected lines as {"user_id": "...", "items": ["..."]}, got another; write one for each test customer'
        raise InputError(msg) from error


def check_served(client: Client, version: str, model: ItemFactors, known: Sequence[Known]) -> Served:
    """How many answers were compared, once each is found to be what this model makes of it.

    Args:
        client: of the server
        version: the version that was looked at
        model: its factors
        known: customers whose lists may be asked for

    Raises:
        VerificationError: an answer is another version's, or another list than the model's.
    """
    expected = _Expected.of(client, version, model)
    baskets = list(_baskets(model))
    for basket in baskets:
        expected.compare(client.basket(basket, n=ASKED_FOR, task="discover"), basket, "a basket")
    for number, customer in enumerate(known, 1):
        answer = client.recommendations(customer.user_id, n=ASKED_FOR, task="discover")
        expected.compare(answer, customer.items, f"test customer {number}")
    return Served(baskets=len(baskets), customers=len(known))


def _baskets(model: ItemFactors) -> Iterator[list[str]]:
    """Baskets that nobody can foresee, of items that the model knows something of."""
    table = model.factors if model.regularization else model.encoder
    telling = [item for item, row in zip(model.item_ids, table, strict=True) if row.any()]
    draw = secrets.SystemRandom()
    for _ in range(BASKETS if telling else 0):
        yield draw.sample(telling, min(BASKET_ITEMS, len(telling)))


@dataclass(frozen=True, slots=True, eq=False)
class _Expected:
    """The model, ready to say what a list must hold."""

    client: Client
    version: str
    item_ids: Sequence[str]
    positions: dict[str, int]
    fold_in: FoldIn
    search: TopK
    deleted: set[int] = field(default_factory=set)
    """Items of which the server said so."""

    @classmethod
    def of(cls, client: Client, version: str, model: ItemFactors) -> "_Expected":
        positions = {item: place for place, item in enumerate(model.item_ids)}
        search = TopK(model.factors, model.item_weights > 0)
        return cls(client, version, model.item_ids, positions, FoldIn.of(model), search)

    def compare(self, answer: RecommendationList, items: Sequence[str], what: str) -> None:
        """Nothing, if the answer is what the model makes of these items; `what` names it, and holds no id."""
        if answer["version"] != self.version:
            msg = (
                f"expected the list of {what} to be of version {self.version}, got one of {answer['version']}; "
                "an older model, or a list that was made before, is served"
            )
            raise VerificationError(msg)
        own = np.unique(self._places(items))
        scores = self.search.scores(self.fold_in.vector(own), np.arange(len(self.positions))).astype(np.float64)
        scores[own] = -np.inf
        can = np.isfinite(scores)
        if not scores[can].any():  # the model says nothing, and popular items are shown
            return
        if not self._is_made(answer["items"], scores, TOLERANCE * float(np.abs(scores[can]).max())):
            msg = (
                f"expected the list of {what} to be as version {self.version} makes it, got another; it names the "
                "version and was made by another model, or from other purchases, or lacks what belongs in it"
            )
            raise VerificationError(msg)

    def _is_made(self, shown: Sequence[RecommendedItem], scores: NDArray[np.float64], limit: float) -> bool:
        """Whether this is the list by these scores (n_items,), -inf for what must not be in it."""
        places = self._places([item["item_id"] for item in shown])
        made, said = scores[places], np.array([item["score"] for item in shown])
        if not 0 < len(np.unique(places)) == len(places) == len(shown) <= ASKED_FOR or not np.isfinite(made).all():
            return False
        if (np.abs(made - said) > SHOWN + limit).any() or (np.diff(made) > limit).any():
            return False
        left = scores.copy()
        left[places] = -np.inf
        better = np.flatnonzero(left > (made[-1] + limit if len(made) == ASKED_FOR else -np.inf))
        return not any(self._is_on_sale(place) for place in better.tolist())

    def _is_on_sale(self, place: int) -> bool:
        """Whether the server still shows the item: what was deleted is in no list."""
        if place in self.deleted:
            return False
        try:
            self.client.item(self.item_ids[place])
        except ApiError as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            self.deleted.add(place)
        return place not in self.deleted

    def _places(self, items: Sequence[str]) -> NDArray[np.int64]:
        """The positions of the items, in their order, and none of what the model does not know."""
        return np.array([self.positions[item] for item in items if item in self.positions], dtype=np.int64)
