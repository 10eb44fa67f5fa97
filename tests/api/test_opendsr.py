"""Access, portability and erasure in the form of OpenDSR: signed answers, and callbacks through the outbox."""

import json
from base64 import b64decode
from typing import Any, cast

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipelines.exports import Exporter
from pipelines.webhooks import Sender
from recsys.data.opendsr import DsrStatus, DsrType, status_of
from recsys.errors import VerificationError
from recsys.evidence.opendsr_signature import verify_body
from recsys.types import ErasureState, Scope
from tests.api.shop import Shop, event
from tests.api.test_erasures import RECEIPT

ID = "a7551968-d5d6-44b2-9831-815ac9017798"
CALLBACK = "https://controller.example/in"


def post(shop: Shop, kind: str = "access", user_id: str = "ada-lovelace", **changes: object) -> httpx2.Response:
    identity = {"identity_type": "controller_customer_id", "identity_value": user_id, "identity_format": "raw"}
    body: dict[str, object] = {
        "regulation": "gdpr",
        "subject_request_id": ID,
        "subject_request_type": kind,
        "submitted_time": "2026-02-28T12:00:00Z",
        "subject_identities": [identity],
        "status_callback_urls": [CALLBACK],
        "extensions": {"other.example": {"any": 1}},
    }
    return shop.send("POST", "/opendsr/requests", Scope.RIGHTS, **{**body, **changes})


def status(shop: Shop) -> dict[str, Any]:
    response = shop.get(f"/opendsr/requests/{ID}", Scope.RIGHTS)
    check(shop, response)
    return dict(response.json())


def check(shop: Shop, response: httpx2.Response) -> None:
    """The answer is signed by the key of the certificate."""
    pem = shop.get("/opendsr/certificate", Scope.RIGHTS).content
    verify_body(response.content, response.headers["X-OpenDSR-Signature"], pem)
    assert response.headers["X-OpenDSR-Processor-Domain"] == "localhost"


def sent(shop: Shop) -> list[dict[str, Any]]:
    """What callbacks are told in one run of the sender, each found to be signed."""
    told: list[dict[str, Any]] = []
    pem = shop.get("/opendsr/certificate", Scope.RIGHTS).content

    def take(url: str, headers: Any, body: bytes) -> None:
        assert url == CALLBACK
        verify_body(body, headers["X-OpenDSR-Signature"], pem)
        told.append(json.loads(body))

    Sender(shop.workspace, take).run()
    return told


def test_discovery_tells_what_is_supported_and_where_the_certificate_is(shop: Shop) -> None:
    assert shop.get("/opendsr/discovery", Scope.RIGHTS).json() == {
        "api_version": "3.0",
        "supported_identities": [{"identity_type": "controller_customer_id", "identity_format": "raw"}],
        "supported_subject_request_types": ["erasure", "access", "portability"],
        "processor_certificate": "https://localhost/opendsr/certificate",
    }


def test_the_certificate_is_of_the_key_that_signs_receipts_and_always_the_same(shop: Shop) -> None:
    first, second = (shop.get("/opendsr/certificate", Scope.RIGHTS).content for _ in range(2))
    found = x509.load_pem_x509_certificate(first)
    key = found.public_key()

    assert first == second
    assert isinstance(key, Ed25519PublicKey)
    assert key.public_bytes_raw() == shop.workspace.public_key.public_bytes_raw()
    assert "localhost" in found.subject.rfc4514_string()


def test_a_changed_body_or_another_certificate_does_not_verify(shop: Shop) -> None:
    response = post(shop)
    pem = shop.get("/opendsr/certificate", Scope.RIGHTS).content
    for body, certificate in ((response.content + b" ", pem), (response.content, b"no certificate")):
        with pytest.raises(VerificationError):
            verify_body(body, response.headers["X-OpenDSR-Signature"], certificate)


def test_access_becomes_a_file_and_its_callbacks_are_told(shop: Shop) -> None:
    shop.statuses(event("1"))
    accepted = post(shop)
    check(shop, accepted)
    assert accepted.status_code == 201
    assert json.loads(b64decode(accepted.json()["encoded_request"]))["subject_request_id"] == ID
    assert (status(shop)["request_status"], status(shop)["results_url"]) == ("pending", None)
    assert [told["request_status"] for told in sent(shop)] == ["pending"]
    Exporter(shop.workspace).run()
    url = status(shop)["results_url"]

    assert status(shop)["request_status"] == "completed"
    assert shop.get(url.removeprefix("https://localhost"), Scope.RIGHTS).status_code == 200
    [told] = sent(shop)
    assert told == {
        "controller_id": "localhost",
        "expected_completion_time": accepted.json()["expected_completion_time"],
        "status_callback_url": CALLBACK,
        "subject_request_id": ID,
        "request_status": "completed",
    }
    assert sent(shop) == []
    assert shop.workspace.webhooks.list() == ()  # the URL went with the last message to it


