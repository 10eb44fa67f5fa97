"""Bad input gets a code, a sentence that says what to do, no customer's id, and leaves state as it was."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, event
from starlette.testclient import TestClient

from api.app import create_app
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
from tests.pipelines.shell import (
    ADA,
    BEN,
    COLUMNS,
    FIRST_RELEASE,
    MAIL,
    N_CUSTOMERS,
    NOBODY,
    QUANTITIES,
    Row,
    assert_refused,
    contents,
    done,
    privrec,
    shop_rows,
    spends,
    write_csv,
    write_parquet,
)

SCOPES = ("--scope", "recommend", "--scope", "write", "--scope", "erase")
LONG = f"{MAIL}{'x' * 10_000}"
NOT_A_NUMBER = ("0", "-1", "nan", "-inf")


@pytest.fixture
def unchanged(trained: Path) -> Iterator[Path]:
    """A trained installation that must say after the test what it said before."""
    before = contents(trained)
    yield trained
    assert contents(trained) == before


@pytest.fixture
def api(trained: Path) -> Iterator[TestClient]:
    """The API over the installation, asked by someone who may do everything that a shop does."""
    secret = done("keys", "create", "shop", *SCOPES, "--json").json["secret"]
    with TestClient(create_app(Settings.load()), headers={"Authorization": f"Bearer {secret}"}) as client:
        yield client


def ask(api: TestClient, user_id: str = ADA, **params: object) -> httpx2.Response:
    return api.get(f"/v1/users/{user_id}/recommendations", params={name: str(value) for name, value in params.items()})


def personal(api: TestClient) -> bool:
    return bool(ask(api).json()["personalized"])


def assert_answer_refused(response: httpx2.Response, status: int, *found: str) -> None:
    """The envelope with this status and one clear sentence, without the customer's id."""
    error = response.json()["error"]
    assert (response.status_code, error.keys()) == (status, {"code", "message", "request_id"})
    assert error["message"].startswith("expected ")
    assert [word for word in found if word not in error["message"]] == []
    assert MAIL not in response.text


def with_row(row: Row, tmp_path: Path) -> Path:
    """The shop's file with this row added as its last."""
    return write_csv(tmp_path / "with-a-bad-row.csv", [*shop_rows(), row])


@pytest.mark.parametrize("command", [("ingest",), ("train", "--data"), ("evaluate", "--data")], ids=" ".join)
def test_a_missing_column_is_named_with_the_option_that_renames_it(
    command: tuple[str, ...], unchanged: Path, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "mine.csv", shop_rows(), ("user", "sku", "timestamp", "quantity"))
    assert_refused(privrec(*command, file), 3, "'item'", "user, sku, timestamp, quantity", "--item-column")


def test_a_file_without_a_header_is_refused_without_repeating_its_first_row(unchanged: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "mine.csv", shop_rows()[1:], map(str, shop_rows()[0]))
    assert_refused(privrec("ingest", file), 3, "put a header above it")


def a_directory(path: Path) -> None:
    path.mkdir()


