"""The storefront over a workspace, for commands that answer as the API would."""

from pipelines.erase import recommender
from recsys.serving.storefront import Storefront
from recsys.store.workspace import Workspace


def storefront(workspace: Workspace) -> Storefront:
    """The storefront over a workspace."""
    return Storefront(
        recommender=recommender(workspace),
        pseudonyms=workspace.pseudonyms,
        catalogue=workspace.catalogue,
        histories=workspace.histories,
        clock=workspace.clock,
    )
