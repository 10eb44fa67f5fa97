"""Two versions at once: who gets which is a matter of the key alone, and each answer is that of its version."""

from itertools import count

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.models.factors import ItemFactors
from recsys.serving.experiments import new_experiment
from recsys.serving.storefront import Wish
from recsys.types import CatalogueItem, Experiment, Purpose
from tests.recsys.serving.shop import COFFEES, TEAS, Shop, ids, open_shop, storefront, tea_and_coffee

LATE = tuple(f"late-{number}" for number in range(60))
UNKNOWN = [f"stranger-{number}" for number in range(40)]


@pytest.fixture
def shop() -> Shop:
    """A shop whose live version is tea's, and with an experiment whose version scores by another scale."""
    found = open_shop()
    found.release(tea_and_coffee())
    begin(found, 50)
    return found


def begin(shop: Shop, share: int, *, factors: ItemFactors | None = None) -> Experiment:
    version = shop.register(factors or tea_and_coffee(2.0))
    experiment = new_experiment("scale", version, share, salt="5a" * 8)
    shop.workspace.registry.end()
    shop.workspace.registry.warm(version)
    shop.workspace.registry.begin(experiment)
    return experiment


def somebody(shop: Shop, *, shown: bool) -> str:
    """A customer who is in the arm of the experiment's version, or is not."""
    experiment = shop.workspace.registry.served().experiment
    assert experiment is not None
    salt, draw = experiment.salt, shop.workspace.pseudonyms.draw
    names = (f"customer-{number}" for number in count())
    return next(name for name in names if experiment.shows(draw(shop.key(name), salt)) is shown)


def arm(shop: Shop, user_id: str) -> str:
    served = shop.workspace.registry.served()
    return "live" if shop.recommend(user_id).version == served.live else "beside"


def test_each_arm_gets_the_lists_of_its_version_first_computed_and_then_from_the_cache(shop: Shop) -> None:
    served = shop.workspace.registry.served()
    assert served.experiment is not None
    for shown, version in ((False, served.live), (True, served.experiment.version)):
        user = somebody(shop, shown=shown)
        shop.buy(user, "tea-1")
        first, reads = shop.recommend(user), shop.histories.reads
        assert (first.version, first.personalized) == (version, True)
        assert shop.recommend(user) == first
        assert shop.histories.reads == reads


def test_who_is_unknown_and_who_was_erased_are_in_an_arm_like_everybody(shop: Shop) -> None:
    before = {user: arm(shop, user) for user in UNKNOWN}
    assert set(before.values()) == {"live", "beside"}
    for user in UNKNOWN:
        shop.buy(user, "tea-1")
    assert {user: arm(shop, user) for user in UNKNOWN} == before
    for user in UNKNOWN:
        shop.forget(user)
    assert {user: arm(shop, user) for user in UNKNOWN} == before


def test_a_larger_share_with_the_same_salt_takes_nobody_out(shop: Shop) -> None:
    begin(shop, 20)
    few = {user for user in UNKNOWN if arm(shop, user) == "beside"}
    begin(shop, 80)
    many = {user for user in UNKNOWN if arm(shop, user) == "beside"}
    assert set() < few < many < set(UNKNOWN)


def long_list(strength: float) -> ItemFactors:
    """A model of sixty items more, the last of which fit least."""
    names = (*TEAS, *COFFEES, *LATE)
    tables = np.linspace(2.0, 1.0, len(names), dtype=np.float32)[:, None] * strength
    ones = np.ones(len(names), dtype=np.float32)
    return ItemFactors(item_ids=names, encoder=tables, factors=tables, item_weights=ones, popularity=ones)


def test_a_list_that_is_scored_again_under_a_filter_is_that_of_the_arm(shop: Shop) -> None:
    workspace = shop.workspace
    workspace.catalogue.add_items([CatalogueItem(item_id=item) for item in LATE])
    live = shop.release(long_list(1.0))
    experiment = begin(shop, 50, factors=long_list(2.0))
    front = storefront(shop)
    wish = Wish(n=5, purpose=Purpose.DISCOVER, exclude=frozenset((*TEAS, *COFFEES, *LATE[:-5])))
    for shown, version in ((False, live), (True, experiment.version)):
        user = somebody(shop, shown=shown)
        shop.buy(user, "tea-1")
        answer = front.recommend(user, wish)
        assert (answer.version, answer.personalized, ids(answer)) == (version, True, list(LATE[-5:]))


def test_a_list_for_the_page_of_an_item_is_that_of_the_arm(shop: Shop) -> None:
    front, served = storefront(shop), shop.workspace.registry.served()
    assert served.experiment is not None
    for shown, version in ((False, served.live), (True, served.experiment.version)):
        user = somebody(shop, shown=shown)
        for personalized in (False, True):
            answer = front.recommend(user, Wish(context="coffee-2"))
            assert (answer.version, answer.personalized, answer.context_used) == (version, personalized, True)
            shop.buy(user, "tea-1")


def test_baskets_and_pages_that_are_nobodys_get_the_live_version(shop: Shop) -> None:
    front, live, model = storefront(shop), shop.workspace.registry.live(), shop.recommender.live()
    answers = front.basket(["tea-1"], Wish()), front.similar("tea-1", Wish()), front.popular(Wish())
    assert model is not None
    assert {model.version, *(answer.version for answer in answers)} == {live}


def test_a_version_is_loaded_once_while_both_arms_ask(shop: Shop) -> None:
    first, second = (shop.recommender.model_for(shop.key(somebody(shop, shown=shown))) for shown in (False, True))
    assert first is not None
    assert second is not None
    assert first.version != second.version
    assert shop.recommender.model_for(shop.key(somebody(shop, shown=False))) is first
    assert shop.recommender.model_for(shop.key(somebody(shop, shown=True))) is second


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "a\n", "\u00fc", "a/b"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected a name"):
        new_experiment(name, "0" * 32, 50)


@pytest.mark.parametrize("share", [0, 100, -1])
def test_a_share_of_nobody_or_of_everybody_is_refused(share: int) -> None:
    with pytest.raises(InputError, match="1 to 99"):
        new_experiment("scale", "0" * 32, share)


@pytest.mark.parametrize("salt", ["", "5a", "x" * 16, "5a" * 8 + "\n"])
def test_a_salt_that_was_never_drawn_is_refused(salt: str) -> None:
    with pytest.raises(InputError, match="salt"):
        new_experiment("scale", "0" * 32, 50, salt=salt)


def test_arms_are_drawn_anew_unless_an_experiment_runs_or_a_salt_is_given() -> None:
    first, second = (new_experiment("scale", "0" * 32, 50) for _ in range(2))
    assert first.salt != second.salt
    assert new_experiment("scale", "0" * 32, 50, running=first) == first
    assert new_experiment("scale", "0" * 32, 60, salt=second.salt, running=first).salt == second.salt
