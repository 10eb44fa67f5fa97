import asyncio
from functools import partial

import pytest

from api.known_keys import KnownKeys
from recsys.errors import StorageError
from recsys.store.keys import KeyRing
from recsys.store.memory import MemoryApiKeys
from recsys.store.secret import hash_secret
from recsys.types import ApiKey, Scope
from tests.api.test_rate_limit import Time


class CountedKeys(MemoryApiKeys):
    """Keys that count how often they are asked, and can be away."""

    asked = 0
    away = False

    def authenticate(self, secret: str) -> ApiKey | None:
        self.asked += 1
        if self.away:
            msg = "away"
            raise StorageError(msg)
        return super().authenticate(secret)


class Door:
    """Keys of a store, looked up through `known`."""

    def __init__(self) -> None:
        ring = KeyRing.ephemeral()
        self.clock, self.keys = Time(), CountedKeys(ring)
        self.key, self.secret = self.keys.create("shop", frozenset({Scope.RECOMMEND}))
        self.known = KnownKeys(self.keys, partial(hash_secret, ring), self.clock)
        self.known.look_up(self.secret)

    async def find(self) -> ApiKey | None:
        """What is found, once a look-up that it began is over."""
        found = self.known.find(self.secret)
        await asyncio.gather(*self.known._renewals.values())
        return found


@pytest.fixture
def door() -> Door:
    return Door()


def test_only_a_key_that_was_looked_up_is_known(door: Door) -> None:
    assert door.known.find(door.secret) == door.key
    assert door.known.find("privrec_guess") is None
    assert door.known.look_up("privrec_guess") is None
    assert len(door.known._found) == 1


def test_a_key_in_use_is_looked_up_again_beside_the_requests(door: Door) -> None:
    async def use() -> None:
        for _ in range(40):
            door.clock.now += 0.1
            assert await door.find() == door.key

    asyncio.run(use())
    assert 6 <= door.keys.asked <= 9


@pytest.mark.parametrize("uses", [0, 3, 30])
def test_a_revoked_key_is_known_for_a_second_at_most(door: Door, uses: int) -> None:
    async def use() -> None:
        for _ in range(uses):
            door.clock.now += 0.3
            await door.find()
        door.keys.revoke(door.key.key_id)
        door.clock.now += 1.0
        assert await door.find() is None
        assert await door.find() is None

    asyncio.run(use())


def test_a_store_that_is_away_makes_no_key_known_for_longer(door: Door) -> None:
    async def use() -> None:
        door.keys.away = True
        door.clock.now += 0.9
        assert await door.find() == door.key
        door.clock.now += 0.1
        assert await door.find() is None
        door.keys.away = False
        await door.find()
        assert await door.find() == door.key

    asyncio.run(use())


def test_a_look_up_that_began_before_the_revocation_does_not_lengthen_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(secret: str) -> ApiKey | None:
        found = MemoryApiKeys.authenticate(door.keys, secret)
        door.keys.revoke(door.key.key_id)
        door.clock.now += 0.8
        return found

    monkeypatch.setattr(door.keys, "authenticate", slow)
    assert door.known.look_up(door.secret) == door.key
    door.clock.now += 0.2
    assert asyncio.run(door.find()) is None
