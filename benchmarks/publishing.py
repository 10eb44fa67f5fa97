"""CPU time of publishing 100,000 customers, 100,000 items x 64 factors, beside implicit's batch and a pipeline.

Ours is the product's own `publish`: sealed histories are read from SQLite and opened, the 24 best items for both lists
are found, packed, sealed, and written through the guarded script to the embedded server.
`publish.resumed` is a second pass over the same customers, which reads and opens every history and finds that its
lists are there; `publish.lists` is what is left of the first without it. `redis_bytes_per_customer` is what the server
has allocated more once all lists are there, name and bookkeeping included. The other way is the usual one: implicit's
`recommend` for customers whose vectors are known, 24 items, as JSON, unsealed, through a pipeline of SETs.

Customers bought twenty items each, popular ones first. The models are `synthetic_popularity` and `synthetic_flat` of
`benchmarks/miss.py`: popular items long, as the private sum makes them, and all items equally long. One thread.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from redis import Redis
from threadpoolctl import threadpool_limits

from benchmarks.cache_memory import used_memory
from benchmarks.miss import ITEMS, implicit_of, synthetic
from benchmarks.report import options, report
from pipelines.erase import recommender
from recsys.clock import utc_now
from recsys.data.history import Purchases, purchases_array
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.types import CatalogueItem, ModelVersion, UserKey

CUSTOMERS, BASKET, PEER_LENGTH = 100_000, 20, 24
QUICK = 50
PART = 5_000
"""Customers of the other way: it is timed on a part, and told by the customer."""
BATCH = 500
DAY_MS = 24 * 3600 * 1000
EXPONENTS = {"synthetic_popularity": 0.5, "synthetic_flat": 0.0}
MAIN = "synthetic_popularity"


def main() -> None:
    """Measure and report."""
    chosen = options(__doc__ or "")
    report("publishing", publishing(quick=chosen.quick), chosen, seeds=[0])


def publishing(*, quick: bool = False) -> dict[str, float]:
    """Every figure, by key."""
    n_items, n_customers = (ITEMS // QUICK, CUSTOMERS // QUICK) if quick else (ITEMS, CUSTOMERS)
    figures: dict[str, float] = {}
    with threadpool_limits(limits=1):
        for name, exponent in EXPONENTS.items():
            model = synthetic(n_items, exponent=exponent, popularity=exponent > 0).model
            found = measured(model, n_customers)
            figures |= {f"publish.{key}.{name}": value for key, value in found.items()}
    return figures | {
        f"publish.{key}": figures[f"publish.{key}.{MAIN}"] for key in ("customers_per_second", "speedup_over_implicit")
    }


def measured(model: ItemFactors, n: int) -> dict[str, float]:
    """Customers in a second of CPU time of this process, by what is done for them."""
    baskets = made_up(model, n)
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as directory,
        open_workspace(Settings(state_dir=Path(directory) / "s", cache_memory_mb=1024)) as workspace,
    ):
        fill(workspace, model, baskets)
        service = recommender(workspace)
        service.recommend("nobody")  # the model is loaded before
        url = str(workspace.settings.redis_url)
        with Redis.from_url(url) as server:
            empty = used_memory(server)
            whole, again = (seconds(lambda: check(service.publish(), n)) / n for _ in range(2))
            full = used_memory(server)
        usual = the_usual_way(model, baskets[:PART], url)
    return {
        "customers_per_second": 1 / whole,
        "resumed_per_second": 1 / again,
        "lists_per_second": 1 / (whole - again),
        "implicit_per_second": 1 / usual,
        "speedup_over_implicit": usual / whole,
        "redis_bytes_per_customer": (full - empty) / n,
    }


def made_up(model: ItemFactors, n: int) -> np.ndarray:
    """(n, BASKET): positions of items, popular ones first."""
    chance = np.cumsum(model.popularity.astype(np.float64))
    return np.searchsorted(chance / chance[-1], np.random.default_rng(0).random((n, BASKET)))


def fill(workspace: Workspace, model: ItemFactors, baskets: np.ndarray) -> None:
    """Catalogue, histories and a live model."""
    workspace.catalogue.add_items([CatalogueItem(item_id=item_id) for item_id in model.item_ids])
    for start in range(0, len(baskets), BATCH):
        workspace.histories.append(
            {user_key(start + row): history(basket) for row, basket in enumerate(baskets[start : start + BATCH])}
        )
    described = ModelVersion(
        version="",
        trainer="gram",
        created_at=utc_now(),
        model_digest=model.digest,
        config={},
        privacy={},
    )
    version = name_version(described)
    workspace.registry.save(model, version)
    workspace.registry.promote(version.version)


def user_key(number: int) -> UserKey:
    """A customer's key, as spread out as hashes are."""
    return UserKey(np.random.default_rng(number).bytes(16))


def history(basket: np.ndarray) -> Purchases:
    """One purchase a day."""
    days = np.arange(len(basket))
    return purchases_array(timestamp=days * DAY_MS, item=basket, quantity=np.ones(len(basket)), event=days)


def the_usual_way(model: ItemFactors, baskets: np.ndarray, url: str) -> float:
    """Seconds of CPU time for one customer: implicit, JSON, a pipeline."""
    rows = np.repeat(np.arange(len(baskets)), BASKET)
    bought = sp.csr_matrix(
        (np.ones(baskets.size, np.float32), (rows, baskets.ravel())), (len(baskets), len(model.item_ids))
    )
    peer, everybody = implicit_of(model), np.arange(len(baskets))
    peer.user_factors = np.asarray(bought @ model.encoder, dtype=np.float32)
    with Redis.from_url(url) as client:

        def publish() -> None:
            for start in range(0, len(baskets), BATCH):
                some = everybody[start : start + BATCH]
                items, scores = peer.recommend(some, bought[some], N=PEER_LENGTH)
                send(client, model, some, items, scores)

        return seconds(publish) / len(baskets)


def send(client: Redis, model: ItemFactors, customers: np.ndarray, items: np.ndarray, scores: np.ndarray) -> None:
    """SET the lists of a batch."""
    with client.pipeline(transaction=False) as pipeline:
        for customer, row, row_scores in zip(customers.tolist(), items.tolist(), scores.tolist(), strict=True):
            listed = [
                {"item_id": model.item_ids[item], "score": round(score, 4)}
                for item, score in zip(row, row_scores, strict=True)
            ]
            pipeline.set(f"peer:{customer}", json.dumps(listed))
        pipeline.execute()


def seconds(work: Callable[[], None]) -> float:
    """CPU seconds of this process that the work takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def check(published: int, wanted: int) -> None:
    """Nothing, if everybody was published.

    Raises:
        RuntimeError: not.
    """
    if published != wanted:
        msg = f"expected {wanted} customers to be published, got {published}; give the cache more memory"
        raise RuntimeError(msg)


if __name__ == "__main__":
    main()
