"""The privacy report of a version: what a privacy officer needs to judge it, made and signed when it is registered.

It says nothing about the customers that the released model does not say: the digest of the data is committed to under a
key and a fresh salt, deltas are fixed numbers, and no count of customers is in it that was not released with noise.
"""

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from platform import python_version
from typing import cast

import recsys
from recsys.clock import isoformat
from recsys.errors import StateError
from recsys.evidence.canonical import digest, json_digest
from recsys.evidence.chain import Entry, head
from recsys.evidence.privacy_report import write_report
from recsys.ports import Commitments
from recsys.privacy.accounting import epsilon_of_spends, mu_of_spends
from recsys.privacy.ledger import PrivacyLedger, epsilon_json
from recsys.training.stores import TrainingStores
from recsys.training.terms import Terms, TrainConfig
from recsys.types import Json, ModelVersion, PrivacySpend

SELECTED = "selected"
"""Where a manifest's configuration names the settings that were chosen among candidates."""
DELTAS = tuple(float(f"1e-{places}") for places in range(3, 13))
"""Where the curve is told. Fixed: a delta made from the number of customers would tell that number."""
SALT_BYTES = 16
SOURCES = Path(recsys.__file__).parent
"""The installed `recsys`: everything that touches customers' data."""
PACKAGES = ("privrec", "numpy", "scipy", "dp-accounting", "mpmath", "cryptography")
"""Whose versions the noise, the accounting and the signature depend on."""

