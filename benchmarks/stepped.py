"""Actors that take turns, one step at a time, in an order and on a clock that a seed decides.

The actors run ordinary code, each in a thread of its own, and hand one baton around: exactly one runs at any moment,
and who is next is drawn whenever one calls `step`. Equal seeds give equal schedules.
"""

import random
import threading
from collections.abc import Callable, Sequence

HURRY = 0.1
"""How often time goes by although somebody could take a step."""
LONGEST_PAUSE = 0.3
"""Seconds that go by then, at most."""

Act = Callable[[], None]


class CrashError(Exception):
    """The process of an actor was killed."""


class Stage:
    """Threads that act one schedule after the other."""

    def __init__(self, size: int) -> None:
        """A stage for so many actors."""
        self.now = 0.0
        self._random = random.Random(0)
        self._batons = [threading.Lock() for _ in range(size)]
        self._ended = threading.Lock()
        self._acts: Sequence[Act] = ()
        self._ready: dict[int, float] = {}
        self._current = 0
        self.faults: list[BaseException] = []
        self._closed = False
        for lock in (*self._batons, self._ended):
            lock.acquire()
        for place in range(size):
            threading.Thread(target=self._work, args=(place,), daemon=True).start()

    def play(self, acts: Sequence[Act], chance: random.Random) -> None:
        """Run the acts to their ends.

        Raises:
            BaseException: what an act raised, unless it was a crash.
        """
        self.now, self._random, self._acts, self.faults = 0.0, chance, acts, []
        self._ready = dict.fromkeys(range(len(acts)), 0.0)
        self._batons[self._draw()].release()
        self._ended.acquire()
        if self.faults:
            raise self.faults[0]

    def close(self) -> None:
        """End the threads."""
        self._closed = True
        for baton in self._batons:
            baton.release()

    def step(self, seconds: float = 0.0) -> None:
        """Let others go on, for this long at least."""
        place = self._current
        self._ready[place] = self.now + seconds
        following = self._draw()
        if following != place:
            self._batons[following].release()
            self._batons[place].acquire()

    def _draw(self) -> int:
        """Who goes on; the clock goes on if it must, and sometimes if it need not."""
        if self._random.random() < HURRY:
            self.now += self._random.random() * LONGEST_PAUSE
        able = [place for place, moment in self._ready.items() if moment <= self.now]
        if not able:
            self.now = min(self._ready.values())
            able = [place for place, moment in self._ready.items() if moment <= self.now]
        self._current = able[int(self._random.random() * len(able))]
        return self._current

    def _work(self, place: int) -> None:
        while True:
            self._batons[place].acquire()
            if self._closed:
                return
            try:
                self._acts[place]()
            except CrashError:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again where the schedule was started
                self.faults.append(error)
            del self._ready[place]
            if self._ready:
                self._batons[self._draw()].release()
            else:
                self._ended.release()
