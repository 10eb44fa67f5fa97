"""What an installation could do instead of an erasure, keys and all: each is caught by an auditor who has an export.

What it could do to receipts and their log is in tests/recsys/evidence/test_cheats.py.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.app import create_app
from pipelines.audit_export import export_audit
from pipelines.erase import subject_desk, subject_worker
from pipelines.retrain import Repeated, exported, repeated
from pipelines.served import BASKETS, Known, Served, check_served, read_known
from privrec.answers import RecommendationList, RecommendedItem, ShownItem
from privrec.client import Client
from recsys.data.subject_request import SubjectKind
from recsys.erasure import workflow
from recsys.errors import InputError, VerificationError
from recsys.evidence.canonical import digest
from recsys.evidence.manifest import name_version, write_manifest
from recsys.evidence.verdict import Verdict, judge, of_details
from recsys.models import erasable
from recsys.models.customer import unpack_term
from recsys.models.factors import ItemFactors
from recsys.store.settings import Settings
from recsys.store.workspace import memory_workspace
from recsys.training.audit_export import EXPORT_DIGEST
from recsys.training.release import spends_of
from recsys.training.report import DataDigest, signed_report
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Json, ModelVersion, Scope, Trainer
from tests.recsys.erasure.shop import ADA, BEN, EVE, LOG, Shop, live, stock
from tests.recsys.training.shop import TickingClock

ERASABLE = TrainConfig(epsilon=math.inf, erasable=True, n_factors=8)


def exact_shop() -> Shop:
    shop = stock(memory_workspace(clock=TickingClock(), wait=lambda _: None), ERASABLE)
    shop.recommender.publish()
    return shop


@pytest.fixture
def shop() -> Shop:
    return exact_shop()


@dataclass(frozen=True)
class Auditor:
    """Somebody with the public key, who keeps what was handed out."""

    shop: Shop
    place: Path

    def receive(self, name: str = "export") -> Path:
        """The export of the live version."""
        directory = self.place / name
        export_audit(self.shop.workspace, live(self.shop), directory)
        return directory

    def check(
        self, signed: bytes, directory: Path, *, history: bytes | None = None, details: bytes | None = None
    ) -> Repeated:
        verdict = judge(signed, self.shop.workspace.public_key)
        verdict = verdict if details is None else of_details(verdict, details)
        return repeated(verdict, directory, details=details, history=history)


@pytest.fixture
def auditor(shop: Shop, tmp_path: Path) -> Auditor:
    return Auditor(shop, tmp_path)


def receipt_of(shop: Shop, user_id: str) -> bytes:
    """What the customer gets."""
    return shop.workspace.erasures.receipt(shop.erase(user_id).request_id)


def report_in(directory: Path) -> bytes:
    return (directory / "privacy-report.json").read_bytes()


def bought_by(user_id: str) -> list[str]:
    row = LOG.interactions().items_of(LOG.users.index(user_id))
    return [LOG.items[place] for place in row]


def renamed(shop: Shop, directory: Path, version: ModelVersion, model: ItemFactors | None = None) -> bytes:
    """A manifest, and a report signed for it, as the installation can make them of anything; the report."""
    if model is not None:
        (directory / "model.safetensors").write_bytes(model.to_bytes())
        version = replace(version, model_digest=model.digest)
    version = name_version(version)
    (directory / "manifest.json").write_bytes(write_manifest(version))
    spends = spends_of(Terms.of(version), str(version.sum_id), "train")
    return signed_report(shop.workspace, version, spends, DataDigest(of="purchases", digest="00" * 32))


@pytest.mark.parametrize("objected", [False, True])
@given(leaving=st.sets(st.sampled_from(LOG.users), min_size=1, max_size=12))
@settings(max_examples=10)
def test_honest_erasures_give_no_false_alarm(leaving: set[str], *, objected: bool) -> None:
    shop = exact_shop()
    for user in sorted(leaving) if objected else ():
        subject_desk(shop.workspace).limit(user, SubjectKind.OBJECTION)
    subject_worker(shop.workspace).run()
    requests = [shop.ask(user)[0] for user in sorted(leaving)]
    shop.work()
    with TemporaryDirectory() as place:
        auditor = Auditor(shop, Path(place))
        export = auditor.receive()
        for request in requests:
            erasures = shop.workspace.erasures
            details = json.dumps({"details": dict(erasures.request(request.request_id).details)}).encode()
            found = auditor.check(erasures.receipt(request.request_id), export, details=details)
            assert found.checks == ("manifest named by the receipt", "model file", "export", "retrained")
            assert found.customers == len(LOG.users) - len(leaving)


def test_skipping_one_customer(shop: Shop, auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ask; events and terms of both are deleted, and one stays in the sum that the model is made from."""
    taken_out = workflow.ErasureWorker._subtracted
    ada = shop.workspace.sums.terms_of(shop.key(ADA)).popitem()[1]

    def skips_ada(worker: workflow.ErasureWorker, sum_id: str, terms: Iterable[bytes]) -> bytes:
        return taken_out(worker, sum_id, [term for term in terms if term != ada])

    monkeypatch.setattr(workflow.ErasureWorker, "_subtracted", skips_ada)
    for user in (ADA, BEN):
        shop.ask(user)
    shop.work()
    receipt = shop.workspace.erasures.receipt(shop.workspace.erasures.requests()[0].request_id)
    with pytest.raises(VerificationError, match="made from other data"):
        auditor.check(receipt, auditor.receive())


