"""Commands about purchases and models: ingest, train, evaluate, publish, recommend."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import options
from pipelines.console import bar, console, print_json, print_report, print_table, status_console, steps
from recsys.types import CatalogueItem, IngestReport, Json, ModelStatus, ModelVersion, Purpose, Splitting, Task, Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.attributes import Coverage
    from pipelines.evaluate import Evaluation
    from recsys.data.interactions import PurchaseLog
    from recsys.data.readers import Columns, ReadResult
    from recsys.store.workspace import Workspace

Protocol = Annotated[
    Splitting,
    typer.Option(help="temporal: first 80 % of purchases against the rest. heldout-customers: unseen customers."),
]
FileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A .csv, .jsonl (both also .gz) or .parquet file of purchases, one a row."),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="A .csv, .jsonl or .parquet file of purchases.  [default: what was ingested]"),
]


def ingest(
    file: FileArgument,
    *,
    user_column: options.UserColumn = "user",
    item_column: options.ItemColumn = "item",
    timestamp_column: options.TimestampColumn = "timestamp",
    quantity_column: options.QuantityColumn = None,
    event_column: options.EventColumn = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Store nothing; say what would become of every row as the store is now.")
    ] = False,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Take purchases from a file into the event store. Running it again adds nothing.

    The file is read whole before anything is stored: a bad row stops the command and leaves the store as it was. A
    command that was killed is run again: what it had stored counts as duplicates.
    """
    columns = options.columns(user_column, item_column, timestamp_column, quantity_column, event_column)
    from recsys.store.workspace import open_workspace

    read = _read(file, columns)
    with open_workspace(options.settings(state_dir), lock=not dry_run, start_cache=False) as workspace:
        report = _rehearse(workspace, read) if dry_run else _ingest(workspace, read)
    print_report(report, "Would be ingested" if dry_run else "Ingested", as_json=as_json)


