"""What every queue of erasures keeps."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from recsys.data.history import EMPTY_HISTORY, Purchases
from recsys.erasure.rules import FIRST_DELAY, extended, put_off
from recsys.errors import ErasureConflictError, NotFoundError, StateError, StateLockedError
from recsys.store.workspace import Workspace
from recsys.types import Backlog, CustomerState, ErasureRequest, ErasureState, UserKey, Webhook, WebhookEvent
from tests.contracts.conftest import NOON
from tests.contracts.entries import entering

STEPS = (ErasureState.ERASED, ErasureState.RELEASED, ErasureState.PURGED, ErasureState.VERIFIED)


@pytest.fixture
def known(
    ports: Workspace,
    customer: Callable[[int], UserKey],
    buy: Callable[..., Purchases],
    erasure_request: Callable[..., ErasureRequest],
) -> Workspace:
    """Two customers in two sums; the first asked to be forgotten."""
    ports.histories.append({customer(1): buy(("a", 1)), customer(2): buy(("a", 2))})
    for sum_id in ("s", "t"):
        ports.sums.create_sum(sum_id, b"both", [(customer(1), b"one"), (customer(2), b"two")])
    ports.sums.create_sum("other", b"second only", [(customer(2), b"two")])
    ports.erasures.suppress(erasure_request("r"), customer(1))
    return ports


def finish(ports: Workspace, request_id: str, receipt: bytes) -> bytes:
    ports.erasures.erase_customers({request_id: {}}, {})
    for state in STEPS[1:]:
        ports.erasures.advance(request_id, state, {})
    return ports.erasures.finish(request_id, entering(receipt), {"log": 1})


def test_suppression_holds_from_the_moment_of_the_request(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    request = erasure_request("r", release=False)
    assert ports.erasures.suppress(request, customer(1)) == request
    assert ports.erasures.request("r") == request
    assert ports.histories.state(customer(1)) == CustomerState(known=False, suppressed=True, revision=0, erased=True)


def test_a_second_request_of_a_customer_is_answered_with_the_first(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    first = ports.erasures.suppress(erasure_request("first"), customer(1))
    assert ports.erasures.suppress(erasure_request("second"), customer(1)) == first
    finish(ports, "first", b"receipt")
    assert ports.erasures.suppress(erasure_request("third"), customer(1)).state is ErasureState.RECEIPTED
    assert [request.request_id for request in ports.erasures.requests()] == ["first"]


def test_erasing_destroys_history_and_terms_and_replaces_the_listed_sums(
    known: Workspace, customer: Callable[[int], UserKey]
) -> None:
    known.erasures.erase_customers({"r": {"events": 1}}, {"s": b"without", "t": b"without too"})
    assert known.histories.history(customer(1)) == EMPTY_HISTORY
    assert known.histories.state(customer(1)) == CustomerState(known=False, suppressed=True, revision=0, erased=True)
    assert known.sums.terms_of(customer(1)) == {}
    assert [known.sums.load_sum(sum_id) for sum_id in ("s", "t", "other")] == [
        b"without",
        b"without too",
        b"second only",
    ]
    assert known.erasures.request("r").state is ErasureState.ERASED
    assert known.erasures.request("r").details == {"events": 1}


def test_erasing_one_customer_leaves_the_others_as_they_were(
    known: Workspace, customer: Callable[[int], UserKey]
) -> None:
    before = known.histories.history(customer(2)), known.histories.state(customer(2)), known.sums.terms_of(customer(2))
    known.erasures.erase_customers({"r": {}}, {"s": b"", "t": b""})
    after = known.histories.history(customer(2)), known.histories.state(customer(2)), known.sums.terms_of(customer(2))
    assert after == before


def test_many_are_erased_in_one_transaction(
    known: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    known.erasures.suppress(erasure_request("second"), customer(2))
    done = {"r": {"events": 1}, "second": {"events": 2}}
    with pytest.raises(StateError, match="for other;"):
        known.erasures.erase_customers(done, {"s": b"", "t": b""})
    assert known.sums.terms_of(customer(1))

    known.erasures.erase_customers(done, {"s": b"nobody", "t": b"nobody", "other": b"nobody"})
    assert [known.sums.load_sum(sum_id) for sum_id in ("s", "t", "other")] == [b"nobody"] * 3
    for request_id, user_key in (("r", customer(1)), ("second", customer(2))):
        assert known.erasures.request(request_id).details == done[request_id]
        assert known.sums.terms_of(user_key) == {}
        assert known.histories.history(user_key) == EMPTY_HISTORY


def test_erasing_again_changes_nothing(known: Workspace) -> None:
    known.erasures.erase_customers({"r": {"events": 1}}, {"s": b"without", "t": b"without"})
    known.erasures.erase_customers({"r": {"events": 0}}, {"s": b"changed", "t": b"changed"})
    assert known.sums.load_sum("s") == b"without"
    assert known.erasures.request("r").details == {"events": 1}


def test_erasing_is_refused_while_a_sum_would_keep_the_customer(
    known: Workspace, customer: Callable[[int], UserKey]
) -> None:
    with pytest.raises(StateError, match="for t;"):
        known.erasures.erase_customers({"r": {}}, {"s": b"without"})
    assert known.sums.load_sum("s") == b"both"
    assert known.sums.terms_of(customer(1)) == {"s": b"one", "t": b"one"}
    assert len(known.histories.history(customer(1)))


def test_erasing_with_an_unknown_sum_does_nothing(known: Workspace, customer: Callable[[int], UserKey]) -> None:
    with pytest.raises(NotFoundError):
        known.erasures.erase_customers({"r": {}}, {"s": b"-", "t": b"-", "nothing": b"-"})
    assert known.sums.load_sum("s") == b"both"
    assert len(known.histories.history(customer(1)))
    assert known.erasures.request("r").state is ErasureState.SUPPRESSED


def test_an_erased_customer_stays_out(
    known: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    known.erasures.erase_customers({"r": {}}, {"s": b"", "t": b""})
    assert known.histories.append({customer(1): buy(("z", 9))}) == {customer(1): None}
    assert not len(known.histories.history(customer(1)))
    assert [key for key, _, _ in known.histories.scan()] == [customer(2)]


def test_details_of_every_step_are_merged(known: Workspace) -> None:
    known.erasures.erase_customers({"r": {"events": 1}}, {"s": b"", "t": b""})
    known.erasures.advance("r", ErasureState.RELEASED, {"models": ["m"]})
    known.erasures.advance("r", ErasureState.RELEASED, {"models": ["m"]})
    assert known.erasures.request("r").details == {"events": 1, "models": ["m"]}
    assert known.erasures.request("r").state is ErasureState.RELEASED


def test_a_request_never_goes_back(known: Workspace) -> None:
    known.erasures.erase_customers({"r": {}}, {"s": b"", "t": b""})
    known.erasures.advance("r", ErasureState.RELEASED, {})
    with pytest.raises(StateError, match="in their order"):
        known.erasures.advance("r", ErasureState.ERASED, {})
    assert known.erasures.request("r").state is ErasureState.RELEASED


@pytest.mark.parametrize("state", [*STEPS[1:], ErasureState.RECEIPTED, ErasureState.CANCELLED])
def test_no_step_can_be_left_out(known: Workspace, state: ErasureState) -> None:
    with pytest.raises(StateError, match="in their order"):
        known.erasures.advance("r", state, {})
    assert known.erasures.request("r").state is ErasureState.SUPPRESSED


def test_a_receipt_is_refused_before_the_steps_are_done(known: Workspace) -> None:
    with pytest.raises(StateError):
        known.erasures.finish("r", entering(b"receipt"), {})
    with pytest.raises(NotFoundError, match="suppressed so far"):
        known.erasures.receipt("r")


def test_the_first_receipt_stays(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.erasures.suppress(erasure_request("r"), customer(1))
    assert finish(ports, "r", b"first") == b"first"
    assert ports.erasures.finish("r", entering(b"second"), {"log": 2}) == b"first"
    assert ports.erasures.receipt("r") == b"first"
    assert ports.erasures.request("r").details == {"log": 1}


def test_what_is_receipted_no_longer_changes(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    ports.erasures.suppress(erasure_request("r"), customer(1))
    finish(ports, "r", b"receipt")
    ports.erasures.advance("r", ErasureState.RECEIPTED, {"more": True})
    assert ports.erasures.request("r").details == {"log": 1}


def test_requests_come_oldest_first_and_the_finished_ones_are_not_pending(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    for number, request_id in enumerate(("z", "a", "m")):
        ports.erasures.suppress(erasure_request(request_id), customer(number))
    finish(ports, "a", b"receipt")
    assert [request.request_id for request in ports.erasures.requests()] == ["z", "a", "m"]
    assert [(request.request_id, key) for request, key in ports.erasures.pending()] == [
        ("z", customer(0)),
        ("m", customer(2)),
    ]
    assert [(request.request_id, key) for request, key in ports.erasures.customers()] == [
        ("z", customer(0)),
        ("a", customer(1)),
        ("m", customer(2)),
    ]


@pytest.mark.parametrize("method", ["request", "receipt"])
def test_an_unknown_request_is_not_found_and_not_repeated(ports: Workspace, method: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        getattr(ports.erasures, method)("alice@example.org")
    assert "alice" not in str(caught.value)


def test_whoever_is_suppressed_is_listed_in_the_order_of_keys(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    for number in (3, 1, 2):
        ports.erasures.suppress(erasure_request(f"r{number}"), customer(number))
    finish(ports, "r1", b"receipt")
    assert list(ports.erasures.suppressed()) == [customer(1), customer(2), customer(3)]


def test_the_backlog_is_what_is_not_receipted(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    assert ports.erasures.backlog() == Backlog(pending=0, oldest=None, due=None)
    for number, days in enumerate((3, 1, 2)):
        came = NOON - timedelta(days=days)
        asked = replace(erasure_request(str(number)), received_at=came, due_at=came + timedelta(days=30))
        ports.erasures.suppress(asked, customer(number))

    assert ports.erasures.backlog() == Backlog(
        pending=3, oldest=NOON - timedelta(days=3), due=NOON + timedelta(days=27)
    )
    finish(ports, "0", b"receipt")
    assert ports.erasures.backlog() == Backlog(
        pending=2, oldest=NOON - timedelta(days=2), due=NOON + timedelta(days=28)
    )


def test_the_backlog_tells_what_somebody_has_to_look_at(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    for number, days in enumerate((-1, 1, 2)):
        asked = replace(erasure_request(str(number)), due_at=NOON + timedelta(days=days))
        ports.erasures.suppress(asked, customer(number))
    for request_id in ("1", "2"):
        ports.erasures.change(request_id, lambda request: replace(request, stuck=True))
    ports.erasures.cancel("2")

    found = ports.erasures.backlog()
    assert (found.pending, found.overdue, found.stuck) == (2, 1, 1)


# What can still be changed.


def test_a_rule_changes_a_request_and_a_step_that_is_taken_forgets_the_failures(known: Workspace) -> None:
    failed = known.erasures.change("r", lambda request: put_off(request, "StorageError: full", NOON))
    assert failed == known.erasures.request("r")
    assert (failed.attempts, failed.problem, failed.next_at) == (1, "StorageError: full", NOON + FIRST_DELAY)
    known.erasures.erase_customers({"r": {}}, {"s": b"", "t": b""})
    went_on = known.erasures.request("r")
    assert (went_on.attempts, went_on.problem, went_on.next_at) == (0, "", None)


def test_a_rule_that_refuses_changes_nothing(known: Workspace) -> None:
    extension = known.erasures.change("r", lambda request: extended(request, "three systems"))
    with pytest.raises(ErasureConflictError):
        known.erasures.change("r", lambda request: extended(request, "four systems"))
    assert known.erasures.request("r") == extension


def test_a_cancelled_request_keeps_nobody_out_and_what_was_known_is_still_there(
    known: Workspace, customer: Callable[[int], UserKey], buy: Callable[..., Purchases]
) -> None:
    assert [known.erasures.cancel("r") for _ in range(2)] == [customer(1)] * 2
    assert known.histories.state(customer(1)) == CustomerState(known=True, suppressed=False, revision=1)
    assert set(known.sums.terms_of(customer(1))) == {"s", "t"}
    merged = known.histories.append({customer(1): buy(("z", 9))})[customer(1)]
    assert merged is not None
    assert merged.accepted == 1
    assert (known.erasures.pending(), list(known.erasures.suppressed())) == ((), [])


@pytest.mark.parametrize("n_steps", range(1, 5))
def test_nothing_is_cancelled_once_something_was_destroyed(
    known: Workspace, customer: Callable[[int], UserKey], n_steps: int
) -> None:
    known.erasures.erase_customers({"r": {}}, {"s": b"", "t": b""})
    for state in STEPS[1:n_steps]:
        known.erasures.advance("r", state, {})
    with pytest.raises(ErasureConflictError, match="cannot be cancelled"):
        known.erasures.cancel("r")
    assert known.histories.state(customer(1)).suppressed


def test_what_was_cancelled_is_not_erased(known: Workspace, customer: Callable[[int], UserKey]) -> None:
    known.erasures.cancel("r")
    with pytest.raises(StateError):
        known.erasures.erase_customers({"r": {}}, {"s": b"", "t": b""})
    assert known.sums.load_sum("s") == b"both"
    assert known.histories.state(customer(1)).known


def test_who_cancelled_can_ask_again_and_the_new_request_keeps_them_out(
    known: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    known.erasures.cancel("r")
    assert known.erasures.suppress(erasure_request("again"), customer(1)).request_id == "again"
    assert known.erasures.cancel("r") == customer(1)
    assert known.histories.state(customer(1)).suppressed
    assert [request.request_id for request, _ in known.erasures.pending()] == ["again"]


def test_a_fresh_consent_lets_a_customer_in_with_nothing_of_before(
    known: Workspace,
    customer: Callable[[int], UserKey],
    buy: Callable[..., Purchases],
    erasure_request: Callable[..., ErasureRequest],
) -> None:
    known.erasures.erase_customers({"r": {}}, {"s": b"", "t": b""})
    with pytest.raises(ErasureConflictError, match="wait for its receipt"):
        known.erasures.lift(customer(1))
    for state in STEPS[1:]:
        known.erasures.advance("r", state, {})
    known.erasures.finish("r", entering(b"receipt"), {})
    assert known.erasures.holding(customer(1)) == known.erasures.request("r")
    assert known.erasures.lift(customer(1)) == known.erasures.request("r")
    assert known.erasures.holding(customer(1)) is None
    assert known.erasures.lift(customer(1)) is None
    assert known.histories.state(customer(1)) == CustomerState(known=False, suppressed=False, revision=0)
    known.histories.append({customer(1): buy(("z", 9))})
    assert len(known.histories.history(customer(1))) == 1
    assert known.erasures.suppress(erasure_request("again"), customer(1)).request_id == "again"
    assert known.erasures.receipt("r") == b"receipt"


def test_webhooks_are_told_once_of_a_request_that_is_due_soon_and_of_one_that_is_stuck(
    known: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    events = frozenset({WebhookEvent.ERASURE_DUE_SOON, WebhookEvent.ERASURE_STUCK})
    webhook = Webhook(webhook_id="w", url="https://w.example/in", events=events, created_at=NOON)
    known.webhooks.create(webhook)
    known.erasures.suppress(replace(erasure_request("later"), due_at=NOON + timedelta(days=31)), customer(2))
    assert [known.erasures.warn(NOON + timedelta(days=days)) for days in (29, 30, 30, 31)] == [0, 1, 0, 1]
    for _ in range(2):
        known.erasures.change("r", lambda request: replace(request, stuck=True))

    told = [json.loads(each.body) for each in known.webhooks.due(NOON, 100)]
    assert [(each["type"], each["data"]["request_id"]) for each in told] == [
        ("erasure.due_soon", "r"),
        ("erasure.due_soon", "later"),
        ("erasure.stuck", "r"),
    ]
    assert told[0]["data"] == {"request_id": "r", "state": "suppressed", "due_at": "2026-03-02T12:00:00.000Z"}


def test_requests_are_counted(
    ports: Workspace, customer: Callable[[int], UserKey], erasure_request: Callable[..., ErasureRequest]
) -> None:
    counts = [ports.erasures.count()]
    for number in (1, 2, 2):
        ports.erasures.suppress(erasure_request(f"r{number}"), customer(number))
        counts.append(ports.erasures.count())

    assert counts == [0, 1, 2, 2]


def test_only_one_worker_is_at_work_and_the_next_one_after_it(ports: Workspace) -> None:
    for _ in range(2):
        with ports.erasures.working():
            other = ports.erasures.working()
            with pytest.raises(StateLockedError, match="another one is at work"), other:
                pass
