"""What a version was made from, as a file for an auditor: what every customer bought, in no order and under no name.

    {"items":[...],"salt":"...","type":"privrec.audit-export.v1"}     the catalogue, by which items are numbered
    [0,4,17]                                                         one line a customer: the distinct items bought
    [0,5]

Lines are sorted by what is in them, so that equal data are equal bytes. The manifest of the version holds the SHA-256
of the file: one purchase more or less is another digest. The salt is secret until the file is handed out, or whoever
knows all customers but one could try every guess about the last.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.errors import InputError
from recsys.evidence.canonical import canonical_json
from recsys.ports import Commitments, Sums

EXPORT_TYPE = "privrec.audit-export.v1"
EXPORT_DIGEST = "audit_export_digest"
"""Where a manifest's configuration holds the digest."""
SALT_OF = b"training rows v1"
"""Sets these salts apart from every other commitment of the installation."""


class ExportStores(Protocol):
    """What an export is made from; a workspace has both."""

    @property
    def sums(self) -> Sums:
        """The sealed sums, with every customer's term."""

    @property
    def commitments(self) -> Commitments:
        """What the salt is made with."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AuditExport:
    """An export that was read."""

    items: tuple[str, ...]
    purchased: sp.csr_matrix
    """(n_customers, n_items); what is stored was bought."""
    digest: str

    def customers_with(self, items: Iterable[str]) -> int:
        """How many customers bought these items and no others."""
        position = {item: place for place, item in enumerate(self.items)}
        wanted = {position.get(item, -1) for item in items}
        bought = self.purchased
        own = (bought.indices[first:last] for first, last in zip(bought.indptr, bought.indptr[1:], strict=False))
        return sum(wanted == set(row.tolist()) for row in own)


def export_lines(stores: ExportStores, items: Iterable[str], sum_id: str, purpose: str) -> Iterator[bytes]:
    """The lines of the export of what is in a sum now.

    Args:
        stores: where the sum is
        items: the catalogue, as the version numbers it
        sum_id: the sum
        purpose: what the version was released for: with the sum it names the version, and each has a salt of its own
    """
    salt = stores.commitments.commitment(f"{sum_id} {purpose}".encode(), SALT_OF)
    yield canonical_json({"type": EXPORT_TYPE, "items": list(items), "salt": salt}) + b"\n"
    # Big-endian numbers of one width: the order of the bytes is that of the numbers. An empty term adds nothing.
    terms = (term for _, term in stores.sums.terms_in(sum_id) if term)
    for row in sorted(np.frombuffer(term, "<i4").astype(">i4").tobytes() for term in terms):
        yield canonical_json(np.frombuffer(row, ">i4").tolist()) + b"\n"


def digest_of(lines: Iterable[bytes]) -> str:
    """The SHA-256 of the lines as a file, in hex.

    Guarantees:
        - Without one customer, or one purchase of a customer, it is another.

    Tested by: tests/recsys/training/test_audit_export.py::test_one_customer_or_purchase_less_is_another_digest
    """
    state = hashlib.sha256()
    for line in lines:
        state.update(line)
    return state.hexdigest()


def read_export(data: bytes) -> AuditExport:
    """The export in a file.

    Raises:
        InputError: there is none in it.
    """
    try:
        header, *rows = data.splitlines()
        described = json.loads(header)
        if described["type"] != EXPORT_TYPE:
            raise _unreadable()
        items = tuple(map(str, described["items"]))
        return AuditExport(items=items, purchased=_matrix(rows, len(items)), digest=digest_of([data]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _unreadable() from error


def _matrix(rows: list[bytes], n_items: int) -> sp.csr_matrix:
    positions = [_positions(row) for row in rows]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in positions], dtype=np.int64)])
    indices = np.concatenate([np.zeros(0, np.int32), *positions])
    if indices.min(initial=0) < 0 or indices.max(initial=-1) >= n_items:
        raise _unreadable()
    return sp.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(rows), n_items))


def _positions(row: bytes) -> NDArray[np.int32]:
    """The positions in a line, which has one spelling: what a reader sees is what is trained on."""
    positions = np.asarray(json.loads(row), dtype=np.int32)
    if canonical_json(positions.tolist()) != row or (np.diff(positions) <= 0).any():
        raise _unreadable()
    return positions


def _unreadable() -> InputError:
    msg = (
        "expected an audit export, a line of JSON for the catalogue and one for each customer, got something else; "
        "make one: privrec audit export DIRECTORY"
    )
    return InputError(msg)
