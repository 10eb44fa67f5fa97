"""A version in the shadow of the live one: computed beside it for a sample of the customers, and shown to nobody.

What comes out is exact, made from the customers' purchases and not private: for the operator alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, islice, takewhile

import scipy.sparse as sp

from recsys.errors import InputError, VersionConflictError
from recsys.models.list_order import EMPTY
from recsys.ports import Catalogue, Histories, Registry
from recsys.serving.lists import DEFAULT_LENGTH, DEFAULT_TASK, grown_habits
from recsys.serving.publisher import Customer, Progress
from recsys.serving.ranker import Ranker
from recsys.types import Task, UserKey

SAMPLE, LARGEST_SAMPLE = 1_000, 10_000
"""Customers: enough for two digits of a share, and what is done within a request."""
BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two versions on the same customers: exact, and so for the operator alone."""

    live: str
    version: str
    task: Task
    customers: int
    overlap20: float
    """Mean share of the first 20 items that both lists have; 1 where both are empty."""
    first_differs: float
    """Share of customers whose first item is another one."""
    coverage_live: float
    """Share of the items on sale that are in any of the lists."""
    coverage_version: float


@dataclass(slots=True)
class Tally:
    """What was counted so far."""

    shown: tuple[set[int], set[int]] = field(default_factory=lambda: (set(), set()))
    """The items that each version put into any list."""
    overlaps: list[float] = field(default_factory=list)
    differing: int = 0

    def add(self, first: list[int], second: list[int]) -> None:
        """Count both lists of one customer."""
        longest = max(len(first), len(second))
        self.overlaps.append(len({*first} & {*second}) / longest if longest else 1.0)
        self.differing += first[:1] != second[:1]
        for shown, items in zip(self.shown, (first, second), strict=True):
            shown.update(items)


def shadow(
    version: str,
    n: int = SAMPLE,
    *,
    task: Task = DEFAULT_TASK,
    registry: Registry,
    histories: Histories,
    catalogue: Catalogue,
    progress: Progress = lambda _: None,
) -> Comparison:
    """The first 20 items of the version's lists beside those of the live one's, of n customers or all of them.

    Own repeats are the same in both, so that lists of the task `any` differ less than those of `discover`. The same two
    versions are compared on the same customers again. Nothing is kept.

    Raises:
        InputError: n is not within 1 to 10,000.
        VersionConflictError: no version is live.
        NotFoundError, ArtifactError: as `Registry.load`.
    """
    _check_size(n)
    live = _live(registry)
    rankers = [Ranker.of(registry.load(each)[0], length=DEFAULT_LENGTH) for each in (live, version)]
    customers = sample(histories, n, start=UserKey(sha256(f"{live}{version}".encode()).digest()[:16]))
    tally = Tally()
    while batch := list(islice(customers, BATCH)):
        own = grown_habits([history for _, _, history in batch], max(len(each.model.item_ids) for each in rankers))
        for lists in zip(*(_lists(ranker, own, task) for ranker in rankers), strict=True):
            tally.add(*lists)
        progress(len(batch))
    return _comparison(tally, live, version, task, catalogue)


def sample(histories: Histories, n: int, *, start: UserKey) -> Iterator[Customer]:
    """The first n customers behind this key, and from the first key on where the last one is passed.

    Keys are keyed hashes: whoever comes next in their order is anybody, and only these n are read.

    Tested by: tests/recsys/serving/test_shadow.py::test_a_sample_goes_round_and_reads_nobody_else
    """
    before = takewhile(lambda customer: customer[0] <= start, histories.scan())
    return islice(chain(histories.scan(start), before), n)


def _lists(ranker: Ranker, own: sp.csr_matrix, task: Task) -> list[list[int]]:
    """The items of each customer's list."""
    return [[item for item in items if item != EMPTY] for items in ranker.lists(own)[task].items.tolist()]


def _comparison(tally: Tally, live: str, version: str, task: Task, catalogue: Catalogue) -> Comparison:
    customers = len(tally.overlaps)
    on_sale = {position for position, item in enumerate(catalogue.items()) if not item.deleted}
    coverage = [len(shown & on_sale) / max(len(on_sale), 1) for shown in tally.shown]
    return Comparison(
        live=live,
        version=version,
        task=task,
        customers=customers,
        overlap20=sum(tally.overlaps) / customers if customers else 1.0,
        first_differs=tally.differing / customers if customers else 0.0,
        coverage_live=coverage[0],
        coverage_version=coverage[1],
    )


def _check_size(n: int) -> None:
    if not 1 <= n <= LARGEST_SAMPLE:
        msg = f"expected a sample of 1 to {LARGEST_SAMPLE} customers, got {n}; ask for fewer"
        raise InputError(msg)


def _live(registry: Registry) -> str:
    live = registry.live()
    if live is None:
        msg = "expected a live version to compare with, got none; promote one: privrec models promote"
        raise VersionConflictError(msg)
    return live
