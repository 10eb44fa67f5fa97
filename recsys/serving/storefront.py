"""What a shop's pages show: lists for customers and baskets, similar and popular items, each of them filtered.

Rules:
    1. The catalogue is asked with every request: what was deleted is in no list, and names, prices and stock are those
       of now.
    2. A filtered list is exact: where a stored list does not fill it, the items are scored again under the mask.
    3. Similar and popular items are made from the released model alone, never from purchases: lists of what was bought
       together tell, by how they change, what single customers bought (Calandrino et al. 2011).
    4. A basket is kept nowhere, nor which page somebody looks at.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys.clock import Clock
from recsys.data.history import EMPTY_HISTORY, History
from recsys.errors import InputError
from recsys.ports import Catalogue, Histories, Pseudonyms
from recsys.serving.context import Context
from recsys.serving.filters import Category, Filter
from recsys.serving.lists import KEPT_LENGTH, LIST_LENGTH, Row, own_habits, told
from recsys.serving.loaded import LoadedModel
from recsys.serving.masked import basket_rows, habit_rows, own_rows, popular_rows
from recsys.serving.products import Mask, ProductReader, Products
from recsys.serving.recommender import Recommender
from recsys.types import CatalogueItem, Purpose, Reason, Recommendation, Recommendations, Task, UserKey

MAX_BASKET = 100
"""Items of a basket: more than a till has seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What kind of list is asked for."""

    n: int = 20
    purpose: Purpose = Purpose.ANY
    where: Filter | None = None
    exclude: frozenset[str] = frozenset()
    context: str | None = None
    """The item whose page the list is for."""

    @property
    def left_out(self) -> frozenset[str]:
        """The items that must not be in the list: those excluded, and the one whose page it is."""
        return self.exclude if self.context is None else self.exclude | {self.context}

    def __post_init__(self) -> None:
        """Check the length.

        Raises:
            InputError: n is not within 1 to 100.
        """
        if not 1 <= self.n <= LIST_LENGTH:
            msg = f"expected n between 1 and {LIST_LENGTH}, got {self.n}; ask for fewer items"
            raise InputError(msg)


class Storefront:
    """Answers for pages, over the recommender and the catalogue. Safe to share between threads."""

    def __init__(
        self,
        *,
        recommender: Recommender,
        pseudonyms: Pseudonyms,
        catalogue: Catalogue,
        histories: Histories,
        clock: Clock,
    ) -> None:
        """A storefront over these stores."""
        self._recommender = recommender
        self._pseudonyms = pseudonyms
        self._histories = histories
        self._reader = ProductReader(catalogue)
        self._clock = clock

    def recommend(self, user_id: str, wish: Wish) -> Recommendations:
        """The customer's list; popular items, not personalised, for a customer who is unknown or was erased.

        To buy again it is the customer's own habits, and nothing for whoever has none. Otherwise a context that the
        model knows moves the list; who has no list gets what goes with it, before what is popular.

        Raises:
            InputError: the id cannot be one.
        """
        if wish.purpose is Purpose.BUY_AGAIN:
            return self._habits(self._pseudonyms.user_key(user_id), wish)
        if wish.context is None:
            return self._listed(user_id, wish)
        moved = self._moved(self._pseudonyms.user_key(user_id), wish)
        return replace(self._listed(user_id, wish), context_used=False) if moved is None else moved

    def basket(self, item_ids: Collection[str], wish: Wish) -> Recommendations:
        """What goes with a basket that is nobody's; popular items, not personalised, if the model knows none of it.

        To discover, what is in the basket is left out. A context counts as for customers.

        Raises:
            InputError: there are more than 100 items.
        """
        if len(item_ids) > MAX_BASKET:
            msg = f"expected a basket of at most {MAX_BASKET} items, got {len(item_ids)}; send its latest items"
            raise InputError(msg)
        model, products = self._recommender.live(), self._reader.read()
        inside = item_ids if wish.purpose is Purpose.DISCOVER else ()
        allowed = products.allowed(wish.where, {*wish.left_out, *inside})
        if model is None:
            return self._answer((), products, wish, None)
        context = _context(model, products, wish, allowed)
        rows = context.basket_rows(products.find(item_ids))
        found = context.nobodys_rows() if rows is None else rows
        return self._answer(found, products, wish, model, personalized=rows is not None, moved=context.known)

    def similar(self, item_id: str, wish: Wish) -> Recommendations:
        """The items that the model would show somebody who bought this one alone.

        If the model does not know it: popular items of its category, with that reason.

        Raises:
            NotFoundError: the item is not in the catalogue.
        """
        model, products = self._recommender.live(), self._reader.read()
        position = products.position(item_id)
        allowed = products.allowed(wish.where, {*wish.left_out, item_id})
        if model is None:
            return self._answer((), products, wish, None)
        rows = basket_rows(model.ranker, np.array([position]), allowed, wish.n)
        if rows is None:
            rows = popular_rows(model.factors, allowed & _same_category(products, position), wish.n)
        return self._answer(rows, products, wish, model)

    def popular(self, wish: Wish) -> Recommendations:
        """The items that sell most, by released counts."""
        model, products = self._recommender.live(), self._reader.read()
        rows = popular_rows(model.factors, products.allowed(wish.where, wish.left_out), wish.n) if model else ()
        return self._answer(rows, products, wish, model)

    def item(self, item_id: str) -> CatalogueItem:
        """What the catalogue says of the item now.

        Raises:
            NotFoundError: the item is not in the catalogue.
        """
        products = self._reader.read()
        return products.items[products.position(item_id)]

    def _listed(self, user_id: str, wish: Wish) -> Recommendations:
        """The customer's list from the cache; over all items where a filter leaves too little of it."""
        task = Task(wish.purpose)
        for length in sorted({wish.n, max(wish.n, KEPT_LENGTH)}):
            answer = self._recommender.recommend(user_id, n=length, task=task)
            products = self._reader.read()
            kept = _kept(answer, products, products.allowed(wish.where, wish.left_out))
            if len(kept) >= wish.n or len(answer.items) < length:
                return replace(answer, items=kept[: wish.n])
        return self._scored(self._pseudonyms.user_key(user_id), wish, answer)

    def _moved(self, user_key: UserKey, wish: Wish) -> Recommendations | None:
        """The list moved toward the context; None if the model knows nothing of it."""
        model, history = self._recommender.model_for(user_key), self._history(user_key)
        products = self._reader.read()  # after model and history: it has every item that they speak of
        if model is None:
            return None
        context = _context(model, products, wish, products.allowed(wish.where, wish.left_out))
        if not context.known:
            return None
        if not len(history):
            return self._answer(context.nobodys_rows(), products, wish, model, moved=True)
        own = own_habits([history], len(products.items))
        rows = context.customers_rows(own, task=Task(wish.purpose))
        return self._answer(rows, products, wish, model, personalized=True, moved=True)

    def _habits(self, user_key: UserKey, wish: Wish) -> Recommendations:
        history = self._history(user_key)
        products = self._reader.read()
        rows = habit_rows(
            own_habits([history], len(products.items)), products.allowed(wish.where, wish.left_out), wish.n
        )
        return self._answer(rows, products, wish, None, personalized=bool(len(history)))

    def _scored(self, user_key: UserKey, wish: Wish, answer: Recommendations) -> Recommendations:
        """The list over all items, for a wish that the stored list does not fill."""
        model, history = self._recommender.model_for(user_key), self._history(user_key)
        products = self._reader.read()  # after model and history: it has every item that they speak of
        if model is None:
            return self._answer((), products, wish, None)
        allowed = products.allowed(wish.where, wish.left_out)
        if not len(history):
            return self._answer(popular_rows(model.factors, allowed, wish.n), products, wish, model)
        own = own_habits([history], len(products.items))
        rows = own_rows(model.ranker, own, allowed, wish.n, task=Task(wish.purpose))
        fresh = self._answer(rows, products, wish, model, personalized=True)
        return replace(fresh, degraded=answer.degraded)

    def _history(self, user_key: UserKey) -> History:
        """The customer's purchases; empty for who is unknown or was erased."""
        state = self._histories.state(user_key)
        return self._histories.history(user_key) if state.known and not state.suppressed else EMPTY_HISTORY

    def _answer(
        self,
        rows: Sequence[Row],
        products: Products,
        wish: Wish,
        model: LoadedModel | None,
        *,
        personalized: bool = False,
        moved: bool = False,
    ) -> Recommendations:
        version, now = model.version if model else None, self._clock()
        return Recommendations(
            items=tuple(_shown(products.items[item], score, reason) for item, score, reason in rows),
            task=wish.purpose,
            personalized=personalized,
            version=version,
            generated_at=now,
            recommendation_id=self._recommender.new_id(version, now),
            context_used=None if wish.context is None else moved,
        )


def _context(model: LoadedModel, products: Products, wish: Wish, allowed: Mask) -> Context:
    """The item whose page it is, if there is one, among what may be in the list."""
    positions = products.find(() if wish.context is None else (wish.context,))
    return Context.of(model.ranker, positions, allowed, wish.n)


def _kept(answer: Recommendations, products: Products, allowed: Mask) -> tuple[Recommendation, ...]:
    """The items of the answer that are allowed, with the names of now."""
    places = ((products.positions[item.item_id], item) for item in answer.items)
    return tuple(
        _shown(products.items[position], item.score, item.reason) for position, item in places if allowed[position]
    )


def _shown(item: CatalogueItem, score: float, reason: Reason) -> Recommendation:
    return Recommendation(item_id=item.item_id, name=item.name or item.item_id, score=told(score), reason=reason)


def _same_category(products: Products, position: int) -> Mask:
    """The items of this one's category; all of them if it has none."""
    category = products.items[position].category
    return products.mask(Category(category)) if category else products.on_sale
