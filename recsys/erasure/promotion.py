"""Which versions may be published, compared and made live: none that was made with a customer who was erased since."""

from collections.abc import Callable

from recsys.erasure.lineage import versions_of
from recsys.erasure.stores import ErasureStores
from recsys.errors import VersionConflictError
from recsys.types import ErasureRequest, ErasureState, Experiment, UserKey

WARM = 0.95
"""The share of customers whose lists must be ready before a version is made live: some buy something at any time, and
their lists are out of date in both slots until they are asked for or published again."""
PUBLISH = "publish it first: privrec models publish"
PUBLISH_OR_PROMOTE = (
    "publish it first (privrec models publish), or promote it now, so that lists are computed when asked for"
)


def warm(version: str, stores: ErasureStores) -> None:
    """Give the version a slot of the cache, so that it can be published while another is live.

    Raises:
        VersionConflictError: a customer was erased who is in the version; nothing changed.
        NotFoundError, ArtifactError: as `Registry.load`; nothing changed.
    """
    refuse_erased(version, stores)
    stores.registry.warm(version)


def promote(version: str, stores: ErasureStores, *, published: Callable[[], float] = lambda: 1.0) -> None:
    """Make the version live, and the one before retired; rolling back is promoting an older one.

    The live version may have been made with erased customers, bounded by its (epsilon, delta), until the next release.
    Once it is replaced there is no way back to it.

    Args:
        version: the version
        stores: where it is, who was erased, and what it was made from
        published: the share of customers whose lists of the version are ready; without it the version is live at once

    Raises:
        VersionConflictError: a customer was erased who is in the version, or too few lists are ready; nothing changed.
        NotFoundError, ArtifactError: as `Registry.load`; nothing changed.

    Guarantees:
        - A version that was replaced, and was made with a customer who asked to be erased, does not become live again.

    Tested by: tests/recsys/erasure/test_promotion.py::test_a_version_with_an_erased_customer_is_not_promoted_again
    """
    refuse_erased(version, stores)
    if version != stores.registry.live():
        _refuse_cold(published(), PUBLISH_OR_PROMOTE)
        refuse_erased(version, stores)  # again: while every customer's lists are counted, one may ask
    stores.registry.promote(version)


def begin(experiment: Experiment, stores: ErasureStores, *, published: Callable[[], float]) -> None:
    """Show the experiment's version to its share of the customers, and the live one to the others.

    Args:
        experiment: which version, and to whom
        stores: where it is, who was erased, and what it was made from
        published: the share of customers whose lists of the version are ready

    Raises:
        VersionConflictError: a customer was erased who is in the version, too few lists are ready, another experiment
            runs, or the version is the live one; nothing changed.
        NotFoundError, ArtifactError: as `Registry.load`; nothing changed.

    Guarantees:
        - No experiment runs on with a version that a customer is in whose erasure was worked on.

    Tested by: tests/recsys/erasure/test_experiments.py::test_an_erasure_while_an_experiment_is_started_wins
    """
    if experiment == stores.registry.served().experiment:
        return
    refuse_erased(experiment.version, stores)
    _refuse_cold(published(), PUBLISH)
    stores.registry.begin(experiment)
    try:  # again: an erasure that came meanwhile may have found no experiment to end
        refuse_erased(experiment.version, stores)
    except VersionConflictError:
        stores.registry.spare([experiment.version])
        raise


def _refuse_cold(share: float, way_out: str) -> None:
    """Return if the lists of enough customers are ready."""
    if share < WARM:
        msg = f"expected a version whose lists are ready for {WARM:.0%} of the customers, got {share:.0%}; {way_out}"
        raise VersionConflictError(msg)


def refuse_erased(version: str, stores: ErasureStores) -> None:
    """Return if nobody was erased who is in the version, or if it is live already.

    Raises:
        VersionConflictError: somebody was.
        NotFoundError, ArtifactError: as `Registry.load`.
    """
    _, described = stores.registry.load(version)
    with_erased = _erased_from(version, stores) or _suppressed_in(described.sum_id, stores)
    if with_erased and version != stores.registry.live():
        msg = (
            f"expected a version without erased customers, but {version} was made with one; "
            "promote a later version or train again: privrec train"
        )
        raise VersionConflictError(msg)


def _erased_from(version: str, stores: ErasureStores) -> bool:
    """Whether a finished step of an erasure names the version."""
    return any(version in versions_of(request) for request in stores.erasures.requests())


def _suppressed_in(sum_id: str | None, stores: ErasureStores) -> bool:
    """Whether a customer whose erasure has only begun is in the version's sum, be it under a merged account."""
    begun: list[tuple[ErasureRequest, UserKey]] = [
        (request, key) for request, key in stores.erasures.pending() if request.state is ErasureState.SUPPRESSED
    ]
    accounts = (account for _, key in begun for account in (key, *stores.subjects.accounts(key).merged))
    return any(sum_id in stores.sums.terms_of(account) for account in accounts)
