"""The client: a method for every route, the types of the document, and what happens when connections are lost."""

import hashlib
import inspect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NotRequired, TypeAlias, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from pipelines.erase import desk
from privrec import answers
from privrec.client import ApiError, Client
from recsys.errors import InputError, StateError
from recsys.types import Scope
from tests.api.shop import Shop, event, feedback, open_shop
from tests.api.test_experiments import published

RECEIPT = b'{"body":{},"key_id":"k","signature":"s"}'
OPERATIONS: dict[str, tuple[str, str]] = {
    "recommendations": ("get", "/v1/users/{user_id}/recommendations"),
    "basket": ("post", "/v1/recommendations"),
    "batch": ("post", "/v1/recommendations:batch"),
    "similar": ("get", "/v1/items/{item_id}/similar"),
    "popular": ("get", "/v1/popular"),
    "item": ("get", "/v1/items/{item_id}"),
    "put_item": ("put", "/v1/items/{item_id}"),
    "change_item": ("patch", "/v1/items/{item_id}"),
    "delete_item": ("delete", "/v1/items/{item_id}"),
    "post_events": ("post", "/v1/events"),
    "post_feedback": ("post", "/v1/feedback"),
    "feedback_rates": ("get", "/v1/feedback/rates"),
    "compare_feedback": ("get", "/v1/feedback/comparison"),
    "create_import": ("post", "/v1/imports"),
    "send_part": ("patch", "/v1/imports/{import_id}"),
    "import_status": ("get", "/v1/imports/{import_id}"),
    "cancel_import": ("delete", "/v1/imports/{import_id}"),
    "create_export": ("post", "/v1/exports"),
    "export_status": ("get", "/v1/exports/{export_id}"),
    "export_file": ("get", "/v1/exports/{export_id}/file"),
    "delete_export": ("delete", "/v1/exports/{export_id}"),
    "request_erasure": ("post", "/v1/erasures"),
    "erasure": ("get", "/v1/erasures/{request_id}"),
    "object_to_profiling": ("put", "/v1/users/{user_id}/objection"),
    "take_objection_back": ("delete", "/v1/users/{user_id}/objection"),
    "restrict": ("put", "/v1/users/{user_id}/restriction"),
    "lift_restriction": ("delete", "/v1/users/{user_id}/restriction"),
    "opendsr_discovery": ("get", "/opendsr/discovery"),
    "opendsr_certificate": ("get", "/opendsr/certificate"),
    "post_opendsr": ("post", "/opendsr/requests"),
    "opendsr_status": ("get", "/opendsr/requests/{subject_request_id}"),
    "cancel_opendsr": ("delete", "/opendsr/requests/{subject_request_id}"),
    "merge_accounts": ("post", "/v1/subjects/merge"),
    "held": ("get", "/v1/users/{user_id}/held"),
    "ask_for_file": ("post", "/v1/users/{user_id}/exports"),
    "subject_file_status": ("get", "/v1/subject-exports/{export_id}"),
    "subject_file": ("get", "/v1/subject-exports/{export_id}/file"),
    "delete_subject_file": ("delete", "/v1/subject-exports/{export_id}"),
    "rectify": ("patch", "/v1/users/{user_id}/purchases"),
    "erasures": ("get", "/v1/erasures"),
    "erasure_lineage": ("get", "/v1/erasures/{request_id}/lineage"),
    "give_consent": ("post", "/v1/consents"),
    "cancel_erasure": ("post", "/v1/erasures/{request_id}/cancel"),
    "retry_erasure": ("post", "/v1/erasures/{request_id}/retry"),
    "extend_erasure": ("post", "/v1/erasures/{request_id}/extend"),
    "receipt": ("get", "/v1/erasures/{request_id}/receipt"),
    "log_checkpoint": ("get", "/v1/log/checkpoint"),
    "log_consistency": ("get", "/v1/log/consistency"),
    "log_inclusion": ("get", "/v1/log/inclusion"),
    "models": ("get", "/v1/models"),
    "create_webhook": ("post", "/v1/webhooks"),
    "webhooks": ("get", "/v1/webhooks"),
    "delete_webhook": ("delete", "/v1/webhooks/{webhook_id}"),
    "test_webhook": ("post", "/v1/webhooks/{webhook_id}/test"),
    "dead_letters": ("get", "/v1/dead-letters"),
    "redeliver": ("post", "/v1/dead-letters/{delivery_id}/redeliver"),
    "metrics": ("get", "/metrics"),
    "model": ("get", "/v1/models/{version}"),
    "publish_model": ("post", "/v1/models/{version}/publish"),
    "promote_model": ("post", "/v1/models/{version}/promote"),
    "shadow_model": ("post", "/v1/models/{version}/shadow"),
    "experiment": ("get", "/v1/experiment"),
    "start_experiment": ("put", "/v1/experiment"),
    "stop_experiment": ("delete", "/v1/experiment"),
    "live": ("get", "/health/live"),
    "startup": ("get", "/health/startup"),
    "ready": ("get", "/health/ready"),
}
"""The method for each operation of the document."""
TOGETHER = {"close", "import_file", "send_file"}
"""Methods that are no operation, or several."""
CALLED = {"where": "filter", "offset": "Upload-Offset", "start": "Range", "old": "from", "new": "to"}
"""What the document calls a parameter that Python or the shop would not call so."""
PLAIN_ANSWERS = {
    "receipt": bytes,
    "export_file": bytes,
    "subject_file": bytes,
    "metrics": str,
    "log_checkpoint": str,
    "opendsr_certificate": str,
}
"""What is handed on as it came."""


