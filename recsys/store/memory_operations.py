"""The ports of operations in memory: ledger, registry, fence and API keys. Import them from `recsys.store.memory`."""

import threading
from collections.abc import Collection
from dataclasses import replace

from recsys.clock import Clock, utc_now
from recsys.models.factors import ItemFactors
from recsys.store.keys import KeyRing
from recsys.store.pointer import Pointer
from recsys.store.registry import check_names, no_report, status_of, unknown, withdrawn
from recsys.store.rules import no_key, not_next
from recsys.store.secret import hash_secret, new_api_key
from recsys.types import ApiKey, Experiment, Fence, Json, ModelVersion, Scope, Served


class MemoryLedgerLog:
    """Satisfies `ports.LedgerLog`."""

    def __init__(self) -> None:
        """Begin with no entries."""
        self._entries: list[dict[str, Json]] = []
        self._writing = threading.Lock()

    def entries(self) -> list[dict[str, Json]]:
        """Every entry, oldest first."""
        return [dict(entry) for entry in self._entries]

    def append(self, entry: dict[str, Json]) -> None:
        """Append the entry, if its index is the next one; StateError if not."""
        with self._writing:
            if entry.get("index") != len(self._entries):
                raise not_next(entry.get("index"), len(self._entries))
            self._entries.append(dict(entry))


class MemoryRegistry:
    """Satisfies `ports.Registry`."""

    def __init__(self) -> None:
        """Begin with no versions."""
        self._models: dict[str, bytes | None] = {}
        self._versions: dict[str, ModelVersion] = {}
        self._reports: dict[str, bytes] = {}
        self._pointer = Pointer()

    def save(self, factors: ItemFactors, version: ModelVersion, report: bytes = b"") -> None:
        """Keep a version with its privacy report; saving it again changes nothing."""
        model = factors.to_bytes()
        check_names(model, version)
        if version.version not in self._versions and report:
            self._reports[version.version] = report
        self._models.setdefault(version.version, model)
        self._versions.setdefault(version.version, version)

    def load(self, version: str) -> tuple[ItemFactors, ModelVersion]:
        """A version's factors and manifest; NotFoundError if there is none or it was withdrawn."""
        described = self._described(version)
        model = self._models[version]
        if model is None:
            raise withdrawn(version)
        return ItemFactors.from_bytes(model), described

    def report(self, version: str) -> bytes:
        """The privacy report that was saved with the version; NotFoundError if there is none."""
        self._described(version)
        if version not in self._reports:
            raise no_report(version)
        return self._reports[version]

    def versions(self) -> tuple[ModelVersion, ...]:
        """Every version with its status, oldest first."""
        return tuple(sorted(map(self._described, self._versions), key=lambda item: (item.created_at, item.version)))

    def live(self) -> str | None:
        """The version that is served."""
        return self._pointer.live

    def served(self) -> Served:
        """The version that is served, whose the slots are, and the experiment."""
        return self._pointer.served

    def warm(self, version: str) -> int:
        """The slot of the version; if it has none, a free one, or else that of the version that is not live."""
        self.load(version)
        self._pointer = self._pointer.warming(version)
        return self._pointer.slots.index(version)

    def promote(self, version: str) -> None:
        """Make the version live, and the one before retired."""
        self.load(version)
        self._pointer = self._pointer.to(version)

    def withdraw(self, version: str) -> None:
        """Delete the factors of a version for good; its manifest stays. If it was live, no version is live."""
        self._described(version)
        self._models[version] = None
        self._pointer = self._pointer.without(version)

    def begin(self, experiment: Experiment) -> None:
        """Show the experiment's version to its share of the customers; the same one again changes nothing."""
        self.load(experiment.version)
        self._pointer = self._pointer.begun(experiment)

    def end(self) -> Experiment | None:
        """The experiment that ended with this call; None if there was none."""
        return self._replace(self._pointer.ended())

    def spare(self, versions: Collection[str]) -> Experiment | None:
        """The experiment that ended because one of these versions is in it; None if it goes on, or there is none."""
        return self._replace(self._pointer.spared(versions))

    def _replace(self, pointer: Pointer) -> Experiment | None:
        before, self._pointer = self._pointer, pointer
        return before.experiment if pointer != before else None

    def _described(self, version: str) -> ModelVersion:
        if version not in self._versions:
            raise unknown()
        gone = self._models[version] is None
        status = status_of(version, self._pointer, is_withdrawn=gone)
        return replace(self._versions[version], status=status)


class MemoryFences:
    """Satisfies `ports.Fences`."""

    def __init__(self) -> None:
        """Begin with a fence that was never changed."""
        self._fence, self._writing = Fence(), threading.Lock()

    def read(self) -> Fence:
        """The fence now."""
        return self._fence

    def swap(self, before: Fence, after: Fence) -> bool:
        """Whether the fence was `before`, and is `after` now."""
        with self._writing:
            if self._fence != before:
                return False
            self._fence = after
        return True


class MemoryApiKeys:
    """Satisfies `ports.ApiKeys`."""

    def __init__(self, ring: KeyRing | None = None, clock: Clock = utc_now) -> None:
        """Hash secrets with the ring's key."""
        self._ring, self._clock = ring or KeyRing.ephemeral(), clock
        self._keys: dict[bytes, ApiKey] = {}

    def create(self, name: str, scopes: frozenset[Scope]) -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once."""
        key, secret = new_api_key(name, scopes, self._clock())
        self._keys[hash_secret(self._ring, secret)] = key
        return key, secret

    def authenticate(self, secret: str) -> ApiKey | None:
        """The key of this secret, unless there is none or it is revoked."""
        key = self._keys.get(hash_secret(self._ring, secret))
        return key if key and not key.revoked else None

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first."""
        return tuple(self._keys.values())

    def revoke(self, key_id: str) -> None:
        """Make the key useless from now on; NotFoundError if there is none."""
        for hashed, key in self._keys.items():
            if key.key_id == key_id:
                self._keys[hashed] = replace(key, revoked=True)
                return
        raise no_key()
