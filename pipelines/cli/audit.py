"""Commands for auditors: what attacks a release, and what shows how it was made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.console import console, print_json, print_table, status_console
from recsys.errors import NotFoundError, VerificationError
from recsys.types import PrivacyBudget

if TYPE_CHECKING:
    from recsys.audit.canaries import CanaryAudit

audit = typer.Typer(
    help="Compare what is released with what was promised: attack it, or have it made once more.",
    no_args_is_help=True,
)


@audit.command("canaries")
def canaries(
    *,
    epsilon: options.Epsilon = 4.0,
    delta: options.Delta = 1e-6,
    trainings: Annotated[
        int,
        typer.Option(
            min=4, help="How often to train; half of them with a canary. More find more of a smaller epsilon."
        ),
    ] = 4000,
    confidence: Annotated[
        float, typer.Option(help="How often all bounds together are at or below the truth, between 0 and 1.")
    ] = 0.99,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Audit trainings with public attributes of items: five releases.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Look for a made-up customer in what trainings release. Exit code 6 if more is found than epsilon allows.

    The private model is trained again and again on a small synthetic shop, with and without one customer who moves
    every statistic by all that one customer can. What tells the two apart bounds the true epsilon from below. None of
    your purchases are read, and nothing is booked.
    """
    from pipelines.audit import audit_training

    claimed = PrivacyBudget(epsilon=epsilon, delta=delta)
    with status_console.status(f"training {trainings:,} times"):
        found = audit_training(claimed, attributes=attributes, n_pairs=trainings // 2, confidence=confidence)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    if not found.holds:
        msg = (
            f"expected to find at most epsilon={epsilon:g}, got at least {found.whole.epsilon_found:.3g} for "
            "everything (the table shows each statistic); release nothing with this installation, and report it as "
            "SECURITY.md says"
        )
        raise VerificationError(msg)


@audit.command("export")
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="To make; it must not exist yet.")],
    *,
    version: Annotated[str | None, typer.Option(help="As in `privrec models`.  [default: the live one]")] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Write what an auditor needs to train a version once more: privrec verify RECEIPT --retrain DIRECTORY.

    Beside the published files it holds what every customer bought: no names, no times, in no order, and still personal
    data, as a basket can give its buyer away. No erasure reaches the copy: hand it over sealed, delete it afterwards.
    """
    from pipelines.audit_export import export_audit
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        chosen = version or workspace.registry.live()
        if chosen is None:
            msg = "expected a live version to export, got none; train one, or name a version: --version"
            raise NotFoundError(msg)
        found = export_audit(workspace, chosen, directory)
    if as_json:
        print_json({"version": found.version, "directory": str(directory)})
        return
    console.print(f"exported version {found.version}; personal data: hand it over sealed, and delete it afterwards")


def _show(found: "CanaryAudit") -> None:
    rows = [
        (one.statistic, "holds" if one.holds else "EXCEEDED", f"{one.epsilon_claimed:.3f}", f"{one.epsilon_found:.3f}")
        for one in (*found.parts, found.whole)
    ]
    print_table("Canary audit", ["released", "claim", "epsilon claimed", "at least"], rows, left=2)
    console.print(
        f"{found.n_releases:,} trainings, half of them with the canary; delta={found.claimed.delta:g}; "
        f"all bounds are at or below the truth with confidence {found.confidence:g}"
    )
    console.print(
        f"the bound is {found.whole.ratio:.2f} of the whole claim; by counting alone it is "
        f"epsilon={found.epsilon_counted:.3f}, and whatever the mechanism epsilon={found.epsilon_of_any_mechanism:.3f}"
    )
    verdict = (
        "[bold green]the claim holds[/bold green]" if found.holds else "[bold red]the claim is exceeded[/bold red]"
    )
    console.print(verdict)
