"""Purchases from JSON Lines files, through the reader that every format goes through."""

import gzip
import json
from pathlib import Path

import pytest

from recsys.data import json_lines
from recsys.data.attributes import read_attributes
from recsys.data.json_lines import json_rows
from recsys.data.readers import Columns, read_purchases
from recsys.errors import InputError
from recsys.types import IngestReport

QUANTITY = Columns(quantity="quantity")
ROW = {"user": "ann", "item": "tea", "timestamp": "2025-03-01 12:00", "quantity": 2}
SECRET = "ann@mail.example"
"""A customer's id, which no message may repeat."""


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_lines_read_as_the_same_csv_does(tmp_path: Path) -> None:
    lines = written(tmp_path / "a.jsonl", ROW, ROW | {"user": "007", "quantity": -1}, ROW | {"user": 42, "more": None})
    table = tmp_path / "a.csv"
    table.write_text(
        "user,item,timestamp,quantity\nann,tea,2025-03-01 12:00,2\n007,tea,2025-03-01 12:00,-1\n"
        "42,tea,2025-03-01 12:00,2\n"
    )
    ours, theirs = read_purchases(lines, QUANTITY), read_purchases(table, QUANTITY)
    assert ours.report == theirs.report == IngestReport(rows=3, accepted=2, returns=1)
    assert ours.log.users == theirs.log.users == ("42", "ann")
    assert ours.log.purchases.tobytes() == theirs.log.purchases.tobytes()


def test_an_id_is_the_same_as_a_number_and_as_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", ROW | {"user": 7}, ROW | {"user": "7", "item": "jam"})
    assert read_purchases(path, QUANTITY).log.users == ("7",)


def test_a_byte_order_mark_blank_lines_and_a_missing_last_line_end_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROW).encode() + b"\r\n\r\n" + json.dumps(ROW).encode())
    assert read_purchases(path, QUANTITY).report.rows == 2


def test_compressed_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.JSONL.gz"
    path.write_bytes(gzip.compress(json.dumps(ROW).encode()))
    assert read_purchases(path, QUANTITY).report.accepted == 1


def test_a_row_without_an_item_is_unmapped(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"item": None}, ROW | {"item": ""}, {k: v for k, v in ROW.items() if k != "item"}]
    assert read_purchases(written(tmp_path / "a.jsonl", *rows), QUANTITY).report.unmapped == 3


@pytest.mark.parametrize(
    "line",
    [
        f'"{SECRET}"',
        f'["{SECRET}"]',
        f'{{"user": ["{SECRET}"]}}',
        f'{{"user": {{"id": "{SECRET}"}}}}',
        f'{{"user": "{SECRET}", "user": "bob"}}',
        f'{{"user": "{SECRET}", "quantity": NaN}}',
        f'{{"user": "{SECRET}", "quantity": true}}',
        f'{{"user": "{SECRET}", ',
        SECRET,
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_plain_object_is_refused_by_its_row_and_not_repeated(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{line}\n")
    with pytest.raises(InputError, match="in row 2, got something else") as refused:
        read_purchases(path, QUANTITY)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("content", [b'{"user": "Zo\xeb"}\n', '{"user": "ann"}\n'.encode("utf-16"), b"\x1f\x8b\x00"])
def test_another_encoding_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a whole JSON Lines file in UTF-8"):
        read_purchases(path)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(r'{"user": "\ud800", "item": "tea", "timestamp": 1300000000}')
    with pytest.raises(InputError, match="expected a whole JSON Lines file in UTF-8"):
        read_purchases(path)


def test_compressed_lines_that_were_cut_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    rows = "".join(json.dumps(ROW | {"user": number * 7919 % 10007}) + "\n" for number in range(5_000))
    path.write_bytes(gzip.compress(rows.encode())[:-500])
    with pytest.raises(InputError, match="expected"):
        read_purchases(path, QUANTITY)


def test_a_line_without_an_end_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (16 * json_lines.MAX_LINE_BYTES)))
    with pytest.raises(InputError, match=f"lines of at most {json_lines.MAX_LINE_BYTES} bytes"):
        next(json_rows(path))


def test_a_missing_column_is_refused_without_the_names_there_are_which_may_be_customers(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {SECRET: "tea", "day": 1}, {"bob": "jam", "day": 2})
    with pytest.raises(InputError, match="expected the name 'user' for the user, got no object that has it") as refused:
        read_purchases(path)
    assert SECRET not in str(refused.value)


def test_a_file_of_blank_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n\n")
    with pytest.raises(InputError, match="expected at least one row"):
        read_purchases(tmp_path / "a.jsonl")


def test_a_name_that_only_later_rows_have_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", ROW | {"sku": "x"}, ROW | {"sku": "y", "late": "z"})
    assert read_purchases(path, Columns(item="sku", quantity="quantity")).log.items == ("x", "y")
    assert read_purchases(path, Columns(item="late")).report == IngestReport(rows=2, accepted=1, unmapped=1)


def test_attributes_of_items_are_read_from_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"item": "tea", "kind": "drink", "year": 2001}, {"item": "jam", "year": 1999})
    assert read_attributes(path).kinds == {"kind": "labels", "year": "numbers"}
