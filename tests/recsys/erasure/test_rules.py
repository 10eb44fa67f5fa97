"""The way of a request, as rules without any store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from recsys.erasure.rules import (
    FIRST_DELAY,
    LONGEST_DELAY,
    MAX_ATTEMPTS,
    MAX_REASON,
    ORDER,
    advanced,
    cancelled,
    extended,
    is_erased,
    is_ready,
    put_off,
    tried_again,
)
from recsys.errors import ErasureConflictError, InputError, StateError
from recsys.types import ErasureRequest, ErasureState

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ASKED = ErasureRequest(
    request_id="r",
    subject="ab" * 32,
    reason="customer request",
    received_at=NOON,
    due_at=NOON + 30 * DAY,
    state=ErasureState.SUPPRESSED,
    release=False,
)
FINISHED = replace(ASKED, state=ErasureState.RECEIPTED)
CANCELLED = replace(ASKED, state=ErasureState.CANCELLED)


def failing(times: int) -> list[ErasureRequest]:
    """The request after each attempt, each made when its time had come."""
    found, now = [ASKED], NOON
    for _ in range(times):
        now = found[-1].next_at or now
        found.append(put_off(found[-1], "StorageError: the disk is full", now))
    return found[1:]


def test_every_state_but_cancelled_is_on_the_way_to_the_receipt() -> None:
    assert set(ErasureState) - set(ORDER) == {ErasureState.CANCELLED}
    assert [is_erased(replace(ASKED, state=state)) for state in (*ORDER, ErasureState.CANCELLED)] == [
        False,
        *[True] * 5,
        False,
    ]


@pytest.mark.parametrize("before", ErasureState)
@pytest.mark.parametrize("after", ErasureState)
def test_a_step_leads_to_the_next_state_or_to_the_same_and_to_no_other(
    before: ErasureState, after: ErasureState
) -> None:
    request = replace(ASKED, state=before)
    if (before, after) in {*zip(ORDER, ORDER, strict=True), *pairwise(ORDER)}:
        assert advanced(request, after, {}).state is after
    else:
        with pytest.raises(StateError, match="in their order"):
            advanced(request, after, {})


def test_attempts_come_later_and_later_and_at_last_the_request_is_stuck() -> None:
    failed = failing(MAX_ATTEMPTS)
    moments = [NOON, *(each.next_at or NOON for each in failed)]
    waits = [later - earlier for earlier, later in pairwise(moments)]
    assert waits[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert max(waits) == LONGEST_DELAY
    assert [each.stuck for each in failed] == [False] * (MAX_ATTEMPTS - 1) + [True]
    assert DAY < moments[-2] - NOON < 3 * DAY


def test_a_request_is_tried_when_its_time_has_come_and_not_before() -> None:
    failed = failing(1)[0]
    assert is_ready(ASKED, NOON)
    assert not is_ready(failed, NOON)
    assert is_ready(failed, NOON, waiting=True)
    assert is_ready(failed, NOON + FIRST_DELAY)


@pytest.mark.parametrize("waiting", [False, True])
def test_the_days_of_grace_are_kept_and_what_is_stuck_or_done_is_left(waiting: bool) -> None:
    in_grace = replace(ASKED, next_at=NOON + DAY)
    assert not is_ready(in_grace, NOON, waiting=waiting)
    assert is_ready(in_grace, NOON + DAY, waiting=waiting)
    for request in (failing(MAX_ATTEMPTS)[-1], FINISHED, CANCELLED):
        assert not is_ready(request, NOON + 100 * DAY, waiting=waiting)


def test_what_is_stuck_goes_on_when_an_operator_says_so_and_grace_is_not_cut_short() -> None:
    assert tried_again(failing(MAX_ATTEMPTS)[-1]) == ASKED
    in_grace = replace(ASKED, next_at=NOON + DAY)
    assert tried_again(in_grace) == in_grace


def test_a_failure_that_comes_after_the_end_changes_nothing() -> None:
    assert [put_off(request, "late", NOON) for request in (FINISHED, CANCELLED)] == [FINISHED, CANCELLED]


def test_a_request_is_extended_once_by_less_than_two_months_of_any_calendar() -> None:
    longer = extended(ASKED, "three systems")
    assert (longer.due_at - ASKED.due_at, longer.extension) == (timedelta(days=59), "three systems")
    with pytest.raises(ErasureConflictError, match="no more"):
        extended(longer, "four systems")


@pytest.mark.parametrize("reason", ["", "x" * (MAX_REASON + 1), "two\nlines"])
def test_an_extension_needs_a_reason_that_can_stand_in_a_record(reason: str) -> None:
    with pytest.raises(InputError, match="expected a reason"):
        extended(ASKED, reason)


@pytest.mark.parametrize("request_", [FINISHED, CANCELLED], ids=["finished", "cancelled"])
def test_what_is_over_is_neither_extended_nor_tried_again(request_: ErasureRequest) -> None:
    with pytest.raises(ErasureConflictError):
        extended(request_, "late")
    with pytest.raises(ErasureConflictError):
        tried_again(request_)


def test_only_what_destroyed_nothing_is_cancelled() -> None:
    assert cancelled(ASKED).state is cancelled(CANCELLED).state is ErasureState.CANCELLED
    for state in ORDER[1:]:
        with pytest.raises(ErasureConflictError, match="cannot be cancelled"):
            cancelled(replace(ASKED, state=state))
