"""A model version's manifest: named by its digest, read back only as it was written."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ArtifactError
from recsys.evidence.canonical import json_digest
from recsys.evidence.manifest import manifest, name_version, read_manifest, write_manifest
from recsys.types import ModelStatus, ModelVersion

VERSION = name_version(
    ModelVersion(
        version="",
        trainer="gram",
        created_at=datetime(2026, 1, 31, 12, 0, 0, 5000, tzinfo=UTC),
        model_digest="ab" * 32,
        config={"n_factors": 64, "größe": 0.5},
        privacy={"epsilon": 4.0, "releases": [{"noise_multiplier": 1.5}]},
        sum_id="sum-1",
        parent="cd" * 16,
        metrics={"recall20": 0.25},
    )
)
BYTES = write_manifest(VERSION)


def test_a_manifest_reads_back_as_its_version() -> None:
    assert read_manifest(BYTES) == VERSION


def test_the_name_is_the_beginning_of_the_manifests_digest() -> None:
    assert VERSION.version == json_digest(manifest(VERSION))[:32]


def test_the_status_is_no_part_of_the_name() -> None:
    assert name_version(replace(VERSION, status=ModelStatus.LIVE)).version == VERSION.version
    assert read_manifest(write_manifest(replace(VERSION, status=ModelStatus.LIVE))).status is ModelStatus.CANDIDATE


def test_naming_again_changes_nothing() -> None:
    assert name_version(replace(VERSION, version="something")) == VERSION


@pytest.mark.parametrize(
    "change",
    [
        {"trainer": "als"},
        {"created_at": datetime(2026, 1, 31, tzinfo=UTC)},
        {"model_digest": "cd" * 32},
        {"config": {}},
        {"privacy": {"epsilon": 8.0}},
        {"sum_id": None},
        {"parent": None},
        {"metrics": {}},
    ],
)
def test_every_other_field_is_part_of_the_name(change: dict[str, Any]) -> None:
    assert name_version(replace(VERSION, **change)).version != VERSION.version


@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_names_another_version(position: int, difference: int) -> None:
    changed = bytearray(BYTES)
    changed[position] ^= difference
    try:
        read = read_manifest(bytes(changed))
    except ArtifactError:
        return
    assert read.version != VERSION.version


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        BYTES + b"\n",
        BYTES[:-1],
        json.dumps(json.loads(BYTES)).encode(),
        BYTES.replace(b"2026-01-31", b"2026-99-31"),
        BYTES.replace(b"0.25", b"NaN"),
        BYTES.replace(b"gram", b"\\ud800"),
        BYTES.replace(b'"trainer"', b'"trainee"'),
    ],
)
def test_bytes_that_are_no_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="cut or changed"):
        read_manifest(data)
