"""No schedule of writers, erasures, purchases, crashes and servers leaks; every broken twin and the control do.

`python -m benchmarks.leaks` plays two hundred thousand of them.
"""

import random
from collections.abc import Iterator

import pytest

from benchmarks.fence_schedules import ACTORS, play
from benchmarks.fence_schemes import Deleting, Fenced, Halved, Unnamed, Unstamped, Unwaited
from benchmarks.fence_world import World
from benchmarks.stepped import CrashError, Stage

SCHEDULES = 2000
ENOUGH = 600
"""Schedules within which each broken twin leaks: the rarest leak is one in forty."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage(ACTORS)
    yield stage
    stage.close()


def test_nothing_is_served_that_an_acknowledgement_ruled_out(stage: Stage) -> None:
    worlds = [play(stage, Fenced, seed) for seed in range(SCHEDULES)]
    assert [seed for seed, world in enumerate(worlds) if world.leaks] == []


def test_the_schedules_are_about_something(stage: Stage) -> None:
    """Lists of both arms are served by leases, erasures and purchases acknowledged, servers certified again."""
    worlds = [play(stage, Fenced, seed) for seed in range(ENOUGH)]
    assert sum(world.served for world in worlds) > ENOUGH
    assert sum(world.compared for world in worlds) > ENOUGH / 10
    assert sum(len(world.erased) for world in worlds) > ENOUGH / 2
    assert sum(max(world.counted.values()) > 1 for world in worlds) > ENOUGH / 4
    assert sum(world.fences.read().epoch > 2 for world in worlds) > ENOUGH / 4


@pytest.mark.parametrize("broken", [Deleting, Halved, Unwaited, Unnamed, Unstamped])
def test_every_broken_twin_leaks(stage: Stage, broken: type[Fenced]) -> None:
    assert any(play(stage, broken, seed).leaks for seed in range(ENOUGH))


def test_equal_seeds_give_equal_schedules(stage: Stage) -> None:
    first, second = (
        [(world.served, world.leaks, world.fences.read().epoch) for world in map_seeds(stage)] for _ in range(2)
    )
    assert first == second


def map_seeds(stage: Stage) -> list[World]:
    return [play(stage, Deleting, seed) for seed in range(50)]


def test_a_stage_raises_what_an_actor_raised_but_no_crash(stage: Stage) -> None:
    def crash() -> None:
        raise CrashError

    def fail() -> None:
        stage.step()
        msg = "a fault in an act"
        raise ValueError(msg)

    stage.play([crash, lambda: stage.step(2.0)], random.Random(0))
    assert stage.now >= 2
    with pytest.raises(ValueError, match="a fault in an act"):
        stage.play([crash, fail, lambda: stage.step(2.0)], random.Random(0))