PRIVATE = (
    "Private: with or without any one customer, and everything they bought, this model would have come out nearly the "
    "same; epsilon and delta say how nearly. It holds against whoever sees the model, whatever else they know."
)
NOT_PRIVATE = (
    "NOT private, no guarantee: at least one statistic went into this model without noise, and what a customer bought "
    "may be read off it. It is a baseline: do not hand it out."
)
BY_DEFAULT = "default: chosen on public or synthetic data"
BY_OPERATOR = "set by the operator: not covered if chosen by looking at private data"
BY_SELECTION = "selected on held-out customers, with noise and booked, so that it is covered, among"
BY_POLICY = "set by the operator: a choice about the guarantee itself"
BY_PLAN = (
    "The noise follows from epsilon, delta and the planned releases alone; every other setting is a constant of the "
    "code, chosen on public or synthetic data. Tuning on private data other than by a booked selection is not covered."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataDigest:
    """The digest of what a version was made from: as private as the data, only ever committed to."""

    of: str
    """What it is the digest of: `purchases`, or the `sum` that they were added up to."""
    digest: str


def signed_report(
    stores: TrainingStores, version: ModelVersion, spends: Sequence[PrivacySpend], data: DataDigest
) -> bytes:
    """The signed privacy report of a version that is about to be registered.

    Args:
        stores: the ledger that its releases are booked in, and the keys
        version: the version, under its name
        spends: of the releases that make this version
        data: what it was made from

    Guarantees:
        - Every release is in the ledger, or there is no report.
        - But for the commitment, nothing in it depends on the customers except through what was released.

    Tested by: tests/recsys/training/test_report.py

    Raises:
        StateError: a release is not booked.
        LedgerTamperedError: the chain of the ledger does not hold.
    """
    entries = PrivacyLedger(stores.ledger_log, stores.clock).summary().entries
    everything = booked(entries)
    private = math.isfinite(mu_of_spends(spends))
    body: dict[str, Json] = {
        "version": version.version,
        "trainer": version.trainer,
        "created_at": isoformat(version.created_at),
        "model_digest": version.model_digest,
        "parent": version.parent,
        "private": private,
        "statement": PRIVATE if private else NOT_PRIVATE,
        "unit": "a customer, with everything under one user id",
        "neighboring_relation": version.privacy["neighboring_relation"],
        "guarantee": {"delta": version.privacy["delta"], "epsilon": version.privacy["epsilon"], **_cost(spends)},
        "events": _events(spends, entries),
        "all_releases": {"releases": sum(spend.count for spend in everything), **_cost(everything)},
        "ledger": {"entries": len(entries), "head": head(entries)},
        "metrics": cast("Json", dict(version.metrics)),
        "not_covered": version.privacy["not_covered"],
        "settings": _settings(version),
        "settings_note": BY_PLAN,
        "code": {"digest": code_digest(), "packages": _versions()},
        "data": _committed(stores.commitments, data),
    }
    return write_report(body, stores.signing_key)


def booked(entries: Sequence[Entry]) -> list[PrivacySpend]:
    """Every spend in the ledger, oldest first."""
    return [_spend(entry) for entry in entries if entry["type"] == "spend"]


def curve(spends: Sequence[PrivacySpend]) -> list[Json]:
    """Epsilon at each of the fixed deltas."""
    return [{"delta": delta, "epsilon": epsilon_json(epsilon_of_spends(spends, delta))} for delta in DELTAS]


def accounting_of(spends: Sequence[PrivacySpend]) -> str:
    """How the spends are accounted, in words."""
    return "privacy loss distributions, never too small" if _sampled(spends) else "Gaussian differential privacy, exact"


@lru_cache(maxsize=1)
def code_digest(root: Path = SOURCES) -> str:
    """The digest of every source file below `root`, by name: equal code has an equal digest anywhere."""
    return json_digest({path.relative_to(root).as_posix(): digest(path.read_bytes()) for path in root.rglob("*.py")})


def mu_json(spends: Sequence[PrivacySpend]) -> Json:
    """The mu of the spends together; null where one is on a sample, which no mu stands for."""
    return None if _sampled(spends) else epsilon_json(mu_of_spends(spends))


def _cost(spends: Sequence[PrivacySpend]) -> dict[str, Json]:
    return {"accounting": accounting_of(spends), "mu": mu_json(spends), "curve": curve(spends)}


def _sampled(spends: Sequence[PrivacySpend]) -> bool:
    return any(spend.sampling_probability < 1 for spend in spends)


def _events(spends: Sequence[PrivacySpend], entries: Sequence[Entry]) -> list[Json]:
    return [
        {
            "statistic": spend.statistic,
            "purpose": spend.purpose,
            "mechanism": _mechanism(spend),
            "sensitivity": spend.sensitivity,
            "noise_multiplier": spend.noise_multiplier,
            "noise_standard_deviation": spend.noise_multiplier * spend.sensitivity,
            "sampling_probability": spend.sampling_probability,
            "count": spend.count,
            "ledger_index": place,
        }
        for spend, place in zip(spends, _places(spends, entries), strict=True)
    ]


def _mechanism(spend: PrivacySpend) -> str:
    if not spend.noise_multiplier:
        return "none"
    return "gaussian" if spend.sampling_probability == 1 else "poisson_sampled_gaussian"


def _places(spends: Sequence[PrivacySpend], entries: Sequence[Entry]) -> list[Json]:
    """The index of each spend's entry: the last one of its kind, as an earlier one is of a release that never came.

    Raises:
        StateError: a spend has none.
    """
    left = [(entry["index"], _spend(entry)) for entry in entries if entry["type"] == "spend"]
    places: list[Json] = []
    for spend in reversed(spends):
        found = next((pair for pair in reversed(left) if pair[1] == spend), None)
        if found is None:
            msg = (
                f"expected the release of {spend.statistic} in the privacy ledger, got no such entry; "
                "book every release before its noise is drawn: PrivacyLedger.book"
            )
            raise StateError(msg)
        left.remove(found)
        places.append(found[0])
    return places[::-1]


def _spend(entry: Entry) -> PrivacySpend:
    """The spend that an entry of the ledger was booked for."""
    return PrivacySpend(
        purpose=str(entry["purpose"]),
        statistic=str(entry["statistic"]),
        sensitivity=cast("float", entry["sensitivity"]),
        noise_multiplier=cast("float", entry["noise_multiplier"]),
        sum_id=str(entry["sum_id"]),
        sampling_probability=cast("float", entry.get("sampling_probability", 1.0)),
        count=cast("int", entry.get("count", 1)),
    )


def _settings(version: ModelVersion) -> list[Json]:
    """What can be chosen but the noise, and by whom it was."""
    terms, selected = Terms.of(version), cast("dict[str, Json]", version.config.get(SELECTED, {}))
    defaults = Terms.under(TrainConfig(trainer=terms.trainer)).to_json()
    return [
        {"name": name, "value": value, "source": _source(name, selected, is_default=value == defaults[name])}
        for name, value in terms.to_json().items()
        if not name.endswith("noise_multiplier")
    ]


def _source(name: str, selected: Mapping[str, Json], *, is_default: bool) -> str:
    if name == "delta":
        return BY_POLICY
    if name in selected:
        return f"{BY_SELECTION}: {selected[name]}"
    return BY_DEFAULT if is_default else BY_OPERATOR


def _versions() -> dict[str, Json]:
    return {"python": python_version(), **{package: _version_of(package) for package in PACKAGES}}


def _version_of(package: str) -> str:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def _committed(commitments: Commitments, data: DataDigest) -> dict[str, Json]:
    """A commitment to the data; the salt is fresh, or two equal commitments would tell that nothing had changed."""
    salt = secrets.token_bytes(SALT_BYTES)
    return {
        "of": data.of,
        "commitment": commitments.commitment(bytes.fromhex(data.digest), salt),
        "salt": salt.hex(),
        "method": "HMAC-SHA256 of salt and digest under a key of this installation",
    }
