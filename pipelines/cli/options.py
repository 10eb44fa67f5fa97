"""Options that several commands share: one spelling, one help text, one default."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.data.readers import Columns
    from recsys.store.settings import Settings

StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir", help="Where keys, database and models are.  [env: PRIVREC_STATE_DIR; default: ./privrec-data]"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Epsilon = Annotated[
    float,
    typer.Option(
        help="Privacy of one customer over all planned releases: 1 is strong, 4 common, 8 weak, inf claims none."
    ),
]
Delta = Annotated[
    float, typer.Option(help="Chance that epsilon does not hold; below one over the number of customers.")
]
Factors = Annotated[
    int, typer.Option("--factors", min=1, max=1024, help="Item factors at most; under noise fewer rise above it.")
]
Releases = Annotated[
    int,
    typer.Option(
        min=1,
        help="How many releases of one sum the budget is planned for: the first, and one per erasure that asks for it. "
        "Trainings to come are planned by `privrec ledger plan`.",
    ),
]
Seed = Annotated[
    int, typer.Option(help="For splits, intervals and the first factors of ALS and its peers. Never for noise.")
]
ExpectedCustomers = Annotated[
    int,
    typer.Option(
        min=1,
        help="About how many customers there are. Public: a guess, not a count of your data. It scales the steps of "
        "dp_sgd, and below 5,000 popularity gets more of the budget.",
    ),
]
Attributes = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|catalogue",
        help="What is publicly known of the items: a .csv, .jsonl or .parquet file with one row an item, or "
        "`catalogue` for the categories and words of names that were ingested. For gram at a finite epsilon, "
        "refused where nothing would use it. Costs no budget; can help or harm: compare with `privrec evaluate`.  "
        "[default: none]",
    ),
]
AttributeItemColumn = Annotated[str, typer.Option(help="Column with the item's id in the file of --attributes.")]
UserColumn = Annotated[str, typer.Option(help="Column with the customer's id.")]
ItemColumn = Annotated[str, typer.Option(help="Column with the item's id.")]
TimestampColumn = Annotated[
    str, typer.Option(help="Column with the time: a timestamp, a date, ISO 8601 text or Unix seconds.")
]
QuantityColumn = Annotated[
    str | None,
    typer.Option(help="Column with the quantity; zero or less is a return.  [default: each row is one purchase]"),
]
EventColumn = Annotated[
    str | None,
    typer.Option(help="Column with an id of the row, unique within the customer.  [default: made from the row]"),
]


def settings(state_dir: Path | None) -> "Settings":
    """The settings of the environment, with the state directory of the command line in its place."""
    from recsys.store.settings import Settings

    return Settings.load(**({} if state_dir is None else {"state_dir": state_dir}))


def columns(user: str, item: str, timestamp: str, quantity: str | None, event: str | None) -> "Columns":
    """The columns of a file, as the options name them."""
    from recsys.data.readers import Columns

    return Columns(user=user, item=item, timestamp=timestamp, quantity=quantity, event=event)


def write(path: Path, data: bytes, *, hint: str) -> None:
    """Write the file that an option names.

    Raises:
        StorageError: it cannot be written; the hint says what to do.
    """
    from recsys.errors import StorageError

    try:
        path.write_bytes(data)
    except OSError as error:
        msg = f"expected to write {path}, got: {error.strerror}; {hint}"
        raise StorageError(msg) from error
