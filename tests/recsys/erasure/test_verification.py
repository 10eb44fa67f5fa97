"""The last look before a receipt is signed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recsys.erasure.verification import verify
from recsys.errors import ArtifactError, StateError
from recsys.store.memory import MemoryErasures
from recsys.types import ErasureState, ModelStatus
from tests.recsys.erasure.shop import ADA, Shop, open_sqlite, with_cache
from tests.recsys.training.shop import seeded


def puts_back_a_list(shop: Shop) -> None:
    shop.cache._values[1][shop.key(ADA)] = b"\1" + bytes(40)


def puts_back_a_history(shop: Shop) -> None:
    state = shop.workspace.histories._state  # type: ignore[attr-defined]
    state.histories[shop.key(ADA)] = next(iter(state.histories.values()))


def puts_back_a_term(shop: Shop) -> None:
    state = shop.workspace.sums._state  # type: ignore[attr-defined]
    next(iter(state.terms.values()))[shop.key(ADA)] = b"term"


def lets_in(shop: Shop) -> None:
    shop.workspace.histories._state.suppressed.discard(shop.key(ADA))  # type: ignore[attr-defined]


CHEATS = {
    "a cached list": puts_back_a_list,
    "a history": puts_back_a_history,
    "a term in a sum": puts_back_a_term,
    "no suppression": lets_in,
}


@pytest.mark.parametrize("left", CHEATS)
def test_what_came_back_is_found_before_a_receipt_is_signed(memory_shop: Shop, left: str) -> None:
    shop, request = purged(memory_shop, CHEATS[left])
    with pytest.raises(StateError, match=f"found {left}"):
        shop.work()
    assert shop.workspace.erasures.request(request).state is ErasureState.PURGED
    assert shop.workspace.receipt_log.latest() == (0, "")


def test_a_version_in_the_place_of_one_that_was_replaced_must_be_what_was_registered(state_dir: Path) -> None:
    with open_sqlite(state_dir, day=1) as workspace:
        shop = Shop(with_cache(workspace), seeded(1))
        request = shop.erase(ADA, release=True)
        verify(shop.workspace, request, shop.key(ADA))
        for path in (state_dir / "models").rglob("*.safetensors"):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(ArtifactError):
            verify(shop.workspace, request, shop.key(ADA))


def test_a_version_without_noise_that_is_still_there_is_found(memory_shop: Shop) -> None:
    shop = memory_shop
    request = shop.erase(ADA)
    details: Any = request.details
    [entry] = details["released"]["versions"]
    unpromised = [
        replace(version, privacy={"private": False}, status=ModelStatus.RETIRED)
        for version in shop.workspace.registry.versions()
        if version.version == entry["version"]
    ]

    class Registry:
        def versions(self) -> Any:
            return unpromised

    with pytest.raises(StateError, match="which makes no promise"):
        verify(replace(shop.workspace, registry=Registry()), request, shop.key(ADA))  # type: ignore[arg-type]


def purged(shop: Shop, cheat: Callable[[Shop], None]) -> tuple[Shop, str]:
    """A shop with a request that is purged, and something that comes back before it is verified."""

    class Cheating(MemoryErasures):
        def advance(self, request_id: str, state: ErasureState, details: Any) -> None:
            super().advance(request_id, state, details)
            if state is ErasureState.PURGED:
                cheat(shop)

    request, _ = shop.ask(ADA)
    state = shop.workspace.erasures._state  # type: ignore[attr-defined]
    return Shop(replace(shop.workspace, erasures=Cheating(state)), shop.entropy), request.request_id
