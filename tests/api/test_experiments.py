"""An experiment over HTTP: both faces of the shop give every customer the version of the customer's arm."""

import pytest

from recsys.types import Scope
from tests.api.hot_shop import HotShop, open_hot_shop
from tests.api.shop import Shop, event
from tests.api.test_models import UNKNOWN, candidate

CUSTOMERS = tuple(f"customer-{number}" for number in range(12))
SALT = "5a" * 8


def start(shop: Shop, version: str, share: int = 50, **fields: object) -> dict[str, object]:
    body = {"name": "more", "version": version, "share": share, "salt": SALT, **fields}
    response = shop.send("PUT", "/v1/experiment", Scope.OPERATE, **body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def published(shop: Shop) -> str:
    """A candidate whose lists are ready."""
    version = candidate(shop)
    shop.send("POST", f"/v1/models/{version}/publish", Scope.OPERATE)
    return version


@pytest.fixture
def street() -> HotShop:
    """A hot shop with customers whose lists of both versions are ready."""
    found = open_hot_shop()
    found.shop.statuses(*(event(str(place), user, "tea-2") for place, user in enumerate(CUSTOMERS)))
    found.shop.send("POST", f"/v1/models/{found.shop.version}/publish", Scope.OPERATE)
    return found


def test_an_experiment_is_started_shown_and_stopped(shop: Shop) -> None:
    version = published(shop)
    nothing = {"live": shop.version, "experiment": None}
    assert shop.get("/v1/experiment", Scope.OPERATE).json() == nothing
    running = {"live": shop.version, "experiment": {"name": "more", "version": version, "share": 50, "salt": SALT}}
    assert start(shop, version) == start(shop, version) == start(shop, version, salt=None) == running
    assert shop.get("/v1/experiment", Scope.OPERATE).json() == running
    for _ in range(2):
        assert shop.send("DELETE", "/v1/experiment", Scope.OPERATE).json() == nothing
    assert start(shop, version, salt=None)["experiment"] != running["experiment"]


def test_both_faces_give_every_customer_the_version_of_the_arm_without_a_miss(street: HotShop) -> None:
    shop, version = street.shop, published(street.shop)
    assert start(shop, version)["live"] == shop.version
    street.renew()
    fast = {user: street.ask(user) for user in CUSTOMERS}
    assert len(street.hot.hits) == len(CUSTOMERS)
    versions = [answer.json()["version"] for answer in fast.values()]
    assert set(versions) == {shop.version, version}
    assert all(answer.content == shop.ask(user).content for user, answer in fast.items())

    shop.send("DELETE", "/v1/experiment", Scope.OPERATE)
    street.renew()
    assert {street.ask(user).json()["version"] for user in CUSTOMERS} == {shop.version}
    start(shop, version)
    street.renew()
    assert [street.ask(user).json()["version"] for user in CUSTOMERS] == versions
    assert len(street.hot.hits) == 3 * len(CUSTOMERS)


def test_the_version_that_won_is_promoted_without_a_miss_and_the_experiment_ends(street: HotShop) -> None:
    shop, version = street.shop, published(street.shop)
    start(shop, version, 10)
    assert shop.send("POST", f"/v1/models/{version}/promote", Scope.OPERATE).status_code == 200
    street.renew()
    assert {street.ask(user).json()["version"] for user in CUSTOMERS} == {version}
    assert len(street.hot.hits) == len(CUSTOMERS)
    assert shop.get("/v1/experiment", Scope.OPERATE).json() == {"live": version, "experiment": None}


def test_who_is_erased_in_either_arm_gets_the_popular_list_of_the_arm(street: HotShop) -> None:
    shop, version = street.shop, published(street.shop)
    start(shop, version)
    street.renew()
    before = {user: street.ask(user).json() for user in CUSTOMERS}
    for user in CUSTOMERS:
        shop.erase(user_id=user)
        answer = street.ask(user).json()
        assert (answer["version"], answer["personalized"]) == (before[user]["version"], False)
        assert before[user]["personalized"]
    assert len(street.hot.hits) == len(CUSTOMERS)


def test_a_version_that_is_not_published_is_refused_with_the_way_out(shop: Shop) -> None:
    version = candidate(shop)
    shop.statuses(event("1"))
    refused = shop.send("PUT", "/v1/experiment", Scope.OPERATE, name="more", version=version, share=50)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "version_conflict")
    assert "got 0%" in refused.json()["error"]["message"]
    assert "publish it first" in refused.json()["error"]["message"]
    assert shop.workspace.registry.served().experiment is None


def test_the_live_version_and_a_second_experiment_are_refused_and_publishing_a_third_version_too(shop: Shop) -> None:
    version = published(shop)
    live = {"name": "more", "version": shop.version, "share": 50}
    assert shop.send("PUT", "/v1/experiment", Scope.OPERATE, **live).status_code == 409
    start(shop, version)
    for changed in ({"share": 60}, {"name": "other"}):
        body = {"name": "more", "version": version, "share": 50, **changed}
        refused = shop.send("PUT", "/v1/experiment", Scope.OPERATE, **body)
        assert (refused.status_code, "stop it first" in refused.json()["error"]["message"]) == (409, True)
    for published_again, status in ((version, 200), (candidate(shop, 2), 409)):
        answer = shop.send("POST", f"/v1/models/{published_again}/publish", Scope.OPERATE)
        assert answer.status_code == status
    assert shop.get("/v1/experiment", Scope.OPERATE).json()["experiment"]["share"] == 50


def test_a_version_with_an_erased_customer_is_not_shown_to_anybody(shop: Shop) -> None:
    version = published(shop)
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    shop.workspace.erasures.erase_customers({request_id: {"erased": {"versions": [version]}}}, {})
    refused = shop.send("PUT", "/v1/experiment", Scope.OPERATE, name="more", version=version, share=50)
    assert (refused.status_code, "privrec train" in refused.json()["error"]["message"]) == (409, True)


@pytest.mark.parametrize("changed", [{"share": 0}, {"share": 100}, {"name": "a b"}, {"salt": "x"}, {"version": "live"}])
def test_what_cannot_be_an_experiment_is_refused(shop: Shop, changed: dict[str, object]) -> None:
    body = {"name": "more", "version": UNKNOWN, "share": 50, **changed}
    assert shop.send("PUT", "/v1/experiment", Scope.OPERATE, **body).status_code == 422


def test_an_unknown_version_is_not_found(shop: Shop) -> None:
    body = {"name": "more", "version": UNKNOWN, "share": 50}
    assert shop.send("PUT", "/v1/experiment", Scope.OPERATE, **body).status_code == 404
