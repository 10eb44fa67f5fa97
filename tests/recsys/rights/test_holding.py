"""What is gathered of one customer, and the file that it becomes."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from pipelines.erase import subject_desk
from pipelines.exports import Exporter
from pipelines.subject_file import Controller, packed
from recsys.data.export_job import ExportState
from recsys.data.subject_request import SubjectKind
from recsys.errors import ImportConflictError, NotFoundError
from recsys.rights.files import SubjectFiles
from recsys.rights.holding import Held, gather
from recsys.store.rules import MAX_SUBJECT_FILES
from recsys.store.workspace import memory_workspace
from tests.recsys.erasure.shop import ADA, BEN, LOG, NOBODY, Shop, stock
from tests.recsys.training.shop import OPENING, TickingClock

SHOP = Controller(name="Tea & Co", contact="privacy@tea.example", basis="legitimate interest")


@pytest.fixture
def shop() -> Shop:
    return stock(memory_workspace(clock=TickingClock(), wait=lambda _: None))


def held(shop: Shop, user_id: str) -> Held:
    return gather(shop.workspace, shop.workspace.keys, shop.key(user_id))


def files(shop: Shop) -> SubjectFiles:
    return SubjectFiles(
        exports=shop.workspace.exports,
        histories=shop.workspace.histories,
        pseudonyms=shop.workspace.keys,
        clock=shop.workspace.clock,
    )


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_purchases_terms_lists_and_requests_are_all_there(shop: Shop) -> None:
    subject_desk(shop.workspace).limit(BEN, SubjectKind.RESTRICTION)
    ada, ben = held(shop, ADA), held(shop, BEN)
    history = LOG.history(LOG.users.index(ADA))
    assert [purchase.item_id for purchase in ada.purchases] == [LOG.items[item] for item in history.purchases["item"]]
    [term] = ada.terms
    assert list(term.item_ids) == [LOG.items[item] for item in history.items]
    assert term.versions == (shop.live(),)
    assert {each.task for each in ada.lists} == {"any", "discover"}
    assert [request.kind for request in ben.requests] == [SubjectKind.RESTRICTION]
    assert (ben.lists, len(ben.purchases) > 0) == ((), True)


def test_nothing_of_anybody_else_is_in_it(shop: Shop) -> None:
    before = packed(held(shop, ADA), ADA, at=OPENING, controller=SHOP)
    newcomer = "newcomer@mail.example"
    shop.workspace.histories.append({shop.key(newcomer): LOG.history(0).purchases})
    subject_desk(shop.workspace).limit(newcomer, SubjectKind.OBJECTION)
    assert packed(held(shop, ADA), ADA, at=OPENING, controller=SHOP) == before
    assert not any(user.encode() in member for user in LOG.users if user != ADA for member in members(before).values())


@pytest.mark.parametrize("finished", [False, True])
def test_nothing_tells_a_stranger_from_who_was_erased(shop: Shop, finished: bool) -> None:
    shop.ask(ADA)
    if finished:
        shop.work()
    assert held(shop, ADA) == held(shop, NOBODY)
    assert held(shop, ADA).summary() == held(shop, NOBODY).summary()


def test_the_file_says_the_same_as_json_and_as_csv_and_explains_itself(shop: Shop) -> None:
    found = members(packed(held(shop, ADA), ADA, at=OPENING, controller=SHOP))
    document = json.loads(found["subject.json"])
    assert set(found) == {"README.txt", "subject.json", "purchases.csv", "terms.csv", "lists.csv", "requests.csv"}
    for name in ("purchases", "terms", "lists"):
        rows = list(csv.DictReader(io.StringIO(found[f"{name}.csv"].decode())))
        assert len(rows) == len(document[name]) > 0
        assert [row["item_id"] for row in rows] == [row["item_id"] for row in document[name]]
    page = found["README.txt"].decode()
    assert all(name in page for name in found if name != "README.txt")
    assert "Tea & Co" in page
    assert "privacy@tea.example" in page
    assert "salted commitment" in page


def test_a_sum_that_the_customer_left_is_told_without_items(shop: Shop) -> None:
    [term] = held(shop, ADA).terms
    shop.workspace.sums.create_sum("left", b"", [(shop.key(ADA), b"")])
    rows: Any = json.loads(members(packed(held(shop, ADA), ADA, at=OPENING, controller=SHOP))["subject.json"])["terms"]
    assert [row["item_id"] for row in rows if row["sum_id"] == "left"] == [""]
    assert len(rows) == len(term.item_ids) + 1


def test_the_summary_counts_and_names_no_purchase(shop: Shop) -> None:
    summary = held(shop, ADA).summary()
    text = json.dumps(summary)
    assert summary["purchases"]["count"] == len(LOG.history(LOG.users.index(ADA)))  # type: ignore[index, call-overload]
    assert not any(f'"{item}"' in text for item in LOG.items)
    assert str(summary["counted"]).startswith("internal, not private")


# The file as a job.


def test_a_file_is_made_by_the_worker_and_given_out(shop: Shop) -> None:
    job = files(shop).ask(ADA)
    with pytest.raises(NotFoundError, match="working"):
        files(shop).content(job.export_id)
    [done] = Exporter(shop.workspace).run()
    assert (done.export_id, files(shop).job(job.export_id).state) == (job.export_id, ExportState.DONE)
    assert json.loads(members(files(shop).content(job.export_id))["subject.json"])["user_id"] == ADA


def test_another_customers_erasure_leaves_the_file(shop: Shop) -> None:
    job = files(shop).ask(ADA)
    Exporter(shop.workspace).run()
    shop.erase(BEN)
    assert files(shop).job(job.export_id).state is ExportState.DONE


@pytest.mark.parametrize("made", [False, True])
def test_the_customers_erasure_ends_it_at_once_and_destroys_it(shop: Shop, made: bool) -> None:
    job = files(shop).ask(ADA)
    if made:
        Exporter(shop.workspace).run()
    shop.ask(ADA)
    assert files(shop).job(job.export_id).state is ExportState.WITHDRAWN
    with pytest.raises(NotFoundError, match="withdrawn"):
        files(shop).content(job.export_id)
    [request] = shop.work()
    assert shop.workspace.exports.lying() == ()
    assert shop.workspace.exports.withdrawn_for(request.request_id) == 1
    assert shop.receipt(request)["steps"]["purged"]["exports"] == "1 files with lists deleted"


def test_a_file_of_an_erased_customer_is_a_strangers(shop: Shop) -> None:
    shop.erase(ADA)
    jobs = [files(shop).ask(user) for user in (ADA, NOBODY)]
    Exporter(shop.workspace).run()
    shop.erase(BEN)
    empty, strangers = (members(files(shop).content(job.export_id)) for job in jobs)
    assert [empty[name] for name in empty if name.endswith(".csv")] == [
        strangers[name] for name in strangers if name.endswith(".csv")
    ]
    assert len(empty["purchases.csv"].splitlines()) == 1


def test_a_file_is_kept_for_a_week(shop: Shop) -> None:
    job = files(shop).ask(ADA)
    Exporter(shop.workspace).run()
    for days, state in ((6, ExportState.DONE), (8, ExportState.EXPIRED)):
        moment = job.created_at + timedelta(days=days)
        Exporter(replace(shop.workspace, clock=partial(moment.replace))).run()
        assert shop.workspace.exports.job(job.export_id).state is state


def test_files_of_customers_do_not_count_against_the_others(shop: Shop) -> None:
    for _ in range(MAX_SUBJECT_FILES):
        files(shop).ask(ADA)
    with pytest.raises(ImportConflictError, match="500"):
        files(shop).ask(ADA)
