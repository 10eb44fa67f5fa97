"""Model versions as files: a directory each, one pointer to the version that is served, every change atomic.

    models/<version>/manifest.json        canonical bytes; their digest is the version's name
    models/<version>/model.safetensors    its digest stands in the manifest
    models/<version>/privacy-report.json  signed; made with the version, and kept when the factors are gone
    models/<version>/withdrawn            there once the factors are gone for good
    models/LIVE                           the live version, those that were live before, whose the cache's slots are,
                                          and the experiment with both
    models/LIVE.lock                      held by the process that changes LIVE

Nothing in a model belongs to one customer; its files are readable by their owner only all the same.
"""

import json
import re
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock

from recsys.errors import ArtifactError, NotFoundError
from recsys.evidence.canonical import canonical_json, digest
from recsys.evidence.manifest import name_version, read_manifest, write_manifest
from recsys.models.factors import ItemFactors
from recsys.store.files import file_errors, replace_file, sweep, sync_directory, temporary_name, write_new
from recsys.store.pointer import Pointer
from recsys.types import Experiment, Json, ModelStatus, ModelVersion, Served

MANIFEST, MODEL, WITHDRAWN, LIVE = "manifest.json", "model.safetensors", "withdrawn", "LIVE"
REPORT = "privacy-report.json"
VERSION = re.compile(r"[0-9a-f]{32}")
"""What a version's name looks like: nothing else becomes part of a path."""


