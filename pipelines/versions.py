"""Which version is served, and which is made ready beside it."""

from pipelines.erase import recommender
from recsys.erasure import promotion
from recsys.serving.recommender import Progress
from recsys.store.workspace import Workspace


def publish(workspace: Workspace, version: str, progress: Progress = lambda _: None) -> int:
    """How many customers have lists of the version in the cache now.

    Raises:
        VersionConflictError: a customer was erased who is in the version.
        CacheUnavailableError: the cache went away; run it again.
    """
    promotion.warm(version, registry=workspace.registry, erasures=workspace.erasures, sums=workspace.sums)
    return recommender(workspace).publish(progress, version=version)


def promote(workspace: Workspace, version: str, *, now: bool = False) -> None:
    """Make the version live: once its lists are ready in the cache, if there is one; or now.

    Raises:
        VersionConflictError: a customer was erased who is in the version, or too few lists are ready.
    """

    def published() -> float:
        found = None if now else recommender(workspace).published(version)
        return 1.0 if found is None else found.share

    promotion.promote(
        version, registry=workspace.registry, erasures=workspace.erasures, sums=workspace.sums, published=published
    )
