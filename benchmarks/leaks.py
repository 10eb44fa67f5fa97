"""Whether an acknowledged erasure or purchase is ever gone back on: schedules over memory twins (`fence_schedules.py`).

`leaks.found` are schedules in which a request that began after an acknowledgement was answered with a list that it
ruled out. `leaks.control_found` are those in which deleting the list, and no more, did so: a harness that finds none
there proves nothing.
"""

from benchmarks.fence_schedules import ACTORS, Deleting, Fenced, Unnamed, Unstamped, Unwaited, play
from benchmarks.report import Figures, options, report
from benchmarks.stepped import Stage

SCHEDULES, QUICK_SCHEDULES = 200_000, 2_000
CONTROLS, QUICK_CONTROLS = 2_000, 500
TWINS = {"control": Deleting, "unwaited": Unwaited, "unnamed": Unnamed, "unstamped": Unstamped}
"""Schemes that must leak: the control, and the fence with one part broken."""


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("leaks", schedules(quick=chosen.quick), chosen, seeds=[0])


def schedules(*, quick: bool) -> Figures:
    """How many schedules of each scheme leaked."""
    stage = Stage(ACTORS)
    n, n_controls = (QUICK_SCHEDULES, QUICK_CONTROLS) if quick else (SCHEDULES, CONTROLS)
    figures = {"leaks.schedules": float(n), "leaks.found": leaking(stage, Fenced, n)}
    figures["leaks.control_schedules"] = float(n_controls)
    for name, scheme in TWINS.items():
        figures[f"leaks.{name}_found"] = leaking(stage, scheme, n_controls)
    stage.close()
    return figures


def leaking(stage: Stage, scheme: type[Fenced], n: int) -> float:
    """How many of the first n schedules leaked."""
    return float(sum(play(stage, scheme, seed).leaks > 0 for seed in range(n)))


if __name__ == "__main__":
    main()
