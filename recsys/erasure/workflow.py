"""The way of an erasure request, from the acknowledgement to the receipt.

    suppressed   the desk: recorded and suppressed in one transaction; nothing personal is served from here on
    erased       history, data key and terms destroyed, the customer's term subtracted from every sum: one transaction;
                 accounts that were merged into the customer go along (recsys/erasure/accounts.py)
    released     each affected version is released again (if the request spends budget), unlearned and withdrawn (if it
                 is a function of an exact sum), withdrawn (if it makes no promise otherwise), or stays, bounded by its
                 (epsilon, delta)
    purged       the cached lists are deleted and read back, and no older file of purchases lies in the store
    verified     all of this is looked up again (recsys/erasure/verification.py)
    receipted    the receipt is signed, entered in the log and kept

Every step can be repeated, and a worker that died is followed by one that goes on where the queue says. A step that
fails is tried again later and later, and at last the request is stuck until an operator looks at it: the rules are in
recsys/erasure/rules.py.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import cast

import scipy.sparse as sp

from recsys.clock import isoformat
from recsys.data.export_job import ExportState
from recsys.data.import_job import ImportKind
from recsys.erasure.accounts import requests_beside, suppress_accounts
from recsys.erasure.lineage import Backups, covered
from recsys.erasure.rules import MAX_REASON, is_ready, put_off
from recsys.erasure.stores import ErasureStores
from recsys.erasure.verification import FOUND, is_cached, is_file_of, verify
from recsys.errors import BudgetExceededError, InputError, PrivrecError, StateError
from recsys.evidence.log import enter
from recsys.evidence.receipt import write_receipt
from recsys.models.customer import unpack_term
from recsys.models.gram import GramSum
from recsys.types import ErasureRequest, ErasureState, JournalEntry, Json, ModelStatus, ModelVersion, Trainer, UserKey

NO_UPLOADS = "no file of purchases from before the request is left"

KEPT = "kept: bounded by its (epsilon, delta) until the next release"
NO_PLAN = "none is planned"
RELEASED = "superseded by a release from the sum without the customer"
UNLEARNED = "withdrawn, and superseded by the model of the exact sum without the customer"
FOUND_AGAIN = "withdrawn, and superseded by the model of the purchases without the customer, which is the only one"
WITHDRAWN = "withdrawn: its factors were deleted"
TRAINED = "superseded by a training on the purchases without the customer: its trainer keeps no sum"

ReleaseAgain = Callable[[str, str], ModelVersion]
"""Makes a new version in the place of the one from the sum of this id, for this purpose; books first."""
Publish = Callable[[], int]
"""Writes every customer's lists with the live model; returns how many."""


