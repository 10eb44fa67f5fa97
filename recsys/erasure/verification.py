"""The last look before a receipt is signed: what the steps say was done is looked up again, as a stranger would."""

from collections.abc import Iterator
from typing import cast

from recsys.data.export_job import ExportJob, ExportKind
from recsys.data.subject_file import SubjectAsked
from recsys.erasure.stores import ErasureStores
from recsys.errors import ArtifactError, StateError
from recsys.intake import Exports
from recsys.types import SLOTS, ErasureRequest, Json, ModelStatus, UserKey

TOMBSTONE_BYTES = 1
"""What the cache holds in the place of an erased customer's lists."""
FOUND = "nothing left"


def verify(stores: ErasureStores, request: ErasureRequest, user_key: UserKey) -> None:
    """Nothing, if nothing of the customer is left, and every version is what the request says that it is.

    Guarantees:
        - What a step left, or what came back since, is found: no receipt is signed over it.

    Tested by: tests/recsys/erasure/test_verification.py::test_what_came_back_is_found_before_a_receipt_is_signed

    Raises:
        StateError: something is left; the message says what kind of thing.
        ArtifactError: a version's files are not what was registered.
    """
    left = next(_left(stores, user_key), None) or next(_wrong_versions(stores, request), None)
    if left is not None:
        msg = (
            f"expected nothing of the customer to be left, found {left}; find out who put it there: "
            f"no receipt is signed before it is gone ({request.request_id})"
        )
        raise StateError(msg)


def is_cached(stores: ErasureStores, user_key: UserKey) -> bool:
    """Whether the cache holds more of the customer than a tombstone."""
    return any(len(stores.cache.get(user_key, slot) or b"") > TOMBSTONE_BYTES for slot in SLOTS)


def is_file_of(exports: Exports, job: ExportJob, user_key: UserKey) -> bool:
    """Whether it is the file with everything held of this customer."""
    if job.kind is not ExportKind.SUBJECT:
        return False
    try:
        return SubjectAsked.from_bytes(exports.asked(job.export_id)).user_key == user_key
    except ArtifactError:  # it ended a moment ago, and its file with it
        return False


def _left(stores: ErasureStores, user_key: UserKey) -> Iterator[str]:
    """What is there of the customer, one kind of thing after the other."""
    erasures, lying = stores.erasures.count(), stores.exports.lying()
    if len(stores.histories.history(user_key)):
        yield "a history"
    if not stores.histories.state(user_key).erased:
        yield "no suppression"
    if stores.subjects.of_customer(user_key):
        yield "an objection, restriction or rectification"
    if stores.sums.terms_of(user_key):
        yield "a term in a sum"
    if is_cached(stores, user_key):
        yield "a cached list"
    if any(job.is_void(erasures) for job in lying):
        yield "an export with lists"
    if any(is_file_of(stores.exports, job, user_key) for job in lying):
        yield "a file with everything held of them"


def _wrong_versions(stores: ErasureStores, request: ErasureRequest) -> Iterator[str]:
    """What is not so of the versions: that those without noise are gone, and that those in their place are sound."""
    versions = {version.version: version for version in stores.registry.versions()}
    released = cast("dict[str, list[dict[str, Json]]]", request.details["released"])
    for entry in released["versions"]:
        before, after = versions.get(str(entry["version"])), versions.get(str(entry.get("superseded_by")))
        if before and not before.privacy.get("private") and before.status is not ModelStatus.WITHDRAWN:
            yield f"version {before.version}, which makes no promise and was to be withdrawn"
        if after and after.status is not ModelStatus.WITHDRAWN:
            _, found = stores.registry.load(after.version)  # its digests are compared on the way
            if entry.get("certificate", found.certificate) != found.certificate:
                yield f"version {after.version} with another certificate"
            if entry.get("digest_after", found.model_digest) != found.model_digest:
                yield f"version {after.version} with another digest"