class FileRegistry:
    """Satisfies `ports.Registry`."""

    def __init__(self, directory: Path, *, owner: bool = True) -> None:
        """Use the directory; it is created if need be, and its owner sweeps what an interrupted process left behind.

        Raises:
            StorageError: the directory cannot be written.
        """
        self._directory = directory
        self._lock = FileLock(directory / f"{LIVE}.lock", thread_local=False, mode=0o600, fallback_to_soft=False)
        self._threads = threading.Lock()
        with file_errors("the model registry"):
            directory.mkdir(mode=0o700, exist_ok=True)
            if owner:
                _sweep(directory)

    def save(self, factors: ItemFactors, version: ModelVersion, report: bytes = b"") -> None:
        """Keep the files of a version with its privacy report: all of them or none.

        Saving the same version again changes nothing.

        Raises:
            ArtifactError: the version's name or model digest is not that of its content.
            StorageError: the files could not be written; the registry is as it was.
        """
        model = factors.to_bytes()
        check_names(model, version)
        files = {MODEL: model, MANIFEST: write_manifest(version)} | ({REPORT: report} if report else {})
        if not (self._directory / version.version).exists():
            with file_errors("the model's files"):
                self._write(version.version, files)

    def load(self, version: str) -> tuple[ItemFactors, ModelVersion]:
        """A version's factors and manifest, once both are found to match their digests.

        Raises:
            NotFoundError: no such version, or it was withdrawn.
            ArtifactError: a file is missing, cut or changed by a byte.
        """
        described = self._described(version, self._pointer())
        if described.status is ModelStatus.WITHDRAWN:
            raise withdrawn(version)
        model = _read(self._directory / version / MODEL)
        if digest(model) != described.model_digest:
            msg = f"expected the model file of {version} to match its manifest, it does not; restore it from a backup"
            raise ArtifactError(msg)
        return ItemFactors.from_bytes(model), described

    def report(self, version: str) -> bytes:
        """The privacy report that was saved with the version; it outlives the factors.

        Raises:
            NotFoundError: no such version, or it has no report.
            ArtifactError: the file cannot be read.
        """
        self._described(version, self._pointer())
        if not (self._directory / version / REPORT).exists():
            raise no_report(version)
        return _read(self._directory / version / REPORT)

    def versions(self) -> tuple[ModelVersion, ...]:
        """Every version with its status, oldest first.

        Raises:
            ArtifactError: a manifest was changed.
        """
        pointer = self._pointer()
        names = [path.name for path in self._directory.iterdir() if VERSION.fullmatch(path.name)]
        return tuple(
            sorted((self._described(name, pointer) for name in names), key=lambda item: (item.created_at, item.version))
        )

    def live(self) -> str | None:
        """The version that is served: one small file is read."""
        return self._pointer().live

    def served(self) -> Served:
        """The version that is served, whose the slots are, and the experiment: one small file is read."""
        return self._pointer().served

    def warm(self, version: str) -> int:
        """The slot of the version; if it has none, a free one, or else that of the version that is not live.

        Raises:
            NotFoundError, ArtifactError: as `load`; nothing changed.
            VersionConflictError: an experiment needs both slots; nothing changed.
        """
        with self._changing():
            self.load(version)
            pointer = self._pointer().warming(version)
            self._point(pointer)
            return pointer.slots.index(version)

    def promote(self, version: str) -> None:
        """Make the version live, and the one before retired; it ends an experiment.

        Raises:
            NotFoundError, ArtifactError: as `load`; the version before stays live.
        """
        with self._changing():
            self.load(version)
            self._point(self._pointer().to(version))

    def withdraw(self, version: str) -> None:
        """Delete the factors of a version for good; its manifest stays. If it was live, no version is live.

        It ends an experiment with the version: everybody gets the other one.

        Raises:
            NotFoundError: no such version.
        """
        with self._changing():
            self._described(version, pointer := self._pointer())
            if version in {pointer.live, *pointer.slots}:
                self._point(pointer.without(version))
            with file_errors("the model's withdrawal"):
                replace_file(self._directory / version / WITHDRAWN, b"")
                _delete_model(self._directory / version)

    def begin(self, experiment: Experiment) -> None:
        """Show the experiment's version to its share of the customers; the same one again changes nothing.

        Raises:
            NotFoundError, ArtifactError: as `load` of its version; nothing changed.
            VersionConflictError: another one runs, or the version is the live one or has no slot; nothing changed.
        """
        with self._changing():
            self.load(experiment.version)
            self._point(self._pointer().begun(experiment))

    def end(self) -> Experiment | None:
        """The experiment that ended with this call: everybody gets the live version. None if there was none."""
        with self._changing():
            return self._replace(before := self._pointer(), before.ended())

    def spare(self, versions: Collection[str]) -> Experiment | None:
        """The experiment that ended because one of these versions is in it; None if it goes on, or there is none."""
        with self._changing():
            return self._replace(before := self._pointer(), before.spared(versions))

    def _replace(self, before: Pointer, after: Pointer) -> Experiment | None:
        """The experiment that the new pointer has ended."""
        if after == before:
            return None
        self._point(after)
        return before.experiment

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """The right to change the pointer: API, worker and command line are processes of their own."""
        with self._threads, file_errors("which model is live"), self._lock:
            yield

    def _write(self, name: str, files: dict[str, bytes]) -> None:
        temporary = temporary_name(self._directory)
        try:
            temporary.mkdir(mode=0o700)
            for file, data in files.items():
                write_new(temporary / file, data)
            sync_directory(temporary)
            temporary.replace(self._directory / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_directory(self._directory)

    def _described(self, version: str, pointer: Pointer) -> ModelVersion:
        directory = self._directory / version
        if not VERSION.fullmatch(version) or not directory.is_dir():
            raise unknown()
        described = read_manifest(_read(directory / MANIFEST))
        if described.version != version:
            msg = f"expected the manifest of {version}, got that of {described.version}; restore it from a backup"
            raise ArtifactError(msg)
        return replace(described, status=status_of(version, pointer, is_withdrawn=(directory / WITHDRAWN).exists()))

    def _pointer(self) -> Pointer:
        with suppress(FileNotFoundError):
            return _parse_pointer((self._directory / LIVE).read_bytes())
        return Pointer()

    def _point(self, pointer: Pointer) -> None:
        document: dict[str, Json] = {
            "live": pointer.live,
            "retired": list(pointer.retired),
            "slots": list(pointer.slots),
            "experiment": asdict(pointer.experiment) if pointer.experiment else None,
        }
        data = canonical_json(document)
        with file_errors("which model is live"):
            replace_file(self._directory / LIVE, data)


def status_of(version: str, pointer: Pointer, *, is_withdrawn: bool) -> ModelStatus:
    """Where a version stands."""
    if is_withdrawn:
        return ModelStatus.WITHDRAWN
    if version == pointer.live:
        return ModelStatus.LIVE
    return ModelStatus.RETIRED if version in pointer.retired else ModelStatus.CANDIDATE


def check_names(model: bytes, version: ModelVersion) -> None:
    """Nothing, if the version is named after its manifest and its manifest after the model.

    Raises:
        ArtifactError: it is not.
    """
    if name_version(version).version != version.version or digest(model) != version.model_digest:
        msg = "expected a version named after its manifest and its model, got another name; name it with name_version"
        raise ArtifactError(msg)


def unknown() -> NotFoundError:
    """The error for a version that does not exist."""
    msg = "expected the name of a model version, got one that there is none of; list them with `privrec models`"
    return NotFoundError(msg)


def withdrawn(version: str) -> NotFoundError:
    """The error for a version whose factors are gone."""
    msg = f"expected a model version with factors, but {version} was withdrawn; train a new one"
    return NotFoundError(msg)


def no_report(version: str) -> NotFoundError:
    """The error for a version that was saved without a privacy report."""
    msg = (
        f"expected a version with a privacy report, but {version} was registered without one; "
        "its manifest states its guarantee: privrec models show"
    )
    return NotFoundError(msg)


def _parse_pointer(data: bytes) -> Pointer:
    try:
        document = json.loads(data)
        # Before there were slots, every list lay where the first one is.
        first, second = document.get("slots", [document["live"], None])
        found = document.get("experiment")
        experiment = Experiment(**found) if found else None
        return Pointer(document["live"], tuple(document["retired"]), (first, second), experiment)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"expected names of model versions in models/{LIVE}, got something else; delete it and promote a version"
        raise ArtifactError(msg) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"expected to read {path.parent.name}/{path.name}, got {error.strerror}; restore it from a backup"
        raise ArtifactError(msg) from error


def _delete_model(directory: Path) -> None:
    (directory / MODEL).unlink(missing_ok=True)
    sync_directory(directory)


def _sweep(directory: Path) -> None:
    sweep(directory)
    for marker in directory.glob(f"*/{WITHDRAWN}"):
        _delete_model(marker.parent)
