"""What a training job needs from the outside world."""

from typing import Protocol

from recsys.clock import Clock
from recsys.ports import Catalogue, Histories, LedgerLog, Registry, Sums


class TrainingStores(Protocol):
    """The stores of a training job; a workspace has them all."""

    @property
    def catalogue(self) -> Catalogue:
        """The public items."""

    @property
    def histories(self) -> Histories:
        """The customers' purchases."""

    @property
    def sums(self) -> Sums:
        """The sealed sums."""

    @property
    def registry(self) -> Registry:
        """The model versions."""

    @property
    def ledger_log(self) -> LedgerLog:
        """The privacy ledger's entries."""

    @property
    def clock(self) -> Clock:
        """The time."""
