"""An installation, opened: every port over its database, files and cache, under its keys."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import URL, Engine

from recsys.clock import Clock, utc_now
from recsys.erasure.restored import begin_journal, keep_out
from recsys.errors import StateError
from recsys.fence import CacheFence, Wait
from recsys.intake import DsrRequests, Exports, Imports
from recsys.ports import (
    ApiKeys,
    Cache,
    Catalogue,
    Commitments,
    Erasures,
    Feedback,
    Fences,
    Histories,
    Journal,
    LedgerLog,
    Pseudonyms,
    ReceiptLog,
    Registry,
    SubjectRequests,
    Sums,
    Webhooks,
)
from recsys.rights.restored import Kept, begin_limits, keep_limits
from recsys.store.cache import NoCache, RedisCache
from recsys.store.embedded import EmbeddedValkey
from recsys.store.files import sweep
from recsys.store.journal import FileJournal
from recsys.store.keys import KeyRing
from recsys.store.lock import StateLock
from recsys.store.logs import json_logger
from recsys.store.memory import (
    MemoryApiKeys,
    MemoryCache,
    MemoryCatalogue,
    MemoryErasures,
    MemoryExports,
    MemoryFeedback,
    MemoryFences,
    MemoryHistories,
    MemoryImports,
    MemoryLedgerLog,
    MemoryReceiptLog,
    MemoryRegistry,
    MemoryState,
    MemorySums,
    MemoryWebhooks,
)
from recsys.store.memory_journal import MemoryJournal
from recsys.store.memory_subjects import MemoryDsrRequests, MemorySubjectRequests
from recsys.store.parts import SealedParts
from recsys.store.registry import FileRegistry
from recsys.store.settings import Settings
from recsys.store.sql.api_keys import SqlApiKeys
from recsys.store.sql.catalogue import SqlCatalogue
from recsys.store.sql.engine import open_engine
from recsys.store.sql.erasures import SqlErasures
from recsys.store.sql.exports import SqlExports
from recsys.store.sql.feedback import SqlFeedback
from recsys.store.sql.fences import SqlFences
from recsys.store.sql.histories import SqlHistories
from recsys.store.sql.imports import SqlImports
from recsys.store.sql.journal_mark import read_mark, write_mark
from recsys.store.sql.ledger import SqlLedgerLog
from recsys.store.sql.migrate import bind_keys, check_schema, migrate
from recsys.store.sql.opendsr import SqlDsrRequests
from recsys.store.sql.receipt_log import SqlReceiptLog
from recsys.store.sql.subject_requests import SqlSubjectRequests
from recsys.store.sql.sums import SqlSums
from recsys.store.sql.webhooks import SqlWebhooks

DATABASE = "privrec.sqlite"
KEYS = "keys"
MODELS = "models"
UPLOADS = "uploads"
DOWNLOADS = "downloads"
JOURNAL = "suppressions.journal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """The ports of one installation, with its settings, keys and clock."""

    settings: Settings
    keys: KeyRing
    catalogue: Catalogue
    histories: Histories
    feedback: Feedback
    sums: Sums
    erasures: Erasures
    subjects: SubjectRequests
    journal: Journal
    receipt_log: ReceiptLog
    fences: Fences
    ledger_log: LedgerLog
    registry: Registry
    cache: Cache
    api_keys: ApiKeys
    imports: Imports
    exports: Exports
    dsr: DsrRequests
    webhooks: Webhooks
    clock: Clock = utc_now
    wait: Wait = time.sleep
    check_schema: Callable[[], None] = lambda: None
    """Raises StateError while the database has another schema than this version of privrec."""

    @property
    def fence(self) -> CacheFence:
        """What keeps promises about cached lists."""
        return CacheFence(
            fences=self.fences, cache=self.cache, erasures=self.erasures, subjects=self.subjects, wait=self.wait
        )

    @property
    def pseudonyms(self) -> Pseudonyms:
        """What turns a customer's id into a key."""
        return self.keys

    @property
    def commitments(self) -> Commitments:
        """What commits to private data."""
        return self.keys

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """What receipts and privacy reports are signed with."""
        return self.keys.signing_key

    @property
    def public_key(self) -> Ed25519PublicKey:
        """What receipts and privacy reports are verified with."""
        return self.keys.public_key


@contextmanager
def open_workspace(
    settings: Settings, *, clock: Clock = utc_now, lock: bool = True, start_cache: bool = True
) -> Iterator[Workspace]:
    """The workspace of the settings, closed at the end of the block.

    Args:
        settings: Where everything is.
        clock: The time.
        lock: Whether to own the state directory. A process that does not may read, take events, requests and keys,
            but must not train, release or finish erasures.
        start_cache: Whether to start a Valkey server if no URL of one is given; if not, the cache is always empty.

    Raises:
        StateError: the directory, a key, the database or the cache is in the way; the message says how.
    """
    with ExitStack() as stack:
        state_dir = _state_directory(settings.state_dir)
        if lock:
            stack.enter_context(StateLock(state_dir))
            sweep(state_dir)
            sweep(state_dir / KEYS)
        ring = KeyRing.load(state_dir / KEYS)
        registry = FileRegistry(state_dir / MODELS, owner=lock)
        engine = stack.enter_context(_database(settings.database_url or _embedded_url(state_dir), ring))
        settings = _with_cache(settings, stack, start=start_cache, owner=lock)
        cache = stack.enter_context(_cache(settings, ring))
        imports = SqlImports(engine, SealedParts(state_dir / UPLOADS, ring))
        exports = SqlExports(engine, SealedParts(state_dir / DOWNLOADS, ring))
        if lock:
            imports.sweep()
            exports.sweep()
        workspace = _sql_workspace(settings, ring, engine, registry, cache, clock, imports, exports)
        _keep_out(workspace, engine)
        yield workspace


