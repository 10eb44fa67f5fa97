from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.timestamps import first_failure, milliseconds, shape
from recsys.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def expected(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def text(*values: str) -> pa.Array:
    return pa.array(values, pa.large_string())


@given(
    st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from(["ms", "us", "ns"]), st.sampled_from([None, "+02:00"])
)
def test_timestamps_of_any_unit_and_zone_are_the_same_instant(
    moments: list[datetime], unit: str, zone: str | None
) -> None:
    if unit == "ms":
        moments = [moment.replace(microsecond=0) for moment in moments]
    column = pa.array(moments, pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, zone))
    assert milliseconds(column).tolist() == [expected(moment) for moment in moments]


@given(st.lists(st.tuples(MOMENTS, st.one_of(st.none(), ZONES)), min_size=1, max_size=5), st.sampled_from("T "))
def test_iso_text_with_or_without_a_zone_is_the_same_instant(
    moments: list[tuple[datetime, timezone | None]], separator: str
) -> None:
    spelled = [
        moment.replace(tzinfo=None).isoformat(separator)
        if zone is None
        else moment.astimezone(zone).isoformat(separator)
        for moment, zone in moments
    ]
    assert milliseconds(text(*spelled)).tolist() == [expected(moment) for moment, _ in moments]


@given(st.lists(st.integers(0, 4_102_444_800_000), min_size=1, max_size=5))
def test_numbers_reach_the_same_instant_in_seconds_and_in_milliseconds(moments: list[int]) -> None:
    moments = [*moments, 1_700_000_000_123]
    in_ms = pa.array(moments, pa.int64())
    in_seconds = pa.array([moment / 1000 for moment in moments], pa.float64())
    assert milliseconds(in_ms).tolist() == milliseconds(in_seconds).tolist() == moments


@pytest.mark.parametrize(
    ("column", "moment"),
    [
        (pa.array([1_300_000_000], pa.int32()), 1_300_000_000_000),
        (pa.array([1_300_000_000], pa.timestamp("s")), 1_300_000_000_000),
        (pa.array([-86_400], pa.int64()), -86_400_000),
        (pa.array([date(2011, 1, 2)]), 1_293_926_400_000),
        (pa.array([date(2011, 1, 2)], pa.date64()), 1_293_926_400_000),
        (text("2011-01-02"), 1_293_926_400_000),
        (text(" 2011-01-02 03:04 "), 1_293_937_440_000),
        (text("2011-01-02T03:04:05.1234567Z"), 1_293_937_445_123),
        (text("2011-01-02T03:04:05+0200"), 1_293_930_245_000),
        (text("2011-01-02T03Z"), 1_293_937_200_000),
        (text("1300000000"), 1_300_000_000_000),
        (text("1300000000123"), 1_300_000_000_123),
        (text("0"), 0),
    ],
    ids=str,
)
def test_a_spelling_of_a_time_is_read(column: pa.Array, moment: int) -> None:
    assert milliseconds(column).tolist() == [moment]


def test_one_large_number_makes_the_whole_column_milliseconds() -> None:
    assert milliseconds(pa.array([5_000, 10**11])).tolist() == [5_000, 10**11]
    assert milliseconds(pa.array([5_000, 10**11 - 1])).tolist() == [5_000_000, (10**11 - 1) * 1000]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (text("2011-01-02", "12/31/2011"), r"row 2, got 99/99/9999"),
        (text("2011-01-02", "2011-02-30", "x"), r"row 2, got 9999-99-99"),
        (text("2011-01-02", "ann smith"), r"row 2, got aaa aaaaa"),
        (text("2011-01-02", "x" * 99), r"row 2, got a{32}\.\.\."),
        (text("2011-01-02", ""), r"row 2"),
        (text("2011-01-02", "1300000000"), r"row 2, got 9999999999"),
        (pa.array([EPOCH, None]), r"row 2, got nothing"),
        (pa.array([0, 10**12], pa.timestamp("s")), r"row 2, got a time outside the years 1 to 9999"),
        (pa.array([0, -(2**62)], pa.timestamp("ms")), r"row 2, got a time outside"),
        (text("0000-12-31"), r"row 1, got a time outside"),
        (pa.array([0.0, float("nan")]), r"row 2, got a number that is not finite"),
        (pa.array([1_300_000_000_000_000]), r"got finer units; write the times as"),
        (pa.array([20110101, 20111231]), r"got eight-digit numbers that read as dates"),
        (pa.array([True]), r"got bool; convert"),
        (pa.array([None]), r"row 1, got nothing"),
    ],
    ids=str,
)
def test_a_time_that_cannot_be_used_is_refused_by_row_and_shape(column: pa.Array, said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        milliseconds(column)
    assert refusal.value.__cause__ is None


@given(st.lists(st.booleans(), max_size=40))
def test_the_first_failure_is_found_wherever_it_is(good: list[bool]) -> None:
    column = pa.array(["2011-01-01" if ok else "never" for ok in good], pa.large_string())
    first = next((row for row, ok in enumerate(good, start=1) if not ok), None)
    assert first_failure(column, lambda part: part.cast(pa.timestamp("ms"))) == first


@given(st.text())
def test_a_shape_holds_no_letter_and_no_digit_of_the_value(value: str) -> None:
    shown = shape(value)
    assert len(shown) <= 35
    assert all(character in "a9" or not character.isalnum() or character.isnumeric() for character in shown)


def test_times_are_64_bit_integers() -> None:
    assert milliseconds(pa.array([0.5])).dtype == np.int64
