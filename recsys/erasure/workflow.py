"""The way of an erasure request, from the acknowledgement to the receipt.

    suppressed   the desk: recorded and suppressed in one transaction; nothing personal is served from here on
    erased       history, data key and terms destroyed, the customer's term subtracted from every sum: one transaction
    released     each affected version is released again (if the request spends budget), unlearned and withdrawn (if it
                 is a function of an exact sum), withdrawn (if it makes no promise otherwise), or stays, bounded by its
                 (epsilon, delta)
    purged       the cached lists are deleted and read back, and no older file of purchases lies in the store
    receipted    the receipt is signed, entered in the log and kept

Every step can be repeated, and a worker that died is followed by one that goes on where the queue says.
"""

import secrets
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Protocol, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recsys.clock import Clock, isoformat
from recsys.data.export_job import ExportState
from recsys.data.import_job import ImportKind
from recsys.errors import BudgetExceededError, InputError, PrivrecError, StateError
from recsys.evidence.log import enter
from recsys.evidence.receipt import subject_commitment, write_receipt
from recsys.fence import CacheFence
from recsys.intake import Exports, Imports
from recsys.models.customer import unpack_term
from recsys.models.gram import GramSum
from recsys.ports import Cache, Erasures, Pseudonyms, Registry, Sums
from recsys.types import SLOTS, ErasureRequest, ErasureState, Json, ModelStatus, ModelVersion, UserKey

SALT_BYTES = 16
MAX_REASON = 500
TOMBSTONE_BYTES = 1
"""What the cache holds in the place of an erased customer's lists."""

NO_UPLOADS = "no file of purchases from before the request is left"

RELEASED = "superseded by a release from the sum without the customer"
UNLEARNED = "withdrawn, and superseded by the model of the exact sum without the customer"
WITHDRAWN = "withdrawn: its factors were deleted"
TRAINED = "superseded by a training on the purchases without the customer: its trainer keeps no sum"

ReleaseAgain = Callable[[str, str], ModelVersion]
"""Makes a new version in the place of the one from the sum of this id, for this purpose; books first."""
Publish = Callable[[], int]
"""Writes every customer's lists with the live model; returns how many."""


class ErasureDesk:
    """Takes requests: the only part of an erasure that a customer waits for."""

    def __init__(
        self, *, pseudonyms: Pseudonyms, erasures: Erasures, fence: CacheFence, clock: Clock, due_days: int
    ) -> None:
        """A desk over these stores; requests are due `due_days` days after they came."""
        self._pseudonyms = pseudonyms
        self._erasures = erasures
        self._fence = fence
        self._clock = clock
        self._due = timedelta(days=due_days)

    def request(
        self, user_id: str, *, reason: str = "customer request", release: bool = False
    ) -> tuple[ErasureRequest, str]:
        """The acknowledged request and the salt that opens its subject commitment.

        When it returns, no process serves a list of the customer, whatever becomes of the cache (recsys/fence.py).

        The salt is shown this once and kept nowhere. If the customer has a request already, that one comes back, with
        an empty salt.

        Raises:
            InputError: the id cannot be one, or the reason is too long.
            StorageError: the request could not be written; nothing changed.
        """
        return self.request_key(self._pseudonyms.user_key(user_id), user_id, reason=reason, release=release)

    def request_key(
        self, user_key: UserKey, name: str, *, reason: str = "customer request", release: bool = False
    ) -> tuple[ErasureRequest, str]:
        """As `request`, of a customer whose id is not known; the receipt commits to this name, which stands for it.

        Raises:
            InputError: the reason is too long.
            StorageError: the request could not be written; nothing changed.
        """
        _check_reason(reason)
        salt, now = secrets.token_bytes(SALT_BYTES), self._clock()
        asked = ErasureRequest(
            request_id=str(uuid.uuid4()),
            subject=subject_commitment(name, salt),
            reason=reason,
            received_at=now,
            due_at=now + self._due,
            state=ErasureState.SUPPRESSED,
            release=release,
        )
        request = self._erasures.suppress(asked, user_key)
        self._fence.bury(user_key)
        return request, salt.hex() if request.request_id == asked.request_id else ""


class ErasureStores(Protocol):
    """The stores that the worker needs; a workspace has them all."""

    @property
    def erasures(self) -> Erasures:
        """The queue."""

    @property
    def sums(self) -> Sums:
        """The sealed sums."""

    @property
    def registry(self) -> Registry:
        """The model versions."""

    @property
    def cache(self) -> Cache:
        """The finished lists."""

    @property
    def fence(self) -> CacheFence:
        """What keeps promises about cached lists."""

    @property
    def imports(self) -> Imports:
        """The files that are taken in."""

    @property
    def exports(self) -> Exports:
        """The files that are handed out."""

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """What receipts are signed with."""

    @property
    def clock(self) -> Clock:
        """The time."""