def memory_workspace(settings: Settings | None = None, clock: Clock = utc_now, wait: Wait = time.sleep) -> Workspace:
    """A workspace that is kept nowhere, with a certified cache."""
    ring, state = KeyRing.ephemeral(), MemoryState()
    workspace = Workspace(
        settings=settings or Settings(),
        keys=ring,
        catalogue=MemoryCatalogue(),
        histories=MemoryHistories(state),
        feedback=MemoryFeedback(),
        sums=MemorySums(state),
        erasures=MemoryErasures(state, clock),
        subjects=MemorySubjectRequests(state),
        journal=MemoryJournal(),
        receipt_log=MemoryReceiptLog(state),
        fences=MemoryFences(),
        ledger_log=MemoryLedgerLog(),
        registry=MemoryRegistry(),
        cache=MemoryCache(),
        api_keys=MemoryApiKeys(ring, clock),
        imports=MemoryImports(),
        exports=MemoryExports(),
        dsr=MemoryDsrRequests(state, clock),
        webhooks=MemoryWebhooks(state.outbox, clock),
        clock=clock,
        wait=wait,
    )
    workspace.fence.certify()
    return workspace


def _sql_workspace(
    settings: Settings,
    ring: KeyRing,
    engine: Engine,
    registry: Registry,
    cache: Cache,
    clock: Clock,
    imports: Imports,
    exports: Exports,
) -> Workspace:
    return Workspace(
        settings=settings,
        keys=ring,
        catalogue=SqlCatalogue(engine),
        histories=SqlHistories(engine, ring),
        feedback=SqlFeedback(engine),
        sums=SqlSums(engine, ring),
        erasures=SqlErasures(engine, ring, clock),
        subjects=SqlSubjectRequests(engine, ring),
        journal=FileJournal(settings.journal or settings.state_dir.resolve() / JOURNAL, ring),
        receipt_log=SqlReceiptLog(engine),
        fences=SqlFences(engine),
        ledger_log=SqlLedgerLog(engine),
        registry=registry,
        cache=cache,
        api_keys=SqlApiKeys(engine, ring, clock),
        imports=imports,
        exports=exports,
        dsr=SqlDsrRequests(engine, clock),
        webhooks=SqlWebhooks(engine, clock),
        clock=clock,
        check_schema=check_schema(engine),
    )


def _keep_out(workspace: Workspace, engine: Engine) -> None:
    """Keep out and limit whom the journal does and the database does not, because a backup of it was put back."""
    before, journal, now = read_mark(engine), workspace.journal, workspace.clock()
    is_begun = journal.has(before)
    end, suppressed = keep_out(workspace.erasures, journal, workspace.fence, now=now, after=before)
    kept = keep_limits(workspace, now=now, after=before)
    if not is_begun:  # it is new, or was lost, or what began it died before the mark was set
        begin_journal(workspace.erasures, journal)
        begin_limits(workspace.subjects, journal)
    if end != before:
        write_mark(engine, end)
    if suppressed or kept.limited or kept.lifted:
        _say_restored(suppressed, kept)


def _say_restored(suppressed: int, kept: Kept) -> None:
    """Tell the operator, in numbers: whoever restored a backup sees what it did not know."""
    json_logger().warning(
        "the record was older than the journal",
        erasures_again=suppressed,
        limits_again=kept.limited,
        limits_lifted_again=kept.lifted,
        counted="internal, not private",
    )


@contextmanager
def _database(url: str | URL, ring: KeyRing) -> Iterator[Engine]:
    engine = open_engine(url)
    try:
        migrate(engine)
        bind_keys(engine, ring.fingerprint)
        yield engine
    finally:
        engine.dispose()


def _with_cache(settings: Settings, stack: ExitStack, *, start: bool, owner: bool) -> Settings:
    """The settings with the URL of a cache: the given one, or that of a server started beside this process."""
    if settings.redis_url is not None or not start:
        return settings
    server = EmbeddedValkey(settings.state_dir, memory_mb=settings.cache_memory_mb, owner=owner)
    return settings.model_copy(update={"redis_url": stack.enter_context(server).url})


@contextmanager
def _cache(settings: Settings, ring: KeyRing) -> Iterator[Cache]:
    if settings.redis_url is None:
        yield NoCache()
        return
    cache = RedisCache(settings.redis_url, ring, settings.cache_timeout_seconds)
    try:
        yield cache
    finally:
        cache.close()


def _embedded_url(state_dir: Path) -> URL:
    return URL.create("sqlite", database=str(state_dir / DATABASE))


def _state_directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        return path.resolve()
    except OSError as error:
        msg = (
            f"expected to create or open the state directory {path}, got {error.strerror}; "
            "create its parent directory or set PRIVREC_STATE_DIR to one that this user can write"
        )
        raise StateError(msg) from error
