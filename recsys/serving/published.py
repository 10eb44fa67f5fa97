"""The sealed values of many customers at once: what `seal_lists` makes of each, some hundred at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recsys.models.list_order import EMPTY
from recsys.ports import Seals
from recsys.serving.lists import BY_BOUGHT, Row
from recsys.serving.ranker import Ranked, Ranker
from recsys.serving.recommendation_ids import make_id, new_serial
from recsys.serving.rendered import DEFAULT_LENGTH, DEFAULT_TASK, render_answer
from recsys.serving.sealed_lists import (
    HEADER,
    REASONS,
    ROW,
    Kind,
    counted,
    generation_of,
    pack_columns,
    pack_origin,
    seal_document,
)
from recsys.types import Permit, Task, UserKey

PLACES = np.array([REASONS.index(reason) for reason in BY_BOUGHT])
"""The place of the reason, by whether the item was bought before."""
WORDS = np.array(BY_BOUGHT, dtype=object)


@dataclass(frozen=True, kw_only=True, slots=True)
class Edition:
    """What the values of one batch have in common."""

    version: str
    permit: Permit
    generated_at: datetime
    starts: Sequence[str]
    """Of every item's part in an answer, by position."""


def sealed_values(
    ring: Seals, edition: Edition, ranker: Ranker, customers: Sequence[tuple[UserKey, int]], own: sp.csr_matrix
) -> Iterator[tuple[UserKey, bytes]]:
    """Key and sealed value of each customer, given by key and revision, with a row of habits in `own`.

    Guarantees:
        - The lists and the answer are those of a request.

    Tested by: tests/recsys/serving/test_publish.py::test_what_is_published_is_what_a_request_computes
    """
    lists = ranker.lists(own)
    documents = [_packed(lists[task]) for task in Task]
    rows = _first_rows(lists[DEFAULT_TASK])
    header = HEADER.pack(Kind.LISTS, edition.permit.epoch, generation_of(edition.version), edition.permit.stamp)
    for (user_key, revision), shown, *packed in zip(customers, rows, *documents, strict=True):
        serial = new_serial()
        answer = _answer(ring, edition, shown, serial)
        origin = pack_origin(edition.version, revision, serial, edition.generated_at)
        yield user_key, seal_document(ring, user_key, header=header, document=origin + b"".join(packed), answer=answer)


def _answer(ring: Seals, edition: Edition, rows: list[Row], serial: bytes) -> bytes:
    """The finished answer with these rows."""
    version, made = edition.version, edition.generated_at
    name = make_id(ring, serial, version=version, made=made)
    return render_answer(rows, edition.starts, version=version, generated_at=made, recommendation_id=name)


def _packed(batch: Ranked) -> list[bytes]:
    """Each customer's list, with its length in front."""
    data, width = pack_columns(batch.items, batch.scores, PLACES[batch.bought.astype(np.intp)]), batch.items.shape[1]
    sizes = (_counts(batch) * ROW.itemsize).tolist()
    starts = (place * width * ROW.itemsize for place in range(len(sizes)))
    return [counted(data[start : start + size]) for start, size in zip(starts, sizes, strict=True)]


def _counts(batch: Ranked) -> NDArray[np.int64]:
    """How long each customer's list is."""
    return np.count_nonzero(batch.items != EMPTY, axis=1)


def _first_rows(batch: Ranked) -> Iterator[list[Row]]:
    """Of each customer, the rows that the finished answer shows."""
    counts = np.minimum(_counts(batch), DEFAULT_LENGTH).tolist()
    items, scores = batch.items[:, :DEFAULT_LENGTH].tolist(), _told(batch.scores[:, :DEFAULT_LENGTH])
    reasons = WORDS[batch.bought[:, :DEFAULT_LENGTH].astype(np.intp)].tolist()
    for count, *columns in zip(counts, items, scores, reasons, strict=True):
        yield list(zip(*columns, strict=True))[:count]


def _told(scores: NDArray[np.float32]) -> list[list[float]]:
    """As `told`, of all."""
    shown = np.where(np.isfinite(scores), scores, 0).astype(np.float64)
    return (np.round(shown, 4) + 0.0).tolist()  # -0 becomes 0
