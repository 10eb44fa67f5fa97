"""The time, as a value that is handed in: production reads the wall clock, tests wind their own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]

EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def utc_now() -> datetime:
    """The current time in UTC, to the millisecond (the resolution of every stored time)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970: through a float some would come out one too early."""
    return (moment.astimezone(UTC) - EPOCH) // MILLISECOND


def isoformat(moment: datetime) -> str:
    """The moment as `2026-01-31T23:59:59.000Z`: one spelling, so that equal times have equal bytes."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
