import gzip
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from recsys.data.history import event_digest
from recsys.data.interactions import PurchaseLog
from recsys.data.readers import Columns, read_purchases
from recsys.errors import InputError
from recsys.types import CatalogueItem, IngestReport

WriteCsv = Callable[[str], Path]
WriteParquet = Callable[[dict[str, object]], Path]

QUANTITY = Columns(quantity="quantity")
HEADER = "user,item,timestamp,quantity\n"
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def lines(log: PurchaseLog) -> list[tuple[str, str, int, float]]:
    """Every purchase as the source would say it."""
    return [
        (log.users[user], log.items[row["item"]], int(row["timestamp"]), float(row["quantity"]))
        for user, row in zip(log.user_index, log.purchases, strict=True)
    ]


def test_a_csv_and_a_parquet_file_of_the_same_purchases_give_the_same_log(
    write_csv: WriteCsv, write_parquet: WriteParquet
) -> None:
    csv = read_purchases(
        write_csv(HEADER + "ann,tea,2025-03-01 12:00,2\nbob,tea,2025-03-01T12:00:00Z,1\nann,jam,2025-03-01 12:00,1\n"),
        QUANTITY,
    )
    parquet = read_purchases(
        write_parquet(
            {
                "quantity": [2, 1, 1],
                "timestamp": [NOON] * 3,
                "item": pa.array(["tea", "tea", "jam"]).dictionary_encode(),
                "user": ["ann", "bob", "ann"],
                "ignored": [1.5, None, 2.5],
            }
        ),
        QUANTITY,
    )
    noon = int(NOON.timestamp() * 1000)
    expected = [("ann", "jam", noon, 1.0), ("ann", "tea", noon, 2.0), ("bob", "tea", noon, 1.0)]
    assert lines(csv.log) == lines(parquet.log) == expected
    assert csv.log.purchases.tobytes() == parquet.log.purchases.tobytes()
    assert csv.report == parquet.report == IngestReport(rows=3, accepted=3)
    assert csv.catalogue == (CatalogueItem(item_id="jam"), CatalogueItem(item_id="tea"))


def test_columns_go_by_the_names_they_are_given(write_csv: WriteCsv) -> None:
    path = write_csv("when,what,who\n1300000000,tea,ann\n")
    assert lines(read_purchases(path, Columns("who", "what", "when")).log) == [("ann", "tea", 1_300_000_000_000, 1.0)]


def test_a_compressed_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "purchases.CSV.gz"
    path.write_bytes(gzip.compress((HEADER + "ann,tea,2025-03-01,1\n").encode()))
    assert read_purchases(path).report == IngestReport(rows=1, accepted=1)


def test_a_csv_may_have_a_byte_order_mark_windows_line_ends_and_quotes(write_csv: WriteCsv) -> None:
    path = write_csv("\ufeff" + 'user,item,timestamp,note\r\nann,"tea, ""green""",2025-03-01,"two\r\nlines"\r\n')
    assert read_purchases(path).log.items == ('tea, "green"',)


def test_returns_and_rows_without_an_item_are_counted_and_left_out(write_csv: WriteCsv) -> None:
    rows = ["ann,tea,2025-03-01,1", "ann,tea,2025-03-02,-1", "ann,jam,2025-03-02,0", "ann,,2025-03-02,1"]
    result = read_purchases(write_csv(HEADER + "\n".join([*rows, "eve,  ,2025-03-02,-1"])), QUANTITY)
    assert result.report == IngestReport(rows=5, accepted=1, returns=2, unmapped=2)
    assert (result.log.users, result.log.items) == (("ann",), ("tea",))


def test_without_a_quantity_column_every_row_is_one_purchase(write_csv: WriteCsv) -> None:
    result = read_purchases(write_csv(HEADER + "ann,tea,2025-03-01,-7\n"))
    assert result.log.purchases["quantity"].tolist() == [1.0]


