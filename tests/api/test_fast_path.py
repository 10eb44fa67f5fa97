"""Two ways to one answer: what passes the framework by is the slow twin's, and whatever is in doubt does not."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.hot_path import HotPath, secret_in
from recsys.errors import CacheUnavailableError
from recsys.serving.lists import DEFAULT_LENGTH, KEPT_LENGTH
from recsys.serving.sealed_lists import TOMBSTONE, open_lists, seal_lists
from recsys.types import Scope
from tests.api.hot_shop import HotShop, open_hot_shop
from tests.api.shop import Broken, event

KNOWN = ("ada", "bo", "a%2Fb", "%C3%BCrsula", "recommendations")
UNKNOWN = ("nobody", "x" * 256, "%20", "a%2Frecommendations")
ERASED = ("eve", "erased%2Fone")
OBJECTING = ("mia", "objecting%2Fone")
ODD = ("", "x" * 257, "line%0Abreak", "%00", "%C2%85", "%FF", "..", "a//b", "ada/recommendations/ada")


@pytest.fixture
def hot_shop() -> HotShop:
    """Ada's list is in the cache."""
    found = open_hot_shop()
    found.shop.statuses(event("1", "ada", "tea-2"))
    found.ask("ada")
    return found


@pytest.fixture(scope="module")
def street() -> HotShop:
    """A shop with customers of every kind."""
    found = open_hot_shop(burst=10**9)
    for number, user_id in enumerate((*KNOWN, *ERASED, *OBJECTING)):
        plain = str(httpx2.URL(f"http://shop/{user_id}").path)[1:]
        found.shop.statuses(event(str(number), plain, f"tea-{number}"))
        found.ask(user_id)
        if user_id in ERASED:
            assert found.shop.erase(user_id=plain).status_code == 202
        if user_id in OBJECTING:
            assert found.shop.send("PUT", f"/v1/users/{user_id}/objection", Scope.RIGHTS).status_code == 200
    return found


LIST_ID = re.compile(rb'(?<="recommendation_id":")[\w-]{40}')
MADE_FOR_EACH = (b'"personalized":false', b'"context_used":true')


def seen(response: httpx2.Response) -> tuple[int, list[tuple[bytes, bytes]], object]:
    """What a client sees of an answer, but for the id of the request, and for that of a list that is made for each."""
    headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"x-request-id"]
    hidden = response.headers["X-Request-ID"].encode()
    body = response.content.replace(hidden, b"")
    fresh = any(mark in body for mark in MADE_FOR_EACH)
    return response.status_code, headers, LIST_ID.sub(b"", body) if fresh else body


def credentials(street: HotShop) -> dict[str, dict[str, str]]:
    secret, other = street.shop.secrets[Scope.RECOMMEND], street.shop.secrets[Scope.WRITE]
    return {
        "bearer": {"Authorization": f"Bearer {secret}"},
        "lower": {"authorization": f"bearer  {secret} "},
        "header": {"X-API-Key": secret},
        "both": {"X-API-Key": "privrec_guess", "Authorization": f"Bearer {secret}"},
        "basic": {"X-API-Key": secret, "Authorization": "Basic abc"},
        "empty": {"Authorization": "Bearer ", "X-API-Key": secret},
        "none": {},
        "wrong": {"Authorization": f"Bearer {secret}x"},
        "scope": {"Authorization": f"Bearer {other}"},
    }


RECOMMENDED = "/v1/users/ada/recommendations"
METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
CREDENTIALS = ("bearer", "lower", "header", "both", "basic", "empty", "none", "wrong", "scope")
QUERIES = ("", "?n=20", "?task=any", "?n=3", "?n=0", "?", "?%FF", "?context=tea-0")


def check_alike(street: HotShop, method: str, user_id: str, credential: str, query: str, body: bytes = b"") -> None:
    street.renew()
    path, headers = f"/v1/users/{user_id}/recommendations{query}", credentials(street)[credential]
    fast, slow = (
        client.request(method, path, headers=headers, content=body or None) for client in (street.fast, street.slow)
    )
    assert seen(fast) == seen(slow)