class ErasureWorker:
    """Takes requests through the states. One at a time on a database: the queue sees to that."""

    def __init__(
        self,
        stores: ErasureStores,
        *,
        release_again: ReleaseAgain,
        publish: Publish,
        train_every: timedelta | None = None,
        backups: Backups = (),
    ) -> None:
        """A worker over these stores; the two functions are the training and the serving room's.

        Args:
            stores: where everything is
            release_again: makes a version in the place of another
            publish: writes the lists of the live version
            train_every: how often a model is released by plan, so that receipts say when the next one is
            backups: the operator's, so that receipts say how long they are kept
        """
        self._stores = stores
        self._train_every = train_every
        self._backups = backups
        self._release_again = release_again
        self._publish = publish

    def run(
        self, tell: Callable[[ErasureRequest], None] = lambda _: None, *, waiting: bool = False
    ) -> tuple[ErasureRequest, ...]:
        """Finish every request whose time has come, oldest first; returns those that are receipted now.

        A request that cannot go on is put off, and holds up no other; its error is raised once all were tried.

        Args:
            tell: told of each request that is receipted, whether or not another one cannot go on
            waiting: whether those that failed before are tried at once, and not only when their time has come

        Raises:
            BudgetExceededError: a release does not fit the budget; raise the budget and run again.
            StateError: a store or the cache refused a step; run again when it is back.
            StateLockedError: another worker is at it.
        """
        with self._stores.erasures.working():
            return self._run(tell, waiting=waiting)

    def _run(self, tell: Callable[[ErasureRequest], None], *, waiting: bool) -> tuple[ErasureRequest, ...]:
        now = self._stores.clock()
        pending = self._stores.erasures.pending()
        ready, refused = self._with_accounts([each for each in pending if is_ready(each[0], now, waiting=waiting)])
        # Everybody is out of every sum before the first model is made, so that one model serves all of them.
        self._begin_all(ready)
        refusals = [self._attempt(request_id, partial(self._begin, key)) for request_id, key in ready]
        finished = []
        for place, (request_id, user_key) in enumerate(ready):
            if refusals[place] is None:
                refusals[place] = self._attempt(request_id, partial(self._finish, user_key))
            request = self._stores.erasures.request(request_id)
            if request.state is ErasureState.RECEIPTED:
                finished.append(request)
                tell(request)
        for refusal in filter(None, [*refused, *refusals]):
            raise refusal
        return tuple(finished)

    def _with_accounts(
        self, ready: Iterable[tuple[ErasureRequest, UserKey]]
    ) -> tuple[list[tuple[str, UserKey]], list[PrivrecError]]:
        """These requests, and those of accounts that were merged into their customers; and what is in the way.

        Where an account cannot be suppressed, nothing of its customer is destroyed either.
        """
        found = {request.request_id: key for request, key in ready}
        refused: dict[str, PrivrecError] = {}
        waiting = deque(found.items())
        while waiting:
            request_id, user_key = waiting.popleft()
            beside: dict[str, UserKey] = {}
            refusal = self._attempt(request_id, partial(self._suppress_accounts, user_key, beside))
            if refusal is not None:
                refused[request_id] = refusal
            waiting += [each for each in beside.items() if each[0] not in found]
            found |= beside
        return [each for each in found.items() if each[0] not in refused], list(refused.values())

    def _suppress_accounts(self, user_key: UserKey, beside: dict[str, UserKey], request: ErasureRequest) -> None:
        """Add the requests of the customer's accounts; one that had days of grace has none any more."""
        if request.state is ErasureState.SUPPRESSED:
            accounts = suppress_accounts(self._stores, request, user_key)
            beside |= {held.request_id: key for held, key in accounts if held.is_open and not held.stuck}

    def _attempt(self, request_id: str, steps: Callable[[ErasureRequest], None]) -> PrivrecError | None:
        """What is in the way of these steps, if anything is; then the request is put off."""
        try:
            steps(self._stores.erasures.request(request_id))
        except Exception as error:  # noqa: BLE001 - a defect that one request meets must not hold up the others
            refusal = error if isinstance(error, PrivrecError) else _defect(error)
            now, problem = self._stores.clock(), f"{type(error).__name__}: {refusal}"[:MAX_REASON]
            after = self._stores.erasures.change(request_id, lambda request: put_off(request, problem, now))
            return refusal if after.is_open else None  # else it was cancelled a moment ago
        return None

    def _begin_all(self, ready: Sequence[tuple[str, UserKey]]) -> None:
        """Take everybody out of stores and sums at once, if nothing is in the way: each sum is written once."""
        if len(ready) > 1:
            # What is in the way is found, and told, when the same is done one by one.
            with suppress(Exception):
                self._erase({request_id: key for request_id, key in ready if self._is_suppressed(request_id)})

    def _is_suppressed(self, request_id: str) -> bool:
        return self._stores.erasures.request(request_id).state is ErasureState.SUPPRESSED

    def _begin(self, user_key: UserKey, request: ErasureRequest) -> None:
        """Take the customer out of the stores and sums, if that was not done."""
        if request.state is ErasureState.SUPPRESSED:
            self._erase({request.request_id: user_key})

    def _finish(self, user_key: UserKey, request: ErasureRequest) -> None:
        steps: dict[ErasureState, Callable[[ErasureRequest, UserKey], None]] = {
            ErasureState.ERASED: self._release,
            ErasureState.RELEASED: self._purge,
            ErasureState.PURGED: self._verify,
            ErasureState.VERIFIED: self._sign,
        }
        while request.state in steps:
            steps[request.state](request, user_key)
            request = self._stores.erasures.request(request.request_id)

    def _erase(self, customers: Mapping[str, UserKey]) -> None:
        """Destroy what is kept of these customers and subtract them from their sums: all of them or none."""
        terms = {request_id: self._stores.sums.terms_of(user_key) for request_id, user_key in customers.items()}
        held = {sum_id for of_one in terms.values() for sum_id in of_one}
        replaced = {sum_id: self._subtracted(sum_id, [of.get(sum_id, b"") for of in terms.values()]) for sum_id in held}
        beside = requests_beside(self._stores.erasures.pending())
        # Versions that are made later are made from sums without them, the releases of these erasures among them.
        versions = self._stores.registry.versions()
        done = {
            request_id: self._destroyed(
                {sum_id: bool(replaced[sum_id]) for sum_id in of_one}, versions, [*beside.get(request_id, ())]
            )
            for request_id, of_one in terms.items()
        }
        self._stores.erasures.erase_customers(done, replaced)

    def _destroyed(
        self, subtracted: Mapping[str, bool], versions: Sequence[ModelVersion], beside: list[Json]
    ) -> dict[str, Json]:
        """What a receipt says of a customer who was in these sums, and whose accounts have these requests."""
        erased: dict[str, Json] = {
            "at": self._now(),
            "history": "destroyed",
            "data_key": "destroyed",
            "feedback": "none is kept by customer",
            "requests": "destroyed, but for sealed notes in the journal",
            "sums": [{"sum_id": sum_id, "subtracted": done} for sum_id, done in sorted(subtracted.items())],
            "versions": [version.version for version in versions if version.sum_id in subtracted],
        }
        return {"erased": erased | {"accounts": beside} if beside else erased}

    def _subtracted(self, sum_id: str, terms: Iterable[bytes]) -> bytes:
        """The sum without the customers; an empty content stands for a model that keeps no sum."""
        content = self._stores.sums.load_sum(sum_id)
        there = list(filter(None, terms))  # a term is empty where its customer has left the sum
        if not content or not there:
            return content
        before = GramSum.from_bytes(content)
        return before.subtract(sp.vstack([unpack_term(term, len(before.items)) for term in there], "csr")).to_bytes()

    def _release(self, request: ErasureRequest, user_key: UserKey) -> None:
        # Whoever cancelled and died may have noted that the customer is let in; from here on no cancel can succeed.
        self._stores.journal.note(JournalEntry(user_key=user_key, request=request))
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
        if any(cast("dict[str, Json]", outcome)["outcome"] == KEPT for outcome in outcomes):
            done["next_release"] = self._next_release()
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
        return {**known, "outcome": KEPT}

    def _next_release(self) -> str:
        """The day of the next release by plan, counted from the last version that was made."""
        if self._train_every is None:
            return NO_PLAN
        last = self._stores.registry.versions()[-1].created_at
        steps = (self._stores.clock() - last) // self._train_every + 1
        return f"{last + steps * self._train_every:%Y-%m-%d}"

    def _unlearned(self, request: ErasureRequest, version: ModelVersion, *, replaced: bool) -> dict[str, Json]:
        """What took the place of a version without noise: the model of what is there now, if it was live.

        It cannot stay, so what keeps the other from being made (a lower budget, no certificate) holds up
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
            "outcome": FOUND_AGAIN if version.trainer == Trainer.ALS_CERTIFIED else UNLEARNED,
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
        if is_cached(self._stores, user_key):
            msg = "expected no cached list after the deletion, got one; stop the process that writes it and run again"
            raise StateError(msg)
        exports = self._withdraw_exports(request, user_key)
        self._check_uploads(request)
        done: dict[str, Json] = {
            "at": self._now(),
            "cache": "deleted and read back",
            "uploads": NO_UPLOADS,
            "exports": exports,
        }
        if self._backups:
            done["backups"] = covered(self._backups, self._stores.clock())
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

    def _withdraw_exports(self, request: ErasureRequest, user_key: UserKey) -> str:
        """How many files with personal lists were deleted for this request; they were not given out since it came.

        Among them is the customer's own file with everything that was held.
        """
        exports, erasures = self._stores.exports, self._stores.erasures.count()
        for job in exports.lying():
            if job.is_void(erasures) or is_file_of(self._stores.exports, job, user_key):
                exports.close(job.export_id, ExportState.WITHDRAWN, erasure=request.request_id)
        return f"{exports.withdrawn_for(request.request_id)} files with lists deleted"

    def _verify(self, request: ErasureRequest, user_key: UserKey) -> None:
        verify(self._stores, request, user_key)
        done: dict[str, Json] = {"at": self._now(), "found": FOUND}
        self._stores.erasures.advance(request.request_id, ErasureState.VERIFIED, {"verified": done})

    def _sign(self, request: ErasureRequest, _: UserKey) -> None:
        key = self._stores.signing_key
        signed = write_receipt(request, completed_at=self._stores.clock(), signing_key=key)
        self._stores.erasures.finish(request.request_id, partial(enter, signed, signing_key=key), {})

    def _now(self) -> str:
        return isoformat(self._stores.clock())


def _purpose(request: ErasureRequest) -> str:
    """What the release is for: its name in the ledger and in the manifest of the new version."""
    return f"erasure {request.request_id}"


def _defect(error: Exception) -> StateError:
    """The error for one that is not ours: its text may hold values, and is left behind."""
    msg = f"expected the step to be done, got {type(error).__name__}; this is a defect: report it, then try again"
    return StateError(msg)


def _step(request: ErasureRequest, name: str) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", request.details[name])