class Wire:
    """A transport into the application, which remembers what went through."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.sent: list[tuple[str, str]] = []

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        self.sent.append((method, path))
        response = self._shop.client.request(method, path, headers=dict(headers), content=body)
        return response.status_code, response.content


@pytest.fixture
def wire(shop: Shop) -> Wire:
    return Wire(shop)


@pytest.fixture
def shop() -> Shop:
    return open_shop()


@pytest.fixture
def client(shop: Shop, wire: Wire) -> Client:
    _, secret = shop.workspace.api_keys.create("all", frozenset(Scope))
    return Client("http://shop.example", secret, transport=wire)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    schema: dict[str, Any] = open_shop().client.get("/openapi.json").json()
    return schema


def resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that a reference means."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return dict(schema)


Shape: TypeAlias = Any
"""A type or a schema in one notation: names of JSON's types, lists, mappings, sets of literals."""


def shape_of_schema(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Shape:
    shape: Shape
    match resolved(document, schema):
        case {"anyOf": parts}:
            shape = frozenset(repr(shape_of_schema(document, part, depth)) for part in parts)
        case {"enum": values}:
            shape = sorted(values)
        case {"const": value}:
            shape = [value]
        case {"type": "array", "items": part}:
            shape = [shape_of_schema(document, part, depth)]
        case {"properties": parts}:  # a filter holds filters
            inner = {name: shape_of_schema(document, part, depth + 1) for name, part in parts.items() if depth <= 3}
            shape = inner or "deeper"
        case {"type": "object", **rest}:
            of = rest.get("additionalProperties")
            shape = ("mapping", shape_of_schema(document, of, depth) if isinstance(of, dict) and of else "anything")
        case {"type": name}:
            shape = name
    return shape


PLAIN = {str: "string", float: "number", int: "integer", bool: "boolean", type(None): "null", Any: "anything"}


def shape_of_type(kind: Any, depth: int = 0) -> Shape:
    if is_typeddict(kind):
        hints = get_type_hints(kind, vars(answers)) if depth <= 3 else {}
        return {name: shape_of_type(part, depth + 1) for name, part in hints.items()} or "deeper"
    shape: Shape
    args = get_args(kind)
    match get_origin(kind):
        case None:
            shape = PLAIN[kind]
        case origin if origin is Literal:
            shape = sorted(args)
        case origin if origin is dict:
            shape = ("mapping", shape_of_type(args[1], depth))
        case origin if origin is list:
            shape = [shape_of_type(args[0], depth)]
        case origin if origin is NotRequired:
            shape = shape_of_type(args[0], depth)
        case _:
            shape = frozenset(repr(shape_of_type(part, depth)) for part in args)
    return shape


def operation(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    method, path = OPERATIONS[name]
    found: dict[str, Any] = document["paths"][path][method]
    return found


def body_of(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    content = operation(document, name).get("requestBody", {"content": {}})["content"]
    return resolved(document, content.get("application/json", {"schema": {}})["schema"])


def test_there_is_a_method_for_every_operation_of_the_document(document: dict[str, Any]) -> None:
    documented = {(method, path) for path, methods in document["paths"].items() for method in methods}
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")} - TOGETHER

    assert set(OPERATIONS.values()) == documented
    assert set(OPERATIONS) == public


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_method_takes_every_parameter_and_field_of_its_operation(document: dict[str, Any], name: str) -> None:
    parameters = {parameter["name"] for parameter in operation(document, name).get("parameters", [])}
    fields = set(body_of(document, name).get("properties", {}))
    taken = set(inspect.signature(getattr(Client, name)).parameters) - {"self", "part"}
    if "fields" in taken:
        taken = taken - {"fields"} | set(answers.ItemFields.__annotations__)
    called = {CALLED.get(parameter, parameter) for parameter in taken}

    assert called == parameters | fields


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_has_the_type_of_the_document(document: dict[str, Any], name: str) -> None:
    if name in PLAIN_ANSWERS:
        assert inspect.signature(getattr(Client, name)).return_annotation is PLAIN_ANSWERS[name]
        return
    answered = operation(document, name)["responses"]
    success = next(answered[status] for status in answered if status.startswith("2"))
    schema = success["content"]["application/json"]["schema"]

    assert shape_of_type(get_type_hints(getattr(Client, name))["return"]) == shape_of_schema(document, schema)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [("Filter", "FilterBody"), ("ItemFields", "ItemBody"), ("ItemFields", "ItemChanges"), ("Price", "PriceBody")],
)
def test_what_is_sent_has_the_type_of_the_document(document: dict[str, Any], kind: str, schema: str) -> None:
    expected = shape_of_schema(document, document["components"]["schemas"][schema])

    assert shape_of_type(getattr(answers, kind)) == expected


def test_an_event_has_the_type_of_the_document(document: dict[str, Any]) -> None:
    row = body_of(document, "post_events")["properties"]["events"]["items"]

    assert shape_of_type(answers.Event) == shape_of_schema(document, row)
    assert set(row["required"]) == answers.Event.__required_keys__


def test_feedback_has_the_type_of_the_document(document: dict[str, Any]) -> None:
    row = body_of(document, "post_feedback")["properties"]["events"]["items"]

    assert shape_of_type(answers.FeedbackEvent) == shape_of_schema(document, row)
    assert set(row["required"]) == answers.FeedbackEvent.__required_keys__


def test_a_correction_has_the_type_of_the_document(document: dict[str, Any]) -> None:
    row = document["components"]["schemas"]["CorrectionRow"]

    assert shape_of_type(answers.CorrectionRow) == shape_of_schema(document, row)
    assert set(row["required"]) == answers.CorrectionRow.__required_keys__


@pytest.mark.parametrize("name", ["task", "task_of_basket"])
def test_a_task_is_one_of_the_documents(document: dict[str, Any], name: str) -> None:
    if name == "task":
        (schema,) = [
            part["schema"] for part in operation(document, "recommendations")["parameters"] if part["name"] == name
        ]
        assert shape_of_type(answers.Purpose) == shape_of_schema(document, schema)
    else:
        schema = body_of(document, "basket")["properties"]["task"]
        assert shape_of_type(answers.Task) == shape_of_schema(document, schema)


def exported(client: Client, shop: Shop) -> dict[str, Any]:
    """The answers about an export."""
    created = client.create_export("recommendations", "csv", user_ids=["ada/lovelace"], n=2)
    shop.workspace.exports.keep(created["export_id"], b"0123", "")
    return {
        "create_export": created,
        "export_status": client.export_status(created["export_id"]),
        "export_file": client.export_file(created["export_id"], start=2),
        "delete_export": client.delete_export(created["export_id"]),
    }


@pytest.mark.parametrize("start", [0, 2])
def test_a_file_is_fetched_whole_or_from_a_byte_on(client: Client, shop: Shop, start: int) -> None:
    export_id = client.create_export("catalogue", "jsonl")["export_id"]
    shop.workspace.exports.keep(export_id, b"0123", "")
    assert client.export_file(export_id, start=start) == b"0123"[start:]


def test_a_file_without_rows_is_fetched_too(client: Client, shop: Shop) -> None:
    export_id = client.create_export("catalogue", "jsonl")["export_id"]
    shop.workspace.exports.keep(export_id, b"", "")
    assert client.export_file(export_id) == b""


def righted(client: Client, shop: Shop) -> dict[str, Any]:
    """The answers about the rights of a customer."""
    user_id = "ada/lovelace"
    asked = client.ask_for_file(user_id)
    export_id = asked["export_id"]
    dsr_id, at = "a7551968-d5d6-44b2-9831-815ac9017798", "2026-02-01T09:30:00Z"
    posted = client.post_opendsr(
        dsr_id,
        "access",
        [{"identity_type": "controller_customer_id", "identity_value": user_id, "identity_format": "raw"}],
        submitted_time=at,
        status_callback_urls=["https://controller.example/in"],
    )
    shop.workspace.exports.keep(export_id, b"0123", "")
    return {
        "held": client.held(user_id),
        "opendsr_discovery": client.opendsr_discovery(),
        "opendsr_certificate": client.opendsr_certificate(),
        "post_opendsr": posted,
        "opendsr_status": client.opendsr_status(dsr_id),
        "cancel_opendsr": client.cancel_opendsr(dsr_id),
        "ask_for_file": asked,
        "subject_file_status": client.subject_file_status(export_id),
        "subject_file": client.subject_file(export_id, start=2),
        "delete_subject_file": client.delete_subject_file(export_id),
        "rectify": client.rectify(user_id, [{"event_id": "1", "quantity": 2}]),
        "merge_accounts": client.merge_accounts("old/ada", user_id),
        "object_to_profiling": client.object_to_profiling(user_id),
        "take_objection_back": client.take_objection_back(user_id),
        "restrict": client.restrict(user_id),
        "lift_restriction": client.lift_restriction(user_id),
    }


def ask_everything(client: Client, shop: Shop) -> dict[str, Any]:
    """An answer of every method, by its name."""
    row: Any = event("1", "ada/lovelace", "tea-2")
    posted = client.post_events([row])
    accepted = client.request_erasure("bo", reason="by letter", release=True)
    request_id = accepted["request_id"]
    followed = client.erasure(request_id)
    shop.finish_erasure(request_id, RECEIPT)
    changed = desk(shop.workspace).request("cy")[0].request_id
    item_id = "a/ü&?"
    webhook = client.create_webhook("https://hooks.example/in", ["erasure.completed"])
    tested = client.test_webhook(webhook["webhook_id"])
    shop.workspace.webhooks.failed(tested["delivery_id"], "it is down", None)
    version = str(shop.workspace.registry.live())
    created = client.create_import("purchases", "csv", 5, columns={"user_id": "u"}, dry_run=True, sha256="0" * 64)
    import_id = created["import_id"]
    recommended = client.recommendations(
        "ada/lovelace", n=3, where="not in_stock or in_stock", exclude=["a", "b"], context="coffee-1"
    )
    click: Any = feedback(recommended["recommendation_id"], "click")
    return {
        **exported(client, shop),
        "create_import": created,
        "send_part": client.send_part(import_id, 0, b"a,b,c"),
        "import_status": client.import_status(import_id),
        "cancel_import": client.cancel_import(import_id),
        "post_events": posted,
        "post_feedback": client.post_feedback([click]),
        "feedback_rates": client.feedback_rates(),
        "compare_feedback": client.compare_feedback(first=version, second=version),
        "request_erasure": accepted,
        "erasure": followed,
        "erasures": client.erasures(),
        "give_consent": client.give_consent("bo"),
        "erasure_lineage": client.erasure_lineage(changed),
        "extend_erasure": client.extend_erasure(changed, "three systems"),
        "retry_erasure": client.retry_erasure(changed),
        "cancel_erasure": client.cancel_erasure(changed),
        "receipt": client.receipt(request_id),
        "recommendations": recommended,
        "basket": client.basket(["tea-1"], n=2, where={"and": [{"in_stock": True}]}, exclude=["tea-0"], context="none"),
        "batch": client.batch(["ada/lovelace", "nobody"], task="buy_again", context="tea-1"),
        "similar": client.similar("tea-1", n=2, where="in_stock", exclude=["tea-0"]),
        "popular": client.popular(n=2, category="none"),
        "put_item": client.put_item(item_id, name="Ü", price=3, attributes={"b": "2"}),
        "change_item": client.change_item(item_id, stock=None, category="c"),
        "item": client.item(item_id),
        "delete_item": client.delete_item(item_id),
        **righted(client, shop),
        "log_checkpoint": client.log_checkpoint(),
        "log_consistency": client.log_consistency(0, 1),
        "log_inclusion": client.log_inclusion(0),
        "models": client.models(),
        "create_webhook": webhook,
        "test_webhook": tested,
        "webhooks": client.webhooks(),
        "dead_letters": client.dead_letters(),
        "redeliver": client.redeliver(tested["delivery_id"]),
        "delete_webhook": client.delete_webhook(webhook["webhook_id"]),
        "metrics": client.metrics(),
        "model": client.model(version),
        "publish_model": client.publish_model(version),
        "promote_model": client.promote_model(version, when="now"),
        "shadow_model": client.shadow_model(version, customers=10),
        "start_experiment": client.start_experiment("more", published(shop), share=20),
        "experiment": client.experiment(),
        "stop_experiment": client.stop_experiment(),
        "live": client.live(),
        "startup": client.startup(),
        "ready": client.ready(),
    }


def test_every_method_reaches_its_route_and_brings_back_its_answer(client: Client, shop: Shop, wire: Wire) -> None:
    found = ask_everything(client, shop)

    assert set(found) == set(OPERATIONS)
    assert {method.lower() for method, _ in wire.sent} == {method for method, _ in OPERATIONS.values()}
    assert len(wire.sent) == len(OPERATIONS)
    assert found["receipt"] == RECEIPT
    assert [row["status"] for row in found["post_events"]["results"]] == ["accepted"]
    assert found["recommendations"]["items"][0]["item_id"] == "tea-2"
    assert found["post_feedback"]["counts"]["accepted"] == 1
    assert found["feedback_rates"]["versions"][0]["totals"]["clicks"] == 1
    assert found["compare_feedback"]["clicked"]["clear"] is False
    assert [item["item_id"] for item in found["basket"]["items"]] == ["tea-2", "tea-3"]
    assert [len(answer["items"]) for answer in found["batch"]["results"]] == [1, 0]
    assert found["popular"]["items"] == []
    assert found["send_part"] == found["import_status"] == {**found["create_import"], "offset": 5, "state": "working"}
    assert found["cancel_import"]["state"] == found["delete_export"]["state"] == "cancelled"
    assert found["export_status"] == {**found["create_export"], "state": "done", "size": 4}
    assert found["export_file"] == b"23"
    assert found["delete_item"] == {
        "item_id": "a/ü&?",
        "name": "Ü",
        "category": "c",
        "price": 3.0,
        "stock": None,
        "attributes": {"b": "2"},
    }


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of two parts and a bit."""
    (path := tmp_path / "purchases.csv").write_bytes(bytes(range(256)) * 8192 + b"\n")
    return path


def test_a_file_is_sent_in_parts_with_its_digest(client: Client, shop: Shop, large: Path) -> None:
    sent = client.import_file(large, "purchases", columns={"user_id": "u"}, dry_run=True)
    job = shop.workspace.imports.job(sent["import_id"])

    assert sent["state"] == "working"
    assert b"".join(shop.workspace.imports.content(job.import_id)) == large.read_bytes()
    assert (job.format, job.columns, job.dry_run) == ("csv", {"user_id": "u"}, True)
    assert job.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()


class Losing(Wire):
    """A wire that loses these answers, and then works."""

    def __init__(self, shop: Shop, lost: set[int]) -> None:
        super().__init__(shop)
        self._lost = lost

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        answer = super().__call__(method, path, headers, body)
        if len(self.sent) in self._lost:
            raise StateError
        return answer


def test_a_file_goes_on_where_the_connection_was_lost(shop: Shop, large: Path) -> None:
    _, secret = shop.workspace.api_keys.create("all", frozenset(Scope))
    client = Client("http://shop.example", secret, transport=Losing(shop, {3, 6}))
    sent = client.import_file(large, "purchases")

    assert b"".join(shop.workspace.imports.content(sent["import_id"])) == large.read_bytes()


class Repeating(Wire):
    """A wire that sends every part twice, as the transport does with what a kept connection lost the answer to."""

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        if method == "PATCH":
            super().__call__(method, path, headers, body)
        return super().__call__(method, path, headers, body)


def test_a_file_goes_on_where_a_part_was_sent_again(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "purchases.csv"
    path.write_bytes(b"x" * (2**20 + 5000))
    _, secret = shop.workspace.api_keys.create("all", frozenset(Scope))
    sent = Client("http://shop.example", secret, transport=Repeating(shop)).import_file(path, "purchases")

    assert sent["state"] == "working"
    assert b"".join(shop.workspace.imports.content(sent["import_id"])) == path.read_bytes()


def test_a_file_that_was_given_up_says_how_to_go_on(shop: Shop, large: Path) -> None:
    _, secret = shop.workspace.api_keys.create("all", frozenset(Scope))
    client = Client("http://shop.example", secret, transport=Losing(shop, {2, 3, 4}))
    with pytest.raises(StateError) as lost:
        client.import_file(large, "purchases")
    [job] = shop.workspace.imports.lying()

    assert lost.value.__notes__ == [f"go on with send_file('{job.import_id}', path)"]
    assert client.send_file(job.import_id, large)["state"] == "working"


def test_another_file_than_the_announced_one_is_noticed(client: Client, large: Path) -> None:
    created = client.create_import("purchases", "csv", large.stat().st_size + 5000)
    with pytest.raises(InputError, match="of 2102153 bytes that was announced, got 2097153"):
        client.send_file(created["import_id"], large)
    with pytest.raises(InputError, match=r"ends in \.csv, \.jsonl or \.parquet"):
        client.import_file(large.rename(large.with_suffix(".xlsx")), "purchases")
    with pytest.raises(ApiError, match="status 404"):
        client.send_file("0" * 32, large.with_suffix(".xlsx"))


def test_a_refusal_is_an_error_with_status_code_and_request_id(client: Client) -> None:
    with pytest.raises(ApiError, match=r"item of the catalogue.*status 404") as refused:
        client.item("nothing")

    assert (refused.value.status, refused.value.code) == (404, "not_found")
    assert len(refused.value.request_id) == 32
    assert "nothing" not in str(refused.value)


def test_a_shop_that_is_not_ready_says_what_is_missing(client: Client, shop: Shop) -> None:
    shop.workspace.registry.withdraw(shop.version)

    answer = client.ready()
    assert (answer["ready"], answer["checks"]["model"]["state"]) == (False, "none")
    assert client.startup()["started"] is True


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"error": 1}', b"\xff"])
def test_a_refusal_by_something_else_than_the_api_is_an_error_too(content: bytes) -> None:
    client = Client("http://shop.example", "secret", transport=lambda *_: (502, content))

    for ask in (client.live, client.ready):
        with pytest.raises(ApiError, match="status 502"):
            ask()


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The URL of a small server that answers every GET so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/shop"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "13")
    handler.end_headers()
    handler.wfile.write(b'{"live":true}')


def test_one_connection_is_kept_and_a_lost_one_is_opened_again() -> None:
    ports = []

    def once(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        reply(handler)
        handler.close_connection = len(ports) == 2  # without having said so

    with serving(once) as url, Client(url, "secret") as client:
        for _ in range(4):
            assert client.live() == {"live": True}
    assert (ports[0] == ports[1], ports[1] != ports[2], ports[2] == ports[3]) == (True, True, True)


def test_the_base_url_may_have_a_path() -> None:
    paths = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        paths.append(handler.path)
        handler.close_connection = True
        reply(handler)

    with serving(note) as url, Client(url + "/", "secret") as client:
        client.live()
    assert paths == ["/shop/health/live"]


def test_an_api_that_does_not_answer_is_an_error_without_ids() -> None:
    with serving(lambda _: time.sleep(0.3)) as url:
        with pytest.raises(StateError, match="expected the API to answer, got TimeoutError") as refused:
            Client(url, "secret", timeout=0.05).recommendations("ada-lovelace")
        assert "ada" not in str(refused.value)


def test_an_api_that_is_not_there_is_an_error() -> None:
    with serving(reply) as url:
        pass
    with pytest.raises(StateError, match="ConnectionRefusedError"):
        Client(url, "secret").live()


@pytest.mark.parametrize("url", ["", "shop.example", "ftp://shop.example", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="base URL"):
        Client(url, "secret")


def test_importing_the_client_imports_no_other_library() -> None:
    probe = "import sys, privrec.client; print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(result.stdout.replace("'", '"'))}

    assert not loaded & {"numpy", "pydantic", "fastapi", "redis", "sqlalchemy", "api", "pipelines"}
    assert {"privrec", "recsys"} <= loaded
