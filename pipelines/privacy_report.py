"""A privacy report for people: what a version promises, what went into it, and what nobody promises."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import cast

from rich.text import Text

from pipelines.console import console, print_table
from pipelines.report_plot import bar, points
from recsys.errors import VerificationError
from recsys.evidence.privacy_report import verify_report
from recsys.evidence.signing import Document
from recsys.store.workspace import Workspace
from recsys.types import Json

NEIGHBOURS = {"add_or_remove_one": "one customer more or less"}


def signed_report_of(workspace: Workspace, version: str) -> tuple[bytes, Document]:
    """The version's report as it was signed, and its body, once signature and version are found to be right.

    Raises:
        NotFoundError: no such version, or none with a report.
        VerificationError: the file was changed, or is another version's.
    """
    signed = workspace.registry.report(version)
    body = verify_report(signed, workspace.public_key)
    if body["version"] != version:
        msg = f"expected the privacy report of {version}, got that of {body['version']}; restore it from a backup"
        raise VerificationError(msg)
    return signed, body


def show(body: Document) -> None:
    """Print the report, in the order in which a privacy officer asks."""
    console.print(f"[bold]Privacy report of version {body['version']}[/bold]")
    console.print(f"trainer {body['trainer']}, registered {body['created_at']}")
    console.print(Text(str(body["statement"]), style="bold green" if body["private"] else "bold red"))
    print_table("The guarantee", ["what", "value"], _guarantee(body), left=2)
    print_table("Epsilon by delta", ["delta", "", "this version", "all releases"], _curve(body), left=2)
    _show_releases(_rows(body, "events"))
    show_metrics(_part(body, "metrics"))
    print_table("Settings", ["setting", "value", "where it comes from"], _settings(body), left=3)
    console.print(f"[dim]{body['settings_note']}[/dim]")
    console.print("[bold]Not covered[/bold]")
    for each in cast("list[str]", body["not_covered"]):
        console.print(Text(f"  - {each}"))
    print_table("Evidence", ["what", "value"], _evidence(body), left=2)


def _guarantee(body: Document) -> list[tuple[str, str]]:
    own, everything = _part(body, "guarantee"), _part(body, "all_releases")
    return [
        ("protected", str(body["unit"])),
        ("compared", NEIGHBOURS[str(body["neighboring_relation"])]),
        ("epsilon", f"{_number(own['epsilon'])} at delta {own['delta']:g}"),
        ("mu", _number(own["mu"])),
        ("in plain words", _plain(own["mu"], private=bool(body["private"]))),
        ("accounting", str(own["accounting"])),
        ("all releases so far", f"{everything['releases']}, together mu {_number(everything['mu'])}"),
    ]


def _plain(mu: Json, *, private: bool) -> str:
    """What the guarantee keeps an observer from, as a bet: Phi(mu / 2) is the best that a test can do at even odds."""
    if not private:
        return "nothing keeps an observer from finding a customer out"
    if not isinstance(mu, float):
        return "the odds of a bet on whether a customer is in it grow by e^epsilon at most, but with probability delta"
    won = 100 * NormalDist().cdf(mu / 2)
    return f"who knows all other customers and bets on whether one is in it wins at most {won:.1f} of 100 even bets"


def _curve(body: Document) -> list[tuple[str, str, str, str]]:
    own, everything = dict(points(body["guarantee"])), dict(points(body["all_releases"]))
    deltas = [point["delta"] for point in _rows(_part(body, "guarantee"), "curve")]
    largest = max(own.values(), default=0.0)
    return [
        (
            f"{delta:g}",
            bar(own.get(delta, 0.0), largest),
            _number(own.get(delta, "infinity")),
            _number(everything.get(delta, "infinity")),
        )
        for delta in cast("list[float]", deltas)
    ]


RELEASE_COLUMNS = ("sensitivity", "noise multiplier", "noise standard deviation", "ledger index")
SAMPLE_COLUMNS = ("count", "sampling probability")
"""Told where a release is on a sample, or one of several: elsewhere they are 1, and the table is narrow without."""


def _show_releases(events: Sequence[dict[str, Json]]) -> None:
    sampled = any(event["count"] != 1 or event["sampling_probability"] != 1 for event in events)
    columns = ("statistic", "mechanism", *RELEASE_COLUMNS, *(SAMPLE_COLUMNS if sampled else ()))
    rows = [[_number(event[column.replace(" ", "_")]) for column in columns] for event in events]
    print_table("What was released to make it", columns, rows, left=2)


def show_metrics(metrics: Mapping[str, Json]) -> None:
    """Print the metrics that were released with a version, or that there are none."""
    if not metrics:
        console.print("[bold]Metrics[/bold]\n  none are published with this version; internal ones are not private")
        return
    rows = [
        (name, _number(value["mean"], none="lost in the noise"), _number(value["low"]), _number(value["high"]))
        for name, value in metrics.items()
        if isinstance(value, dict)
    ]
    print_table("Metrics, released with noise", ["metric", "mean", "low", "high"], rows)
    console.print(f"[dim]{metrics['note']}[/dim]")


def _settings(body: Document) -> list[tuple[str, str, str]]:
    return [(str(s["name"]), _number(s["value"]), str(s["source"])) for s in _rows(body, "settings")]


def _evidence(body: Document) -> list[tuple[str, str]]:
    ledger, code, data = _part(body, "ledger"), _part(body, "code"), _part(body, "data")
    return [
        ("ledger at registration", f"{ledger['entries']} entries, head {ledger['head']}"),
        ("model file", str(body["model_digest"])),
        ("code", str(code["digest"])),
        ("packages", ", ".join(f"{name} {version}" for name, version in _part(code, "packages").items())),
        (f"data ({data['of']})", f"commitment {data['commitment']}, salt {data['salt']}"),
    ]


def _part(body: Mapping[str, Json], name: str) -> dict[str, Json]:
    return cast("dict[str, Json]", body[name])


def _rows(body: Mapping[str, Json], name: str) -> Sequence[dict[str, Json]]:
    return cast("list[dict[str, Json]]", body[name])


def _number(value: Json, *, none: str = "none: a release is on a sample") -> str:
    if value is None:
        return none
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("infinity", "infinite")