def train(
    *,
    data: DataOption = None,
    trainer: Annotated[
        Trainer,
        typer.Option(
            help="gram: private factors. dp_als, dp_sgd: its private peers, without a sum to erase from "
            "(dp_sgd needs the extra `dp`). popularity: private counts. als, als_certified: NOT private."
        ),
    ] = Trainer.GRAM,
    epsilon: options.Epsilon = 4.0,
    delta: options.Delta = 1e-6,
    releases: options.Releases = 1,
    factors: options.Factors = 128,
    expected_customers: options.ExpectedCustomers = 5000,
    seed: options.Seed = 0,
    publish_metrics: Annotated[
        bool,
        typer.Option(
            "--publish-metrics",
            help="Keep a tenth of the customers out of training, and release with noise, within the same epsilon, how "
            "well the model does on them: these metrics may be published.",
        ),
    ] = False,
    select_factors: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=1024,
            help="Repeat for several: select the best in place of --factors, by how well each does on a tenth of the "
            "customers kept out of training, with noise, within the same epsilon.",
        ),
    ] = None,
    attributes: options.Attributes = None,
    attribute_item_column: options.AttributeItemColumn = "item",
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Leave the live version as it is; `privrec models promote` changes it.")
    ] = False,
    erasable: Annotated[
        bool,
        typer.Option(
            "--erasable",
            help="With --epsilon inf: keep the exact sum, so that an erasure subtracts the customer, and the model in "
            "its place is that of a training that never saw them. NOT private.",
        ),
    ] = False,
    penalty: Annotated[
        float | None,
        typer.Option(
            help="Of als_certified: a larger one leaves fewer columns, and is certified and erased from faster.  "
            "[default: 0.7]"
        ),
    ] = None,
    protocol: Protocol = Splitting.TEMPORAL,
    evaluated: Annotated[
        bool,
        typer.Option("--evaluate/--no-evaluate", help="Also measure the trainer offline, as `privrec evaluate` does."),
    ] = True,
    user_column: options.UserColumn = "user",
    item_column: options.ItemColumn = "item",
    timestamp_column: options.TimestampColumn = "timestamp",
    quantity_column: options.QuantityColumn = None,
    event_column: options.EventColumn = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Train a model, register it and make it live, or a candidate. With --data the file is ingested first.

    The spend is booked in the privacy ledger before any noise is drawn; over budget nothing is drawn (exit code 4).
    The first training sets the budget, `privrec ledger budget` sets another one. The metrics that are printed are of a
    second model, trained on a part of the purchases and thrown away: they are for your own eyes and in no manifest.
    With --publish-metrics there are none of that kind: what is printed then is in the manifest and may be shown around.
    """
    columns = options.columns(user_column, item_column, timestamp_column, quantity_column, event_column)
    from pipelines.attributes import Coverage, named_attributes
    from pipelines.evaluate import evaluate_if_possible
    from recsys.store.workspace import open_workspace
    from recsys.training.described import require_use
    from recsys.training.terms import Terms, TrainConfig
    from recsys.training.train import refuse_early, snapshot
    from recsys.training.train import train as run_training

    config = TrainConfig(
        trainer=trainer,
        epsilon=epsilon,
        delta=delta,
        releases=releases,
        n_factors=factors,
        expected_customers=expected_customers,
        seed=seed,
        attributes=attributes is not None,
        candidate=candidate,
        erasable=erasable,
        **({} if penalty is None else {"penalty": penalty}),
    )
    require_use([config])
    read = _read(data, columns) if data else None
    with open_workspace(options.settings(state_dir), start_cache=False) as workspace:
        n_customers = len(read.log.users) if read else None
        catalogue = [*workspace.catalogue.items(), *(read.catalogue if read else ())]
        table = named_attributes(attributes, attribute_item_column, catalogue)
        refuse_early(
            workspace,
            config,
            n_customers=n_customers,
            publish_metrics=publish_metrics,
            select_factors=select_factors or (),
            attributes=table,
            items=[item.item_id for item in catalogue],
        )
        if read is not None:
            _ingest(workspace, read)
        with steps("training") as step:
            version = run_training(
                workspace,
                config,
                publish_metrics=publish_metrics,
                select_factors=select_factors or (),
                attributes=table,
                step=step,
            )
            step("evaluating")
            evaluated = evaluated and not publish_metrics
            config = replace(config, n_factors=Terms.of(version).n_factors)
            log = snapshot(workspace)[1]
            metrics = evaluate_if_possible(log, config, protocol, attributes=table) if evaluated else None
    _print_version(version, metrics, Coverage.of(table, log.items), as_json=as_json)


def evaluate(
    *,
    data: DataOption = None,
    trainer: Annotated[
        list[Trainer] | None, typer.Option(help="Repeat for several.  [default: popularity, gram and als]")
    ] = None,
    protocol: Protocol = Splitting.TEMPORAL,
    task: Annotated[
        list[Task] | None, typer.Option(help="any: repeats count. discover: first purchases only.  [default: both]")
    ] = None,
    core: Annotated[
        int, typer.Option(min=1, help="Keep customers and items with at least this many of the other.")
    ] = 1,
    epsilon: options.Epsilon = 4.0,
    delta: options.Delta = 1e-6,
    factors: options.Factors = 128,
    k: Annotated[int, typer.Option("--k", min=1, help="Length of the lists.")] = 20,
    expected_customers: options.ExpectedCustomers = 5000,
    attributes: options.Attributes = None,
    attribute_item_column: options.AttributeItemColumn = "item",
    seed: options.Seed = 0,
    user_column: options.UserColumn = "user",
    item_column: options.ItemColumn = "item",
    timestamp_column: options.TimestampColumn = "timestamp",
    quantity_column: options.QuantityColumn = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare trainers offline: Recall@k and NDCG@k with 95 % bootstrap intervals.

    Nothing is registered and nothing is booked, because nothing leaves: the figures are computed on purchases without
    noise and are for your own eyes. `--epsilon inf` shows what a trainer reaches without noise. With --attributes the
    other trainers stay as they are.
    """
    from pipelines.attributes import Coverage, named_attributes
    from pipelines.evaluate import Evaluation, evaluate_log
    from recsys.data.split import k_core
    from recsys.training.described import require_use
    from recsys.training.terms import TrainConfig

    columns = options.columns(user_column, item_column, timestamp_column, quantity_column, None)
    configs = [
        TrainConfig(
            trainer=name,
            epsilon=epsilon,
            delta=delta,
            n_factors=factors,
            expected_customers=expected_customers,
            seed=seed,
            attributes=attributes is not None,
        )
        for name in trainer or (Trainer.POPULARITY, Trainer.GRAM, Trainer.ALS)
    ]
    require_use(configs)
    whole, catalogue = _log(data, columns, state_dir)
    log = k_core(whole, core) if core > 1 else whole
    table = named_attributes(attributes, attribute_item_column, catalogue)
    with steps("evaluating") as step:
        tasks = task or list(Task)
        rows = evaluate_log(log, configs, protocol, tasks, attributes=table, k=k, seed=seed, step=step)
    evaluation = Evaluation(protocol=protocol, core=core, k=k, rows=tuple(rows), coverage=Coverage.of(table, log.items))
    if as_json:
        print_json(evaluation.to_json())
    else:
        evaluation.show()