class ErasureWorker:
    """Takes requests through the states. One at a time per installation: the state lock sees to that."""

    def __init__(self, stores: ErasureStores, *, release_again: ReleaseAgain, publish: Publish) -> None:
        """A worker over these stores; the two functions are the training and the serving room's."""
        self._stores = stores
        self._release_again = release_again
        self._publish = publish

    def run(self, tell: Callable[[ErasureRequest], None] = lambda _: None) -> tuple[ErasureRequest, ...]:
        """Finish every pending request, oldest first; returns those that are receipted now.

        A request that cannot go on stays where it is and holds up no other; its error is raised once all were tried.

        Args:
            tell: told of each request that is receipted, whether or not another one cannot go on

        Raises:
            BudgetExceededError: a release does not fit the budget; raise the budget and run again.
            StateError: a store or the cache refused a step; run again when it is back.
        """
        pending = self._stores.erasures.pending()
        # Everybody is out of every sum before the first model is made, so that one model serves all of them.
        refusals = {request.request_id: error for request, key in pending if (error := self._begin(request, key))}
        finished = []
        for request, user_key in pending:
            if request.request_id in refusals:
                continue
            try:
                finished.append(self._finish(request.request_id, user_key))
            except PrivrecError as error:
                refusals[request.request_id] = error
            else:
                tell(finished[-1])
        if refusals:
            raise next(refusals[request.request_id] for request, _ in pending if request.request_id in refusals)
        return tuple(finished)

    def _begin(self, request: ErasureRequest, user_key: UserKey) -> PrivrecError | None:
        """Take the customer out of the stores and sums, if that was not done; what is in the way, if anything is."""
        try:
            if request.state is ErasureState.SUPPRESSED:
                self._erase(request, user_key)
        except PrivrecError as error:
            return error
        return None

    def _finish(self, request_id: str, user_key: UserKey) -> ErasureRequest:
        steps: dict[ErasureState, Callable[[ErasureRequest, UserKey], None]] = {
            ErasureState.ERASED: self._release,
            ErasureState.RELEASED: self._purge,
            ErasureState.PURGED: self._sign,
        }
        request = self._stores.erasures.request(request_id)
        while request.state is not ErasureState.RECEIPTED:
            steps[request.state](request, user_key)
            request = self._stores.erasures.request(request.request_id)
        return request

    def _erase(self, request: ErasureRequest, user_key: UserKey) -> None:
        terms = self._stores.sums.terms_of(user_key)
        replaced = {sum_id: self._subtracted(sum_id, term) for sum_id, term in terms.items()}
        sums: list[Json] = [
            {"sum_id": sum_id, "subtracted": bool(content)} for sum_id, content in sorted(replaced.items())
        ]
        # Versions that are made later are made from sums without the customer, this erasure's own release among them.
        made_with: list[Json] = [v.version for v in self._stores.registry.versions() if v.sum_id in terms]
        done: dict[str, Json] = {
            "at": self._now(),
            "history": "destroyed",
            "data_key": "destroyed",
            "feedback": "none is kept by customer",
            "sums": sums,
            "versions": made_with,
        }
        self._stores.erasures.erase_customer(request.request_id, replaced, {"erased": done})

    def _subtracted(self, sum_id: str, term: bytes) -> bytes:
        """The sum without the customer; an empty content stands for a model that keeps no sum."""
        content = self._stores.sums.load_sum(sum_id)
        if not content:
            return content
        before = GramSum.from_bytes(content)
        return before.subtract(unpack_term(term, len(before.items))).to_bytes()

    def _release(self, request: ErasureRequest, _: UserKey) -> None:
        made_with = cast("list[Json]", _step(request, "erased")["versions"])
        versions = self._stores.registry.versions()
        replaced = {version.parent for version in versions if version.config.get("purpose") == _purpose(request)}
        outcomes: list[Json] = [
            self._outcome(request, version, replaced=version.version in replaced)
            for version in versions
            if version.version in made_with
        ]
        # Whoever is shown a version that the customer is in gets the other one of an experiment, if it is clean.
        self._stores.registry.spare([str(version) for version in made_with])
        # How many lists stays out of the receipt: the number of customers is private.
        made = any(version.config.get("purpose") == _purpose(request) for version in self._stores.registry.versions())
        published = made and self._publish() > 0
        done: dict[str, Json] = {"at": self._now(), "versions": outcomes, "lists_published": published}
        self._stores.erasures.advance(request.request_id, ErasureState.RELEASED, {"released": done})

    def _outcome(self, request: ErasureRequest, version: ModelVersion, *, replaced: bool) -> Json:
        """What becomes of one version that was made with the customer in it.

        Args:
            request: the request
            version: the version
            replaced: whether a worker that died had released its successor already
        """
        known: dict[str, Json] = {
            "version": version.version,
            "trainer": version.trainer,
            "epsilon": version.privacy.get("epsilon"),
        }
        if not version.privacy.get("private"):
            unlearned = self._unlearned(request, version, replaced=replaced)
            self._stores.registry.withdraw(version.version)
            return {**known, "outcome": WITHDRAWN, **unlearned}
        if replaced or (version.status is ModelStatus.LIVE and request.release):
            new = self._release_again(str(version.sum_id), _purpose(request))
            outcome = RELEASED if new.sum_id == version.sum_id else TRAINED
            return {**known, "outcome": outcome, "superseded_by": new.version}
        return {**known, "outcome": "kept: bounded by its (epsilon, delta) until the next release"}

    def _unlearned(self, request: ErasureRequest, version: ModelVersion, *, replaced: bool) -> dict[str, Json]:
        """What took the place of a version without noise: the model of its sum as it is now, if it was live.

        It cannot stay, so what keeps the other from being made (a lower budget, a spectrum without a gap) holds up
        nothing: the version is withdrawn all the same.
        """
        if version.certificate is None:
            return {}
        again = replaced or version.status is ModelStatus.LIVE
        try:
            new = self._release_again(str(version.sum_id), _purpose(request)) if again else self._made(request, version)
        except (BudgetExceededError, InputError) as refusal:
            return {"not_superseded": str(refusal)}
        if new is None:
            return {}
        return {
            "outcome": UNLEARNED,
            "superseded_by": new.version,
            "digest_before": version.model_digest,
            "digest_after": new.model_digest,
            "certificate": new.certificate,
        }

    def _made(self, request: ErasureRequest, version: ModelVersion) -> ModelVersion | None:
        """What another request put in the version's place once this customer was out of the sum."""
        made_with = cast("list[Json]", _step(request, "erased")["versions"])
        children = (each for each in self._stores.registry.versions() if each.parent == version.version)
        return next((child for child in children if child.version not in made_with), None)

    def _purge(self, request: ErasureRequest, user_key: UserKey) -> None:
        self._stores.fence.bury(user_key)
        if any(len(self._stores.cache.get(user_key, slot) or b"") > TOMBSTONE_BYTES for slot in SLOTS):
            msg = "expected no cached list after the deletion, got one; stop the process that writes it and run again"
            raise StateError(msg)
        exports = self._withdraw_exports(request)
        self._check_uploads(request)
        done: dict[str, Json] = {
            "at": self._now(),
            "cache": "deleted and read back",
            "uploads": NO_UPLOADS,
            "exports": exports,
        }
        self._stores.erasures.advance(request.request_id, ErasureState.PURGED, {"purged": done})

    def _check_uploads(self, request: ErasureRequest) -> None:
        """Nothing, if no file of purchases lies in the store that is older than the request.

        A row of it may be the customer's, and who works it off refuses that row; but it lies there until then. One that
        came later is the shop's own doing, like a purchase that is posted after the acknowledgement.
        """
        lying = (job for job in self._stores.imports.lying() if job.kind is ImportKind.PURCHASES)
        if any(job.created_at <= request.received_at for job in lying):
            msg = (
                "expected no uploaded file from before the request, got one; cancel that import, or run again in a day"
            )
            raise StateError(msg)

    def _withdraw_exports(self, request: ErasureRequest) -> str:
        """How many files with personal lists were deleted for this request; they were not given out since it came."""
        exports, erasures = self._stores.exports, self._stores.erasures.count()
        for job in exports.lying():
            if job.is_void(erasures):
                exports.close(job.export_id, ExportState.WITHDRAWN, erasure=request.request_id)
        return f"{exports.withdrawn_for(request.request_id)} files with lists deleted"

    def _sign(self, request: ErasureRequest, _: UserKey) -> None:
        key = self._stores.signing_key
        signed = write_receipt(request, completed_at=self._stores.clock(), signing_key=key)
        self._stores.erasures.finish(request.request_id, partial(enter, signed, signing_key=key), {})

    def _now(self) -> str:
        return isoformat(self._stores.clock())


def _purpose(request: ErasureRequest) -> str:
    """What the release is for: its name in the ledger and in the manifest of the new version."""
    return f"erasure {request.request_id}"


def _check_reason(reason: str) -> None:
    if len(reason) > MAX_REASON:
        msg = f"expected a reason of at most {MAX_REASON} characters, got {len(reason)}; shorten it"
        raise InputError(msg)
    if not reason.isprintable():
        msg = "expected a reason of one line, got control characters; leave them out"
        raise InputError(msg)


def _step(request: ErasureRequest, name: str) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", request.details[name])
