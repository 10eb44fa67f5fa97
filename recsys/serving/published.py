"""The sealed values of many customers at once: what `seal_lists` makes of each, some hundred at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import scipy.sparse as sp

from recsys.ports import Seals
from recsys.serving.lists import BY_BOUGHT
from recsys.serving.packed_lists import REASONS, Columns, pack_lists, pack_origin
from recsys.serving.ranker import Ranked, Ranker
from recsys.serving.recommendation_ids import make_id, new_serial
from recsys.serving.sealed_lists import HEADER, Kind, generation_of, seal_document
from recsys.types import Permit, Task, UserKey

PLACES = np.array([REASONS.index(reason) for reason in BY_BOUGHT])
"""The place of the reason, by whether the item was bought before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edition:
    """What the values of one batch have in common."""

    version: str
    permit: Permit
    generated_at: datetime


def sealed_values(
    ring: Seals, edition: Edition, ranker: Ranker, customers: Sequence[tuple[UserKey, int]], own: sp.csr_matrix
) -> Iterator[tuple[UserKey, bytes]]:
    """Key and sealed value of each customer, given by key and revision, with a row of habits in `own`.

    Guarantees:
        - The lists are those of a request.

    Tested by: tests/recsys/serving/test_publish.py::test_what_is_published_is_what_a_request_computes
    """
    version, made, permit, lists = edition.version, edition.generated_at, edition.permit, ranker.lists(own)
    packed = pack_lists({task: _columns(lists[task]) for task in Task})
    header = HEADER.pack(Kind.LISTS, permit.epoch, generation_of(version), permit.stamp)
    for (user_key, revision), document in zip(customers, packed, strict=True):
        origin = pack_origin(revision, made, make_id(ring, new_serial(), version=version, made=made))
        yield user_key, seal_document(ring, user_key, header=header, document=origin + document)


def _columns(batch: Ranked) -> Columns:
    return Columns(batch.items, batch.scores, PLACES[batch.bought.astype(np.intp)])
