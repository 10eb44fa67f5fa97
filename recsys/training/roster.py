"""Which customers a version was made with, or may have been: committed to in its manifest, and listed nowhere."""

import secrets

from recsys.evidence.roster import Roster
from recsys.training.stores import TrainingStores
from recsys.types import Json

SALT_BYTES = 16


def roster_of_sum(stores: TrainingStores, sum_id: str) -> dict[str, Json]:
    """The roster of everybody who is in the sum, for the manifest of a version that was made from it.

    Who left the sum by an objection, a restriction or a correction is in it, too, until they are erased: their emptied
    term is how the versions of before are found. So the version was made without some of those in its roster. Whose
    accounts were merged is in it under those that the sum was made with: the installation knows which they are.

    Guarantees:
        - The manifest tells neither who, nor how many; the installation can tell of everybody whether they are in.

    Tested by: tests/recsys/erasure/test_lineage.py::test_the_roster_of_every_version_is_found_again_after_erasures
    """
    salt = secrets.token_bytes(SALT_BYTES)
    members = (stores.commitments.commitment(user_key, salt) for user_key, _ in stores.sums.terms_in(sum_id))
    return {"root": Roster.of(members).root, "salt": salt.hex()}
