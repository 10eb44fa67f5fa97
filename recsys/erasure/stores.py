"""What the worker of erasures needs from the outside world."""

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recsys.clock import Clock
from recsys.fence import CacheFence
from recsys.intake import Exports, Imports
from recsys.ports import Cache, Erasures, Histories, Journal, Registry, SubjectRequests, Sums


class ErasureStores(Protocol):
    """The stores that the worker needs; a workspace has them all."""

    @property
    def erasures(self) -> Erasures:
        """The queue."""

    @property
    def journal(self) -> Journal:
        """Who is kept out, whatever becomes of the database."""

    @property
    def histories(self) -> Histories:
        """The customers' purchases."""

    @property
    def sums(self) -> Sums:
        """The sealed sums."""

    @property
    def subjects(self) -> SubjectRequests:
        """What customers asked for beside erasure."""

    @property
    def registry(self) -> Registry:
        """The model versions."""

    @property
    def cache(self) -> Cache:
        """The finished lists."""

    @property
    def fence(self) -> CacheFence:
        """What keeps promises about cached lists."""

    @property
    def imports(self) -> Imports:
        """The files that are taken in."""

    @property
    def exports(self) -> Exports:
        """The files that are handed out."""

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """What receipts are signed with."""

    @property
    def clock(self) -> Clock:
        """The time."""
