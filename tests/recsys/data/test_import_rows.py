"""Files in parts: rows as text, a file refused as a whole or a row alone, and no value in any message."""

import io
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet
import pytest

from recsys.data import import_rows as module
from recsys.data.import_job import ImportJob, ImportKind, ImportReport, check_mapping
from recsys.data.import_rows import Unreadable, import_rows
from recsys.data.imported import Row, item_of, moment, purchase_of
from recsys.errors import InputError
from recsys.types import CatalogueItem, FileFormat, Purchase

SECRET = "eve@mail.example"
ROW = {"user_id": SECRET, "item_id": "tea", "timestamp": "2026-02-01T09:30:00Z"}
JOB = ImportJob(
    import_id="a1",
    kind=ImportKind.PURCHASES,
    format=FileFormat.CSV,
    columns={},
    dry_run=False,
    size=1,
    sha256=None,
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    report=ImportReport.empty(),
)
CATALOGUE = replace(JOB, kind=ImportKind.CATALOGUE)


def rows(
    content: bytes, job: ImportJob = JOB, *, form: FileFormat = FileFormat.CSV, part: int = 7
) -> list[Row | Unreadable]:
    """The rows of the file, sent in small parts."""
    parts = (content[at : at + part] for at in range(0, len(content), part))
    return list(import_rows(replace(job, format=form), parts))


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def test_csv_in_parts_is_read_as_whole() -> None:
    content = '\ufeffuser_id,item_id,timestamp,other\r\nä,"te,\n""a""",1,x\r\n\r\nb,007,2,\r\n'.encode()
    for part in (1, 7, 1000):
        assert rows(content, part=part) == [
            {"user_id": "ä", "item_id": 'te,\n"a"', "timestamp": "1"},
            {"user_id": "b", "item_id": "007", "timestamp": "2"},
        ]


def test_columns_go_by_the_names_that_the_sender_gave() -> None:
    job = replace(JOB, columns={"user_id": "käufer", "quantity": "n"})
    content = "n,timestamp,item_id,käufer\n2,1,tea,ada\n,1,tea,ada\n".encode()
    said = {"timestamp": "1", "item_id": "tea", "user_id": "ada"}

    assert rows(content, job) == [{**said, "quantity": "2"}, {**said, "quantity": None}]


def test_a_catalogue_keeps_its_attributes() -> None:
    found = rows(b"item_id,attribute.brand,user\ntea,Finest,x\n", CATALOGUE)
    assert found == [{"item_id": "tea", "attribute.brand": "Finest"}]


def test_json_lines_and_parquet_say_the_same_as_csv() -> None:
    lines = b'{"user_id": 7, "item_id": "tea", "timestamp": "2026-02-01", "quantity": 2}\n\n[1]\n'
    columns = {"user_id": [7.0, None], "item_id": ["tea", ""], "timestamp": [date(2026, 2, 1)] * 2, "quantity": [2, 3]}
    [said, unreadable] = rows(lines, form=FileFormat.JSONL)
    [same, gaps] = rows(parquet(**columns), form=FileFormat.PARQUET)

    assert said == same == {"user_id": "7", "item_id": "tea", "timestamp": "2026-02-01", "quantity": "2"}
    assert isinstance(unreadable, Unreadable)
    assert gaps == {"user_id": None, "item_id": None, "timestamp": "2026-02-01", "quantity": "3"}


def test_parquet_times_of_any_unit_and_zone_are_moments() -> None:
    for kind, ticks in (
        (pa.timestamp("ns"), 1769938200123456789),
        (pa.timestamp("us", "Asia/Tokyo"), 1769938200123456),
    ):
        column = pa.array([ticks], kind)
        [row] = rows(parquet(user_id=["a"], item_id=["b"], timestamp=column), form=FileFormat.PARQUET)
        assert isinstance(row, dict)
        assert moment(row["timestamp"]) == datetime(2026, 2, 1, 9, 30, 0, 123_000, tzinfo=UTC)


