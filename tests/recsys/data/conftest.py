"""Files as shops export them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

WriteCsv = Callable[[str], Path]
WriteParquet = Callable[[Mapping[str, object]], Path]


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Writes a text as a CSV file and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "purchases.csv"
        path.write_bytes(text.encode())
        return path

    return write


@pytest.fixture
def write_parquet(tmp_path: Path) -> WriteParquet:
    """Writes columns (lists or Arrow arrays) as a Parquet file and gives its path."""

    def write(columns: Mapping[str, Sequence[object] | pa.Array]) -> Path:
        path = tmp_path / "purchases.parquet"
        pa.parquet.write_table(pa.table(dict(columns)), path)
        return path

    return write