def publish(*, state_dir: options.StateDir = None, as_json: options.AsJson = False) -> None:
    """Compute every customer's lists with the live model and write them to the cache.

    With the embedded cache this only shows how long it takes: that cache ends with the command. A server keeps the
    lists: PRIVREC_REDIS_URL.
    """
    from pipelines.erase import recommender
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir)) as workspace, bar("publishing", 0) as advance:
        customers = recommender(workspace).publish(advance)
        version = workspace.registry.live()
    if as_json:
        print_json({"customers": customers, "version": version})
    else:
        console.print(f"published {customers:,} customers with version {version}")


def recommend(
    user: Annotated[str, typer.Argument(metavar="USER", help="The customer's id, as in the purchases.")],
    *,
    n: Annotated[int, typer.Option("-n", "--n", help="How many items, 1 to 100.")] = 10,
    task: Annotated[
        Purpose,
        typer.Option(help="any: repeats count. discover: first purchases only. buy_again: own habits alone."),
    ] = Purpose.ANY,
    where: Annotated[
        str | None, typer.Option("--filter", help='Which items, such as: in_stock and category = "tea".')
    ] = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a customer's recommendations, as the API would answer."""
    from pipelines.storefront import storefront
    from recsys.clock import isoformat
    from recsys.serving.filters import parse_filter
    from recsys.serving.storefront import Wish
    from recsys.store.workspace import open_workspace

    wish = Wish(n=n, purpose=task, where=parse_filter(where) if where is not None else None)
    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        answer = storefront(workspace).recommend(user, wish)
    items: list[Json] = [
        {"item_id": item.item_id, "name": item.name, "score": round(item.score, 4), "reason": item.reason.value}
        for item in answer.items
    ]
    if as_json:
        print_json(
            {
                "items": items,
                "task": task.value,
                "personalized": answer.personalized,
                "version": answer.version,
                "generated_at": isoformat(answer.generated_at),
            }
        )
        return
    title = "For this customer" if answer.personalized else "Popular (this customer is unknown or was erased)"
    print_table(
        title,
        ["item", "reason", "score"],
        [(item.name, item.reason.value, f"{item.score:.3f}") for item in answer.items],
        left=2,
    )


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .csv, .jsonl or .parquet file to write.")],
    *,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the catalogue to a file: every item that is in the shop. Nothing of a customer is in it.

    In a .csv file, text that a spreadsheet would take for a formula gets an apostrophe in front; the other formats
    hold it as it is.
    """
    from pipelines.export import export_catalogue
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        items = export_catalogue(workspace.catalogue.items(), file)
    if as_json:
        print_json({"items": items})
    else:
        console.print(f"exported {items:,} items")


def _read(file: Path, columns: "Columns") -> "ReadResult":
    from recsys.data.readers import read_purchases

    with status_console.status(f"reading {file.name}"):
        return read_purchases(file, columns)


def _ingest(workspace: "Workspace", read: "ReadResult") -> IngestReport:
    from pipelines.ingest import ingest as run_ingest

    with bar("storing customers", len(read.log.users)) as advance:
        return run_ingest(workspace, read, advance)


def _rehearse(workspace: "Workspace", read: "ReadResult") -> IngestReport:
    from pipelines.ingest import rehearse

    with bar("comparing customers", len(read.log.users)) as advance:
        return rehearse(workspace, read, advance)


def _log(
    data: Path | None, columns: "Columns", state_dir: Path | None
) -> "tuple[PurchaseLog, Sequence[CatalogueItem]]":
    """The purchases of a file or of the store, and what is known of items there."""
    if data is not None:
        read = _read(data, columns)
        return read.log, read.catalogue
    from recsys.store.workspace import open_workspace
    from recsys.training.train import snapshot

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        return snapshot(workspace)[1], workspace.catalogue.items()


def _print_version(
    version: ModelVersion, evaluation: "Evaluation | None", coverage: "Coverage | None", *, as_json: bool
) -> None:
    from recsys.evidence.manifest import manifest

    if as_json:
        metrics = evaluation.to_json() if evaluation else None
        document = {"version": version.version, **manifest(version), "evaluation": metrics}
        print_json(document | ({"attributes": coverage.to_json()} if coverage else {}))
        return
    if evaluation:
        evaluation.show()
    if coverage:
        coverage.show()
    if version.metrics:
        from pipelines.privacy_report import show_metrics

        show_metrics(version.metrics)
    privacy = version.privacy
    promise = f"epsilon={privacy['epsilon']:.4g} at delta={privacy['delta']:g}" if privacy["private"] else "NOT private"
    stands = "live" if version.status is ModelStatus.LIVE else "a candidate"
    console.print(f"[bold]version {version.version}[/bold] is {stands} ({version.trainer}, {promise})")
    console.print("next: privrec recommend USER, privrec serve, privrec ledger")