def test_skipping_one_customer_in_the_export_too(shop: Shop, auditor: Auditor) -> None:
    """Model and export agree: only who knows what the customer bought finds the row that should not be there."""
    export = auditor.receive()
    history = "\n".join(bought_by(EVE)).encode()
    report = (export / "privacy-report.json").read_bytes()
    twins = sum(bought_by(user) == bought_by(EVE) for user in LOG.users)
    assert auditor.check(report, export, history=history).same_history == twins > 0
    shop.erase(EVE)
    export = auditor.receive("after")
    assert (
        auditor.check((export / "privacy-report.json").read_bytes(), export, history=history).same_history == twins - 1
    )


def test_skipping_one_purchase(shop: Shop, auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "unpack_term", lambda term, n_items: unpack_term(term[:-4], n_items))
    receipt = receipt_of(shop, ADA)
    with pytest.raises(VerificationError, match="made from other data"):
        auditor.check(receipt, auditor.receive())


def test_deleting_events_and_keeping_the_model(shop: Shop, auditor: Auditor) -> None:
    """The export from before holds the customer; without them it is not what the kept version's manifest names."""
    before = auditor.receive()
    receipt = receipt_of(shop, ADA)
    with pytest.raises(VerificationError, match="says is gone"):
        auditor.check(receipt, before)
    after = auditor.receive("after")
    shutil.copy(after / "customers.jsonl", before / "customers.jsonl")
    with pytest.raises(VerificationError, match="a customer or a purchase is missing"):
        auditor.check(report_in(before), before)


def test_the_old_model_under_a_new_name(shop: Shop, auditor: Auditor) -> None:
    before = auditor.receive()
    old = exported(before)[1]
    receipt = receipt_of(shop, ADA)
    after = auditor.receive("after")
    report = renamed(shop, after, exported(after)[0], old)
    with pytest.raises(VerificationError, match="the one before it under another name"):
        auditor.check(receipt, after)
    with pytest.raises(VerificationError, match="made from other data"):
        auditor.check(report, after)


@pytest.mark.parametrize(("name", "value"), [("REGULARIZATION", 8.5), ("DIAGONAL_POWER", 0.9), ("POPULARITY_POWER", 0)])
def test_another_parameter_than_the_rules(
    shop: Shop, auditor: Auditor, name: str, value: float, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasable, name, value)
        receipt = receipt_of(shop, ADA)
    with pytest.raises(VerificationError, match="another rule"):
        auditor.check(receipt, auditor.receive())


def test_another_number_of_factors_than_the_manifest_says(shop: Shop, auditor: Auditor) -> None:
    export = auditor.receive()
    version = exported(export)[0]
    terms = {**Terms.of(version).to_json(), "n_factors": 5}
    report = renamed(shop, export, replace(version, config={**version.config, "terms": terms}))
    with pytest.raises(VerificationError, match="other settings"):
        auditor.check(report, export)


