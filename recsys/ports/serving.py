"""Models that serve, and the cache with the fence around it."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from recsys.models.factors import ItemFactors
from recsys.types import Experiment, Fence, ModelVersion, Permit, Served, UserKey


class Registry(Protocol):
    """Model versions and their files."""

    def save(self, factors: ItemFactors, version: ModelVersion, report: bytes = b"") -> None:
        """Keep the files of a version with its privacy report: all of them or none.

        Saving the same version again changes nothing.
        """

    def load(self, version: str) -> tuple[ItemFactors, ModelVersion]:
        """A version's factors and manifest, once both are found to match their digests.

        Raises:
            NotFoundError: no such version, or it was withdrawn (its factors are gone).
            ArtifactError: a file is cut or changed by a byte.
        """

    def report(self, version: str) -> bytes:
        """The privacy report that was saved with the version; it outlives the factors.

        Raises:
            NotFoundError: no such version, or it has no report (the message says which).
        """

    def versions(self) -> tuple[ModelVersion, ...]:
        """Every version with its status, oldest first."""

    def live(self) -> str | None:
        """The version that is served. One cheap read: it is asked for with every request."""

    def served(self) -> Served:
        """The version that is served, whose the slots are, and the experiment. One cheap read, as `live`."""

    def warm(self, version: str) -> int:
        """The slot of the version; if it has none, a free one, or else that of the version that is not live.

        Raises:
            NotFoundError, ArtifactError: as `load`; nothing changed.
            VersionConflictError: an experiment needs both slots; nothing changed.
        """

    def promote(self, version: str) -> None:
        """Make the version live, and the one before retired; both have a slot, and none changes its slot.

        It ends an experiment: everybody gets the version.

        Raises:
            NotFoundError, ArtifactError: as `load`; the version before stays live.
        """

    def withdraw(self, version: str) -> None:
        """Delete the factors of a version for good; its manifest stays. If it was live, no version is live.

        It ends an experiment with the version: everybody gets the other one.
        """

    def begin(self, experiment: Experiment) -> None:
        """Show the experiment's version to its share of the customers; the same one again changes nothing.

        Raises:
            NotFoundError, ArtifactError: as `load` of its version; nothing changed.
            VersionConflictError: another one runs, or the version is the live one or has no slot; nothing changed.
        """

    def end(self) -> Experiment | None:
        """The experiment that ended with this call: everybody gets the live version. None if there was none."""

    def spare(self, versions: Collection[str]) -> Experiment | None:
        """The experiment that ended because one of these versions is in it; None if it goes on, or there is none.

        Everybody gets the live version, or the other one if the live one is among these and the other is not.
        """


class Fences(Protocol):
    """The one row that says which cache is trusted."""

    def read(self) -> Fence:
        """The fence now. One indexed read: every process asks several times a second."""

    def swap(self, before: Fence, after: Fence) -> bool:
        """Whether the fence was `before`, and is `after` now. Durable when it returns."""


class Cache(Protocol):
    """Finished lists, by customer. Never the record: it may be empty, old or down at any moment.

    A customer has two slots, one for each version that is warm (`types.Served`). What is said of a customer, that a
    wish to be forgotten or a purchase came, holds for both, in one step.

    Values are opaque but for their header (`recsys.serving.sealed_lists`). Every method raises CacheUnavailableError
    when the server does not answer.
    """

    def get(self, user_key: UserKey, slot: int = 0) -> bytes | None:
        """The value in this slot, or None."""

    def headers(self, user_keys: Sequence[UserKey], slot: int = 0) -> list[bytes]:
        """The beginnings of the customers' values, in order: enough to read the header; empty where there is none."""

    def permit(self) -> Permit | None:
        """What lists that are computed from now on are written under; None while the server is not certified."""

    def put(self, permit: Permit, values: Iterable[tuple[UserKey, bytes]], slot: int = 0) -> int:
        """Keep the values that are still good, in this slot; returns how many.

        Refused are all values if the epoch is no longer the permit's, and a customer's if there is a tombstone or if a
        later stamp of this epoch is there, in either slot.
        """

    def bury(self, user_key: UserKey) -> str:
        """Put a tombstone in the place of the customer's values; returns the identity of the server that holds it."""

    def forget(self, user_keys: Iterable[UserKey]) -> str:
        """Declare the customers' lists out of date, and those that are being computed; tombstones stay.

        Returns:
            The identity of the server that was told.
        """

    def unbury(self, user_key: UserKey) -> None:
        """Let lists of the customer in again that are computed from now on: the tombstone goes, if there is one."""

    def identity(self) -> str:
        """The name of this run of the server; empty if there is no server.

        Raises:
            StateError: the server is set up so that it may throw tombstones away.
        """

    def certify(self, fence: Fence, buried: Iterable[UserKey]) -> None:
        """Write tombstones of these customers, then let lists of the fence's epoch in: on one run of the server.

        Raises:
            CacheUnavailableError: the server is not, or no longer, the one of the fence.
        """

    def ping(self) -> None:
        """Return if the server answers."""
