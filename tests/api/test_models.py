"""A version is shown, made ready beside the live one, made live, and rolled back to."""

from dataclasses import replace

from recsys.errors import CacheUnavailableError
from recsys.evidence.manifest import name_version
from recsys.store.cache import NoCache
from recsys.types import ModelStatus, Scope
from tests.api.hot_shop import open_hot_shop
from tests.api.shop import Shop, event, tea_and_coffee

UNKNOWN = "0f" * 16


def candidate(shop: Shop, more: int = 1) -> str:
    """A version that is registered, and neither published nor live; another number gives another one."""
    factors, live = tea_and_coffee(), shop.workspace.registry.versions()[0]
    factors = replace(factors, popularity=factors.popularity + more)
    version = name_version(replace(live, version="", status=ModelStatus.CANDIDATE, model_digest=factors.digest))
    shop.workspace.registry.save(factors, version)
    return version.version


def test_a_version_shows_how_far_it_is_published_and_that_this_is_not_private(shop: Shop) -> None:
    shop.statuses(event("1"), event("2", "bo"))
    shown = shop.get(f"/v1/models/{shop.version}", Scope.OPERATE).json()
    assert (shown["version"], shown["status"], shown["privacy"]["epsilon"]) == (shop.version, "live", 4.0)
    assert (shown["customers"], shown["published"], shown["counted"]) == (2, 0, "internal, not private")


def test_without_a_cache_nothing_is_published_and_a_version_is_live_at_once(shop: Shop) -> None:
    version, shop = candidate(shop), shop.with_port(cache=NoCache())
    assert shop.get(f"/v1/models/{version}", Scope.OPERATE).json()["published"] is None
    assert shop.send("POST", f"/v1/models/{version}/promote", Scope.OPERATE).json()["status"] == "live"


def test_a_version_is_promoted_once_its_lists_are_ready(shop: Shop) -> None:
    version = candidate(shop)
    shop.statuses(event("1"))
    refused = shop.send("POST", f"/v1/models/{version}/promote", Scope.OPERATE)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "version_conflict")
    assert "got 0%" in refused.json()["error"]["message"]
    assert shop.workspace.registry.live() == shop.version

    for _ in range(2):
        published = shop.send("POST", f"/v1/models/{version}/publish", Scope.OPERATE).json()
        assert (published["status"], published["published"], published["customers"]) == ("candidate", 1, 1)
    for _ in range(2):
        assert shop.send("POST", f"/v1/models/{version}/promote", Scope.OPERATE).json()["status"] == "live"
    assert shop.recommend()["version"] == version


def test_a_version_is_promoted_now_if_that_is_asked_for(shop: Shop) -> None:
    version = candidate(shop)
    shop.statuses(event("1"))
    answer = shop.send("POST", f"/v1/models/{version}/promote?when=now", Scope.OPERATE)
    assert (answer.status_code, answer.json()["status"], answer.json()["published"]) == (200, "live", 0)
    assert shop.recommend()["version"] == version


def test_a_version_with_an_erased_customer_is_neither_published_nor_promoted(shop: Shop) -> None:
    version = candidate(shop)
    shop.statuses(event("1"))
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    shop.workspace.erasures.erase_customers({request_id: {"erased": {"versions": [version]}}}, {})
    for path in ("publish", "promote", "promote?when=now"):
        refused = shop.send("POST", f"/v1/models/{version}/{path}", Scope.OPERATE)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "version_conflict")
        assert "privrec train" in refused.json()["error"]["message"]
    assert shop.workspace.registry.live() == shop.version


def test_an_unknown_version_is_not_found_and_a_name_that_is_none_is_refused(shop: Shop) -> None:
    for method, end in (("GET", ""), ("POST", "/publish"), ("POST", "/promote"), ("POST", "/promote?when=now")):
        assert shop.send(method, f"/v1/models/{UNKNOWN}{end}", Scope.OPERATE).status_code == 404
        assert shop.send(method, f"/v1/models/live{end}", Scope.OPERATE).status_code == 422


def test_publishing_to_a_cache_that_is_down_is_put_off(shop: Shop) -> None:
    class Down(NoCache):
        def identity(self) -> str:
            raise CacheUnavailableError

    answer = shop.with_port(cache=Down()).send("POST", f"/v1/models/{shop.version}/publish", Scope.OPERATE)
    assert answer.status_code == 503


def test_the_fast_path_follows_a_promotion_and_its_way_back_without_a_miss() -> None:
    street = open_hot_shop()
    shop = street.shop
    shop.statuses(event("1", "ada", "tea-2"))
    before, version = street.ask(), candidate(shop)
    shop.send("POST", f"/v1/models/{version}/publish", Scope.OPERATE)
    assert street.is_hit()
    for live in (version, shop.version, version):
        shop.send("POST", f"/v1/models/{live}/promote", Scope.OPERATE)
        street.renew()
        assert street.is_hit()
        fast = street.ask()
        assert fast.json()["version"] == live
        assert fast.content == shop.ask("ada").content
    assert before.json()["version"] == shop.version


def test_a_customer_who_is_erased_is_in_neither_slot() -> None:
    street = open_hot_shop()
    shop = street.shop
    shop.statuses(event("1", "ada", "tea-2"))
    version = candidate(shop)
    for each in (shop.version, version):
        shop.send("POST", f"/v1/models/{each}/publish", Scope.OPERATE)
    assert street.is_hit()
    shop.erase(user_id="ada")
    for live in (version, shop.version):
        shop.workspace.registry.promote(live)
        street.renew()
        assert not street.is_hit()
        assert street.ask().json()["personalized"] is False


def test_a_version_is_compared_with_the_live_one_and_the_answer_says_that_this_is_not_private(shop: Shop) -> None:
    version = candidate(shop)
    shop.statuses(event("1"), event("2", "bo"), event("3", "cy"))
    before = shop.recommend()
    found = shop.send("POST", f"/v1/models/{version}/shadow?customers=2", Scope.OPERATE).json()
    assert (found["live"], found["version"], found["customers"]) == (shop.version, version, 2)
    assert (found["overlap20"], found["first_differs"]) == (1.0, 0.0)
    assert found["coverage_live"] == found["coverage_version"] > 0.5
    assert found["counted"] == "internal, not private"
    assert shop.recommend() == before


def test_a_comparison_that_cannot_be_made_is_refused(shop: Shop) -> None:
    version = candidate(shop)
    path = f"/v1/models/{version}/shadow"
    for n in (0, 10_001):
        assert shop.send("POST", f"{path}?customers={n}", Scope.OPERATE).status_code == 422
    assert shop.send("POST", f"/v1/models/{UNKNOWN}/shadow", Scope.OPERATE).status_code == 404
    request_id = shop.erase(user_id="ada-lovelace").json()["request_id"]
    shop.workspace.erasures.erase_customers({request_id: {"erased": {"versions": [version]}}}, {})
    assert shop.send("POST", path, Scope.OPERATE).status_code == 409