@given(data=st.data())
@settings(max_examples=10)
def test_a_changed_factor_under_a_manifest_that_names_it(data: st.DataObject) -> None:
    with TemporaryDirectory() as place:
        shop = exact_shop()
        auditor = Auditor(shop, Path(place))
        export = auditor.receive()
        version, model = exported(export)
        table = model.factors.copy()
        row = data.draw(st.integers(0, table.shape[0] - 1))
        column = data.draw(st.integers(0, table.shape[1] - 1))
        table[row, column] = np.nextafter(table[row, column], np.float32(2))
        report = renamed(shop, export, version, replace(model, factors=table))
        with pytest.raises(VerificationError, match="changed afterwards"):
            auditor.check(report, export)


def test_a_wrong_digest_of_the_data(shop: Shop, auditor: Auditor) -> None:
    export = auditor.receive()
    version = exported(export)[0]
    report = renamed(shop, export, replace(version, config={**version.config, EXPORT_DIGEST: digest(b"other data")}))
    with pytest.raises(VerificationError, match="which the manifest names"):
        auditor.check(report, export)


def test_an_export_that_leaves_a_customer_out_under_a_manifest_that_names_it(shop: Shop, auditor: Auditor) -> None:
    """The manifest commits to the smaller export: it is the model that gives away that it was made from more."""
    export = auditor.receive()
    version = exported(export)[0]
    rows = (export / "customers.jsonl").read_bytes()
    fewer = rows[: rows.rindex(b"\n", 0, -1) + 1]
    (export / "customers.jsonl").write_bytes(fewer)
    report = renamed(shop, export, replace(version, config={**version.config, EXPORT_DIGEST: digest(fewer)}))
    with pytest.raises(VerificationError, match="made from other data"):
        auditor.check(report, export)


def test_the_receipt_of_another_version(shop: Shop, auditor: Auditor) -> None:
    """Of an erasure before the last one: its version is gone, and the export is of the version that took its place."""
    first = receipt_of(shop, ADA)
    request = shop.erase(BEN)
    second = shop.workspace.erasures.receipt(request.request_id)
    details = json.dumps({"details": dict(request.details)}).encode()
    export = auditor.receive()
    assert auditor.check(second, export, details=details).checks[0] == "manifest named by the receipt"
    with pytest.raises(InputError, match="--details"):
        auditor.check(second, export)
    with pytest.raises(VerificationError, match="that the receipt names"):
        auditor.check(first, export)


@pytest.mark.parametrize("steps", [None, {}, {"released": {}}, {"released": {"versions": [1]}}, {"released": []}])
def test_a_receipt_that_does_not_say_what_became_of_the_versions(auditor: Auditor, steps: Json) -> None:
    signed = Verdict(kind="receipt", checks=(), body={"steps": steps})
    with pytest.raises(VerificationError, match="what became of each version"):
        repeated(signed, auditor.receive(), details=None, history=None)


@dataclass(frozen=True)
class Wire:
    """A way to the application; a server that lies puts another version's name into its answers."""

    client: TestClient
    said: str | None = None

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        response = self.client.request(method, path, headers=dict(headers), content=body)
        answer = response.json()
        return response.status_code, json.dumps({**answer, "version": self.said} if self.said else answer).encode()


def server(shop: Shop, said: str | None = None) -> Client:
    secret = shop.workspace.api_keys.create("auditor", frozenset({Scope.RECOMMEND}))[1]
    application = TestClient(create_app(Settings(), workspace=shop.workspace))
    return Client("http://shop.example", secret, transport=Wire(application, said))


TEST_CUSTOMERS = [Known(user_id=user, items=tuple(bought_by(user))) for user in (BEN, EVE)]


def test_a_model_that_folds_customers_in_by_ridge_is_asked_about_too() -> None:
    found = stock(memory_workspace(clock=TickingClock(), wait=lambda _: None), TrainConfig(trainer=Trainer.ALS))
    found.recommender.publish()
    model, version = found.workspace.registry.load(live(found))
    assert not model.encoder.any()
    assert check_served(server(found), version.version, model, TEST_CUSTOMERS) == Served(baskets=BASKETS, customers=2)


def test_an_honest_server_gives_no_false_alarm(shop: Shop, auditor: Auditor) -> None:
    for name, client in (("fresh", server(shop)), ("again", server(shop))):
        version, model = exported(auditor.receive(name))
        found = check_served(client, version.version, model, TEST_CUSTOMERS)
        assert found == Served(baskets=BASKETS, customers=2)
    shop.erase(ADA)
    version, model = exported(auditor.receive("after"))
    assert check_served(server(shop), version.version, model, TEST_CUSTOMERS).customers == 2


