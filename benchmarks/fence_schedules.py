"""Schedules of everything that could make an erased customer's list be served: the code of the fence over memory twins.

In each schedule two customers are erased or buy something while writers hold lists that were computed before, for
either of two versions, readers serve them by leases, each is promoted in the place of the other or compared with it,
keepers certify, and the cache's server is killed and starts empty or with an old snapshot, fails over to a copy that
lags behind while the old one lives on, or is flushed. Answers get lost, and processes die at any step.
A leak is a request that began after the acknowledgement and was answered with a list that the acknowledgement ruled
out. The scheme under test is the code of `recsys/fence.py`; the control deletes the list, and no more.
"""

import random
from collections.abc import Callable
from typing import TypeVar

from benchmarks.fence_schemes import Fenced
from benchmarks.fence_world import CUSTOMERS, Connection, Server, World, operate, trouble, value_of
from benchmarks.stepped import Act, Stage
from recsys.errors import CacheUnavailableError
from recsys.types import SLOTS, UserKey

T = TypeVar("T")
ACTORS = 11


def play(stage: Stage, scheme: type[Fenced], seed: int) -> World:
    """The world after one schedule."""
    chance = random.Random(seed)
    world = World(stage, chance, server=Server(scheme.cache()))
    plan = scheme(world)
    acts: list[Act] = [lambda: keep(plan), lambda: keep(plan), lambda: trouble(world), lambda: operate(world)]
    acts += [lambda: write(plan)] * 3 + [lambda: read(plan)] * 2
    acts += [lambda user=user: promise(plan, user) for user in CUSTOMERS]  # type: ignore[misc]
    stage.play(acts, chance)
    return world


def keep(plan: Fenced) -> None:
    """Certify, again and again."""
    client = Connection(plan.world, mortal=True)
    for _ in range(3):
        plan.certify(client)
        plan.world.stage.step(plan.world.chance.random())


def write(plan: Fenced) -> None:
    """Compute lists of either version and keep them, some of them long after."""
    world, client = plan.world, Connection(plan.world)
    for _ in range(3):
        try:
            permit = plan.permit(client)
        except CacheUnavailableError:
            continue
        if permit is None:
            world.stage.step(world.chance.random())
            continue
        world.stage.step()
        known = [(user, world.revisions[user]) for user in CUSTOMERS if user not in world.suppressed]
        world.stage.step(world.chance.random() * world.chance.choice((0.1, 4.0)))
        values = [(user, value_of(permit, user + bytes([revision]))) for user, revision in known]
        slot = world.chance.choice(SLOTS)
        _quietly(lambda given=permit, lists=values, place=slot: plan.put(client, given, lists, place))  # type: ignore[misc]


def read(plan: Fenced) -> None:
    """Answer requests by leases, each with what the cache holds; a request that must not be answered so is a leak."""
    world, client = plan.world, Connection(plan.world)
    for _ in range(6):
        world.stage.step(world.chance.random())
        lease = _quietly(lambda: plan.lease(client))
        for user in CUSTOMERS * 2 if lease else ():
            if lease is None or world.stage.now >= lease.until:
                break
            erased, revision = user in world.erased, world.counted[user]
            world.stage.step(world.chance.random() * 0.2)
            found = _quietly(lambda of=user, held=lease: held.list_of(of))  # type: ignore[misc]
            if found is not None:
                world.served += 1
                world.compared += lease.compares(user)
                world.leaks += erased or found[-1] < revision


def promise(plan: Fenced, user: UserKey) -> None:
    """Buy something, or ask to be forgotten: the record first, then the fence, then the acknowledgement."""
    world, client = plan.world, Connection(plan.world, mortal=True)
    for _ in range(2):
        world.stage.step(world.chance.random() * 2)
        if world.chance.random() < 0.5:  # noqa: PLR2004 - a coin
            world.revisions[user] += 1
            revision = world.revisions[user]
            plan.forget(client, user)
            world.counted[user] = revision
        else:
            world.suppressed.add(user)
            plan.bury(client, user)
            world.erased.add(user)
            return


def _quietly(ask: Callable[[], T]) -> T | None:
    """The answer, if there is one."""
    try:
        return ask()
    except CacheUnavailableError:
        return None
