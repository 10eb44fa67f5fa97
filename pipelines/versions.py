"""Which version is served, and which is made ready beside it."""

from dataclasses import asdict

from pipelines.console import NOT_PRIVATE, console, print_json, print_table
from pipelines.erase import recommender
from recsys.erasure import promotion
from recsys.serving.experiments import new_experiment
from recsys.serving.publisher import Progress
from recsys.serving.shadow import Comparison, shadow
from recsys.store.workspace import Workspace
from recsys.types import Experiment, Task


def publish(workspace: Workspace, version: str, progress: Progress = lambda _: None) -> int:
    """How many customers have lists of the version in the cache now.

    Raises:
        VersionConflictError: a customer was erased who is in the version.
        CacheUnavailableError: the cache went away; run it again.
    """
    promotion.warm(version, workspace)
    return recommender(workspace).publish(progress, version=version)


def publish_served(workspace: Workspace, progress: Progress = lambda _: None) -> bool:
    """Publish the live version and the one that an experiment shows beside it; False if nothing is served.

    Raises:
        CacheUnavailableError: the cache went away; run it again.
    """
    served = workspace.registry.served()
    shown = [each for each in (served.live, served.experiment.version if served.experiment else None) if each]
    for version in shown:
        recommender(workspace).publish(progress, version=version)
    return bool(shown)


def compare(workspace: Workspace, name: str, version: str, share: int, *, salt: str | None = None) -> Experiment:
    """The experiment that runs from now on.

    Raises:
        InputError: the name, the share or the salt cannot be one.
        VersionConflictError: the version cannot be shown: the message says why.
    """
    running = workspace.registry.served().experiment
    experiment = new_experiment(name, version, share, salt=salt, running=running)
    promotion.begin(experiment, workspace, published=lambda: _ready(workspace, version))
    return experiment


def compare_unseen(
    workspace: Workspace, version: str, n: int, *, task: Task, progress: Progress = lambda _: None
) -> Comparison:
    """The version beside the live one, on a sample of n customers who see nothing of it.

    Raises:
        InputError: n is not within 1 to 10,000.
        VersionConflictError: a customer was erased who is in the version, or no version is live.
    """
    promotion.refuse_erased(version, workspace)
    return shadow(
        version,
        n,
        task=task,
        registry=workspace.registry,
        histories=workspace.histories,
        catalogue=workspace.catalogue,
        progress=progress,
    )


def show_comparison(found: Comparison, *, as_json: bool) -> None:
    """Print the figures, and that they are not private."""
    if as_json:
        print_json({**asdict(found), "counted": NOT_PRIVATE})
        return
    rows = [
        ("items that both have, of 20", found.overlap20),
        ("customers whose first item differs", found.first_differs),
        ("items on sale that the live version shows", found.coverage_live),
        ("items on sale that this version shows", found.coverage_version),
    ]
    title = f"Version {found.version} beside the live one, {found.customers:,} customers, task {found.task}"
    print_table(title, ["", "share"], [(name, f"{share:.1%}") for name, share in rows])
    console.print(f"[dim]These figures are {NOT_PRIVATE}.[/dim]")


def promote(workspace: Workspace, version: str, *, now: bool = False) -> None:
    """Make the version live: once its lists are ready in the cache, if there is one; or now.

    Raises:
        VersionConflictError: a customer was erased who is in the version, or too few lists are ready.
    """
    promotion.promote(version, workspace, published=lambda: 1.0 if now else _ready(workspace, version))


def _ready(workspace: Workspace, version: str) -> float:
    """The share of customers whose lists are ready; where there is no cache, none has to be."""
    found = recommender(workspace).published(version)
    return 1.0 if found is None else found.share
