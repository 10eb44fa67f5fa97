"""What every store of sums keeps."""

from collections.abc import Callable, Iterator

import pytest

from recsys.errors import InputError, NotFoundError
from recsys.store.workspace import Workspace
from recsys.types import ErasureRequest, UserKey


def test_a_sum_and_its_terms_come_back(ports: Workspace, customer: Callable[[int], UserKey]) -> None:
    ports.sums.create_sum("s", b"content", [(customer(1), b"one"), (customer(2), b"two")])
    assert ports.sums.load_sum("s") == b"content"
    assert ports.sums.terms_of(customer(2)) == {"s": b"two"}
    assert ports.sums.terms_of(customer(3)) == {}


def test_the_latest_sum_is_the_one_created_last(ports: Workspace) -> None:
    assert ports.sums.latest_sum() is None
    for sum_id in ("b", "c", "a"):
        ports.sums.create_sum(sum_id, b"", [])
    assert ports.sums.latest_sum() == "a"


def test_a_customer_has_a_term_in_every_sum_that_holds_one(
    ports: Workspace, customer: Callable[[int], UserKey]
) -> None:
    ports.sums.create_sum("s", b"1", [(customer(1), b"in s")])
    ports.sums.create_sum("t", b"2", [(customer(2), b"other")])
    ports.sums.create_sum("u", b"3", [(customer(1), b"in u")])
    assert ports.sums.terms_of(customer(1)) == {"s": b"in s", "u": b"in u"}


def test_an_unknown_sum_is_not_found(ports: Workspace) -> None:
    with pytest.raises(NotFoundError, match="none of"):
        ports.sums.load_sum("nothing")


def test_more_terms_than_are_written_at_once_are_all_kept(ports: Workspace, customer: Callable[[int], UserKey]) -> None:
    ports.sums.create_sum("s", b"", ((customer(number), b"%d" % number) for number in range(2001)))
    assert [ports.sums.terms_of(customer(number))["s"] for number in (0, 1000, 2000)] == [b"0", b"1000", b"2000"]


def test_a_sum_with_the_term_of_a_suppressed_customer_is_refused_whole(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.erasures.suppress(erasure_request("r"), customer(2))
    with pytest.raises(InputError, match="rebuild the sum"):
        ports.sums.create_sum("s", b"content", [(customer(1), b"one"), (customer(2), b"two")])
    assert ports.sums.latest_sum() is None
    assert ports.sums.terms_of(customer(1)) == {}


def test_a_sum_is_created_once(ports: Workspace, customer: Callable[[int], UserKey]) -> None:
    ports.sums.create_sum("s", b"first", [(customer(1), b"one")])
    with pytest.raises(InputError, match="new sum"):
        ports.sums.create_sum("s", b"second", [])
    assert ports.sums.load_sum("s") == b"first"
    assert ports.sums.terms_of(customer(1)) == {"s": b"one"}


def test_terms_that_cannot_be_computed_leave_no_part_of_a_sum(
    ports: Workspace, customer: Callable[[int], UserKey]
) -> None:
    def terms() -> Iterator[tuple[UserKey, bytes]]:
        yield customer(1), b"one"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ports.sums.create_sum("s", b"content", terms())
    assert ports.sums.latest_sum() is None
    assert ports.sums.terms_of(customer(1)) == {}


def test_the_terms_in_a_sum_come_in_the_order_of_keys(ports: Workspace, customer: Callable[[int], UserKey]) -> None:
    numbers = range(2001, 0, -1)
    ports.sums.create_sum("s", b"", ((customer(number), b"%d" % number) for number in numbers))
    ports.sums.create_sum("t", b"", [(customer(1), b"other")])
    found = list(ports.sums.terms_in("s"))
    assert found == sorted((customer(number), b"%d" % number) for number in numbers)
    assert list(ports.sums.terms_in("t")) == [(customer(1), b"other")]
    assert list(ports.sums.terms_in("none")) == []


def test_the_term_of_an_erased_customer_is_in_no_sum(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.sums.create_sum("s", b"content", [(customer(1), b"one"), (customer(2), b"two")])
    ports.erasures.suppress(erasure_request("r"), customer(1))
    ports.erasures.erase_customers({"r": {}}, {"s": b"less"})
    assert list(ports.sums.terms_in("s")) == [(customer(2), b"two")]
