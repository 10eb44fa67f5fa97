"""What a training job needs from the outside world."""

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recsys.clock import Clock
from recsys.ports import Catalogue, Commitments, Histories, LedgerLog, Registry, Sums


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
    def commitments(self) -> Commitments:
        """What commits to private data."""

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """What privacy reports are signed with."""

    @property
    def clock(self) -> Clock:
        """The time."""