def test_an_id_in_a_csv_keeps_its_leading_zeros_and_the_word_na(write_csv: WriteCsv) -> None:
    log = read_purchases(write_csv(HEADER + "007,NA,2025-03-01,1\n7,null,2025-03-01,1\n")).log
    assert (log.users, log.items) == (("007", "7"), ("NA", "null"))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([10, 9], pa.int16()),
        pa.array([10, 9], pa.uint64()),
        pa.array([10.0, 9.0]),
        pa.array(["10", "9"]),
        pa.array(["10", "9"], pa.large_string()),
        pa.array(["10", "9"], pa.string_view()),
        pa.array(["10", "9"]).dictionary_encode(),
        pa.array([10, 9]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_ids_of_any_whole_number_or_text_type_become_the_same_text(
    write_parquet: WriteParquet, column: pa.Array
) -> None:
    log = read_purchases(write_parquet({"user": column, "item": column, "timestamp": [NOON, NOON]})).log
    assert log.users == log.items == ("10", "9")
    assert [log.items[row["item"]] for row in log.purchases] == ["10", "9"]


def test_two_spellings_of_one_customer_are_one_customer(write_parquet: WriteParquet) -> None:
    columns = {"user": ["Zoe\u0308", "Zo\u00eb", "Abe"], "item": ["tea"] * 3, "timestamp": [NOON] * 3}
    log = read_purchases(write_parquet(columns)).log
    assert log.users == ("Abe", "Zo\u00eb")
    assert np.diff(log.offsets).tolist() == [1, 2]


def test_a_missing_number_as_pandas_writes_it_is_no_item(write_parquet: WriteParquet) -> None:
    columns = {"user": ["ann", "ann"], "item": [7.0, float("nan")], "timestamp": [NOON, NOON]}
    assert read_purchases(write_parquet(columns)).report == IngestReport(rows=2, accepted=1, unmapped=1)


@pytest.mark.parametrize("kind", [pa.int8(), pa.float32(), pa.decimal128(5, 1), pa.string()], ids=str)
def test_a_quantity_of_any_number_type_is_read(write_parquet: WriteParquet, kind: pa.DataType) -> None:
    quantity = pa.array([Decimal(2), Decimal(-1)], pa.decimal128(5, 0)).cast(kind)
    columns = {"user": ["ann"] * 2, "item": ["tea"] * 2, "timestamp": [NOON] * 2, "quantity": quantity}
    result = read_purchases(write_parquet(columns), QUANTITY)
    assert result.log.purchases["quantity"].tolist() == [2.0]
    assert result.report.returns == 1


def test_event_ids_of_a_column_are_kept_as_their_digests(write_csv: WriteCsv) -> None:
    path = write_csv("user,item,timestamp,id\nann,tea,2025-03-01,a-1\nann,jam,2025-03-02,17\n")
    log = read_purchases(path, Columns(event="id")).log
    assert log.purchases["event"].tolist() == [event_digest("a-1"), event_digest("17")]


def test_an_event_id_that_comes_again_is_a_duplicate_or_a_conflict_within_its_customer(write_csv: WriteCsv) -> None:
    rows = ["ann,tea,2025-03-01,e1", "ann,tea,2025-03-01,e1", "ann,jam,2025-03-01,e1", "bob,jam,2025-03-01,e1"]
    result = read_purchases(write_csv("user,item,timestamp,id\n" + "\n".join(rows)), Columns(event="id"))
    assert result.report == IngestReport(rows=4, accepted=2, duplicates=1, conflicts=1)
    assert [(user, item) for user, item, *_ in lines(result.log)] == [("ann", "tea"), ("bob", "jam")]


def test_equal_rows_without_event_ids_are_purchases_of_their_own(write_csv: WriteCsv) -> None:
    result = read_purchases(write_csv(HEADER + "ann,tea,2025-03-01,1\n" * 3))
    assert result.report == IngestReport(rows=3, accepted=3)
    assert len(np.unique(result.log.purchases["event"])) == 3


BAD_ROWS = {
    "no customer": (",tea,2025-03-01,1", "expected a customer in every row, got none in row 2"),
    "customer with a control character": ("secret\x07,tea,2025-03-01,1", "row 2: .* got a control character"),
    "customer of 10 kB": ("secret" * 1700 + ",tea,2025-03-01,1", "row 2: .* got 10200 bytes"),
    "item with a control character": ("ann,secret\x1b,2025-03-01,1", "row 2: expected an item id"),
    "date in another order": ("ann,tea,31.12.2025,1", r"in row 2, got 99\.99\.9999"),
    "name as a date": ("ann,tea,secret,1", "in row 2, got aaaaaa"),
    "no date": ("ann,tea,,1", "in row 2, got nothing"),
    "quantity NaN": ("ann,tea,2025-03-01,nan", "quantity in row 2"),
    "infinite quantity": ("ann,tea,2025-03-01,inf", "quantity in row 2"),
    "quantity above float32": ("ann,tea,2025-03-01,1e39", "quantity in row 2"),
    "no quantity": ("ann,tea,2025-03-01,", "quantity in row 2"),
    "quantity in words": ("ann,tea,2025-03-01,secret", "quantity in row 2"),
    "too few fields": ("secret,tea,2025-03-01", "expected 4 fields in row 2, got 3"),
    "too many fields": ("secret,tea,green,2025-03-01,1", "expected 4 fields in row 2, got 5"),
}


@pytest.mark.parametrize(("row", "said"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_row_that_cannot_be_used_is_named_by_number_and_not_repeated(
    write_csv: WriteCsv, row: str, said: str
) -> None:
    path = write_csv(f"{HEADER}ann,tea,2025-03-01,1\n{row}\nann,tea,2025-03-01,1\n")
    with pytest.raises(InputError, match=said) as refusal:
        read_purchases(path, QUANTITY)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize("option", ["user", "item", "timestamp", "quantity", "event"])
def test_a_missing_column_is_named_with_those_that_came_and_the_option(write_csv: WriteCsv, option: str) -> None:
    path = write_csv("user,item,timestamp,quantity,event\nann,tea,2025-03-01,1,e\n".replace(option, "other", 1))
    with pytest.raises(InputError, match=rf"column '{option}' .*other.*--{option}-column"):
        read_purchases(path, Columns(quantity="quantity", event="event"))


def test_a_missing_column_of_a_parquet_file_is_named(write_parquet: WriteParquet) -> None:
    path = write_parquet({"customer": ["ann"], "item": ["tea"], "timestamp": [NOON]})
    with pytest.raises(
        InputError, match=r"column 'user' .* got the columns customer, item, timestamp; .* --user-column"
    ):
        read_purchases(path)


@pytest.mark.parametrize("first", ["secret,tea,2025-03-01", "4711,5,1300000000", "secret,tea,2025-03-01T00:00:00Z"])
def test_a_file_without_a_header_is_refused_and_its_first_row_not_repeated(write_csv: WriteCsv, first: str) -> None:
    with pytest.raises(InputError, match="put a header above it") as refusal:
        read_purchases(write_csv(first + "\n"))
    assert "secret" not in str(refusal.value)
    assert "4711" not in str(refusal.value)


def test_a_column_that_is_there_twice_is_refused(write_csv: WriteCsv) -> None:
    with pytest.raises(InputError, match="got it 2 times"):
        read_purchases(write_csv("user,item,user,timestamp\na,b,c,1\n"))


def test_many_long_column_names_are_cut_in_the_message(write_csv: WriteCsv) -> None:
    with pytest.raises(InputError, match="and 10 more") as refusal:
        read_purchases(write_csv(",".join(f"c{number}{'x' * 1000}" for number in range(30)) + "\n"))
    assert len(str(refusal.value)) < 2000


def test_one_column_for_two_things_is_refused() -> None:
    with pytest.raises(InputError, match=r"no two the same, got id, id, timestamp; .*--item-column"):
        Columns("id", "id")


@pytest.mark.parametrize("name", ["purchases.xlsx", "purchases", "purchases.parquet.zip"])
def test_an_unknown_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv, \.csv\.gz, \.jsonl, \.jsonl\.gz or \.parquet"):
        read_purchases(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="got nothing there"):
        read_purchases(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="expected"):
        read_purchases(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="expected a whole"):
        read_purchases(tmp_path / name)


def test_a_header_with_nothing_under_it_is_refused(write_csv: WriteCsv, write_parquet: WriteParquet) -> None:
    empty = {name: pa.array([], pa.string()) for name in ("user", "item", "timestamp")}
    for path in (write_csv(HEADER), write_parquet(empty)):
        with pytest.raises(InputError, match="at least one row"):
            read_purchases(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_parquet_file_that_was_cut_is_refused(write_parquet: WriteParquet, kept: float) -> None:
    path = write_parquet({"user": ["ann"] * 99, "item": ["tea"] * 99, "timestamp": [NOON] * 99})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match="expected a whole Parquet file"):
        read_purchases(path)


def test_a_compressed_csv_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    text = HEADER + "".join(f"u{number},i{number * 7919 % 1009},2025-03-01,1\n" for number in range(20_000))
    path.write_bytes(gzip.compress(text.encode())[:-500])
    with pytest.raises(InputError, match="expected a whole CSV file"):
        read_purchases(path)


def test_a_csv_that_was_cut_within_a_row_is_refused_with_the_row(write_csv: WriteCsv) -> None:
    with pytest.raises(InputError, match="expected 4 fields in row 3, got 2; the file was cut there"):
        read_purchases(write_csv(HEADER + "ann,tea,2025-03-01,1\n" * 2 + "ann,te"))


@pytest.mark.parametrize("rows_before", [0, 5_000], ids=["near the header", "far from the header"])
def test_a_csv_in_another_encoding_is_refused(tmp_path: Path, rows_before: int) -> None:
    path = tmp_path / "a.csv"
    rows = "ann,tea,2025-03-01,1\n" * rows_before + "Zoë,tea,2025-03-01,1\n"
    path.write_bytes((HEADER + rows).encode("latin-1"))
    with pytest.raises(InputError, match="CSV file in UTF-8") as refusal:
        read_purchases(path)
    assert refusal.value.__cause__ is None


def test_parquet_text_that_is_not_utf_8_is_refused(write_parquet: WriteParquet) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xffsecret"]).buffers())
    with pytest.raises(InputError, match="got text that is not UTF-8"):
        read_purchases(write_parquet({"user": broken, "item": ["tea"], "timestamp": [NOON]}))


@pytest.mark.parametrize("column", [pa.array([1.5]), pa.array([True]), pa.array([b"x"]), pa.array([{"a": 1}])], ids=str)
def test_ids_of_another_type_are_refused(write_parquet: WriteParquet, column: pa.Array) -> None:
    with pytest.raises(InputError, match="expected text or whole numbers as customer ids"):
        read_purchases(write_parquet({"user": column, "item": ["tea"], "timestamp": [NOON]}))


def test_a_quantity_of_another_type_is_refused(write_parquet: WriteParquet) -> None:
    columns = {"user": ["ann"], "item": ["tea"], "timestamp": [NOON], "quantity": [True]}
    with pytest.raises(InputError, match="expected numbers as quantities, got bool"):
        read_purchases(write_parquet(columns), QUANTITY)


def test_a_row_without_an_event_id_is_refused_where_others_have_one(write_csv: WriteCsv) -> None:
    path = write_csv("user,item,timestamp,id\nann,tea,2025-03-01,e1\nann,tea,2025-03-01,\n")
    with pytest.raises(InputError, match="expected an event id in every row, got none in row 2"):
        read_purchases(path, Columns(event="id"))


def test_a_file_of_returns_alone_is_an_empty_log_with_a_report(write_csv: WriteCsv) -> None:
    result = read_purchases(write_csv(HEADER + "ann,tea,2025-03-01,-1\n"), QUANTITY)
    assert (len(result.log), result.log.users, result.log.items) == (0, (), ())
    assert result.report == IngestReport(rows=1, returns=1)


def test_importing_the_reader_does_not_import_arrow() -> None:
    code = "import sys, recsys.data.readers, recsys.data.complete_journey; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "False"