@given(
    method=st.sampled_from(METHODS),
    user_id=st.sampled_from(KNOWN + UNKNOWN + ERASED + OBJECTING + ODD) | st.text(min_size=1).map(quote),
    credential=st.sampled_from(CREDENTIALS),
    query=st.sampled_from(QUERIES),
    body=st.sampled_from([b"", b"body"]),
)
def test_both_ways_answer_alike(
    street: HotShop, method: str, user_id: str, credential: str, query: str, body: bytes
) -> None:
    check_alike(street, method, user_id, credential, query, body)


@pytest.mark.parametrize("method", METHODS)
def test_both_ways_answer_a_known_customer_alike_whatever_the_key_and_the_query(street: HotShop, method: str) -> None:
    for credential, query in product(CREDENTIALS, QUERIES):
        check_alike(street, method, "ada", credential, query)


@pytest.mark.parametrize("user_id", KNOWN)
@pytest.mark.parametrize("credential", ["bearer", "lower", "header", "both"])
def test_a_known_customers_list_comes_by_the_fast_path(street: HotShop, user_id: str, credential: str) -> None:
    street.renew()
    before = len(street.hot.hits)
    path, headers = f"/v1/users/{user_id}/recommendations", credentials(street)[credential]
    fast, slow = (client.get(path, headers=headers) for client in (street.fast, street.slow))

    assert len(street.hot.hits) == before + 1
    assert seen(fast) == seen(slow)
    assert fast.json()["personalized"] is True


@pytest.mark.parametrize("user_id", UNKNOWN + ERASED)
def test_whoever_has_no_list_is_answered_by_the_slow_twin_in_one_form(street: HotShop, user_id: str) -> None:
    street.renew()
    before = len(street.hot.hits)
    answer = street.ask(user_id)

    assert len(street.hot.hits) == before
    assert seen(answer) == seen(street.ask("somebody-else"))


Doubt = Callable[[HotShop, pytest.MonkeyPatch], object]


def value_of(shop: HotShop, user_id: str = "ada") -> bytes:
    value = shop.shop.workspace.cache.get(shop.shop.workspace.keys.user_key(user_id))
    assert value is not None
    return value


def replaced(change: Callable[[bytes], bytes]) -> Doubt:
    """The value that lies there is another."""

    def doubt(shop: HotShop, patch: pytest.MonkeyPatch) -> None:
        changed = change(value_of(shop))
        patch.setattr(shop.shop.workspace.cache, "get", lambda *_: changed)

    return doubt


def resealed(shop: HotShop, *, epoch: int, version: str | None = None) -> bytes:
    """Ada's value as a writer of another epoch or version would have sealed it."""
    ring = shop.hot.ring
    user_key, value = ring.user_key("ada"), value_of(shop)
    lists = open_lists(ring, user_key, value, shop.shop.version)
    assert lists is not None
    return seal_lists(ring, user_key, epoch=epoch, lists=replace(lists, version=version or lists.version))


def of_another_writer(shop: HotShop, patch: pytest.MonkeyPatch, *, epochs: int = 0, version: str | None = None) -> None:
    epoch = shop.shop.workspace.fences.read().epoch
    assert resealed(shop, epoch=epoch)[:17] == value_of(shop)[:17]
    changed = resealed(shop, epoch=epoch + epochs, version=version)
    patch.setattr(shop.shop.workspace.cache, "get", lambda *_: changed)


def moved(shop: HotShop, patch: pytest.MonkeyPatch) -> None:
    shop.shop.statuses(event("1", "bo", "coffee-1"))
    shop.ask("bo")
    ada, bo = map(shop.shop.workspace.keys.user_key, ("ada", "bo"))
    shop.reader.moved[ada] = bo


def forgotten_key(shop: HotShop, patch: pytest.MonkeyPatch) -> None:
    shop.clock.now += 0.99
    shop.renew()
    patch.setattr(shop.hot.known_keys, "_found", {})


