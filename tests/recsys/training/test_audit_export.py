"""The file that an auditor gets: what the manifest commits to, to the last purchase, and without a name in it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.evidence.manifest import write_manifest
from recsys.models.customer import pack_term
from recsys.store.workspace import Workspace, memory_workspace
from recsys.training.audit_export import EXPORT_DIGEST, digest_of, export_lines, read_export
from recsys.training.terms import TrainConfig
from recsys.training.train import train
from recsys.types import Trainer, UserKey
from tests.recsys.training.shop import EVERY_TRAINER, open_shop, seeded, small_log

ITEMS = tuple("abcdef")
BASKETS = st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=8)


def lines_of(
    baskets: list[set[int]], workspace: Workspace, *, sum_id: str = "s", purpose: str = "train"
) -> list[bytes]:
    """The export of a sum of these customers, in this order of keys."""
    terms = [
        (UserKey(number.to_bytes(16)), pack_term(np.array(sorted(basket), np.int32)))
        for number, basket in enumerate(baskets)
    ]
    workspace.sums.create_sum(sum_id, b"", terms)
    return list(export_lines(workspace, ITEMS, sum_id, "train"))


@given(BASKETS, st.data())
def test_the_order_of_the_customers_changes_no_line(baskets: list[set[int]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(baskets))
    assert lines_of(shuffled, memory_workspace())[1:] == lines_of(baskets, memory_workspace())[1:]


@given(BASKETS, st.data())
def test_one_customer_or_purchase_less_is_another_digest(baskets: list[set[int]], data: st.DataObject) -> None:
    header, *rows = lines_of(baskets, memory_workspace())
    place = data.draw(st.integers(0, len(rows) - 1))
    without_customer = [header, *rows[:place], *rows[place + 1 :]]
    fewer = json.dumps(json.loads(rows[place])[1:], separators=(",", ":")).encode() + b"\n"
    without_purchase = [header, *rows[:place], fewer, *rows[place + 1 :]]
    assert len({digest_of(lines) for lines in ([header, *rows], without_customer, without_purchase)}) == 3


@given(BASKETS)
def test_what_is_written_is_read(baskets: list[set[int]]) -> None:
    lines = lines_of(baskets, memory_workspace())
    export = read_export(b"".join(lines))
    assert (export.items, export.digest) == (ITEMS, digest_of(lines))
    found = sorted(sorted(row.indices.tolist()) for row in export.purchased)
    assert found == sorted(sorted(basket) for basket in baskets)
    assert export.customers_with(ITEMS[place] for place in baskets[0]) == baskets.count(baskets[0])
    assert export.customers_with(["another shop's"]) == 0


def test_whose_term_adds_nothing_is_not_in_it() -> None:
    assert lines_of([{1}, set(), {2, 3}], memory_workspace())[1:] == [b"[1]\n", b"[2,3]\n"]


def test_without_the_salt_equal_data_look_like_others() -> None:
    """The digest stands in the manifest: nobody may try guesses about a customer on it."""
    workspace, other = memory_workspace(), memory_workspace()
    digests = {
        digest_of(lines_of([{1, 2}], workspace)),
        digest_of(lines_of([{1, 2}], workspace, sum_id="t")),
        digest_of(export_lines(workspace, ITEMS, "s", "erasure 1")),
        digest_of(lines_of([{1, 2}], other)),
    }
    assert len(digests) == 4


@pytest.mark.parametrize("trainer", EVERY_TRAINER)
def test_every_manifest_names_the_digest_of_what_its_version_was_made_from(trainer: Trainer) -> None:
    shop = open_shop(small_log())
    version = train(shop, TrainConfig(trainer=trainer), entropy=seeded())
    items = shop.registry.load(version.version)[0].item_ids
    lines = list(export_lines(shop, items, str(version.sum_id), "train"))
    assert version.config[EXPORT_DIGEST] == digest_of(lines)
    names = [user.encode() for user in small_log().users] + [key.hex().encode() for key, _, _ in shop.histories.scan()]
    assert [name for name in names if name in b"".join(lines) + write_manifest(version)] == []
    assert read_export(b"".join(lines)).purchased.shape == (40, 24)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]\n",
        b'{"type":"another"}\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n[1]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n[-1]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\nnothing\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n["a"]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n[[0]]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n[0.4]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n[0 ]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n[0,0]\n',
        b'{"items":["a","b"],"salt":"","type":"privrec.audit-export.v1"}\n[1,0]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n[99999999999]\n',
        b'{"items":["a"],"salt":"","type":"privrec.audit-export.v1"}\n' + b"[" * 100_000,
    ],
)
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="audit export"):
        read_export(data)
