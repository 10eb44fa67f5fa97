"""How often a key may ask: one bucket of tokens for each, filled at a steady rate."""

import time
from collections.abc import Callable

Monotonic = Callable[[], float]


class TokenBuckets:
    """A bucket for each name. It belongs to one thread, that of the event loop.

    Guarantees:
        - In any interval of t seconds a name is let through at most burst + rate * t times.

    Tested by: tests/api/test_rate_limit.py::test_no_interval_sees_more_than_burst_and_rate_allow
    """

    def __init__(self, *, rate: float, burst: int, clock: Monotonic = time.monotonic) -> None:
        """Buckets of `burst` tokens, which get `rate` new ones a second; a rate of 0 lets everything through."""
        self.rate, self._burst, self._clock = rate, float(burst), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """0 if the name had a token, which is gone now; else the seconds until it has one."""
        if not self.rate:
            return 0.0
        now = self._clock()
        tokens, filled = self._buckets.get(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - filled) * self.rate)
        allowed = tokens >= 1.0
        self._buckets[name] = (tokens - 1.0 if allowed else tokens, now)
        return 0.0 if allowed else (1.0 - tokens) / self.rate
