"""A client of the API, with a method for every route.

from privrec.client import Client

    with Client("http://127.0.0.1:8000", "SECRET") as shop:
        for item in shop.recommendations("customer-42", n=5, where='in_stock and category = "tea"')["items"]:
            print(item["name"])
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, Unpack, cast
from urllib.parse import quote, urlencode

from privrec.answers import (
    BatchAnswer,
    ComparisonAnswer,
    ConsentAnswer,
    CorrectionResults,
    CorrectionRow,
    DeadLetterList,
    DsrAccepted,
    DsrCancelled,
    DsrDiscovery,
    DsrIdentity,
    DsrState,
    DsrType,
    ErasureAccepted,
    ErasureList,
    ErasureStatus,
    Event,
    EventResults,
    ExperimentStatus,
    ExportKind,
    ExportStatus,
    FeedbackEvent,
    FeedbackResults,
    FileFormat,
    Filter,
    HeldSummary,
    ImportKind,
    ImportStatus,
    ItemFields,
    ItemList,
    LimitStatus,
    Lineage,
    Liveness,
    LogConsistency,
    LogInclusion,
    MergeAnswer,
    ModelComparison,
    ModelDetail,
    ModelList,
    Purpose,
    QueuedMessage,
    RatesAnswer,
    Readiness,
    RecommendationList,
    ShownItem,
    Startup,
    SubjectFile,
    Task,
    Webhook,
    WebhookEvent,
    WebhookList,
)
from privrec.transport import HttpTransport, Transport
from recsys.errors import InputError, StateError

TIMEOUT_SECONDS = 30.0
FIRST_ERROR = 400
UNAVAILABLE = 503
PART_BYTES = 1 << 20
"""As large as a body may be."""
ATTEMPTS = 3
"""How often a file is begun or gone on with before it is given up."""


CAME_ALREADY = "import_conflict"
"""The code for a part that was sent again because its answer got lost."""


class ApiError(StateError):
    """The API refused: status, code for programs, and the id under which the operator's log has the request."""

    def __init__(self, status: int, content: bytes) -> None:
        """The error in an answer of this status."""
        error = _envelope(content)
        self.status = status
        self.code = str(error.get("code", "http_error"))
        self.request_id = str(error.get("request_id", ""))
        message = str(error.get("message", "expected the API to answer, got a refusal without reason; see its log"))
        super().__init__(f"{message} (status {status})")


