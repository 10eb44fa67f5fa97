"""Which version is live, whose the slots are and who is compared with whom: one small value, replaced in one step."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from recsys.errors import VersionConflictError
from recsys.types import Experiment, Served


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version is live, and which ones were."""

    live: str | None = None
    retired: tuple[str, ...] = ()
    slots: tuple[str | None, str | None] = (None, None)
    """Whose lists each slot of the cache is for."""
    experiment: Experiment | None = None
    """Between the versions of the two slots."""

    @property
    def served(self) -> Served:
        """What those who serve need to know."""
        return Served(live=self.live, slots=self.slots, experiment=self.experiment)

    def to(self, version: str) -> "Pointer":
        """The pointer once everybody gets the version; the one before keeps its slot."""
        before = {*self.retired, *([self.live] if self.live else [])}
        slots = self.ended().warming(version).slots
        return Pointer(version, tuple(sorted(before - {version})), slots)

    def warming(self, version: str) -> "Pointer":
        """The pointer once the version has a slot: a free one, or else the one that is not the live version's.

        Raises:
            VersionConflictError: an experiment needs both slots.
        """
        if version in self.slots:
            return self
        if self.experiment is not None:
            msg = (
                "expected a free slot of the cache, got an experiment with both; stop it first: privrec experiment stop"
            )
            raise VersionConflictError(msg)
        first, second = self.slots
        takes_second = first is not None and (second is None or first == self.live)
        return replace(self, slots=(first, version) if takes_second else (version, second))

    def without(self, version: str) -> "Pointer":
        """The pointer once the version is gone: if it was live, none is, or the other one of an experiment."""
        pointer = self.spared({version})
        first, second = (None if each == version else each for each in pointer.slots)
        if pointer.live != version:
            return replace(pointer, slots=(first, second))
        return Pointer(None, tuple(sorted({*pointer.retired, version})), (first, second))

    def begun(self, experiment: Experiment) -> "Pointer":
        """The pointer once the experiment runs.

        Raises:
            VersionConflictError: another one runs, or its version is the live one or has no slot.
        """
        if self.experiment not in {None, experiment}:
            msg = "expected no experiment, got one that runs; stop it first: privrec experiment stop"
            raise VersionConflictError(msg)
        if self.live is None or experiment.version == self.live or experiment.version not in self.slots:
            msg = (
                "expected a version that is published beside a live one, got another; "
                "publish a candidate first: privrec models publish"
            )
            raise VersionConflictError(msg)
        return replace(self, experiment=experiment)

    def ended(self) -> "Pointer":
        """The pointer once everybody gets the live version."""
        return replace(self, experiment=None)

    def spared(self, versions: Collection[str]) -> "Pointer":
        """The pointer once nobody is compared on these versions: everybody gets one that is not among them, if any."""
        if self.experiment is None or not {self.live, self.experiment.version} & set(versions):
            return self
        other = self.experiment.version
        return self.to(other) if self.live in versions and other not in versions else self.ended()
