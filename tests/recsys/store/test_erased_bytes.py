"""After an erasure the customer's bytes are in no file of the state directory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from recsys.data.account_merge import AccountMerge
from recsys.data.history import EMPTY_HISTORY, Purchases
from recsys.data.subject_request import SubjectKind, SubjectRequest
from recsys.errors import StorageError
from recsys.serving.feedback import FeedbackDesk
from recsys.serving.recommendation_ids import make_id, model_mark, new_serial
from recsys.store.keys import KeyRing, Purpose
from recsys.store.settings import Settings
from recsys.store.sql.erasures import SqlErasures
from recsys.store.sql.histories import SqlHistories
from recsys.store.sql.subject_requests import SqlSubjectRequests
from recsys.store.sql.sums import SqlSums
from recsys.store.sql.tables import customers, sums, terms
from recsys.store.workspace import open_workspace
from recsys.types import CatalogueItem, ErasureRequest, FeedbackEvent, FeedbackStatus, FeedbackType

USER_ID = "alice.in.wonderland@example.org"
TERM = b"the term of this customer, not to be found" * 4
OLD_SUM, NEW_SUM = b"a sum with everyone in it. " * 400, b"a sum without one customer. " * 400
WINDOW = 24


class Shop:
    """A state directory with a customer among others, in a sum."""

    def __init__(self, engine: Engine, ring: KeyRing, request: ErasureRequest) -> None:
        self.histories, self.sums, self.erasures = (
            SqlHistories(engine, ring),
            SqlSums(engine, ring),
            SqlErasures(engine, ring),
        )
        self.engine, self.ring, self.request, self.key = engine, ring, request, ring.user_key(USER_ID)

    def fill(self, shopping: Callable[..., Purchases]) -> None:
        others = {self.ring.user_key(f"other-{number}"): shopping(50, first=1000 * number) for number in range(1, 30)}
        self.histories.append({self.key: shopping(3), **others})
        self.histories.append({self.key: shopping(600, first=3)})
        self.sums.create_sum("s", OLD_SUM, [(self.key, TERM)])
        self.erasures.suppress(self.request, self.key)

    def erase(self) -> None:
        self.erasures.erase_customers({self.request.request_id: {}}, {"s": NEW_SUM})

    def secrets(self) -> tuple[list[list[bytes]], list[bytes]]:
        """Every piece of the customer's stored bytes, and the plain ones that must never be there."""
        with self.engine.connect() as connection:
            row = connection.execute(customers.select().where(customers.c.user_key == self.key)).one()
            term = connection.execute(terms.select().where(terms.c.user_key == self.key)).one().term
            total = connection.execute(sums.select()).one().content
        data_key = self.ring.open(Purpose.DATA_KEY, row.data_key, self.key)
        stored = [windows(blob) for blob in (row.record, row.data_key, term, total)]
        plain = [
            USER_ID.encode(),
            data_key,
            TERM[:WINDOW],
            OLD_SUM[:WINDOW],
            self.histories.history(self.key).to_bytes()[:WINDOW],
        ]
        return stored, plain


def windows(blob: bytes) -> list[bytes]:
    """Pieces of the blob: SQLite breaks long values across pages, so the whole is in no file anyway."""
    return [blob[start : start + WINDOW] for start in range(0, len(blob) - WINDOW + 1, WINDOW)]


def everything_in(directory: Path) -> bytes:
    """The bytes of every file, the write-ahead log included."""
    return b"\0".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


@pytest.fixture
def shop(engine: Engine, ring: KeyRing, erasure_request: ErasureRequest, shopping: Callable[..., Purchases]) -> Shop:
    shop = Shop(engine, ring, erasure_request)
    shop.fill(shopping)
    return shop


def test_an_erased_customers_bytes_are_in_no_file(shop: Shop, state_dir: Path) -> None:
    stored, plain = shop.secrets()
    before = everything_in(state_dir)
    assert all(any(window in before for window in pieces) for pieces in stored)
    shop.erase()
    after = everything_in(state_dir)
    assert [window for pieces in stored for window in pieces if window in after] == []
    assert [secret for secret in plain if secret in before or secret in after] == []


