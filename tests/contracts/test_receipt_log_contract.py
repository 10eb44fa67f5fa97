"""What every log of receipts keeps."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import pytest

from recsys.errors import ArtifactError, StateError, StorageError
from recsys.evidence.canonical import canonical_json
from recsys.evidence.checkpoint import read_checkpoint
from recsys.evidence.log import Enter, Entry, enter, leaf_of
from recsys.evidence.merkle import Node, root
from recsys.evidence.receipt import RECEIPT_TYPE, read_receipt
from recsys.evidence.signing import sign
from recsys.store.workspace import Workspace
from recsys.types import ErasureRequest, ErasureState, UserKey
from tests.contracts.entries import KEY, entering


@pytest.fixture
def purged(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> Callable[[int], str]:
    """The id of the nth request, once all that is missing is the receipt."""

    def request(number: int) -> str:
        asked = ports.erasures.suppress(erasure_request(f"r{number}"), customer(number))
        ports.erasures.erase_customers({asked.request_id: {}}, {})
        ports.erasures.advance(asked.request_id, ErasureState.RELEASED, {})
        ports.erasures.advance(asked.request_id, ErasureState.PURGED, {})
        ports.erasures.advance(asked.request_id, ErasureState.VERIFIED, {})
        return asked.request_id

    return request


def signed(request_id: str) -> bytes:
    return canonical_json(sign({"type": RECEIPT_TYPE, "request_id": request_id}, KEY))


def test_an_empty_log_has_no_checkpoint_and_no_hashes(ports: Workspace) -> None:
    assert ports.receipt_log.latest() == (0, "")
    assert ports.receipt_log.nodes([]) == {}
    with pytest.raises(ArtifactError, match="missing"):
        ports.receipt_log.nodes([(0, 0)])


def test_every_receipt_becomes_a_leaf_under_a_checkpoint_that_its_proof_leads_to(
    ports: Workspace, purged: Callable[[int], str]
) -> None:
    for number in range(9):
        request_id = purged(number)
        whole = ports.erasures.finish(request_id, partial(enter, signed(request_id), signing_key=KEY), {})
        size, note = ports.receipt_log.latest()
        logged = read_receipt(whole, KEY.public_key()).logged
        assert logged is not None
        assert (logged.index, size) == (number, number + 1)
        assert logged.checkpoint == read_checkpoint(note, KEY.public_key())
        assert logged.checkpoint.root == root(size, ports.receipt_log.nodes)
    leaves = [(0, number) for number in range(9)]
    assert list(ports.receipt_log.nodes(leaves).values()) == [leaf_of(signed(f"r{number}")) for number in range(9)]


def test_finishing_again_enters_nothing(ports: Workspace, purged: Callable[[int], str]) -> None:
    request_id = purged(0)
    assert ports.erasures.finish(request_id, entering(b"first"), {}) == b"first"
    assert ports.erasures.finish(request_id, entering(b"second"), {}) == b"first"
    assert ports.receipt_log.latest()[0] == 1
    assert ports.receipt_log.nodes([(0, 0)]) == {(0, 0): leaf_of(b"first")}


def test_a_receipt_that_is_refused_is_not_in_the_log(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.erasures.suppress(erasure_request("early"), customer(1))
    with pytest.raises(StateError):
        ports.erasures.finish("early", entering(b"early"), {})
    assert ports.receipt_log.latest() == (0, "")


def test_what_fails_while_it_is_entered_leaves_neither_receipt_nor_entry(
    ports: Workspace, purged: Callable[[int], str]
) -> None:
    request_id = purged(0)

    def failing(size: int, frontier: Mapping[Node, bytes]) -> Entry:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ports.erasures.finish(request_id, failing, {})
    assert ports.receipt_log.latest() == (0, "")
    assert ports.erasures.request(request_id).state is ErasureState.VERIFIED


def test_a_hash_that_the_log_does_not_have_is_refused_with_those_that_it_has(
    ports: Workspace, purged: Callable[[int], str]
) -> None:
    ports.erasures.finish(purged(0), entering(b"first"), {})
    with pytest.raises(ArtifactError, match="backup"):
        ports.receipt_log.nodes([(0, 0), (0, 1)])


def test_those_who_finish_at_once_are_entered_one_after_the_other(
    ports: Workspace, purged: Callable[[int], str]
) -> None:
    requests = [purged(number) for number in range(4)]
    barrier, sizes = threading.Barrier(4), []

    def recorded(receipt: bytes) -> Enter:
        def enter(size: int, frontier: Mapping[Node, bytes]) -> Entry:
            sizes.append(size)
            return entering(receipt)(size, frontier)

        return enter

    def finish(request_id: str) -> None:
        barrier.wait()
        while ports.erasures.request(request_id).state is not ErasureState.RECEIPTED:
            # SQLite refuses while another thread reads, as its write-ahead log cannot be emptied then.
            with suppress(StorageError):
                ports.erasures.finish(request_id, recorded(request_id.encode()), {})

    threads = [threading.Thread(target=finish, args=(request_id,)) for request_id in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [0, 1, 2, 3]
    assert read_checkpoint(ports.receipt_log.latest()[1], KEY.public_key()).size == 4
    assert len(ports.receipt_log.nodes([(0, 3), (2, 0)])) == 2
