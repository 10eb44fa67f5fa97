"""Whether an acknowledged erasure or purchase is ever gone back on: in schedules, and on a real server.

Schedules over memory twins (`fence_schedules.py`): `leaks.found` are those in which a request that began after an
acknowledgement was answered with a list that it ruled out. `leaks.control_found` are those in which deleting the list,
and no more, did so: a harness that finds none there proves nothing. Real cycles of kill -9, flush, restart with an old
snapshot and a server that stops answering (`fence_cycles.py`): `leaks.cycle_answers` counts answers of that kind.
"""

import tempfile
from pathlib import Path

from benchmarks.fence_cycles import play_cycles
from benchmarks.fence_schedules import ACTORS, play
from benchmarks.fence_schemes import Deleting, Fenced, Halved, Unnamed, Unstamped, Unwaited
from benchmarks.report import Figures, options, report
from benchmarks.stepped import Stage

SCHEDULES, QUICK_SCHEDULES = 200_000, 2_000
CONTROLS, QUICK_CONTROLS = 2_000, 500
CYCLES, QUICK_CYCLES = 500, 8
CONTROL_CYCLES, QUICK_CONTROL_CYCLES = 20, 4
TWINS = {"control": Deleting, "halved": Halved, "unwaited": Unwaited, "unnamed": Unnamed, "unstamped": Unstamped}
"""Schemes that must leak: the control, and the fence with one part broken."""


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    figures = {**schedules(quick=chosen.quick), **cycles(quick=chosen.quick)}
    report("leaks", figures, chosen, seeds=[0])


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


def cycles(*, quick: bool) -> Figures:
    """How many answers leaked in the real cycles of the fence and of the control."""
    n, n_controls = (QUICK_CYCLES, QUICK_CONTROL_CYCLES) if quick else (CYCLES, CONTROL_CYCLES)
    found, control = answers(n, fenced=True), answers(n_controls, fenced=False)
    return {
        "leaks.cycles": float(n),
        "leaks.cycle_answers": found,
        "leaks.control_cycles": float(n_controls),
        "leaks.control_cycle_answers": control,
    }


def answers(n: int, *, fenced: bool) -> float:
    """How many answers leaked in so many cycles."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        return float(play_cycles(Path(directory), n, fenced=fenced).leaks)


def leaking(stage: Stage, scheme: type[Fenced], n: int) -> float:
    """How many of the first n schedules leaked."""
    return float(sum(play(stage, scheme, seed).leaks > 0 for seed in range(n)))


if __name__ == "__main__":
    main()