DOUBTS: dict[str, Doubt] = {
    "the lease has run out": lambda shop, _: setattr(shop.clock, "now", shop.clock.now + 1.0),
    "another server answers": lambda shop, _: setattr(shop.reader, "server_id", "another"),
    "no server answers": lambda shop, _: setattr(shop.reader, "server_id", None),
    "the cache is down": lambda shop, _: setattr(shop.shop.workspace.cache, "down", True),
    "a tombstone": replaced(lambda _: TOMBSTONE),
    "another kind": replaced(lambda value: b"\x02" + value[1:]),
    "an epoch of before": partial(of_another_writer, epochs=-1),
    "an epoch to come": partial(of_another_writer, epochs=1),
    "another version": partial(of_another_writer, version="another"),
    "another stamp": replaced(lambda value: value[:24] + bytes([value[24] ^ 1]) + value[25:]),
    "a changed byte": replaced(lambda value: value[:-1] + bytes([value[-1] ^ 1])),
    "a cut value": replaced(lambda value: value[:30]),
    "an empty value": replaced(lambda _: b""),
    "another customer's value": moved,
    "a key that was not looked up": forgotten_key,
    "a fault": lambda shop, patch: patch.setattr(shop.reader, "get", Broken(RuntimeError("ada")).get),
    "no connection": lambda shop, patch: patch.setattr(shop.reader, "get", Broken(CacheUnavailableError("")).get),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_in_doubt_the_slow_twin_answers(hot_shop: HotShop, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hot_shop.is_hit()
    DOUBTS[name](hot_shop, monkeypatch)
    assert not hot_shop.is_hit()


def test_a_lease_that_runs_out_while_the_cache_is_read_is_worth_nothing(
    hot_shop: HotShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = hot_shop.reader.get

    def slow(name: bytes) -> object:
        hot_shop.clock.now += 1.0
        return read(name)

    monkeypatch.setattr(hot_shop.reader, "get", slow)
    assert not hot_shop.is_hit()


def test_after_the_acknowledgement_of_an_erasure_nothing_personal_comes(hot_shop: HotShop) -> None:
    assert hot_shop.is_hit()
    assert hot_shop.shop.erase(user_id="ada").status_code == 202
    assert not hot_shop.is_hit()
    assert hot_shop.ask().json()["personalized"] is False


@pytest.mark.parametrize("limit", ["objection", "restriction"])
def test_after_the_acknowledgement_of_an_objection_nothing_personal_comes_until_it_is_taken_back(
    hot_shop: HotShop, limit: str
) -> None:
    before = hot_shop.ask().json()
    assert hot_shop.shop.send("PUT", f"/v1/users/ada/{limit}", Scope.RIGHTS).status_code == 200
    assert not hot_shop.is_hit()
    assert hot_shop.ask().json()["personalized"] is False
    hot_shop.shop.send("DELETE", f"/v1/users/ada/{limit}", Scope.RIGHTS)

    assert hot_shop.ask().json()["items"] == before["items"]
    assert hot_shop.is_hit()


def test_a_list_of_before_a_purchase_does_not_come_after_it(hot_shop: HotShop) -> None:
    before = hot_shop.ask().json()
    hot_shop.shop.statuses(event("2", "ada", "coffee-3"))
    after = hot_shop.ask().json()

    assert "coffee-3" in [item["item_id"] for item in after["items"][:2]]
    assert before != after
    assert hot_shop.is_hit()


def change_item(shop: HotShop, method: str, item_id: str, **body: object) -> None:
    headers = shop.shop.headers(Scope.WRITE)
    answer = shop.fast.request(method, f"/v1/items/{item_id}", headers=headers, json=body or None)
    assert answer.status_code == 200, answer.text


def check_hit_alike(shop: HotShop) -> httpx2.Response:
    """The fast path answers as the slow twin does."""
    before, slow = len(shop.hot.hits), shop.slow.get(RECOMMENDED, headers=shop.shop.headers(Scope.RECOMMEND))
    fast = shop.ask()
    assert seen(fast) == seen(slow)
    assert len(shop.hot.hits) == before + 1
    return fast


@pytest.mark.parametrize(("method", "body"), [("DELETE", {}), ("PATCH", {"name": "New name"}), ("PUT", {"name": "N"})])
def test_an_item_that_was_changed_is_as_it_is_now_in_the_very_next_answer(
    hot_shop: HotShop, method: str, body: dict[str, object]
) -> None:
    shown = check_hit_alike(hot_shop).json()["items"]
    change_item(hot_shop, method, shown[0]["item_id"], **body)
    now = check_hit_alike(hot_shop).json()["items"]

    assert {item["item_id"]: item["name"] for item in now}.get(shown[0]["item_id"]) == body.get("name")
    assert len(now) == len(shown) == DEFAULT_LENGTH


def test_the_next_items_take_the_places_of_deleted_ones_as_long_as_there_are_any(hot_shop: HotShop) -> None:
    """Afterwards the slow twin looks for others; here nothing else is for sale."""
    for number in range(KEPT_LENGTH - DEFAULT_LENGTH):
        change_item(hot_shop, "DELETE", hot_shop.ask().json()["items"][number]["item_id"])
        check_hit_alike(hot_shop)
    change_item(hot_shop, "DELETE", hot_shop.ask().json()["items"][5]["item_id"])
    assert not hot_shop.is_hit()
    assert len(hot_shop.ask().json()["items"]) == DEFAULT_LENGTH - 1


def test_what_an_answer_does_not_show_may_change(hot_shop: HotShop) -> None:
    change_item(hot_shop, "PATCH", hot_shop.ask().json()["items"][0]["item_id"], price=3.5, stock=0)
    assert hot_shop.is_hit()


def test_an_epoch_that_was_raised_ends_the_hits_with_the_lease(hot_shop: HotShop) -> None:
    fences = hot_shop.shop.workspace.fences
    fence = fences.read()
    assert fences.swap(fence, fence.raised())
    hot_shop.renew()
    assert not hot_shop.is_hit()


def test_a_fast_answer_costs_a_token_and_a_miss_costs_one_too() -> None:
    shop = open_hot_shop(burst=4)
    shop.shop.statuses(event("1", "ada", "tea-2"))
    statuses = [shop.ask(user_id).status_code for user_id in ("ada", "ada", "nobody", "ada", "ada", "nobody")]

    assert len(shop.hot.hits) == 2
    assert statuses == [200, 200, 200, 200, 429, 429]


def test_the_line_in_the_log_is_the_slow_twins(capfd: pytest.CaptureFixture[str]) -> None:
    hot_shop = open_hot_shop()
    hot_shop.shop.statuses(event("1", "ada", "tea-2"))
    hot_shop.ask("ada")
    capfd.readouterr()
    assert hot_shop.is_hit()
    hot_shop.slow.get(RECOMMENDED, headers=hot_shop.shop.headers(Scope.RECOMMEND))
    fast, slow = capfd.readouterr().err.splitlines()
    mine, theirs = json.loads(fast), json.loads(slow)
    varying = {"duration_ms", "request_id", "timestamp"}

    assert list(mine) == list(theirs)
    assert {name: mine[name] for name in mine.keys() - varying} == {
        name: theirs[name] for name in mine.keys() - varying
    }
    assert {name: (type(mine[name]), len(str(mine[name])) > 2) for name in varying} == {
        name: (type(theirs[name]), len(str(theirs[name])) > 2) for name in varying
    }
    assert len(mine["request_id"]) == len(theirs["request_id"])
    assert len(mine["timestamp"]) == len(theirs["timestamp"])
    assert "ada" not in fast.replace(mine["request_id"], "")  # which is hexadecimal, as she is


def test_a_body_makes_a_request_one_for_the_framework() -> None:
    key = (b"x-api-key", b"secret")
    assert secret_in([(b"host", b"shop"), key]) == "secret"
    assert secret_in([key, (b"content-length", b"0")]) == ""
    assert secret_in([(b"transfer-encoding", b"chunked"), key]) == ""
    assert secret_in([(b"x-api-key", b""), key]) == ""


def test_where_there_is_no_server_to_read_from_there_is_no_fast_path(hot_shop: HotShop) -> None:
    assert isinstance(hot_shop.fast.app.hot, HotPath)  # type: ignore[attr-defined]
    assert hot_shop.slow.app.hot is None  # type: ignore[attr-defined]