def test_an_erasure_holds_from_its_acknowledgement_and_is_told_to_the_end(shop: Shop) -> None:
    shop.statuses(event("1"))
    check(shop, post(shop, "erasure"))
    assert shop.recommend()["personalized"] is False
    assert status(shop)["request_status"] == "pending"
    sent(shop)
    [request] = shop.workspace.erasures.requests()
    shop.finish_erasure(request.request_id, RECEIPT)

    assert (status(shop)["request_status"], status(shop)["results_url"]) == ("completed", None)
    assert [told["request_status"] for told in sent(shop)] == ["completed"]


def test_identities_may_come_by_type_as_in_version_3(shop: Shop) -> None:
    identities = {"controller_customer_id": {"value": "ada-lovelace", "encoding": "raw"}}

    assert post(shop, subject_identities=identities).status_code == 201
    assert post(shop).status_code == 201
    assert len(shop.workspace.exports.lying()) == 1


def test_an_id_that_came_for_something_else_does_nothing(shop: Shop) -> None:
    post(shop, "access", "bo")
    for kind, user_id in (("erasure", "bo"), ("access", "ada-lovelace")):
        response = post(shop, kind, user_id)
        assert (response.status_code, response.json()["error"]["code"]) == (409, "event_conflict")
    assert shop.workspace.erasures.requests() == ()
    assert len(shop.workspace.exports.lying()) == 1


def test_a_file_that_is_not_made_yet_is_cancelled(shop: Shop) -> None:
    post(shop, "portability")
    for _ in range(2):
        cancelled = shop.send("DELETE", f"/opendsr/requests/{ID}", Scope.RIGHTS)
        check(shop, cancelled)
        assert cancelled.status_code == 202
    assert status(shop)["request_status"] == "cancelled"
    assert [told["request_status"] for told in sent(shop)] == ["cancelled"]


def test_an_erasure_is_taken_back_until_something_is_destroyed(shop: Shop) -> None:
    shop.statuses(event("1"))
    post(shop, "erasure")
    assert shop.send("DELETE", f"/opendsr/requests/{ID}", Scope.RIGHTS).status_code == 202

    assert status(shop)["request_status"] == "cancelled"
    assert shop.recommend()["personalized"] is True


def test_an_erasure_that_somebody_else_asked_for_is_not_taken_back(shop: Shop) -> None:
    """The second request under an id of its own, and one of our own form before it."""
    shop.statuses(event("1"))
    [first, second] = [ID, ID.replace("a", "b")]
    post(shop, "erasure")
    post(shop, "erasure", subject_request_id=second)
    refused = shop.send("DELETE", f"/opendsr/requests/{second}", Scope.RIGHTS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "erasure_conflict")
    assert status(shop)["request_status"] == "pending"
    assert shop.recommend()["personalized"] is False

    for each in (first, second):
        assert shop.send("DELETE", f"/opendsr/requests/{each}", Scope.RIGHTS).status_code == 202
    assert shop.recommend()["personalized"] is True


def test_what_is_completed_is_not_cancelled(shop: Shop) -> None:
    post(shop)
    Exporter(shop.workspace).run()
    response = shop.send("DELETE", f"/opendsr/requests/{ID}", Scope.RIGHTS)

    assert (response.status_code, response.json()["error"]["code"]) == (409, "erasure_conflict")
    assert status(shop)["request_status"] == "completed"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_request_id": "1"},
        {"subject_request_id": ID.upper()},
        {"subject_request_type": "objection"},
        {"subject_identities": []},
        {"subject_identities": [{"identity_type": "email", "identity_value": "a", "identity_format": "raw"}]},
        {
            "subject_identities": [
                {"identity_type": "controller_customer_id", "identity_value": "", "identity_format": "raw"}
            ]
        },
        {"submitted_time": "yesterday"},
        {"status_callback_urls": ["http://controller.example/in"]},
        {"status_callback_urls": ["https://10.0.0.1/in"]},
        {"regulation": "other"},
    ],
)
def test_a_request_of_another_form_is_refused_and_does_nothing(shop: Shop, changes: dict[str, object]) -> None:
    assert post(shop, **cast("Any", changes)).status_code == 422
    assert shop.workspace.exports.lying() == ()


def test_every_state_of_ours_has_a_word_of_theirs() -> None:
    words = {state: status_of(DsrType.ERASURE, state.value) for state in ErasureState}

    assert words[ErasureState.SUPPRESSED] is DsrStatus.PENDING
    assert words[ErasureState.ERASED] is DsrStatus.IN_PROGRESS
    assert words[ErasureState.RECEIPTED] is DsrStatus.COMPLETED
    assert status_of(DsrType.ERASURE, "cancelled") is DsrStatus.CANCELLED
    assert status_of(DsrType.ACCESS, "withdrawn") is DsrStatus.CANCELLED
