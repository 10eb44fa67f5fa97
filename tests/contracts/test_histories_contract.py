"""What every store of histories keeps."""

import threading
from collections.abc import Callable

import numpy as np

from recsys.data.history import EMPTY_HISTORY, History, Merge, Purchases
from recsys.store.workspace import Workspace
from recsys.types import CustomerState, ErasureRequest, UserKey


def taken(merge: Merge | None) -> Merge:
    """What became of the purchases of a customer who is not suppressed."""
    assert merge is not None
    return merge


def test_an_unknown_customer_has_an_empty_history(ports: Workspace, customer: Callable[[int], UserKey]) -> None:
    assert ports.histories.history(customer(1)) == EMPTY_HISTORY
    assert ports.histories.state(customer(1)) == CustomerState(known=False, suppressed=False, revision=0)


def test_appended_purchases_come_back_in_canonical_order(
    ports: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    purchases = buy(("a", 3), ("b", 1), ("c", 2))
    ports.histories.append({customer(1): purchases[::-1]})
    assert ports.histories.history(customer(1)) == History(purchases)
    assert ports.histories.state(customer(1)) == CustomerState(known=True, suppressed=False, revision=1)


def test_every_batch_reports_what_became_of_each_purchase(
    ports: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    ports.histories.append({customer(1): buy(("a", 3), ("b", 1))})
    merged = ports.histories.append({customer(1): buy(("a", 3), ("b", 2), ("c", 9)), customer(2): buy(("a", 3))})
    first = taken(merged[customer(1)])
    assert first.duplicate.tolist() == [True, False, False]
    assert first.conflict.tolist() == [False, True, False]
    assert (first.accepted, taken(merged[customer(2)]).accepted) == (1, 1)


def test_the_first_content_of_an_event_stays_when_another_comes(
    ports: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    ports.histories.append({customer(1): buy(("a", 3))})
    ports.histories.append({customer(1): buy(("a", 4))})
    assert ports.histories.history(customer(1)).purchases["item"].tolist() == [3]


def test_the_revision_goes_up_by_one_only_where_something_was_accepted(
    ports: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    first = {customer(1): buy(("a", 1), ("b", 2)), customer(2): buy(("a", 1))}
    ports.histories.append(first)
    ports.histories.append({**first, customer(2): buy(("a", 1), ("b", 2), ("c", 3))})
    assert [ports.histories.state(customer(number)).revision for number in (1, 2)] == [1, 2]


def test_an_empty_batch_and_an_empty_list_of_purchases_change_nothing(
    ports: Workspace, customer: Callable[[int], UserKey]
) -> None:
    assert ports.histories.append({}) == {}
    assert taken(ports.histories.append({customer(1): EMPTY_HISTORY.purchases})[customer(1)]).accepted == 0
    assert not ports.histories.state(customer(1)).known


def test_nothing_is_taken_from_a_suppressed_customer(
    ports: Workspace,
    customer: Callable[[int], UserKey],
    buy: Callable[..., Purchases],
    erasure_request: Callable[..., ErasureRequest],
) -> None:
    ports.histories.append({customer(1): buy(("a", 1))})
    ports.erasures.suppress(erasure_request("r"), customer(1))
    merged = ports.histories.append({customer(1): buy(("b", 2)), customer(2): buy(("b", 2))})
    assert merged[customer(1)] is None
    assert taken(merged[customer(2)]).accepted == 1
    assert ports.histories.state(customer(1)) == CustomerState(known=False, suppressed=True, revision=0, erased=True)


def test_a_scan_has_every_customer_in_the_order_of_keys_but_the_suppressed(
    ports: Workspace,
    customer: Callable[[int], UserKey],
    buy: Callable[..., Purchases],
    erasure_request: Callable[..., ErasureRequest],
) -> None:
    numbers = np.random.default_rng(0).permutation(1003)
    ports.histories.append({customer(int(number)): buy(("a", int(number))) for number in numbers})
    ports.erasures.suppress(erasure_request("r"), customer(500))
    scanned = list(ports.histories.scan())
    assert [key for key, _, _ in scanned] == [customer(number) for number in range(1003) if number != 500]
    assert all(history.items.tolist() == [int.from_bytes(key, "big")] for key, _, history in scanned)
    assert {revision for _, revision, _ in scanned} == {1}
    assert [key for key, _, _ in ports.histories.scan(customer(998))] == [
        customer(number) for number in range(999, 1003)
    ]
    assert list(ports.histories.scan(customer(1002))) == []


def test_purchases_can_be_appended_while_a_scan_is_under_way(
    ports: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    ports.histories.append({customer(1): buy(("a", 1)), customer(2): buy(("a", 1))})
    scan = ports.histories.scan()
    assert next(scan)[0] == customer(1)
    ports.histories.append({customer(1): buy(("b", 2))})
    assert [key for key, _, _ in scan] == [customer(2)]


def test_batches_from_several_threads_are_all_kept(
    ports: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    def append(thread: int) -> None:
        for number in range(5):
            ports.histories.append({customer(1): buy((f"{thread}-{number}", number))})

    threads = [threading.Thread(target=append, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ports.histories.history(customer(1))) == 20
    assert ports.histories.state(customer(1)).revision == 20
