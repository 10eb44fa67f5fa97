"""The whole product, once through: a real Valkey server, a real uvicorn process, a receipt checked on its own."""

import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from pipelines.api_process import running_api
from pipelines.erase import recommender, worker
from pipelines.ingest import ingest
from recsys.data.readers import Columns, read_purchases
from recsys.evidence.signing import public_pem
from recsys.models.gram import GramSum
from recsys.privacy.ledger import PrivacyLedger
from recsys.serving.sealed_lists import TOMBSTONE, open_lists
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.training.terms import TrainConfig
from recsys.training.train import snapshot, train
from recsys.types import CatalogueItem, ModelStatus
from tests.e2e.processes import Shop, assert_serves_soon, shop_at
from tests.pipelines.shell import ADA, BEN, FIRST_RELEASE, N_CUSTOMERS, N_ITEMS, in_a_process

pytestmark = [pytest.mark.e2e, pytest.mark.service, pytest.mark.slow]

BUDGET = 8.0


def test_a_shop_trains_serves_sells_forgets_and_proves_it(
    fresh: Path, purchases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_workspace(Settings.load()) as workspace:
        take_in(workspace, purchases)
        first = train(workspace, TrainConfig(epsilon=BUDGET, releases=2)).version
        assert recommender(workspace).publish() == N_CUSTOMERS
        with running_api(workspace) as url, shop_at(url) as shop:
            assert_lists_are_personal_and_named(shop, first)
            assert_a_purchase_counts_in_the_very_next_answer(shop)
            pieces = sealed_bytes(workspace, ADA)
            assert files_with(fresh, pieces) != []

            request_id = assert_an_erasure_is_obeyed_at_once(workspace, shop)
            [finished] = worker(workspace).run()
            assert finished.request_id == request_id

            assert files_with(fresh, [*pieces, ADA.encode()]) == []
            assert_the_store_and_the_sum_never_had(workspace, ADA)
            assert_a_new_version_is_live_and_published(workspace, shop, first)
            assert_the_ledger_shows_both_releases_within_the_budget(workspace)
            receipt = shop.receipt(request_id)
            assert receipt is not None
            assert_the_receipt_holds_where_nothing_else_is(receipt, public_pem(workspace.public_key), tmp_path / "away")
            kill_the_cache(workspace)
            assert_answers_go_on(shop)


def take_in(workspace: Workspace, purchases: Path) -> None:
    """The purchases, with names for the products."""
    read = read_purchases(purchases, Columns(quantity="quantity"))
    named = tuple(CatalogueItem(item_id=item, name=f"Finest {item}") for item in read.log.items)
    assert ingest(workspace, replace(read, catalogue=named)).accepted == len(read.log)


def assert_lists_are_personal_and_named(shop: Shop, version: str) -> None:
    answers = [shop.recommend(user, n=5) for user in (ADA, BEN)]
    for answer in answers:
        assert (answer["personalized"], answer["degraded"], answer["version"]) == (True, False, version)
        assert [item["name"] for item in answer["items"]] == [f"Finest {item['item_id']}" for item in answer["items"]]
    assert answers[0]["items"] != answers[1]["items"]


def assert_a_purchase_counts_in_the_very_next_answer(shop: Shop) -> None:
    """What was new is new no longer, and may be bought again from now on."""
    new = shop.recommend(ADA, task="discover")["items"][0]["item_id"]
    assert next(item for item in shop.recommend(ADA)["items"] if item["item_id"] == new)["reason"] != "bought_before"
    assert [shop.buy(ADA, new), shop.buy(ADA, new)] == ["accepted", "duplicate"]
    after = shop.recommend(ADA, task="discover", n=N_ITEMS)
    assert after["personalized"] is True
    assert new not in [item["item_id"] for item in after["items"]]
    again = [item["reason"] for item in shop.recommend(ADA, n=N_ITEMS)["items"] if item["item_id"] == new]
    assert again == ["bought_before"]


def sealed_bytes(workspace: Workspace, user_id: str) -> list[bytes]:
    """Pieces of the customer's sealed record, data key and term, as they lie in the database."""
    key = [workspace.pseudonyms.user_key(user_id)]
    with closing(sqlite3.connect(workspace.settings.state_dir / "privrec.sqlite")) as database:
        [(data_key, record)] = database.execute("SELECT data_key, record FROM customers WHERE user_key = ?", key)
        [(term,)] = database.execute("SELECT term FROM terms WHERE user_key = ?", key)
    return [piece for blob in (data_key, record, term) for piece in (blob[:24], blob[-24:])]


def files_with(state_dir: Path, pieces: list[bytes]) -> list[str]:
    """The files of the state directory that hold one of the pieces."""
    contents = {path.name: path.read_bytes() for path in state_dir.rglob("*") if path.is_file()}
    return [name for name, content in contents.items() if any(piece in content for piece in pieces)]


def assert_an_erasure_is_obeyed_at_once(workspace: Workspace, shop: Shop) -> str:
    """Nothing personal from the acknowledgement on, even if the cache is given the prepared list again."""
    key = workspace.pseudonyms.user_key(ADA)
    prepared, permit = workspace.cache.get(key), workspace.cache.permit()
    assert prepared is not None
    assert permit is not None
    request = shop.erase(ADA, release=True)
    assert workspace.cache.put(permit, [(key, prepared)]) == 0
    answer = shop.recommend(ADA, n=5)
    assert (answer["personalized"], {item["reason"] for item in answer["items"]}) == (False, {"popular"})
    assert answer["items"] == shop.recommend("nobody", n=5)["items"]
    assert shop.buy(ADA, "i01") == "suppressed"
    assert shop.receipt(request["request_id"]) is None
    return str(request["request_id"])


def assert_the_store_and_the_sum_never_had(workspace: Workspace, user_id: str) -> None:
    """The sum that models are released from is, byte for byte, the sum of the customers who are left."""
    key = workspace.pseudonyms.user_key(user_id)
    assert len(workspace.histories.history(key)) == 0
    assert workspace.cache.get(key) == TOMBSTONE
    assert workspace.sums.terms_of(key) == {}
    keys, log = snapshot(workspace)
    assert len(keys) == N_CUSTOMERS - 1
    content = GramSum.from_bytes(workspace.sums.load_sum(str(workspace.sums.latest_sum())))
    never = GramSum.empty(content.items, content.rule).add(log.interactions().matrix)
    assert never.to_bytes() == content.to_bytes()


def assert_a_new_version_is_live_and_published(workspace: Workspace, shop: Shop, first: str) -> None:
    versions = {version.version: version for version in workspace.registry.versions()}
    live = workspace.registry.live()
    assert live is not None
    assert {name: version.status for name, version in versions.items()} == {
        first: ModelStatus.RETIRED,
        live: ModelStatus.LIVE,
    }
    assert versions[live].parent == first
    key = workspace.pseudonyms.user_key(BEN)
    slot = workspace.registry.served().slot_of(live)
    assert slot is not None
    lists = open_lists(workspace.keys, key, workspace.cache.get(key, slot) or b"", live)
    assert lists is not None
    assert_serves_soon(shop, live)
    assert shop.recommend(ADA)["personalized"] is False
    assert shop.answer("GET", "/v1/models")["live"] == live


def assert_the_ledger_shows_both_releases_within_the_budget(workspace: Workspace) -> None:
    summary = PrivacyLedger(workspace.ledger_log, workspace.clock).summary()
    booked = [entry["statistic"] for entry in summary.entries if entry["type"] == "spend"]
    assert booked == [*FIRST_RELEASE, "gram"]
    assert {"customers", "counts", "gram"} <= set(FIRST_RELEASE)
    assert summary.budget is not None
    assert summary.budget.epsilon == BUDGET
    assert summary.epsilon_spent == pytest.approx(BUDGET)
    assert summary.mu_spent <= summary.mu_budget * (1 + 1e-9)


def assert_the_receipt_holds_where_nothing_else_is(receipt: bytes, public_key: bytes, directory: Path) -> None:
    """A directory with the receipt, the public key and nothing else; one changed byte is refused."""
    directory.mkdir()
    middle = len(receipt) // 2
    tampered = receipt[:middle] + bytes([receipt[middle] ^ 1]) + receipt[middle + 1 :]
    files = {"receipt.json": receipt, "tampered.json": tampered}
    for name, content in {**files, "key.pem": public_key}.items():
        (directory / name).write_bytes(content)
    away = {name: "" for name in os.environ if name.startswith("PRIVREC_")}
    valid, refused = (
        in_a_process("verify", name, "--public-key", "key.pem", cwd=directory, environ=away) for name in files
    )
    assert (valid.exit_code, refused.exit_code) == (0, 6), (valid.err, refused.err)
    assert "valid" in valid.out
    assert ADA.encode() not in receipt
    assert sorted(path.name for path in directory.iterdir()) == ["key.pem", "receipt.json", "tampered.json"]


def kill_the_cache(workspace: Workspace) -> None:
    """As the kernel does when memory is short."""
    url = workspace.settings.redis_url
    assert url is not None
    with Redis.from_url(url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)


def assert_answers_go_on(shop: Shop) -> None:
    answer = shop.recommend(BEN, n=5)
    assert (answer["personalized"], answer["degraded"]) == (True, True)
    assert len(answer["items"]) == 5
    assert shop.recommend(ADA)["personalized"] is False
    assert shop.buy(BEN, "i01") in {"accepted", "duplicate"}
