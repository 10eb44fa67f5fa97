"""The commands that compare two versions on the customers."""

from typing import Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_json
from recsys.types import Json, Served

experiment = typer.Typer(help="Show a second version to a share of the customers.", no_args_is_help=True)


@experiment.command("start")
def start(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the experiment is about, such as `more-factors`.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version that is shown beside the live one.")],
    *,
    share: Annotated[int, typer.Option(min=1, max=99, help="Of the customers, in per cent, who get the version.")] = 50,
    salt: Annotated[
        str | None, typer.Option(help="That of an earlier experiment, so that the same customers get the version.")
    ] = None,
    state_dir: options.StateDir = None,
) -> None:
    """Show a version to a share of the customers, and the live one to the others, until it is stopped.

    Publish the version first: privrec models publish. The `version` of an answer says which arm the customer is in.
    """
    from pipelines.versions import compare
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        begun = compare(workspace, name, version, share, salt=salt)
    console.print(f"{begun.share} % of the customers get version {version} (salt {begun.salt})")


@experiment.command("stop")
def stop(*, state_dir: options.StateDir = None) -> None:
    """Show the live version to everybody. To show the other one to everybody: privrec models promote."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        ended = workspace.registry.end()
    console.print(f"stopped {ended.name}" if ended else "no experiment runs")


@experiment.command("show")
def show(*, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """Show the experiment that runs."""
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        served = workspace.registry.served()
    if as_json:
        print_json(_document(served))
    elif served.experiment is None:
        console.print("no experiment runs")
    else:
        running = served.experiment
        console.print(f"{running.name}: {running.share} % of the customers get version {running.version}")
        console.print(f"the others get version {served.live}; salt {running.salt}")


def _document(served: Served) -> dict[str, Json]:
    """As the API shows it."""
    from dataclasses import asdict

    return {"live": served.live, "experiment": asdict(served.experiment) if served.experiment else None}
