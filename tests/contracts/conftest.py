"""One set of tests a port, on every implementation: memory, SQLite, and a real PostgreSQL where one is installed."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, make_url

from recsys.data.history import Purchases, event_digest, purchases_array
from recsys.evidence.manifest import name_version
from recsys.models.factors import ItemFactors
from recsys.store.keys import KeyRing
from recsys.store.parts import SealedParts
from recsys.store.sql.api_keys import SqlApiKeys
from recsys.store.sql.catalogue import SqlCatalogue
from recsys.store.sql.engine import open_engine
from recsys.store.sql.erasures import SqlErasures
from recsys.store.sql.exports import SqlExports
from recsys.store.sql.feedback import SqlFeedback
from recsys.store.sql.fences import SqlFences
from recsys.store.sql.histories import SqlHistories
from recsys.store.sql.imports import SqlImports
from recsys.store.sql.ledger import SqlLedgerLog
from recsys.store.sql.migrate import migrate
from recsys.store.sql.opendsr import SqlDsrRequests
from recsys.store.sql.receipt_log import SqlReceiptLog
from recsys.store.sql.subject_requests import SqlSubjectRequests
from recsys.store.sql.sums import SqlSums
from recsys.store.sql.tables import metadata
from recsys.store.sql.webhooks import SqlWebhooks
from recsys.store.workspace import Workspace, memory_workspace
from recsys.types import ErasureRequest, ErasureState, ModelVersion, UserKey

BACKENDS = ("memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.service))
Database: TypeAlias = Callable[[Path], AbstractContextManager[str]]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(params=BACKENDS)
def ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workspace]:
    """Empty ports of every implementation."""
    if request.param == "memory":
        yield memory_workspace(clock=lambda: NOON)
        return
    make_database = request.getfixturevalue(f"{request.param}_database")
    with make_database(tmp_path) as url:
        engine = open_engine(url)
        try:
            yield sql_workspace(engine, tmp_path)
        finally:
            engine.dispose()


def sql_workspace(engine: Engine, directory: Path) -> Workspace:
    ring = KeyRing.ephemeral()
    return replace(
        memory_workspace(clock=lambda: NOON),
        keys=ring,
        catalogue=SqlCatalogue(engine),
        histories=SqlHistories(engine, ring),
        feedback=SqlFeedback(engine),
        sums=SqlSums(engine, ring),
        erasures=SqlErasures(engine, ring, lambda: NOON),
        subjects=SqlSubjectRequests(engine, ring),
        receipt_log=SqlReceiptLog(engine),
        fences=SqlFences(engine),
        ledger_log=SqlLedgerLog(engine),
        api_keys=SqlApiKeys(engine, ring, lambda: NOON),
        exports=SqlExports(engine, SealedParts(directory / "downloads", ring)),
        dsr=SqlDsrRequests(engine, lambda: NOON),
        imports=SqlImports(engine, SealedParts(directory / "uploads", ring)),
        webhooks=SqlWebhooks(engine, lambda: NOON),
    )


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A context with the URL of a fresh SQLite database, copied from one that was migrated once."""
    template = tmp_path_factory.mktemp("template") / "template.sqlite"
    _migrate(f"sqlite:///{template}")

    @contextmanager
    def database(directory: Path) -> Iterator[str]:
        shutil.copy(template, directory / "privrec.sqlite")
        yield f"sqlite:///{directory / 'privrec.sqlite'}"

    return database


@pytest.fixture(scope="session")
def postgresql_database(postgres_url: str) -> Iterator[Database]:
    """A context with the URL of an empty PostgreSQL database of this test session."""
    name = f"privrec_test_{secrets.token_hex(8)}"
    url = _named(postgres_url, name)
    _sql(postgres_url, f"CREATE DATABASE {name}")
    _migrate(url)

    @contextmanager
    def database(_directory: Path) -> Iterator[str]:
        # Emptying is much faster than a new database for every test.
        engine = open_engine(url)
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        engine.dispose()
        yield url

    yield database
    _sql(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server: the one in PRIVREC_TEST_POSTGRES_URL, or a throw-away one from the installed programs."""
    given = os.environ.get("PRIVREC_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = programs[-1] if programs else shutil.which("initdb")
    if not found:
        pytest.skip("no PostgreSQL server is installed and PRIVREC_TEST_POSTGRES_URL is not set")
    with throw_away_server(Path(found).parent) as url:
        yield url


@contextmanager
def throw_away_server(programs: Path) -> Iterator[str]:
    """A server on a private unix socket that does not sync: its data are worth nothing."""
    directory = Path(tempfile.mkdtemp(prefix="privrec-pg-", dir="/tmp"))
    user = _unprivileged()
    if user:
        shutil.chown(directory, user)
    data = ["-D", str(directory / "data")]
    initdb = [str(programs / "initdb"), *data, "-U", "privrec", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    server = [str(programs / "postgres"), *data, "-k", str(directory), "-F", "-c", "listen_addresses="]
    try:
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=directory)
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(server, stdout=log, stderr=log, user=user, cwd=directory)
        try:
            url = f"postgresql://privrec@/postgres?host={directory}"
            _wait_for(url)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged() -> str | None:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _sql(url, "SELECT 1")
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _sql(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _named(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _migrate(url: str) -> None:
    engine = open_engine(url)
    try:
        migrate(engine)
    finally:
        engine.dispose()


@pytest.fixture
def customer() -> Callable[[int], UserKey]:
    """The nth customer's key, in the order of keys."""
    return lambda number: UserKey(number.to_bytes(16, "big"))


@pytest.fixture
def buy() -> Callable[..., Purchases]:
    """Purchases as (event id, item) pairs, one second apart."""

    def purchases(*pairs: tuple[str, int]) -> Purchases:
        events, items = zip(*pairs, strict=True)
        times = 1000 * np.arange(len(pairs))
        digests = np.array([event_digest(event) for event in events], dtype=np.uint64)
        return purchases_array(timestamp=times, item=items, quantity=np.ones(len(pairs)), event=digests)

    return purchases


@pytest.fixture
def erasure_request() -> Callable[..., ErasureRequest]:
    """A request by its id."""

    def request(request_id: str, *, release: bool = True) -> ErasureRequest:
        return ErasureRequest(
            request_id=request_id,
            subject="ab" * 32,
            reason="customer request",
            received_at=NOON,
            due_at=NOON + timedelta(days=30),
            state=ErasureState.SUPPRESSED,
            release=release,
        )

    return request


@pytest.fixture
def make_model() -> Callable[..., tuple[ItemFactors, ModelVersion]]:
    """A small model and its version; other seeds make other models, created a day later each."""

    def model(seed: int = 0) -> tuple[ItemFactors, ModelVersion]:
        rng = np.random.default_rng(seed)
        tables = rng.normal(size=(2, 5, 3)).astype(np.float32)
        factors = ItemFactors(
            item_ids=("a", "b", "c", "d", "ö"),
            encoder=tables[0],
            factors=tables[1],
            item_weights=np.ones(5, dtype=np.float32),
            popularity=np.arange(5, dtype=np.float32),
        )
        version = ModelVersion(
            version="",
            trainer="gram",
            created_at=NOON + timedelta(days=seed),
            model_digest=factors.digest,
            config={"n_factors": 3, "seed": seed},
            privacy={"epsilon": 4.0, "releases": [{"purpose": "gram", "noise_multiplier": 1.5}]},
            sum_id="sum-1",
            metrics={"recall20": 0.25},
        )
        return factors, name_version(version)

    return model