def test_a_server_from_whose_shop_items_were_deleted_gives_no_false_alarm(shop: Shop, auditor: Auditor) -> None:
    honest = server(shop)
    best = [item["item_id"] for item in honest.recommendations(BEN, task="discover")["items"]]
    catalogue = shop.workspace.catalogue
    for item_id in best[:3]:
        catalogue.change_item(item_id, lambda item: replace(item, deleted=True))
    version, model = exported(auditor.receive())
    assert check_served(honest, version.version, model, TEST_CUSTOMERS).customers == 2


@pytest.mark.parametrize(
    "cut", [lambda items: [], lambda items: items[:1], lambda items: items[:1] * 2, lambda items: items[1:]]
)
def test_a_list_that_lacks_what_belongs_in_it(
    shop: Shop, auditor: Auditor, cut: Callable[[list[RecommendedItem]], list[RecommendedItem]]
) -> None:
    class Short(Client):
        def basket(self, items: Sequence[str], **wanted: object) -> RecommendationList:
            found = honest.basket(items, task="discover")
            return {**found, "items": cut(found["items"])}

        def item(self, item_id: str) -> ShownItem:
            return honest.item(item_id)

    honest = server(shop)
    version, model = exported(auditor.receive())
    with pytest.raises(VerificationError, match="lacks what belongs in it"):
        check_served(Short("http://shop.example", "secret"), version.version, model, [])


def test_a_server_without_lists_that_denies_its_items(shop: Shop, auditor: Auditor) -> None:
    def answer(method: str, *_: object) -> tuple[int, bytes]:
        return (200, json.dumps({"version": version.version, "items": []}).encode()) if method == "POST" else (404, b"")

    version, model = exported(auditor.receive())
    with pytest.raises(VerificationError, match="lacks what belongs in it"):
        check_served(Client("http://shop.example", "secret", transport=answer), version.version, model, [])


def test_a_list_with_what_the_customer_bought(shop: Shop, auditor: Auditor) -> None:
    client = server(shop)

    class Repeats(Client):
        def recommendations(self, user_id: str, **wanted: object) -> RecommendationList:
            return client.basket(bought_by(user_id), task="any")  # scored right, and not without what was bought

        def basket(self, items: Sequence[str], **wanted: object) -> RecommendationList:
            return client.basket(items, task="discover")

    version, model = exported(auditor.receive())
    with pytest.raises(VerificationError, match="test customer 1"):
        check_served(Repeats("http://shop.example", "secret"), version.version, model, TEST_CUSTOMERS)


def test_the_old_model_promoted_again(shop: Shop, auditor: Auditor) -> None:
    """The server has another version than the one that the receipt and the export are of."""
    old = exact_shop()
    receipt_of(shop, ADA)
    version, model = exported(auditor.receive())
    with pytest.raises(VerificationError, match="an older model"):
        check_served(server(old), version.version, model, [])
    with pytest.raises(VerificationError, match="made by another model"):
        check_served(server(old, said=version.version), version.version, model, [])


def test_a_list_from_before_in_the_cache(shop: Shop, auditor: Auditor) -> None:
    """The new model is loaded, and one customer still gets the list of the old one."""
    stale = server(exact_shop()).recommendations(BEN, task="discover")
    receipt_of(shop, ADA)
    version, model = exported(auditor.receive())
    honest = server(shop)

    class Stale(Client):
        def recommendations(self, user_id: str, **wanted: object) -> RecommendationList:
            found = honest.recommendations(user_id, task="discover")
            return {**stale, "version": version.version} if user_id == BEN else found

        def basket(self, items: Sequence[str], **wanted: object) -> RecommendationList:
            return honest.basket(items, task="discover")

    cheating = Stale("http://shop.example", "secret")
    assert check_served(cheating, version.version, model, TEST_CUSTOMERS[1:]).baskets == BASKETS
    with pytest.raises(VerificationError, match="test customer 2") as found:
        check_served(cheating, version.version, model, TEST_CUSTOMERS[::-1])
    assert BEN not in str(found.value)


def test_a_file_of_test_customers() -> None:
    assert read_known(b'{"user_id": "a", "items": ["b"]}\n\n') == [Known(user_id="a", items=("b",))]
    for data in (b"[]", b"nothing", b'{"user_id": "a"}', b'{"user_id": "a", "items": 1}'):
        with pytest.raises(InputError, match="user_id"):
            read_known(data)
