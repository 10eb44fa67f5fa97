"""The log of receipts over HTTP: what an auditor fetches is what holds offline."""

import json
from typing import Any

import pytest

from recsys.evidence.canonical import canonical_json, from_base64
from recsys.evidence.checkpoint import read_checkpoint
from recsys.evidence.log import enter, leaf_of, read_proof, verify_continued
from recsys.evidence.merkle import EMPTY_ROOT, verify_inclusion
from recsys.evidence.receipt import write_receipt
from recsys.evidence.verdict import judge, of_details, with_kept
from recsys.types import Json, Scope
from tests.api.shop import Shop

LARGE = 2**70
"""More than a column holds."""


def forget(shop: Shop, user_id: str) -> bytes:
    """The receipt of a customer, whatever it says."""
    request_id = shop.erase(user_id=user_id).json()["request_id"]
    shop.finish_erasure(request_id, canonical_json({"request_id": request_id}))
    return shop.workspace.erasures.receipt(request_id)


def audited(shop: Shop, path: str) -> dict[str, Any]:
    answer = shop.get(path, Scope.AUDIT)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_checkpoint_of_an_empty_log_is_signed_too(shop: Shop) -> None:
    answer = shop.get("/v1/log/checkpoint", Scope.AUDIT)

    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    checkpoint = read_checkpoint(answer.text, shop.workspace.public_key)
    assert (checkpoint.size, checkpoint.root) == (0, EMPTY_ROOT)


def test_what_an_auditor_fetches_holds_offline(shop: Shop) -> None:
    kept, seen = [], []
    for user_id in ("ada", "bo", "cleo", "dan", "eve"):
        kept.append(shop.get("/v1/log/checkpoint", Scope.AUDIT).text)
        seen.append(leaf_of(forget(shop, user_id)))
    latest = read_checkpoint(shop.get("/v1/log/checkpoint", Scope.AUDIT).text, shop.workspace.public_key)

    for size, note in enumerate(kept):
        proof = audited(shop, f"/v1/log/consistency?from={size}")
        assert (proof["from"], proof["to"]) == (size, 5)
        verify_continued(read_checkpoint(note, shop.workspace.public_key), latest, read_proof(proof["proof"]))
    for index, leaf in enumerate(seen):
        found = audited(shop, f"/v1/log/inclusion?index={index}")
        assert from_base64(found["leaf"]) == leaf
        parts = read_proof(found["proof"])
        verify_inclusion(leaf, index=index, size=found["size"], proof=parts, tree_root=latest.root)


def test_the_answer_is_what_the_verifier_reads(shop: Shop) -> None:
    forget(shop, "ada")
    kept = read_checkpoint(shop.get("/v1/log/checkpoint", Scope.AUDIT).text, shop.workspace.public_key)
    forget(shop, "bo")
    forget(shop, "cleo")
    verdict = judge(shop.get("/v1/log/checkpoint", Scope.AUDIT).content, shop.workspace.public_key)
    proof = shop.get("/v1/log/consistency?from=1&to=3", Scope.AUDIT).content

    assert with_kept(verdict, kept, proof).checks == ("checkpoint", "consistency")


def test_proofs_of_a_size_that_the_log_had_are_given(shop: Shop) -> None:
    for user_id in ("ada", "bo", "cleo"):
        forget(shop, user_id)

    assert audited(shop, "/v1/log/consistency?from=1&to=2")["to"] == 2
    assert audited(shop, "/v1/log/inclusion?index=1&size=2")["size"] == 2
    assert audited(shop, "/v1/log/consistency?from=3&to=3")["proof"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("inclusion?index=1", 404),
        ("inclusion?index=0&size=2", 404),
        ("inclusion?index=0&size=0", 404),
        (f"inclusion?index={LARGE}", 404),
        ("inclusion?index=-1", 422),
        ("inclusion", 422),
        ("consistency?from=0&to=2", 404),
        (f"consistency?from={LARGE}&to={LARGE}", 404),
        ("consistency?from=1&to=0", 422),
        ("consistency?from=2", 404),
        ("consistency?to=1", 422),
    ],
)
def test_what_the_log_does_not_hold_is_refused(shop: Shop, path: str, status: int) -> None:
    forget(shop, "ada")
    assert shop.get(f"/v1/log/{path}", Scope.AUDIT).status_code == status


def test_the_details_of_a_request_are_those_that_its_receipt_commits_to(shop: Shop) -> None:
    """Numbers come over the wire as they are."""
    epsilons: list[Json] = [3.9999999999999996, 1e-7, 4.0, 1e22, None] * 30
    versions: list[Json] = [{"epsilon": epsilon} for epsilon in epsilons]
    request_id = shop.erase(user_id="ada").json()["request_id"]
    shop.workspace.erasures.erase_customers({request_id: {"erased": {"versions": versions}}}, {})
    signed = write_receipt(
        shop.workspace.erasures.request(request_id),
        completed_at=shop.workspace.clock(),
        signing_key=shop.workspace.signing_key,
    )
    entry = enter(signed, 0, {}, signing_key=shop.workspace.signing_key)
    told = shop.get(f"/v1/erasures/{request_id}", Scope.ERASE).content

    verdict = judge(entry.receipt, shop.workspace.public_key)
    assert b"digest" in entry.receipt
    assert of_details(verdict, told).checks[-1] == "details"


def test_a_database_that_was_changed_gives_no_checkpoint(shop: Shop) -> None:
    forget(shop, "ada")
    forget(shop, "bo")
    state = shop.workspace.receipt_log._state  # type: ignore[attr-defined]
    state.nodes[1, 0] = bytes(32)

    assert shop.get("/v1/log/checkpoint", Scope.AUDIT).status_code == 503
    state.checkpoints[-1] = state.checkpoints[0]
    assert shop.get("/v1/log/checkpoint", Scope.AUDIT).status_code == 503


def test_nothing_of_a_customer_is_in_the_log(shop: Shop) -> None:
    receipt = forget(shop, "ada-lovelace")
    key = shop.workspace.pseudonyms.user_key("ada-lovelace")
    texts = [shop.get("/v1/log/checkpoint", Scope.AUDIT).text, json.dumps(audited(shop, "/v1/log/inclusion?index=0"))]

    for told in ("ada-lovelace", key.hex(), json.loads(receipt)["request_id"]):
        assert all(told not in text for text in texts)
