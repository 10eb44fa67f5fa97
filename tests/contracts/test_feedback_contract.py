"""Feedback: an event counts once, a list by what was seen of it, and digests stay no longer than they are needed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.store.memory import MemoryFeedback
from recsys.store.tally import BITS, BOUGHT, CLICKED, SHOWN
from recsys.store.workspace import Workspace
from recsys.types import FeedbackEntry, FeedbackStatus, FeedbackTotals, FeedbackType
from tests.contracts.conftest import NOON

DAY = timedelta(days=1)
IMPRESSION, CLICK, PURCHASE = FeedbackType
ACCEPTED, DUPLICATE, CONFLICT = FeedbackStatus.ACCEPTED, FeedbackStatus.DUPLICATE, FeedbackStatus.CONFLICT


def entry(
    event: str,
    kind: FeedbackType = IMPRESSION,
    *,
    content: str = "same",
    of: str = "list",
    model: str = "model",
    day: int = 1,
    until: datetime = NOON + DAY,
) -> FeedbackEntry:
    return FeedbackEntry(
        event=event.encode(),
        content=content.encode(),
        list_id=of.encode(),
        model=model.encode(),
        day=day,
        type=kind,
        expires_at=int(until.timestamp()),
    )


def test_nothing_is_counted_at_first(ports: Workspace) -> None:
    assert ports.feedback.totals() == {}
    assert ports.feedback.count([], NOON) == []
    assert ports.feedback.totals() == {}


def test_an_event_counts_once_within_a_batch_and_later(ports: Workspace) -> None:
    batch = [entry("1"), entry("1"), entry("1", content="other"), entry("2", CLICK)]

    assert ports.feedback.count(batch, NOON) == [ACCEPTED, DUPLICATE, CONFLICT, ACCEPTED]
    before = ports.feedback.totals()
    assert ports.feedback.count(batch, NOON) == [DUPLICATE, DUPLICATE, CONFLICT, DUPLICATE]
    assert ports.feedback.totals() == before
    assert before == {b"model": FeedbackTotals(impressions=1, clicks=1, lists_shown=1, lists_clicked=1)}


def test_a_list_that_nobody_saw_has_no_part_in_the_shares(ports: Workspace) -> None:
    ports.feedback.count([entry("1", CLICK), entry("2", PURCHASE)], NOON)
    unseen = ports.feedback.totals()
    ports.feedback.count([entry("3", IMPRESSION)], NOON)

    assert unseen == {b"model": FeedbackTotals(clicks=1, purchases=1)}
    assert ports.feedback.totals() == {
        b"model": FeedbackTotals(impressions=1, clicks=1, purchases=1, lists_shown=1, lists_clicked=1, lists_bought=1)
    }


def test_a_list_counts_once_however_often_it_was_shown(ports: Workspace) -> None:
    batches = [[entry(f"{n}", kind) for n in range(start, start + 5)] for start, kind in ((0, IMPRESSION), (9, CLICK))]
    for batch in batches:
        ports.feedback.count(batch, NOON)

    assert ports.feedback.totals() == {
        b"model": FeedbackTotals(impressions=5, clicks=5, lists_shown=1, lists_clicked=1)
    }


def test_versions_are_counted_apart(ports: Workspace) -> None:
    ports.feedback.count([entry("1", model="a"), entry("2", model="b", of="other")], NOON)
    ports.feedback.count([entry("3", CLICK, model="b", of="other")], NOON)

    assert ports.feedback.totals() == {
        b"a": FeedbackTotals(impressions=1, lists_shown=1),
        b"b": FeedbackTotals(impressions=1, clicks=1, lists_shown=1, lists_clicked=1),
    }


def test_totals_are_of_lists_that_were_made_since_a_day(ports: Workspace) -> None:
    for number, kind in enumerate((IMPRESSION, CLICK)):
        batch = [entry(f"{number} {day}", kind, of=f"list of {day}", day=day) for day in (3, 4, 5)]
        ports.feedback.count(batch, NOON)

    for since, lists in ((0, 3), (4, 2), (5, 1)):
        expected = FeedbackTotals(impressions=lists, clicks=lists, lists_shown=lists, lists_clicked=lists)
        assert ports.feedback.totals(since) == {b"model": expected}
    assert ports.feedback.totals(6) == {}


def test_a_large_batch_is_counted_whole(ports: Workspace) -> None:
    batch = [entry(f"{n}", of=f"list {n // 2}") for n in range(2_000)]

    assert set(ports.feedback.count(batch, NOON)) == {ACCEPTED}
    assert set(ports.feedback.count(batch, NOON)) == {DUPLICATE}
    assert ports.feedback.totals() == {b"model": FeedbackTotals(impressions=2_000, lists_shown=1_000)}


def test_what_has_expired_is_deleted_and_the_totals_stay(ports: Workspace) -> None:
    """Seen by an event that counts again: the service refuses it before, for its list is too old."""
    ports.feedback.count([entry("1"), entry("2", of="later", until=NOON + 3 * DAY)], NOON)
    ports.feedback.count([], NOON + 2 * DAY)

    assert ports.feedback.count([entry("1", until=NOON + 3 * DAY)], NOON + 2 * DAY) == [ACCEPTED]
    assert ports.feedback.count([entry("2", of="later", until=NOON + 3 * DAY)], NOON + 2 * DAY) == [DUPLICATE]
    assert ports.feedback.totals() == {b"model": FeedbackTotals(impressions=3, lists_shown=3)}


entries = st.builds(
    entry,
    st.sampled_from("abcdef"),
    st.sampled_from(FeedbackType),
    content=st.sampled_from(["x", "y"]),
    of=st.sampled_from(["l", "m"]),
)


@given(st.lists(st.lists(entries, max_size=6), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_are_counted_as_their_rows_one_by_one(batches: Sequence[Sequence[FeedbackEntry]]) -> None:
    together, alone = MemoryFeedback(), MemoryFeedback()
    statuses = [status for batch in batches for status in together.count(batch, NOON)]
    rows = [row for batch in batches for row in batch]

    assert statuses == [status for row in rows for status in alone.count([row], NOON)]
    assert together.totals() == alone.totals()
    counted = [row for row, status in zip(rows, statuses, strict=True) if status is ACCEPTED]
    seen = {name: sum({BITS[row.type] for row in counted if row.list_id == name}) for name in (b"l", b"m")}
    totals = together.totals().get(b"model", FeedbackTotals())
    assert totals.impressions + totals.clicks + totals.purchases == len(counted)
    assert totals.lists_shown == sum(bool(bits & SHOWN) for bits in seen.values())
    assert totals.lists_clicked == sum(bits & (SHOWN | CLICKED) == SHOWN | CLICKED for bits in seen.values())
    assert totals.lists_bought == sum(bits & (SHOWN | BOUGHT) == SHOWN | BOUGHT for bits in seen.values())