def a_cut_parquet(path: Path) -> None:
    whole = write_parquet(path, shop_rows()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


UNREADABLE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("mine.csv", lambda _: None),
    "a directory": ("mine.csv", a_directory),
    "empty": ("mine.csv", lambda path: path.write_bytes(b"")),
    "an empty parquet": ("mine.parquet", lambda path: path.write_bytes(b"")),
    "a header alone": ("mine.csv", lambda path: write_csv(path, [])),
    "binary": ("mine.csv", lambda path: path.write_bytes(b"user,item,timestamp\n\xff\xfe\x00,1,2\n")),
    "not a parquet": ("mine.parquet", lambda path: write_csv(path, shop_rows())),
    "a cut parquet": ("mine.parquet", a_cut_parquet),
    "not a gzip": ("mine.csv.gz", lambda path: write_csv(path, shop_rows())),
    "a row cut short": ("mine.csv", lambda path: path.write_text(f"user,item,timestamp\n{ADA},i01\n")),
    "lines of no JSON": ("mine.jsonl", lambda path: write_csv(path, shop_rows())),
    "a line that is cut": ("mine.jsonl", lambda path: path.write_text(f'{{"user": "{ADA}", "item"')),
    "an empty jsonl": ("mine.jsonl", lambda path: path.write_bytes(b"")),
    "not a compressed jsonl": ("mine.jsonl.gz", lambda path: write_csv(path, shop_rows())),
    "a spreadsheet": ("mine.xlsx", lambda path: path.write_bytes(b"PK\x03\x04")),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_or_empty_file_is_refused(kind: str, unchanged: Path, tmp_path: Path) -> None:
    name, make = UNREADABLE[kind]
    make(tmp_path / name)
    assert_refused(privrec("ingest", tmp_path / name), 3)
    assert_refused(privrec("train", "--epsilon", "1", "--data", tmp_path / name), 3)


def test_returns_are_counted_and_reported_and_not_taken_as_purchases(tmp_path: Path, fresh: Path) -> None:
    rows = [(ADA, "i01", "2026-01-31", 2), (ADA, "i02", "2026-01-31", 0), (ADA, "i03", "2026-01-31", -1)]
    report = done("ingest", write_csv(tmp_path / "mine.csv", rows), *QUANTITIES, "--json").json
    assert (report["rows"], report["accepted"], report["returns"]) == (3, 1, 2)
    assert [item.item_id for item in contents(fresh)["catalogue"]] == ["i01"]


def test_returns_posted_to_the_api_are_counted_and_change_nothing(api: TestClient, unchanged: Path) -> None:
    rows = [purchase("e1", quantity=0), purchase("e2", quantity=-3.0)]
    answer = api.post("/v1/events", json={"events": rows}).json()
    assert [result["status"] for result in answer["results"]] == ["return", "return"]
    assert answer["counts"]["return"] == 2


def test_a_quantity_that_is_no_number_is_refused_with_its_row(unchanged: Path, tmp_path: Path) -> None:
    row: Any = (ADA, "i01", "2026-01-31", "two")
    assert_refused(privrec("ingest", with_row(row, tmp_path), *QUANTITIES), 3, f"row {len(shop_rows()) + 1}")


@pytest.mark.parametrize("date", ["31.12.2026", "yesterday", "2026-13-01", "", ADA])
def test_a_date_that_does_not_parse_is_refused_with_its_row(date: str, unchanged: Path, tmp_path: Path) -> None:
    file = with_row((ADA, "i01", date, 1), tmp_path)
    assert_refused(privrec("ingest", file), 3, f"row {len(shop_rows()) + 1}", "2026-01-31T23:59:59Z")
    assert_refused(privrec("train", "--epsilon", "1", "--data", file), 3)


def purchase(event_id: str, **other: object) -> dict[str, object]:
    row = {"event_id": event_id, "user_id": ADA, "item_id": "i01", "timestamp": "2026-01-31T12:00:00Z"}
    return {**row, **other}


def test_an_event_id_that_comes_again_with_other_content_is_a_conflict_and_the_first_stays(
    tmp_path: Path, fresh: Path
) -> None:
    columns, event_column = (*COLUMNS, "event"), ("--event-column", "event")
    first = (ADA, "i01", "2026-01-31", 1, "e1")
    rows = [first, (ADA, "i02", "2026-01-31", 1, "e1"), first, (BEN, "i02", "2026-01-31", 1, "e1")]
    report = done("ingest", write_csv(tmp_path / "1.csv", rows, columns), *event_column, "--json").json
    assert (report["accepted"], report["conflicts"], report["duplicates"]) == (2, 1, 1)
    before = contents(fresh)
    later = write_csv(tmp_path / "2.csv", [(ADA, "i01", "2026-02-01", 1, "e1")], columns)
    report = done("ingest", later, *event_column, "--json").json
    assert (report["accepted"], report["conflicts"]) == (0, 1)
    assert contents(fresh) == before


def test_a_conflict_posted_to_the_api_is_said_and_the_first_stays(api: TestClient, trained: Path) -> None:
    def status(event: dict[str, object]) -> str:
        return str(api.post("/v1/events", json={"events": [event]}).json()["results"][0]["status"])

    assert status(purchase("e1")) == "accepted"
    before = contents(trained)
    assert [status(purchase("e1")), status(purchase("e1", item_id="i02"))] == ["duplicate", "conflict"]
    assert contents(trained) == before


@pytest.mark.parametrize("user_id", [LONG, f"{MAIL}\n", f"\x1b[31m{MAIL}", ""], ids=["long", "line", "escape", "empty"])
def test_a_customer_id_that_cannot_be_one_is_refused_and_not_repeated(
    user_id: str, unchanged: Path, tmp_path: Path
) -> None:
    assert_refused(privrec("recommend", user_id), 3)
    assert_refused(privrec("ingest", with_row((user_id, "i01", "2026-01-31", 1), tmp_path)), 3)


@pytest.mark.service
@pytest.mark.parametrize("user_id", [LONG, f"{MAIL}\n"], ids=["long", "line"])
def test_an_erasure_of_an_id_that_cannot_be_one_is_refused(user_id: str, unchanged: Path) -> None:
    assert_refused(privrec("erase", user_id), 3, "customer id")


@pytest.mark.parametrize("user_id", [LONG, f"{MAIL}%0A", f"%1B{MAIL}"], ids=["long", "line", "escape"])
def test_the_api_refuses_such_an_id_too(user_id: str, api: TestClient, unchanged: Path) -> None:
    assert_answer_refused(ask(api, user_id), 422, "customer id")
    assert_answer_refused(api.post("/v1/erasures", json={"user_id": LONG}), 422, "customer id")
    answer = api.post("/v1/events", json={"events": [purchase("e1", user_id=LONG)]}).json()
    assert [result["status"] for result in answer["results"]] == ["invalid"]


def test_an_unknown_customer_gets_what_is_popular(api: TestClient, unchanged: Path) -> None:
    shown, other = (done("recommend", name, "--json").json for name in (NOBODY, "somebody else"))
    assert (shown["personalized"], shown["items"]) == (False, other["items"])
    assert shown["items"]
    answer = ask(api, NOBODY, n=10).json()
    assert answer["personalized"] is False
    assert [item["item_id"] for item in answer["items"]] == [item["item_id"] for item in shown["items"]]


@pytest.mark.parametrize("n", [0, -1, 101])
def test_a_length_out_of_range_is_refused(n: int, api: TestClient, unchanged: Path) -> None:
    assert_refused(privrec("recommend", ADA, "-n", n), 3, f"got {n}")
    assert_answer_refused(ask(api, n=n), 422, "query.n")


@pytest.mark.parametrize("epsilon", NOT_A_NUMBER)
def test_an_epsilon_that_promises_nothing_is_refused(epsilon: str, unchanged: Path, purchases: Path) -> None:
    new = ("--data", purchases, "--user-column", "item", "--item-column", "user")
    for words in (("train",), ("train", *new), ("evaluate",), ("ledger", "budget")):
        assert_refused(privrec(*words, "--epsilon", epsilon), 4, "epsilon > 0", f"got {float(epsilon)}")


def test_an_erasable_model_under_noise_is_refused(unchanged: Path) -> None:
    assert_refused(privrec("train", "--erasable"), 3, "epsilon inf for an erasable model", "leave --erasable out")


@pytest.mark.parametrize("delta", ["0", "1", "nan", "-0.1"])
def test_a_delta_that_is_no_chance_is_refused(delta: str, unchanged: Path) -> None:
    for words in (("train",), ("evaluate",), ("ledger", "budget", "--epsilon", "9")):
        assert_refused(privrec(*words, "--delta", delta), 4, "delta between 0 and 1")


def test_a_delta_above_one_over_the_customers_is_refused_with_the_reason(purchases: Path, fresh: Path) -> None:
    delta = 1.01 / N_CUSTOMERS
    refused = privrec("train", "--data", purchases, *QUANTITIES, "--delta", delta)
    assert_refused(refused, 4, "one over the number of customers", "giving away one customer's whole history")
    after = contents(fresh)
    assert (after["histories"], after["ledger"], after["live"]) == ({}, [], None)
    done("train", "--data", purchases, *QUANTITIES, "--delta", 0.99 / N_CUSTOMERS)


def test_a_budget_that_is_used_up_refuses_and_nothing_is_drawn_or_read_in(
    unchanged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.training.fit.release_counts", lambda *_: pytest.fail("noise was drawn"))
    new = write_csv(tmp_path / "new.csv", [("somebody new", "something new", "2026-01-31", 1)])
    for words in (("--epsilon", "8"), ("--epsilon", "8", "--data", new), ("--epsilon", "inf")):
        assert_refused(privrec("train", *words), 4, "nothing was drawn", "privrec ledger budget")
    assert spends(unchanged) == FIRST_RELEASE


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def change(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, change])
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_damaged_version_is_refused_and_the_live_one_is_served_on(
    name: str, damage: Callable[[Path], None], trained: Path, api: TestClient
) -> None:
    old = contents(trained)["live"]
    live = done("train", "--epsilon", "1", "--no-evaluate", "--json").json["version"]
    damage(trained / "models" / old / name)
    before = contents(trained)
    for words in ("promote", "show"):
        assert_refused(privrec("models", words, old), 5, "backup")
    assert contents(trained) == before
    assert done("recommend", ADA, "--json").json["version"] == live
    assert ask(api).json()["version"] == live


@pytest.mark.parametrize("damage", [cut, change])
def test_a_damaged_live_version_is_not_loaded_and_a_running_api_serves_on(
    damage: Callable[[Path], None], trained: Path, api: TestClient
) -> None:
    version = ask(api).json()["version"]
    damage(trained / "models" / version / "model.safetensors")
    assert_refused(privrec("recommend", ADA), 5, "restore it from a backup")
    assert ask(api).json()["version"] == version


def test_a_cache_that_is_down_costs_time_and_nothing_else(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = done("recommend", ADA, "--json").json["items"]
    monkeypatch.setenv("PRIVREC_REDIS_URL", f"unix://{tmp_path}/nobody-listens")
    assert done("recommend", ADA, "--json").json["items"] == expected
    secret = done("keys", "create", "shop", *SCOPES, "--json").json["secret"]
    with TestClient(create_app(Settings.load()), headers={"X-API-Key": secret}) as api:
        answer = ask(api).json()
        assert (answer["personalized"], answer["degraded"]) == (True, True)
        assert api.get("/health/ready").json()["checks"]["cache"]["state"] == "degraded"
        assert api.post("/v1/erasures", json={"user_id": ADA}).status_code == 202
        assert not personal(api)
    assert_refused(privrec("publish"), 5, "PRIVREC_REDIS_URL")
    assert_refused(privrec("worker", "--once"), 5, "PRIVREC_REDIS_URL")
    [request] = contents(trained)["requests"]
    assert request.state.value == "released"


def test_a_port_in_use_is_refused_before_anything_starts(fresh: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert_refused(privrec("serve", "--port", port), 5, f"port {port}", "--port")
    assert not fresh.exists()


def test_a_second_process_on_a_state_directory_is_refused_and_may_still_ask(unchanged: Path, purchases: Path) -> None:
    with open_workspace(Settings.load(), start_cache=False):
        for words in (
            ("train", "--epsilon", "1"),
            ("ingest", purchases),
            ("erase", ADA),
            ("worker", "--once"),
            ("serve", "--port", "0"),
            ("ledger", "budget", "--epsilon", "9"),
        ):
            assert_refused(privrec(*words), 5, "expected to own", "PRIVREC_STATE_DIR")
        assert done("recommend", ADA, "--json").json["personalized"] is True


@pytest.fixture
def full_disk(trained: Path) -> Iterator[None]:
    """A database that cannot grow: what SQLite says of a full disk."""

    def stop_growing(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")

    event.listen(Engine, "connect", stop_growing)
    yield
    event.remove(Engine, "connect", stop_growing)


def test_a_full_disk_refuses_a_file_whole(unchanged: Path, full_disk: None, tmp_path: Path) -> None:
    rows = [(user, item, f"2026-01-{day:02}", 1) for user, item, *_ in shop_rows() for day in range(1, 29)]
    assert_refused(privrec("ingest", write_csv(tmp_path / "large.csv", rows)), 5, "the disk is full", "free some space")


def test_a_full_disk_while_training_leaves_the_live_model(trained: Path, full_disk: None) -> None:
    """What was booked by then stays booked: its noise may have been drawn."""
    before = contents(trained)
    assert_refused(privrec("train", "--epsilon", "1"), 5, "the disk is full")
    after = contents(trained)
    assert (after["live"], after["models"], after["sum"]) == (before["live"], before["models"], before["sum"])
    assert after["histories"] == before["histories"]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("PRIVREC_PORT", "many", "port"),
        ("PRIVREC_REDIS_URL", "mail://secret@nowhere", "PRIVREC_REDIS_URL"),
        ("PRIVREC_DATABASE_URL", "mysql://user:secret@nowhere/db", "PRIVREC_DATABASE_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_its_value_is_not_repeated(
    name: str, value: str, found: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    result = privrec("recommend", ADA)
    assert_refused(result, 3, found)
    assert value not in result.err


def test_a_state_directory_without_a_parent_is_refused(tmp_path: Path) -> None:
    assert_refused(privrec("ledger", "--state-dir", tmp_path / "no" / "state"), 5, "PRIVREC_STATE_DIR")
    assert not (tmp_path / "no").exists()
