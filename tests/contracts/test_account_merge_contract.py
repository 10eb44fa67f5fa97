"""What every store does when two accounts of one customer become one."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from recsys.data.account_merge import AccountMerge, Accounts, MergeStatus
from recsys.data.corrections import Corrected, Correction, corrected
from recsys.data.history import EMPTY_HISTORY, History, Purchases
from recsys.data.subject_request import LIMITS, SubjectKind, SubjectRequest, SubjectState
from recsys.store.workspace import Workspace
from recsys.types import ErasureRequest, UserKey
from tests.contracts.conftest import NOON

Customer: TypeAlias = Callable[[int], UserKey]
Buy: TypeAlias = Callable[..., Purchases]
Ask: TypeAlias = Callable[..., ErasureRequest]
OLD, INTO, OTHER = 1, 2, 3


def asked(request_id: str, kind: SubjectKind = SubjectKind.OBJECTION) -> SubjectRequest:
    return SubjectRequest(request_id=request_id, kind=kind, received_at=NOON)


def deleting(event_id: str) -> Callable[[History], Corrected]:
    return lambda history: corrected(history, [Correction(event_id=event_id, delete=True)])


@pytest.fixture
def known(ports: Workspace, customer: Customer, buy: Buy) -> Workspace:
    """Two accounts with an event in common, and somebody else."""
    ports.histories.append({customer(OLD): buy(("a", 1), ("b", 2)), customer(INTO): buy(("a", 1), ("c", 3))})
    ports.histories.append({customer(OTHER): buy(("d", 4))})
    return ports


def merge(ports: Workspace, customer: Customer, old: int = OLD, into: int = INTO, name: str = "m") -> MergeStatus:
    return ports.subjects.merge(
        AccountMerge(
            account=customer(old),
            into=customer(into),
            request=asked(name, SubjectKind.MERGE),
            objection=asked(f"{name}-o"),
        )
    )


def kinds(ports: Workspace, user_key: UserKey) -> list[SubjectKind]:
    return [request.kind for request in ports.subjects.of_customer(user_key)]


def test_the_purchases_of_both_are_the_ones_by_event_and_the_other_is_unknown(
    known: Workspace, customer: Customer
) -> None:
    assert merge(known, customer) is MergeStatus.ACKNOWLEDGED
    assert sorted(known.histories.history(customer(INTO)).purchases["item"].tolist()) == [1, 2, 3]
    assert known.histories.state(customer(INTO)).revision == 2
    assert known.histories.history(customer(OLD)) == EMPTY_HISTORY
    assert not known.histories.state(customer(OLD)).known
    assert [key for key, _, _ in known.histories.scan()] == [customer(INTO), customer(OTHER)]
    [(request, key)] = known.subjects.pending()
    assert (request.kind, request.account, key) == (SubjectKind.MERGE, customer(OLD), customer(INTO))


def test_of_an_event_with_two_contents_the_one_that_stays_counts(
    ports: Workspace, customer: Customer, buy: Buy
) -> None:
    ports.histories.append({customer(OLD): buy(("a", 1)), customer(INTO): buy(("a", 2))})
    merge(ports, customer)
    assert ports.histories.history(customer(INTO)).items.tolist() == [2]
    assert ports.histories.state(customer(INTO)).revision == 1


def test_merging_again_changes_nothing(known: Workspace, customer: Customer) -> None:
    merge(known, customer)
    before = known.histories.history(customer(INTO)), known.subjects.pending()
    assert merge(known, customer, name="again") is MergeStatus.ACKNOWLEDGED
    assert (known.histories.history(customer(INTO)), known.subjects.pending()) == before


def test_into_an_unknown_account_everything_goes(known: Workspace, customer: Customer) -> None:
    merge(known, customer, into=9)
    assert len(known.histories.history(customer(9))) == 2
    assert known.histories.state(customer(9)).revision == 1


def test_of_an_unknown_account_nothing_is_recorded(known: Workspace, customer: Customer) -> None:
    assert merge(known, customer, old=9) is MergeStatus.ACKNOWLEDGED
    assert known.subjects.pending() == ()
    assert known.histories.state(customer(INTO)).revision == 1


def test_the_account_is_new_afterwards_and_can_be_merged_again(known: Workspace, customer: Customer, buy: Buy) -> None:
    merge(known, customer)
    known.histories.append({customer(OLD): buy(("e", 5))})
    assert known.histories.state(customer(OLD)).revision == 1
    merge(known, customer, name="again")
    assert len(known.histories.history(customer(INTO))) == 4
    assert [request.request_id for request, _ in known.subjects.pending()] == ["again"]


def test_terms_stay_where_they_are_and_the_request_lists_their_sums(known: Workspace, customer: Customer) -> None:
    known.sums.create_sum("s", b"both", [(customer(OLD), b"old"), (customer(INTO), b"into")])
    known.sums.create_sum("t", b"one", [(customer(OLD), b"old")])
    merge(known, customer)
    assert known.sums.terms_of(customer(OLD)) == {"s": b"old", "t": b"old"}
    assert known.sums.terms_of(customer(INTO)) == {"s": b"into"}
    assert known.subjects.accounts(customer(INTO)) == Accounts({customer(OLD): frozenset({"s", "t"})}, frozenset())
    assert known.subjects.accounts(customer(OLD)) == Accounts({}, frozenset({"s", "t"}))


def test_terms_of_the_id_when_it_is_used_anew_are_not_those_that_went(
    known: Workspace, customer: Customer, buy: Buy
) -> None:
    known.sums.create_sum("s", b"one", [(customer(OLD), b"old")])
    merge(known, customer)
    known.histories.append({customer(OLD): buy(("e", 5))})
    known.sums.create_sum("t", b"later", [(customer(OLD), b"new")])
    merge(known, customer, into=OTHER, name="n")
    assert known.subjects.accounts(customer(INTO)).merged == {customer(OLD): frozenset({"s"})}
    assert known.subjects.accounts(customer(OTHER)).merged == {customer(OLD): frozenset({"t"})}
    assert known.subjects.accounts(customer(OLD)).left == {"s", "t"}


def test_a_second_merge_of_the_same_two_takes_what_came_since_beside_what_went(
    known: Workspace, customer: Customer, buy: Buy
) -> None:
    known.sums.create_sum("s", b"one", [(customer(OLD), b"old")])
    merge(known, customer)
    assert merge(known, customer, name="nothing new") is MergeStatus.ACKNOWLEDGED
    known.histories.append({customer(OLD): buy(("e", 5))})
    known.sums.create_sum("t", b"later", [(customer(OLD), b"new")])
    assert [request.request_id for request, _ in known.subjects.pending()] == ["m"]
    merge(known, customer, name="n")
    assert known.subjects.accounts(customer(INTO)).merged == {customer(OLD): frozenset({"s", "t"})}
    assert [request.request_id for request, _ in known.subjects.pending()] == ["n"]


def test_terms_of_both_accounts_are_replaced_in_one_step(known: Workspace, customer: Customer) -> None:
    known.sums.create_sum("s", b"both", [(customer(OLD), b"old"), (customer(INTO), b"into")])
    merge(known, customer)
    known.subjects.apply("m", {"s": b"one"}, {customer(OLD): {"s": b""}, customer(INTO): {"s": b"all"}}, {})
    assert known.sums.load_sum("s") == b"one"
    assert known.sums.terms_of(customer(OLD)) == {"s": b""}
    assert known.sums.terms_of(customer(INTO)) == {"s": b"all"}


@pytest.mark.parametrize("erased", [OLD, INTO])
@pytest.mark.parametrize("finished", [False, True])
def test_of_who_was_erased_nothing_is_taken_along_or_taken_in(
    known: Workspace, customer: Customer, erasure_request: Ask, erased: int, finished: bool
) -> None:
    known.erasures.suppress(erasure_request("e"), customer(erased))
    if finished:
        known.erasures.erase_customers({"e": {}}, {})
    before = [known.histories.history(customer(number)) for number in (OLD, INTO)]
    assert merge(known, customer) is MergeStatus.ACKNOWLEDGED
    assert [known.histories.history(customer(number)) for number in (OLD, INTO)] == before
    assert known.subjects.pending() == ()
    assert known.subjects.accounts(customer(INTO)).merged == {}
    assert list(known.erasures.suppressed()) == [customer(erased)]


@pytest.mark.parametrize("restricted", [OLD, INTO])
def test_where_one_is_restricted_nothing_changes(known: Workspace, customer: Customer, restricted: int) -> None:
    known.subjects.limit(asked("r", SubjectKind.RESTRICTION), customer(restricted))
    assert merge(known, customer) is MergeStatus.RESTRICTED
    assert len(known.histories.history(customer(OLD))) == 2
    assert [request.kind for request, _ in known.subjects.pending()] == [SubjectKind.RESTRICTION]


def test_an_erasure_counts_before_a_restriction(known: Workspace, customer: Customer, erasure_request: Ask) -> None:
    """As of a stranger."""
    known.subjects.limit(asked("r", SubjectKind.RESTRICTION), customer(OLD))
    known.erasures.suppress(erasure_request("e"), customer(OLD))
    assert merge(known, customer) is MergeStatus.ACKNOWLEDGED


@pytest.mark.parametrize("corrected_one", [OLD, INTO])
def test_until_sums_follow_a_correction_nothing_changes(
    known: Workspace, customer: Customer, corrected_one: int
) -> None:
    known.subjects.rectify(asked("c", SubjectKind.RECTIFICATION), customer(corrected_one), deleting("a"))
    assert merge(known, customer) is MergeStatus.UNSETTLED
    assert known.subjects.accounts(customer(INTO)).merged == {}
    known.subjects.apply("c", {}, {}, {})
    assert merge(known, customer) is MergeStatus.ACKNOWLEDGED
    assert kinds(known, customer(INTO)) == [SubjectKind.RECTIFICATION, SubjectKind.MERGE]
    assert kinds(known, customer(OLD)) == []


def test_an_objection_holds_for_both(known: Workspace, customer: Customer) -> None:
    known.subjects.limit(asked("o"), customer(OLD))
    merge(known, customer)
    assert list(known.subjects.limited()) == [customer(OLD), customer(INTO)]
    assert known.histories.state(customer(INTO)).suppressed
    assert kinds(known, customer(INTO)) == [SubjectKind.OBJECTION, SubjectKind.MERGE]


def test_who_objected_already_has_one_objection(known: Workspace, customer: Customer) -> None:
    for number in (OLD, INTO):
        known.subjects.limit(asked(f"o{number}"), customer(number))
    merge(known, customer)
    assert kinds(known, customer(INTO)) == [SubjectKind.OBJECTION, SubjectKind.MERGE]


def test_accounts_of_an_account_come_along_and_none_is_its_own(known: Workspace, customer: Customer, buy: Buy) -> None:
    merge(known, customer)
    known.subjects.apply("m", {}, {}, {})
    known.subjects.finish("m", {})
    merge(known, customer, old=INTO, into=OTHER, name="n")
    assert set(known.subjects.accounts(customer(OTHER)).merged) == {customer(OLD), customer(INTO)}
    assert known.subjects.accounts(customer(INTO)).merged == {}
    states = [(r.request_id, r.state) for r in known.subjects.of_customer(customer(OTHER))]
    assert states == [("m", SubjectState.DONE), ("n", SubjectState.ACKNOWLEDGED)]
    known.histories.append({customer(OLD): buy(("e", 5))})
    merge(known, customer, old=OTHER, into=OLD, name="back")
    assert set(known.subjects.accounts(customer(OLD)).merged) == {customer(INTO), customer(OTHER)}
    assert len(known.histories.history(customer(OLD))) == 5


def test_an_account_without_purchases_hands_on_what_was_merged_into_it(known: Workspace, customer: Customer) -> None:
    known.sums.create_sum("s", b"one", [(customer(9), b"nine")])
    merge(known, customer, old=9, into=8, name="m")
    merge(known, customer, old=8, name="n")
    assert known.subjects.accounts(customer(INTO)).merged == {customer(9): frozenset({"s"}), customer(8): frozenset()}


def test_an_erasure_destroys_the_merge_and_leaves_those_of_others(
    known: Workspace, customer: Customer, erasure_request: Ask
) -> None:
    merge(known, customer)
    known.erasures.suppress(erasure_request("e"), customer(INTO))
    known.erasures.erase_customers({"e": {}}, {})
    assert known.subjects.accounts(customer(INTO)).merged == {}
    assert known.subjects.of_customer(customer(INTO)) == ()


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_a_limit_is_lifted_alone(known: Workspace, customer: Customer, kind: SubjectKind) -> None:
    merge(known, customer)
    known.subjects.limit(asked("l", kind), customer(INTO))
    known.subjects.lift(customer(INTO), kind)
    assert kinds(known, customer(INTO)) == [SubjectKind.MERGE]