def test_a_merged_accounts_bytes_are_in_no_file_once_somebody_is_erased(shop: Shop, state_dir: Path) -> None:
    account, into = (shop.ring.user_key(name) for name in ("other-1", "other-2"))
    with shop.engine.connect() as connection:
        row = connection.execute(customers.select().where(customers.c.user_key == account)).one()
    merge, objection = (
        SubjectRequest(request_id=kind.value, kind=kind, received_at=shop.request.received_at)
        for kind in (SubjectKind.MERGE, SubjectKind.OBJECTION)
    )
    SqlSubjectRequests(shop.engine, shop.ring).merge(
        AccountMerge(account=account, into=into, request=merge, objection=objection)
    )
    assert len(shop.histories.history(into)) == 100
    shop.erase()
    after = everything_in(state_dir)
    assert [piece for blob in (row.record, row.data_key) for piece in windows(blob) if piece in after] == []


def test_the_search_would_find_bytes_that_are_left_in_free_pages(shop: Shop, state_dir: Path) -> None:
    @event.listens_for(shop.engine, "begin")
    def leave_freed_pages(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF")

    stored, _ = shop.secrets()
    shop.erase()
    after = everything_in(state_dir)
    assert any(window in after for pieces in stored for window in pieces)


def test_the_write_ahead_log_is_empty_after_an_erasure(shop: Shop, state_dir: Path) -> None:
    log = state_dir / "privrec.sqlite-wal"
    assert log.stat().st_size > 0
    shop.erase()
    assert log.stat().st_size == 0


def test_an_erasure_while_a_reader_holds_the_log_says_so_and_can_be_repeated(shop: Shop, state_dir: Path) -> None:
    @event.listens_for(shop.engine, "connect")
    def do_not_wait(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=1")

    with shop.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM customers")).scalar_one()
        with shop.engine.connect() as warm:
            warm.exec_driver_sql("PRAGMA busy_timeout=1")
        with pytest.raises(StorageError, match="reader"):
            shop.erase()
    assert shop.histories.history(shop.key) == EMPTY_HISTORY
    shop.erase()
    assert (state_dir / "privrec.sqlite-wal").stat().st_size == 0


def test_a_whole_workspace_holds_no_id_and_no_erased_bytes(
    tmp_path: Path, erasure_request: ErasureRequest, shopping: Callable[..., Purchases]
) -> None:
    settings = Settings.load(state_dir=tmp_path / "state")
    with open_workspace(settings, start_cache=False) as workspace:
        key = workspace.pseudonyms.user_key(USER_ID)
        workspace.histories.append({key: shopping(40)})
        workspace.erasures.suppress(erasure_request, key)
        workspace.erasures.erase_customers({erasure_request.request_id: {}}, {})
        assert USER_ID.encode() not in everything_in(settings.state_dir)
        assert shopping(40).tobytes()[:WINDOW] not in everything_in(settings.state_dir)
    assert USER_ID.encode() not in everything_in(settings.state_dir)


def test_feedback_leaves_no_id_of_list_event_or_customer_in_any_file(tmp_path: Path) -> None:
    settings = Settings.load(state_dir=tmp_path / "state")
    with open_workspace(settings, start_cache=False) as workspace:
        workspace.catalogue.add_items([CatalogueItem(item_id="tea")])
        ring, now, serial = workspace.keys, workspace.clock(), new_serial()
        desk = FeedbackDesk(seals=ring, catalogue=workspace.catalogue, feedback=workspace.feedback, clock=lambda: now)
        name, event_id = make_id(ring, serial, version="v", made=now), "the click of alice on page 12"
        click = FeedbackEvent(
            recommendation_id=name, type=FeedbackType.CLICK, item_id="tea", event_id=event_id, timestamp=now
        )
        assert desk.record([click]) == [FeedbackStatus.ACCEPTED]
        written = everything_in(settings.state_dir)

    assert model_mark("v") in written
    secrets = (name.encode(), serial, event_id.encode(), ring.user_key(USER_ID))
    assert [secret for secret in secrets if secret in written] == []
