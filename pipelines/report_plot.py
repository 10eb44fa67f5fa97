"""The curve of a privacy report: as a picture (extra `plot`), or in characters where there is none."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from recsys.errors import InputError, StorageError
from recsys.evidence.signing import Document
from recsys.types import Json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg")
BLOCKS = " ▏▎▍▌▋▊▉█"
BAR = 24
"""Cells of the longest bar."""

Points = list[tuple[float, float]]
"""(delta, epsilon), as told in the report; infinite epsilons are left out."""


def points(cost: Json) -> Points:
    """The finite points of the curve of a version, or of all releases."""
    curve = cast("list[dict[str, float | str]]", cast("dict[str, Json]", cost)["curve"])
    return [(float(point["delta"]), float(point["epsilon"])) for point in curve if point["epsilon"] != "infinity"]


def bar(value: float, largest: float) -> str:
    """A bar whose length is to BAR as the value is to the largest, to an eighth of a cell."""
    eighths = round(8 * BAR * value / largest) if largest else 0
    return BLOCKS[-1] * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")


def draw(body: Document, path: Path) -> None:
    """Write a picture of epsilon over delta, of the version and of all releases so far.

    Raises:
        InputError: matplotlib is not installed, or the name does not end in .png or .svg.
        StorageError: the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        msg = f"expected a file name ending in .png or .svg, got {path.name!r}; choose one of the two"
        raise InputError(msg)
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        msg = "expected matplotlib to draw with, it is not installed; run `pip install 'privrec[plot]'`"
        raise InputError(msg) from error
    # A figure by itself, without pyplot: no window system is asked for, the format chooses who draws (Agg or SVG).
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    _lines(figure.subplots(), body)
    try:
        # Without the date that SVG holds by default: it would be the only part that is not of the report.
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        msg = f"expected to write {path}, got: {error.strerror}; check the directory and its permissions"
        raise StorageError(msg) from error


def _lines(axes: "Axes", body: Document) -> None:
    own, everything = points(body["guarantee"]), points(body["all_releases"])
    if everything:
        label = "all releases up to this version"
        axes.plot(*_columns(everything), "s--", color="0.5", markersize=9, fillstyle="none", label=label)
    if own:
        axes.plot(*_columns(own), "o-", color="C0", markersize=5, label="this version")
        _mark_promise(axes, cast("dict[str, float]", body["guarantee"]))
    axes.set(xscale="log", xlabel="delta", ylabel="epsilon", title=f"Version {str(body['version'])[:12]}")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if own or everything:
        axes.legend()
    if not own:
        axes.text(0.5, 0.5, "NOT private: no epsilon at any delta", ha="center", transform=axes.transAxes, color="C3")


def _mark_promise(axes: "Axes", guarantee: dict[str, float]) -> None:
    """Where the guarantee is stated."""
    place = (guarantee["delta"], guarantee["epsilon"])
    label = f"epsilon = {place[1]:.3g} at delta = {place[0]:g}"
    arrow = {"arrowstyle": "->"}
    axes.annotate(label, place, xytext=(-20, -40), textcoords="offset points", ha="right", arrowprops=arrow)


def _columns(rows: Points) -> tuple[Sequence[float], Sequence[float]]:
    deltas, epsilons = zip(*rows, strict=True)
    return deltas, epsilons