class Client:
    """Asks an API of privrec. Safe to share between threads.

    Every method raises ApiError where the API refuses, and StateError where it does not answer.
    """

    def __init__(
        self, url: str, secret: str, *, timeout: float = TIMEOUT_SECONDS, transport: Transport | None = None
    ) -> None:
        """A client of the API at this base URL, with the secret of an API key.

        Args:
            url: The base URL, without `/v1`.
            secret: What `privrec keys` showed once.
            timeout: Seconds after which a request is given up.
            transport: What sends the requests instead.
        """
        self._headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
        self._http = HttpTransport(url, timeout=timeout)
        self._transport = transport or self._http

    def __enter__(self) -> Self:
        """The client, closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._http.close()

    def recommendations(
        self,
        user_id: str,
        *,
        n: int = 20,
        task: Purpose = "any",
        where: str | None = None,
        exclude: Sequence[str] = (),
        context: str | None = None,
    ) -> RecommendationList:
        """A customer's list; `where` is a filter as text, `context` the item whose page it is for."""
        query = {"n": n, "task": task, "filter": where, "exclude": exclude, "context": context}
        return cast("RecommendationList", self._ask(f"/v1/users/{_segment(user_id)}/recommendations", query))

    def basket(
        self,
        items: Sequence[str],
        *,
        n: int = 20,
        task: Task = "discover",
        where: Filter | None = None,
        exclude: Sequence[str] = (),
        context: str | None = None,
    ) -> RecommendationList:
        """What goes with a basket that is nobody's."""
        wanted = {"n": n, "task": task, "filter": where, "exclude": list(exclude), "context": context}
        body = {"items": list(items), **wanted}
        return cast("RecommendationList", self._send("POST", "/v1/recommendations", body))

    def batch(
        self,
        user_ids: Sequence[str],
        *,
        n: int = 20,
        task: Purpose = "any",
        where: Filter | None = None,
        exclude: Sequence[str] = (),
        context: str | None = None,
    ) -> BatchAnswer:
        """The lists of up to 100 customers, in the order given."""
        wanted = {"n": n, "task": task, "filter": where, "exclude": list(exclude), "context": context}
        body = {"user_ids": list(user_ids), **wanted}
        return cast("BatchAnswer", self._send("POST", "/v1/recommendations:batch", body))

    def similar(self, item_id: str, *, n: int = 20, where: str | None = None, exclude: Sequence[str] = ()) -> ItemList:
        """What goes with an item."""
        query = {"n": n, "filter": where, "exclude": exclude}
        return cast("ItemList", self._ask(f"/v1/items/{_segment(item_id)}/similar", query))

    def popular(
        self, *, n: int = 20, category: str | None = None, where: str | None = None, exclude: Sequence[str] = ()
    ) -> ItemList:
        """What sells."""
        query = {"n": n, "category": category, "filter": where, "exclude": exclude}
        return cast("ItemList", self._ask("/v1/popular", query))

    def item(self, item_id: str) -> ShownItem:
        """An item of the catalogue."""
        return cast("ShownItem", self._ask(f"/v1/items/{_segment(item_id)}"))

    def put_item(self, item_id: str, **fields: Unpack[ItemFields]) -> ShownItem:
        """The item, added or replaced; what is left out is empty."""
        return cast("ShownItem", self._send("PUT", f"/v1/items/{_segment(item_id)}", fields))

    def change_item(self, item_id: str, **fields: Unpack[ItemFields]) -> ShownItem:
        """The item, changed; what is left out stays."""
        return cast("ShownItem", self._send("PATCH", f"/v1/items/{_segment(item_id)}", fields))

    def delete_item(self, item_id: str) -> ShownItem:
        """The item as it was, now out of the shop."""
        return cast("ShownItem", self._send("DELETE", f"/v1/items/{_segment(item_id)}"))

    def post_events(self, events: Iterable[Event]) -> EventResults:
        """What became of up to 1000 purchases, in order."""
        return cast("EventResults", self._send("POST", "/v1/events", {"events": list(events)}))

    def post_feedback(self, events: Iterable[FeedbackEvent]) -> FeedbackResults:
        """What became of up to 1000 rows of feedback, in order."""
        return cast("FeedbackResults", self._send("POST", "/v1/feedback", {"events": list(events)}))

    def feedback_rates(self, *, since: str | None = None) -> RatesAnswer:
        """What became of the lists of each version that were made since a day: exact, for the operator alone."""
        return cast("RatesAnswer", self._ask("/v1/feedback/rates", {"since": since}))

    def compare_feedback(self, *, first: str, second: str, since: str | None = None) -> ComparisonAnswer:
        """By how much the second version's rates are above the first's, over lists that were made since a day."""
        query = {"first": first, "second": second, "since": since}
        return cast("ComparisonAnswer", self._ask("/v1/feedback/comparison", query))

    def import_file(
        self,
        path: str | Path,
        kind: ImportKind,
        *,
        columns: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> ImportStatus:
        """The import of a file that was sent whole, whose rows are worked off from now on: ask `import_status`.

        The ending of its name says which format it has: .csv, .jsonl or .parquet. If connections are lost for good, the
        error has a note with the import's id, and `send_file` goes on.
        """
        path = Path(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        created = self.create_import(
            kind, _format_of(path), path.stat().st_size, columns=columns, dry_run=dry_run, sha256=digest
        )
        try:
            return self.send_file(created["import_id"], path)
        except StateError as error:
            error.add_note(f"go on with send_file({created['import_id']!r}, path)")
            raise

    def send_file(self, import_id: str, path: str | Path) -> ImportStatus:
        """The import once the file was sent whole, beginning where an earlier attempt ended."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._send_rest(self.import_status(import_id), Path(path))
            except StateError as error:  # the connection was lost: the next status says where to go on
                if isinstance(error, ApiError) and error.code != CAME_ALREADY:
                    raise
        return self._send_rest(self.import_status(import_id), Path(path))

    def create_import(
        self,
        kind: ImportKind,
        format: FileFormat,  # noqa: A002 - the name of the field
        size: int,
        *,
        columns: Mapping[str, str] | None = None,
        dry_run: bool = False,
        sha256: str | None = None,
    ) -> ImportStatus:
        """An import of a file that is to come; `columns` names the file's columns, by field."""
        body = {"kind": kind, "format": format, "size": size, "columns": dict(columns or {}), "dry_run": dry_run}
        return cast("ImportStatus", self._send("POST", "/v1/imports", {**body, "sha256": sha256}))

    def send_part(self, import_id: str, offset: int, part: bytes) -> ImportStatus:
        """The import with the part of the file that begins at this byte."""
        headers = {"Content-Type": "application/octet-stream", "Upload-Offset": str(offset)}
        content = self._content("PATCH", f"/v1/imports/{_segment(import_id)}", part, headers)
        return cast("ImportStatus", json.loads(content))

    def import_status(self, import_id: str) -> ImportStatus:
        """How far an import has come, and what became of its rows."""
        return cast("ImportStatus", self._ask(f"/v1/imports/{_segment(import_id)}"))

    def cancel_import(self, import_id: str) -> ImportStatus:
        """The import at its end, its file deleted; rows that were taken stay."""
        return cast("ImportStatus", self._send("DELETE", f"/v1/imports/{_segment(import_id)}"))

    def create_export(
        self,
        kind: ExportKind,
        format: FileFormat,  # noqa: A002 - the name of the field
        *,
        user_ids: Sequence[str] = (),
        n: int = 20,
    ) -> ExportStatus:
        """An export whose file is made from now on: of the catalogue, or of these customers' lists."""
        body = {"kind": kind, "format": format, "user_ids": list(user_ids), "n": n}
        return cast("ExportStatus", self._send("POST", "/v1/exports", body))

    def export_status(self, export_id: str) -> ExportStatus:
        """How far an export has come."""
        return cast("ExportStatus", self._ask(f"/v1/exports/{_segment(export_id)}"))

    def export_file(self, export_id: str, *, start: int = 0) -> bytes:
        """The file of an export that is done, from this byte on; check it against `sha256`."""
        of_rest = {"Range": f"bytes={start}-"} if start else {}  # an empty file has no range
        return self._content("GET", f"/v1/exports/{_segment(export_id)}/file", headers={"Accept": "*/*", **of_rest})

    def delete_export(self, export_id: str) -> ExportStatus:
        """The export at its end, its file deleted."""
        return cast("ExportStatus", self._send("DELETE", f"/v1/exports/{_segment(export_id)}"))

    def request_erasure(
        self, user_id: str, *, reason: str = "customer request", release: bool = False
    ) -> ErasureAccepted:
        """The acknowledgement: from now on nothing personal of the customer is served."""
        body = {"user_id": user_id, "reason": reason, "release": release}
        return cast("ErasureAccepted", self._send("POST", "/v1/erasures", body))

    def erasure(self, request_id: str) -> ErasureStatus:
        """How far an erasure has come."""
        return cast("ErasureStatus", self._ask(f"/v1/erasures/{_segment(request_id)}"))

    def erasures(
        self, *, show: Literal["open", "overdue", "stuck", "all"] = "open", limit: int = 100, after: str = ""
    ) -> ErasureList:
        """Erasures with their clocks, oldest first; the next page begins `after` the last request of this one."""
        query = {"show": show, "limit": limit, "after": after or None}
        return cast("ErasureList", self._ask("/v1/erasures", query))

    def erasure_lineage(self, request_id: str) -> Lineage:
        """Where the customer of an erasure is now: versions, caches, files and backups; for the operator alone."""
        return cast("Lineage", self._ask(f"/v1/erasures/{_segment(request_id)}/lineage"))

    def cancel_erasure(self, request_id: str) -> ErasureStatus:
        """The erasure, taken back while nothing was destroyed."""
        return cast("ErasureStatus", self._send("POST", f"/v1/erasures/{_segment(request_id)}/cancel"))

    def retry_erasure(self, request_id: str) -> ErasureStatus:
        """The erasure, tried again at once though a step failed before, or it was stuck."""
        return cast("ErasureStatus", self._send("POST", f"/v1/erasures/{_segment(request_id)}/retry"))

    def extend_erasure(self, request_id: str, reason: str) -> ErasureStatus:
        """The erasure, due two months later, because it is complex (GDPR Art. 12(3))."""
        return cast(
            "ErasureStatus", self._send("POST", f"/v1/erasures/{_segment(request_id)}/extend", {"reason": reason})
        )

    def give_consent(self, user_id: str) -> ConsentAnswer:
        """Which erasure keeps a customer out no longer who comes back; what was destroyed stays so."""
        return cast("ConsentAnswer", self._send("POST", "/v1/consents", {"user_id": user_id}))

    def receipt(self, request_id: str) -> bytes:
        """The signed receipt of a finished erasure, byte for byte; `privrec verify` checks it."""
        return self._content("GET", f"/v1/erasures/{_segment(request_id)}/receipt")

    def object_to_profiling(self, user_id: str) -> LimitStatus:
        """Popular items only from now on, and no training with the customer; needs the scope `rights`."""
        return cast("LimitStatus", self._send("PUT", f"/v1/users/{_segment(user_id)}/objection"))

    def take_objection_back(self, user_id: str) -> LimitStatus:
        """Personal lists again at once, and a part in models from the next training on."""
        return cast("LimitStatus", self._send("DELETE", f"/v1/users/{_segment(user_id)}/objection"))

    def restrict(self, user_id: str) -> LimitStatus:
        """What is held of the customer is kept, and used for nothing."""
        return cast("LimitStatus", self._send("PUT", f"/v1/users/{_segment(user_id)}/restriction"))

    def lift_restriction(self, user_id: str) -> LimitStatus:
        """What is held of the customer is used again."""
        return cast("LimitStatus", self._send("DELETE", f"/v1/users/{_segment(user_id)}/restriction"))

    def rectify(self, user_id: str, corrections: Iterable[CorrectionRow]) -> CorrectionResults:
        """What became of up to 1000 corrections of purchases, in order."""
        body = {"corrections": list(corrections)}
        return cast("CorrectionResults", self._send("PATCH", f"/v1/users/{_segment(user_id)}/purchases", body))

    def merge_accounts(self, user_id: str, into_user_id: str) -> MergeAnswer:
        """What became of a merge: the purchases of the first are those of the second from now on."""
        body = {"user_id": user_id, "into_user_id": into_user_id}
        return cast("MergeAnswer", self._send("POST", "/v1/subjects/merge", body))

    def held(self, user_id: str) -> HeldSummary:
        """How much of what is held of a customer, and what for."""
        return cast("HeldSummary", self._ask(f"/v1/users/{_segment(user_id)}/held"))

    def ask_for_file(self, user_id: str) -> SubjectFile:
        """A file with everything held of a customer, made from now on: ask `subject_file_status`."""
        return cast("SubjectFile", self._send("POST", f"/v1/users/{_segment(user_id)}/exports"))

    def subject_file_status(self, export_id: str) -> SubjectFile:
        """How far such a file has come."""
        return cast("SubjectFile", self._ask(f"/v1/subject-exports/{_segment(export_id)}"))

    def subject_file(self, export_id: str, *, start: int = 0) -> bytes:
        """The file once it is done, a zip archive, from this byte on; check it against `sha256`."""
        of_rest = {"Range": f"bytes={start}-"} if start else {}
        headers = {"Accept": "*/*", **of_rest}
        return self._content("GET", f"/v1/subject-exports/{_segment(export_id)}/file", headers=headers)

    def delete_subject_file(self, export_id: str) -> SubjectFile:
        """The file at its end, deleted."""
        return cast("SubjectFile", self._send("DELETE", f"/v1/subject-exports/{_segment(export_id)}"))

    def opendsr_discovery(self) -> DsrDiscovery:
        """What of OpenDSR is supported."""
        return cast("DsrDiscovery", self._ask("/opendsr/discovery"))

    def opendsr_certificate(self) -> str:
        """The certificate that answers and callbacks in the form of OpenDSR are checked with, as PEM."""
        return self._content("GET", "/opendsr/certificate", headers={"Accept": "*/*"}).decode()

    def post_opendsr(
        self,
        subject_request_id: str,
        subject_request_type: DsrType,
        subject_identities: Sequence[DsrIdentity],
        *,
        submitted_time: str,
        regulation: Literal["gdpr", "ccpa"] = "gdpr",
        status_callback_urls: Sequence[str] = (),
    ) -> DsrAccepted:
        """The acknowledgement of a request in the form of OpenDSR; the id is a UUID of version 4 that you make."""
        body = {
            "regulation": regulation,
            "subject_request_id": subject_request_id,
            "subject_request_type": subject_request_type,
            "submitted_time": submitted_time,
            "subject_identities": list(subject_identities),
            "status_callback_urls": list(status_callback_urls),
        }
        return cast("DsrAccepted", self._send("POST", "/opendsr/requests", body))

    def opendsr_status(self, subject_request_id: str) -> DsrState:
        """How far such a request has come."""
        return cast("DsrState", self._ask(f"/opendsr/requests/{_segment(subject_request_id)}"))

    def cancel_opendsr(self, subject_request_id: str) -> DsrCancelled:
        """The acknowledgement of a cancellation; of a file that is not made yet."""
        return cast("DsrCancelled", self._send("DELETE", f"/opendsr/requests/{_segment(subject_request_id)}"))

    def log_checkpoint(self) -> str:
        """The latest signed checkpoint of the log of receipts; needs the scope `audit`."""
        return self._content("GET", "/v1/log/checkpoint").decode()

    def log_consistency(self, old: int, new: int | None = None) -> LogConsistency:
        """The proof that the log of the old size is the beginning of the new one, or of the latest."""
        return cast("LogConsistency", self._ask("/v1/log/consistency", {"from": old, "to": new}))

    def log_inclusion(self, index: int, size: int | None = None) -> LogInclusion:
        """The proof that a receipt is in the log of this size, or in the latest."""
        return cast("LogInclusion", self._ask("/v1/log/inclusion", {"index": index, "size": size}))

    def models(self) -> ModelList:
        """The model versions, with what each promises."""
        return cast("ModelList", self._ask("/v1/models"))

    def create_webhook(self, url: str, events: Sequence[WebhookEvent]) -> Webhook:
        """The webhook, which is told of these events from now on; the same again finds the first."""
        return cast("Webhook", self._send("POST", "/v1/webhooks", {"url": url, "events": list(events)}))

    def webhooks(self) -> WebhookList:
        """Every webhook."""
        return cast("WebhookList", self._ask("/v1/webhooks"))

    def delete_webhook(self, webhook_id: str) -> Webhook:
        """The webhook as it was; it is told nothing more."""
        return cast("Webhook", self._send("DELETE", f"/v1/webhooks/{_segment(webhook_id)}"))

    def test_webhook(self, webhook_id: str) -> QueuedMessage:
        """The id of a test message to the webhook."""
        return cast("QueuedMessage", self._send("POST", f"/v1/webhooks/{_segment(webhook_id)}/test"))

    def dead_letters(self) -> DeadLetterList:
        """The messages that were given up."""
        return cast("DeadLetterList", self._ask("/v1/dead-letters"))

    def redeliver(self, delivery_id: str) -> QueuedMessage:
        """The id of a message that was given up, and is tried again."""
        return cast("QueuedMessage", self._send("POST", f"/v1/dead-letters/{_segment(delivery_id)}/redeliver"))

    def metrics(self) -> str:
        """The metrics of the process that answers, in the text form of Prometheus; needs the scope `metrics`."""
        return self._content("GET", "/metrics").decode()

    def model(self, version: str) -> ModelDetail:
        """A version, and of how many customers its lists are ready."""
        return cast("ModelDetail", self._ask(f"/v1/models/{_segment(version)}"))

    def publish_model(self, version: str) -> ModelDetail:
        """The version with every customer's lists ready beside the live one's; if time ran out, ask again."""
        return cast("ModelDetail", self._send("POST", f"/v1/models/{_segment(version)}/publish"))

    def promote_model(self, version: str, *, when: Literal["warm", "now"] = "warm") -> ModelDetail:
        """The version that is live from now on."""
        return cast("ModelDetail", self._send("POST", f"/v1/models/{_segment(version)}/promote?when={when}"))

    def shadow_model(self, version: str, *, customers: int = 1000, task: Task = "any") -> ModelComparison:
        """The version beside the live one on a sample of the customers, who see nothing of it."""
        path = f"/v1/models/{_segment(version)}/shadow?customers={customers}&task={task}"
        return cast("ModelComparison", self._send("POST", path))

    def experiment(self) -> ExperimentStatus:
        """The experiment that runs, if one does."""
        return cast("ExperimentStatus", self._ask("/v1/experiment"))

    def start_experiment(self, name: str, version: str, *, share: int, salt: str | None = None) -> ExperimentStatus:
        """The experiment: a share of the customers, in per cent, gets the version from now on."""
        body = {"name": name, "version": version, "share": share, "salt": salt}
        return cast("ExperimentStatus", self._send("PUT", "/v1/experiment", body))

    def stop_experiment(self) -> ExperimentStatus:
        """No experiment: everybody gets the live version from now on."""
        return cast("ExperimentStatus", self._send("DELETE", "/v1/experiment"))

    def live(self) -> Liveness:
        """Whether the process answers."""
        return cast("Liveness", self._ask("/health/live"))

    def startup(self) -> Startup:
        """Whether the process can begin; the checks say what is missing."""
        return cast("Startup", self._health("/health/startup"))

    def ready(self) -> Readiness:
        """Whether lists can be served; the checks say which part is missing."""
        return cast("Readiness", self._health("/health/ready"))

    def _health(self, path: str) -> object:
        """The checks, whether the answer is yes or no."""
        status, content = self._transport("GET", path, self._headers, None)
        if status >= FIRST_ERROR and (status != UNAVAILABLE or b'"checks"' not in content):
            raise ApiError(status, content)
        return json.loads(content)

    def _ask(self, path: str, query: Mapping[str, object] | None = None) -> object:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        text = urlencode(given, doseq=True)
        return json.loads(self._content("GET", f"{path}?{text}" if text else path))

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> object:
        return json.loads(self._content(method, path, None if body is None else json.dumps(body).encode()))

    def _send_rest(self, status: ImportStatus, path: Path) -> ImportStatus:
        if (size := path.stat().st_size) != status["size"]:
            msg = f"expected the file of {status['size']} bytes that was announced, got {size}; begin anew: import_file"
            raise InputError(msg)
        with path.open("rb") as file:
            file.seek(status["offset"])
            while status["state"] == "uploading":
                status = self.send_part(status["import_id"], status["offset"], file.read(PART_BYTES))
        return status

    def _content(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        of_body = {} if body is None else {"Content-Type": "application/json"}
        sent = {**self._headers, **of_body, **(headers or {})}
        status, content = self._transport(method, path, sent, body)
        if status >= FIRST_ERROR:
            raise ApiError(status, content)
        return content


def _format_of(path: Path) -> FileFormat:
    formats: Mapping[str, FileFormat] = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
    found = formats.get(path.suffix.lower())
    if found is None:
        msg = "expected a file whose name ends in .csv, .jsonl or .parquet, got another; convert or rename it"
        raise InputError(msg)
    return found


def _segment(text: str) -> str:
    return quote(text, safe="")


def _envelope(content: bytes) -> Mapping[str, object]:
    """What the error says; empty where something else than the API answered, such as a proxy."""
    try:
        error = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}
