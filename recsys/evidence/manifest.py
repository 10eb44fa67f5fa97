"""The manifest of a model version: everything but its status, in canonical bytes, named by its own digest."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import cast

from recsys.clock import isoformat
from recsys.errors import ArtifactError, InputError
from recsys.evidence.canonical import canonical_json, json_digest
from recsys.types import Json, ModelVersion

NAME_LENGTH = 32
"""Hex digits in a version's name: 128 bits, so that nobody can make two manifests of one name by accident."""

FIELDS = ("trainer", "created_at", "model_digest", "config", "privacy", "sum_id", "parent", "metrics")


def manifest(version: ModelVersion) -> dict[str, Json]:
    """Every field of the version but its name and its status, as JSON."""
    return {
        "trainer": version.trainer,
        "created_at": isoformat(version.created_at),
        "model_digest": version.model_digest,
        "config": cast("Json", dict(version.config)),
        "privacy": cast("Json", dict(version.privacy)),
        "sum_id": version.sum_id,
        "parent": version.parent,
        "metrics": cast("Json", dict(version.metrics)),
    }


def version_name(fields: Mapping[str, Json]) -> str:
    """The name of the version with this manifest: the first 32 hex digits of the manifest's digest."""
    return json_digest(dict(fields))[:NAME_LENGTH]


def name_version(version: ModelVersion) -> ModelVersion:
    """The version under the name that its manifest gives it, whatever it was called before."""
    return replace(version, version=version_name(manifest(version)))


def write_manifest(version: ModelVersion) -> bytes:
    """The manifest's canonical bytes."""
    return canonical_json(manifest(version))


def read_manifest(data: bytes) -> ModelVersion:
    """The version, a candidate, that these bytes are the manifest of; its name is computed from them.

    Raises:
        ArtifactError: the bytes are not the canonical bytes of a manifest; the file was cut or changed.
    """
    try:
        fields = json.loads(data)
        if set(fields) != set(FIELDS) or canonical_json(fields) != data:
            raise _unreadable()
        created_at = datetime.fromisoformat(fields["created_at"])
        return ModelVersion(**fields | {"version": version_name(fields), "created_at": created_at})
    except (ValueError, TypeError, RecursionError, InputError) as error:
        raise _unreadable() from error


def _unreadable() -> ArtifactError:
    msg = (
        "expected the canonical bytes of a model manifest, got bytes that do not read as one; "
        "the file was cut or changed: restore it from a backup or train again"
    )
    return ArtifactError(msg)
