"""Where a customer is: the versions made with them, and the places that hold, or may hold, something of them.

Which versions a customer is in is known from the terms that are kept, and once these are destroyed from the request.
So everybody who was ever in a version can be found again, and with them the roster that its manifest commits to.

Everything here is exact: internal, not private.
"""

from datetime import datetime, timedelta
from typing import Protocol, cast

from recsys.data.export_job import ExportKind
from recsys.data.import_job import ImportKind
from recsys.erasure.accounts import accounts_ever
from recsys.erasure.stores import ErasureStores
from recsys.erasure.verification import is_file_of
from recsys.errors import ArtifactError, NotFoundError
from recsys.evidence.roster import Roster
from recsys.ports import Commitments, Webhooks
from recsys.types import SLOTS, ErasureRequest, Experiment, Json, ModelVersion, UserKey

INTERNAL = "internal, not private"


class LineageStores(ErasureStores, Protocol):
    """What tells where a customer is; a workspace has it all."""

    @property
    def webhooks(self) -> Webhooks:
        """Whom to tell, and what they did not take."""

    @property
    def commitments(self) -> Commitments:
        """What commits to private data."""


def versions_of(request: ErasureRequest) -> list[str]:
    """The versions that an erasure found the customer in; none before it looked."""
    erased = request.details.get("erased")
    found = erased.get("versions") if isinstance(erased, dict) else None
    return [str(version) for version in found] if isinstance(found, list) else []


def lineage(stores: LineageStores, user_key: UserKey, backups: "Backups" = ()) -> dict[str, Json]:
    """Every version that was made with the customer, and every other place, as it is now; nothing is changed.

    Guarantees:
        - Of who came back and is in versions anew, the versions of before are told too, and backups of until now.
        - Versions that an account was in before it was merged into this customer are told, too.

    Tested by: tests/recsys/erasure/test_lineage.py::test_the_lineage_of_who_came_back_names_the_versions_of_before,
        tests/recsys/erasure/test_accounts.py::test_versions_of_a_merged_account_are_found_before_and_after_the_erasure

    Args:
        stores: where everything is
        user_key: the customer
        backups: the operator's backups, and for how many days each is kept
    """
    state = stores.histories.state(user_key)
    accounts = accounts_ever(stores, user_key)
    held = {sum_id for account in accounts for sum_id in stores.sums.terms_of(account)}
    known = {name for each, key in stores.erasures.customers() if key in accounts for name in versions_of(each)}
    versions = [each for each in stores.registry.versions() if each.sum_id in held or each.version in known]
    made: list[Json] = [_version(stores, version) for version in versions]
    lying = stores.exports.lying()
    holding = stores.erasures.holding(user_key)
    since = stores.clock() if holding is None else holding.received_at
    return {
        "history": len(stores.histories.history(user_key)) > 0,
        "suppressed": state.suppressed,
        "terms": len(held),
        "merged_accounts": len(accounts) - 1,
        "versions": made,
        "cache": [_cached(stores, user_key, slot) for slot in SLOTS],
        "exports_with_lists": [j.export_id for j in lying if j.kind is ExportKind.RECOMMENDATIONS],
        "files_of_the_customer": [j.export_id for j in lying if is_file_of(stores.exports, j, user_key)],
        "requests": [each.kind.value for each in stores.subjects.of_customer(user_key)],
        "uploads_of_purchases": [j.import_id for j in stores.imports.lying() if j.kind is ImportKind.PURCHASES],
        "webhook_messages": "none names a customer",
        "backups": covered(backups, since),
        "counted": INTERNAL,
    }


Backups = tuple[tuple[str, int], ...]
"""The operator's backups: the name of each, and for how many days it is kept."""


def covered(backups: Backups, since: datetime) -> list[Json]:
    """Until which day each backup from before the moment may hold the customer."""
    return [{"name": name, "kept_until": f"{since + timedelta(days=days):%Y-%m-%d}"} for name, days in backups]


def roster_of(stores: LineageStores, version: ModelVersion) -> Roster:
    """The roster that the version's manifest commits to, found again from the record.

    Whoever had left the version's sum before by an objection is in it, too (recsys/training/roster.py).

    Guarantees:
        - Whoever was erased since is in it, and it is what the manifest says, or an error.

    Tested by: tests/recsys/erasure/test_lineage.py::test_the_roster_of_every_version_is_found_again_after_erasures

    Raises:
        NotFoundError: the version is older than rosters.
        ArtifactError: the record says other customers than the manifest.
    """
    committed = version.config.get("roster")
    if not isinstance(committed, dict):
        msg = f"expected a version with a roster, got {version.version}, which is older; train again"
        raise NotFoundError(msg)
    salt = bytes.fromhex(cast("str", committed["salt"]))
    roster = Roster.of(stores.commitments.commitment(key, salt) for key in _members(stores, version))
    if roster.root != committed["root"]:
        msg = (
            f"expected the customers of version {version.version} as its manifest commits to them, got others; "
            "the record was changed from outside, or restored from a backup of before the version"
        )
        raise ArtifactError(msg)
    return roster


def roster_proof(stores: LineageStores, version: ModelVersion, user_key: UserKey) -> dict[str, Json]:
    """That the customer is in the version's roster, or is not; raises as `roster_of`.

    Who was in the version under an account that was merged into theirs since is there under the account of then.
    """
    roster = roster_of(stores, version)
    salt = bytes.fromhex(cast("dict[str, str]", version.config["roster"])["salt"])
    accounts = [user_key, *accounts_ever(stores, user_key)]
    commitments = [stores.commitments.commitment(account, salt) for account in accounts]
    found = next((each for each in commitments if each in roster.commitments), commitments[0])
    return {"version": version.version, **roster.proof(found)}


def _members(stores: LineageStores, version: ModelVersion) -> set[UserKey]:
    """Whoever is in the version's sum, and whoever was when the version was made and was erased since."""
    erased = {key for request, key in stores.erasures.customers() if version.version in versions_of(request)}
    kept = stores.sums.terms_in(version.sum_id) if version.sum_id else ()
    return erased.union(key for key, _ in kept)


def _version(stores: LineageStores, version: ModelVersion) -> Json:
    served = stores.registry.served()
    return {
        "version": version.version,
        "status": version.status.value,
        "trainer": version.trainer,
        "created_at": f"{version.created_at:%Y-%m-%d}",
        "private": bool(version.privacy.get("private")),
        "epsilon": version.privacy.get("epsilon"),
        "slot": served.slot_of(version.version),
        "in_experiment": isinstance(served.experiment, Experiment) and served.experiment.version == version.version,
    }


def _cached(stores: LineageStores, user_key: UserKey, slot: int) -> Json:
    value = stores.cache.get(user_key, slot)
    return "nothing" if value is None else "a tombstone" if len(value) == 1 else "lists"
