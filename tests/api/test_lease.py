import asyncio
from collections.abc import Callable

import pytest

from api.lease import RENEWAL_SECONDS, Certificate, Form, LeaseKeeper
from recsys.errors import StorageError
from recsys.fence import LEASE_SECONDS
from tests.api.test_rate_limit import Time

CERTIFICATE = Certificate(live=Form(b"header"), server_id="run")


class Record:
    """What the database says, and how long it takes to say it."""

    def __init__(self) -> None:
        self.clock = Time()
        self.certificate: Certificate | None = CERTIFICATE
        self.takes, self.away, self.asked = 0.0, False, 0
        self.keeper = LeaseKeeper(self.read, self.clock)

    def read(self) -> Certificate | None:
        self.asked += 1
        self.clock.now += self.takes
        if self.away:
            msg = "away"
            raise StorageError(msg)
        return self.certificate

    def renew(self) -> None:
        asyncio.run(self.keeper.renew())

    def header(self) -> bytes | None:
        lease = self.keeper.current()
        return lease.certificate.live.header if lease is not None else None


@pytest.fixture
def record() -> Record:
    return Record()


def test_there_is_no_lease_before_the_first_read(record: Record) -> None:
    assert record.header() is None
    record.renew()
    assert record.header() == b"header"


@pytest.mark.parametrize("takes", [0.0, 0.4, 0.9])
def test_a_lease_ends_a_second_after_its_read_began(record: Record, takes: float) -> None:
    begun, record.takes = record.clock.now, takes
    record.renew()
    lease = record.keeper.current()
    assert lease is not None
    record.clock.now = begun + LEASE_SECONDS - 0.001
    assert record.keeper.holds(lease)
    record.clock.now = begun + LEASE_SECONDS
    assert not record.keeper.holds(lease)
    assert record.keeper.current() is None


def test_a_read_that_took_longer_than_the_lease_gives_none(record: Record) -> None:
    record.takes = LEASE_SECONDS
    record.renew()
    assert record.header() is None


def test_a_cache_that_is_not_certified_ends_the_lease_at_once(record: Record) -> None:
    record.renew()
    record.certificate = None
    record.renew()
    assert record.header() is None


def test_a_record_that_is_away_leaves_the_lease_to_run_out(record: Record) -> None:
    record.renew()
    record.away = True
    with pytest.raises(StorageError):
        record.renew()
    assert record.header() == b"header"
    record.clock.now += LEASE_SECONDS
    assert record.header() is None


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


def test_while_it_runs_the_lease_is_renewed_and_failures_do_not_stop_it(record: Record) -> None:
    async def serve() -> None:
        keeper = LeaseKeeper(record.read)
        async with keeper.running():
            await until(lambda: keeper.current() is not None)
            record.away = True
            await until(lambda: record.asked >= 3)
            record.away = False
            first = keeper.current()
            assert first is not None
            await until(lambda: keeper.current() not in {None, first})
        assert keeper.current() is None

    asyncio.run(serve())
    assert RENEWAL_SECONDS <= 0.25
