"""What every store of objections, restrictions and rectifications keeps."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from recsys.data.corrections import Corrected, Correction, CorrectionStatus, corrected
from recsys.data.history import EMPTY_HISTORY, History, Purchases
from recsys.data.subject_request import LIMITS, SubjectKind, SubjectRequest, SubjectState
from recsys.errors import InputError, NotFoundError
from recsys.store.workspace import Workspace
from recsys.types import ErasureRequest, UserKey
from tests.contracts.conftest import NOON

Customer: TypeAlias = Callable[[int], UserKey]
Buy: TypeAlias = Callable[..., Purchases]


def asked(request_id: str, kind: SubjectKind = SubjectKind.OBJECTION) -> SubjectRequest:
    return SubjectRequest(request_id=request_id, kind=kind, received_at=NOON)


def deleting(event_id: str) -> Callable[[History], Corrected]:
    return lambda history: corrected(history, [Correction(event_id=event_id, delete=True)])


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_a_limited_customer_is_served_and_trained_with_as_a_stranger_until_it_is_lifted(
    ports: Workspace, customer: Customer, buy: Buy, kind: SubjectKind
) -> None:
    ports.histories.append({customer(1): buy(("a", 1)), customer(2): buy(("a", 1))})
    before = ports.histories.state(customer(1))
    assert ports.subjects.limit(asked("r", kind), customer(1)) == asked("r", kind)
    state = ports.histories.state(customer(1))
    assert (state.known, state.suppressed, state.revision, state.erased) == (False, True, 0, False)
    assert [key for key, _, _ in ports.histories.scan()] == [customer(2)]
    with pytest.raises(InputError, match="not suppressed"):
        ports.sums.create_sum("s", b"sum", [(customer(1), b"one")])
    assert len(ports.histories.history(customer(1))) == 1
    assert list(ports.subjects.limited()) == [customer(1)]

    ports.subjects.lift(customer(1), kind)
    ports.subjects.lift(customer(1), kind)
    assert ports.histories.state(customer(1)) == before
    assert list(ports.subjects.limited()) == []
    assert ports.subjects.of_customer(customer(1)) == ()


def test_who_objects_goes_on_buying_and_who_is_restricted_does_not(
    ports: Workspace, customer: Customer, buy: Buy
) -> None:
    ports.histories.append({customer(number): buy(("a", 1)) for number in (1, 2)})
    ports.subjects.limit(asked("o"), customer(1))
    ports.subjects.limit(asked("r", SubjectKind.RESTRICTION), customer(2))
    merges = ports.histories.append({customer(number): buy(("b", 2)) for number in (1, 2, 3)})
    assert merges[customer(2)] is None
    assert [len(ports.histories.history(customer(number))) for number in (1, 2, 3)] == [2, 1, 1]
    ports.subjects.lift(customer(1), SubjectKind.OBJECTION)
    assert ports.histories.state(customer(1)).revision == 2


def test_asking_again_finds_the_first_request_of_the_kind(ports: Workspace, customer: Customer) -> None:
    ports.subjects.limit(asked("first"), customer(1))
    assert ports.subjects.limit(asked("second"), customer(1)).request_id == "first"
    assert ports.subjects.limit(asked("third", SubjectKind.RESTRICTION), customer(1)).request_id == "third"
    assert [request.request_id for request in ports.subjects.of_customer(customer(1))] == ["first", "third"]
    assert list(ports.subjects.limited()) == [customer(1)]


def test_nothing_is_written_of_an_erased_customer(
    ports: Workspace, customer: Customer, buy: Buy, erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.histories.append({customer(1): buy(("a", 1))})
    ports.erasures.suppress(erasure_request("e"), customer(1))
    ports.erasures.erase_customers({"e": {}}, {})
    ports.subjects.limit(asked("o"), customer(1))
    seen: list[History] = []

    def change(history: History) -> Corrected:
        seen.append(history)
        return corrected(history, [Correction(event_id="a", delete=True)])

    ports.subjects.rectify(asked("r", SubjectKind.RECTIFICATION), customer(1), change)
    assert seen == [EMPTY_HISTORY]
    assert ports.subjects.of_customer(customer(1)) == ()


def test_who_can_still_be_let_in_is_limited_from_then_on(
    ports: Workspace, customer: Customer, buy: Buy, erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.histories.append({customer(1): buy(("a", 1))})
    ports.erasures.suppress(erasure_request("e"), customer(1))
    ports.subjects.limit(asked("o"), customer(1))
    ports.erasures.cancel("e")
    assert list(ports.subjects.limited()) == [customer(1)]
    state = ports.histories.state(customer(1))
    assert (state.suppressed, state.erased) == (True, False)


def test_an_erasure_destroys_what_the_customer_asked_for(
    ports: Workspace, customer: Customer, buy: Buy, erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.histories.append({customer(1): buy(("a", 1), ("b", 2))})
    ports.subjects.rectify(asked("r", SubjectKind.RECTIFICATION), customer(1), deleting("a"))
    ports.subjects.limit(asked("o"), customer(1))
    ports.subjects.limit(asked("other"), customer(2))
    ports.erasures.suppress(erasure_request("e"), customer(1))
    ports.erasures.erase_customers({"e": {}}, {})
    assert ports.subjects.of_customer(customer(1)) == ()
    assert [request.request_id for request, _ in ports.subjects.pending()] == ["other"]


def test_a_rectified_history_is_a_revision_later_with_the_request_beside_it(
    ports: Workspace, customer: Customer, buy: Buy
) -> None:
    ports.histories.append({customer(1): buy(("a", 1), ("b", 2))})
    done = ports.subjects.rectify(asked("r", SubjectKind.RECTIFICATION), customer(1), deleting("a"))
    assert done is not None
    assert ports.histories.history(customer(1)).items.tolist() == [2]
    assert ports.histories.state(customer(1)).revision == 2
    [(request, key)] = ports.subjects.pending()
    assert (key, request.moves) == (customer(1), done.moves)


def test_a_correction_of_nothing_writes_nothing(ports: Workspace, customer: Customer, buy: Buy) -> None:
    ports.histories.append({customer(1): buy(("a", 1))})
    for number in (1, 2):
        done = ports.subjects.rectify(asked(f"{number}", SubjectKind.RECTIFICATION), customer(number), deleting("x"))
        assert done is not None
        assert not done.changed
    assert ports.subjects.pending() == ()
    assert ports.histories.state(customer(1)).revision == 1


def test_nothing_of_a_restricted_customer_is_changed(ports: Workspace, customer: Customer, buy: Buy) -> None:
    ports.histories.append({customer(1): buy(("a", 1))})
    ports.subjects.limit(asked("l", SubjectKind.RESTRICTION), customer(1))
    assert ports.subjects.rectify(asked("r", SubjectKind.RECTIFICATION), customer(1), deleting("a")) is None
    assert len(ports.histories.history(customer(1))) == 1


def test_an_erasure_counts_before_a_restriction(
    ports: Workspace, customer: Customer, buy: Buy, erasure_request: Callable[..., ErasureRequest]
) -> None:
    """As of a stranger: there is no such purchase."""
    ports.histories.append({customer(1): buy(("a", 1))})
    ports.subjects.limit(asked("l", SubjectKind.RESTRICTION), customer(1))
    ports.erasures.suppress(erasure_request("e"), customer(1))
    done = ports.subjects.rectify(asked("r", SubjectKind.RECTIFICATION), customer(1), deleting("a"))
    assert done is not None
    assert done.statuses == (CorrectionStatus.UNKNOWN,)
    assert len(ports.histories.history(customer(1))) == 1


def test_a_customer_whose_purchases_were_all_deleted_is_in_no_scan(
    ports: Workspace, customer: Customer, buy: Buy
) -> None:
    ports.histories.append({customer(1): buy(("a", 1)), customer(2): buy(("a", 1))})
    ports.subjects.rectify(asked("r", SubjectKind.RECTIFICATION), customer(1), deleting("a"))
    assert [key for key, _, _ in ports.histories.scan()] == [customer(2)]
    ports.histories.append({customer(1): buy(("b", 2))})
    assert ports.histories.state(customer(1)).revision == 3


@pytest.fixture
def summed(ports: Workspace, customer: Customer) -> Workspace:
    """Two sums with two customers, one of whom objected since."""
    for sum_id in ("s", "t"):
        ports.sums.create_sum(sum_id, b"both", [(customer(1), b"one"), (customer(2), b"two")])
    ports.subjects.limit(asked("r"), customer(1))
    return ports


def test_sums_and_terms_are_replaced_once(summed: Workspace, customer: Customer) -> None:
    subjects, sums = summed.subjects, summed.sums
    subjects.apply("r", {"s": b"without"}, {customer(1): {"s": b""}}, {"made_with": ["v"]})
    subjects.apply("r", {"t": b"without"}, {customer(1): {"t": b""}}, {"made_with": []})
    assert (sums.load_sum("s"), sums.load_sum("t")) == (b"without", b"both")
    assert sums.terms_of(customer(1)) == {"s": b"", "t": b"one"}
    assert sums.terms_of(customer(2)) == {"s": b"two", "t": b"two"}
    [(request, _)] = subjects.pending()
    assert (request.state, dict(request.details)) == (SubjectState.APPLIED, {"made_with": ["v"]})


def test_a_finished_request_keeps_its_details_and_is_pending_no_more(summed: Workspace, customer: Customer) -> None:
    summed.subjects.apply("r", {}, {}, {"made_with": ["v"]})
    summed.subjects.finish("r", {"versions": []})
    summed.subjects.finish("r", {"versions": ["other"]})
    assert summed.subjects.pending() == ()
    [request] = summed.subjects.of_customer(customer(1))
    done = replace(asked("r"), state=SubjectState.DONE, details={"made_with": ["v"], "versions": []})
    assert request == done


def test_what_was_taken_back_is_applied_no_more(summed: Workspace, customer: Customer) -> None:
    summed.subjects.lift(customer(1), SubjectKind.OBJECTION)
    summed.subjects.apply("r", {"s": b"without"}, {customer(1): {"s": b""}}, {})
    summed.subjects.finish("r", {})
    assert summed.sums.load_sum("s") == b"both"
    assert summed.subjects.of_customer(customer(1)) == ()


def test_a_sum_that_is_not_there_is_refused_whole(summed: Workspace, customer: Customer) -> None:
    with pytest.raises(NotFoundError):
        summed.subjects.apply("r", {"s": b"without", "u": b"without"}, {customer(1): {"s": b""}}, {})
    assert summed.sums.load_sum("s") == b"both"
    assert summed.sums.terms_of(customer(1))["s"] == b"one"