def test_a_parquet_column_may_be_encoded_as_a_dictionary() -> None:
    content = parquet(user_id=pa.array(["a", "a"]).dictionary_encode(), item_id=["b", "c"], timestamp=[1, 2])
    found = rows(content, form=FileFormat.PARQUET)

    assert [row["user_id"] for row in found if isinstance(row, dict)] == ["a", "a"]


@pytest.mark.parametrize(
    ("form", "content"),
    [
        (FileFormat.CSV, f"user_id,item_id,timestamp\n{SECRET},te\xff,1\n".encode("latin-1")),
        (FileFormat.CSV, f'user_id,item_id,timestamp\n{SECRET},"te,1\n'.encode()),
        (FileFormat.CSV, f"user_id,item_id,timestamp\n{SECRET},tea,1\n".encode("utf-16")),
        (FileFormat.CSV, f"user_id,item_id\n{SECRET},tea\n".encode()),
        (FileFormat.CSV, f"user_id,item_id,timestamp,item_id\n{SECRET},tea,1,tea\n".encode()),
        (FileFormat.CSV, f"{SECRET},tea,1\n".encode()),
        (FileFormat.CSV, b"\n"),
        (FileFormat.CSV, b"user_id,item_id,timestamp\n" + b"a" * (1 << 21)),
        (FileFormat.JSONL, b'{"user_id": "' + b"a" * (1 << 21)),
        (FileFormat.JSONL, f'{{"user_id": "{SECRET}\xff"}}\n'.encode("latin-1")),
        (FileFormat.PARQUET, b"PAR1" + SECRET.encode() * 100 + b"PAR1"),
        (FileFormat.PARQUET, b"PAR1"),
        (FileFormat.PARQUET, parquet(user_id=[SECRET], item_id=["tea"], timestamp=[1])[:-20]),
        (FileFormat.PARQUET, parquet(user_id=[SECRET], item_id=["tea"])),
        (FileFormat.PARQUET, parquet(user_id=[[SECRET]], item_id=["tea"], timestamp=[1])),
        (FileFormat.PARQUET, parquet(user_id=[{SECRET: 1}], item_id=["tea"], timestamp=[1])),
        (FileFormat.PARQUET, parquet(user_id=["a"], item_id=["t"], timestamp=pa.array([2**60], pa.timestamp("ms")))),
        (FileFormat.PARQUET, parquet(user_id=["a"], item_id=["t"], timestamp=pa.array([2**30], pa.date32()))),
        (
            FileFormat.PARQUET,
            parquet(user_id=["a"], item_id=["t"], timestamp=pa.array([1], pa.timestamp("s", "No/Zone"))),
        ),
        (FileFormat.PARQUET, parquet(user_id=pa.array([b"\xff"]).cast(pa.binary()), item_id=["t"], timestamp=[1])),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_not_repeated(form: FileFormat, content: bytes) -> None:
    with pytest.raises(InputError, match=r"^expected ") as refusal:
        rows(content, form=form, part=1 << 20)
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_every_byte_of_a_parquet_file_may_be_wrong() -> None:
    whole = parquet(user_id=[SECRET] * 3, item_id=["tea"] * 3, timestamp=[1, 2, 3])
    for at in range(0, len(whole), 5):
        changed = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        assert len(rows_or_refusal(changed)) <= 3


def rows_or_refusal(content: bytes) -> list[Row | Unreadable]:
    """The rows of a Parquet file, or none if it is refused."""
    with suppress(InputError):
        return rows(content, form=FileFormat.PARQUET, part=1 << 20)
    return []


def test_a_parquet_file_that_unfolds_too_far_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GROUP_BYTES", 1000)
    with pytest.raises(InputError, match="row groups of at most 1000 bytes"):
        rows(parquet(user_id=list(range(5000)), item_id=["tea"] * 5000, timestamp=[1] * 5000), form=FileFormat.PARQUET)


def test_a_row_of_another_length_costs_only_itself() -> None:
    [first, second, third] = rows(f"user_id,item_id,timestamp\na,b\na,b,c\n{SECRET},a,b,c\n".encode())

    assert second == {"user_id": "a", "item_id": "b", "timestamp": "c"}
    assert [first, third] == [
        Unreadable(f"expected 3 fields, got {found}; put fields with commas in quotes") for found in (2, 4)
    ]


def test_a_mapping_names_fields_of_its_kind_and_each_column_once() -> None:
    check_mapping(ImportKind.PURCHASES, {"user_id": "a", "event_id": "b"})
    for kind, columns in (
        (ImportKind.CATALOGUE, {"user_id": "a"}),
        (ImportKind.PURCHASES, {SECRET: "a"}),
        (ImportKind.PURCHASES, {"user_id": "a", "item_id": "a"}),
        (ImportKind.PURCHASES, {"user_id": "item_id"}),
    ):
        with pytest.raises(InputError, match=r"^expected ") as refusal:
            check_mapping(kind, columns)
        assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-02-01", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01 09:30:00.5", datetime(2026, 2, 1, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-02-01T09:30:00+09:00", datetime(2026, 2, 1, 0, 30, tzinfo=UTC)),
        ("1769938200", datetime(2026, 2, 1, 9, 30, tzinfo=UTC)),
        ("1769938200000", datetime(2026, 2, 1, 9, 30, tzinfo=UTC)),
        ("1769938200.0", datetime(2026, 2, 1, 9, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_may_be_written_in_several_ways(text: str, found: datetime) -> None:
    assert moment(text) == found


@pytest.mark.parametrize("text", [SECRET, "20260201", "1769938200000000", "-5", "9" * 20, "1969-12-31", "31/01/2026"])
def test_what_is_no_moment_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="expected a time as in 2026-01-31T12:00:00Z") as refusal:
        moment(text)
    assert text not in str(refusal.value)


def test_a_row_is_a_purchase() -> None:
    moment_ = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
    bare = Purchase(item_id="tea", timestamp=moment_, quantity=1.0, event_id="file:1")

    assert purchase_of(ROW, "file:1") == (SECRET, bare)
    assert purchase_of({**ROW, "quantity": "-2.5", "event_id": "e"}, "file:1") == (
        SECRET,
        replace(bare, quantity=-2.5, event_id="e"),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": None},
        {"user_id": SECRET * 20},
        {"user_id": f"{SECRET}\x00"},
        {"user_id": f"{SECRET}\ud800"},
        {"item_id": " "},
        {"timestamp": None},
        {"quantity": SECRET},
        {"quantity": "nan"},
        {"quantity": "1e9"},
        {"event_id": "\x1f"},
    ],
)
def test_a_row_that_cannot_be_a_purchase_is_refused_and_not_repeated(change: dict[str, str | None]) -> None:
    with pytest.raises(InputError, match=r"^expected ") as refusal:
        purchase_of({**ROW, **change}, "file:1")
    assert SECRET not in str(refusal.value)


def test_a_row_is_an_item() -> None:
    row = {"item_id": "tea", "name": "Tea", "category": "hot", "price": "4.5", "stock": "12.0", "attribute.b": "x"}
    tea = CatalogueItem(item_id="tea", name="Tea", category="hot", price=4.5, stock=12, attributes=(("b", "x"),))

    assert item_of(row) == tea
    for empty in (None, ""):
        said = {"item_id": "tea", "price": empty, "stock": empty, "attribute.b": empty}
        assert item_of(said) == CatalogueItem(item_id="tea")


@pytest.mark.parametrize(
    "change",
    [
        {"item_id": None},
        {"name": "a\nb"},
        {"name": "a\ud800"},
        {"attribute.\ud800": "x"},
        {"price": "1_0"},
        {"price": "nan"},
        {"price": "\u0661"},
        {"name": "a" * 1001},
        {"category": "a" * 257},
        {"price": "-1"},
        {"price": "4,50"},
        {"stock": "1.5"},
        {"stock": "-1"},
        {"attribute.": "x"},
        {"attribute.b": "x" * 257},
        {f"attribute.{number}": "x" for number in range(51)},
    ],
)
def test_a_row_that_cannot_be_an_item_is_refused(change: dict[str, str | None]) -> None:
    with pytest.raises(InputError, match=r"^expected "):
        item_of({"item_id": "tea", **change})
