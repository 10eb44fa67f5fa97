"""What every record of the fence keeps."""

from recsys.store.workspace import Workspace
from recsys.types import Fence, FenceState

CERTIFIED = Fence(3, FenceState.CERTIFIED, "ab" * 20)


def test_a_fence_trusts_the_one_run_that_is_certified(ports: Workspace) -> None:
    assert ports.fences.swap(ports.fences.read(), CERTIFIED)
    fence = ports.fences.read()
    assert [fence.holds(identity) for identity in ("ab" * 20, "cd" * 20, "")] == [True, False, False]
    assert not fence.raised().holds("")


def test_a_fence_is_changed_by_whoever_knows_it(ports: Workspace) -> None:
    before = ports.fences.read()
    assert ports.fences.swap(before, CERTIFIED)
    assert ports.fences.read() == CERTIFIED
    assert ports.fences.swap(CERTIFIED, CERTIFIED.raised())
    assert ports.fences.read() == Fence(4, FenceState.RAISED, "")


def test_a_fence_is_not_changed_by_whoever_knows_another(ports: Workspace) -> None:
    before = ports.fences.read()
    ports.fences.swap(before, CERTIFIED)
    for other in (before, CERTIFIED.raised(), Fence(3, FenceState.CERTIFIED, "cd"), CERTIFIED.settled()):
        assert not ports.fences.swap(other, Fence(99, FenceState.SETTLED))
    assert ports.fences.read() == CERTIFIED
