"""The file that a customer is given: everything held of them, as JSON and as CSV, with a page that explains it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pipelines.encode import Row, encoded
from recsys.clock import isoformat
from recsys.rights.holding import NOT_HELD, Held, request_json
from recsys.rights.purposes import PROCESSINGS, legal_basis
from recsys.store.settings import Settings
from recsys.types import FileFormat, Json

FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""Of every member: equal contents have equal bytes."""
TABLES: Mapping[str, tuple[str, ...]] = {
    "purchases": ("item_id", "name", "timestamp", "quantity", "event_digest"),
    "terms": ("sum_id", "item_id", "versions"),
    "lists": ("version", "task", "made_at", "rank", "item_id", "name", "score", "reason"),
    "requests": ("kind", "received_at", "state"),
}
ABOUT = """What {controller} holds of the customer {user_id}, as of {at}

This is the answer to a request for access (Art. 15 GDPR) and portability (Art. 20). It is about one customer only.

subject.json    everything below in one document, for programs
purchases.csv   each purchase: item, time (UTC), quantity, and a digest of the event id, which itself is not kept
terms.csv       the items that went into each sum over all customers, and the model versions that were made from it;
                a sum without items is one that the customer left (objection or restriction)
lists.csv       the recommendations that lay ready, with version, score and reason: made from the purchases above
requests.csv    objections, restrictions, rectifications and merges of accounts in force or made

Purposes, data and how long it is kept
{purposes}
Legal basis: {basis}
Contact: {contact}

Not in here
{not_held}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Controller:
    """Who answers; as the settings have it."""

    name: str
    contact: str
    basis: str

    @classmethod
    def of(cls, settings: Settings) -> "Controller":
        """The controller that the settings name."""
        return cls(name=settings.controller_name, contact=settings.controller_contact, basis=settings.legal_basis)


def packed(held: Held, user_id: str, *, at: datetime, controller: Controller) -> bytes:
    """The file: a zip archive of JSON, CSV and the page."""
    tables = {"purchases": _purchases(held), "terms": _terms(held), "lists": _lists(held), "requests": _requests(held)}
    members = {
        "README.txt": _about(user_id, at, controller).encode(),
        "subject.json": _document(tables, held, user_id, at),
    }
    members |= {f"{name}.csv": encoded(FileFormat.CSV, TABLES[name], rows) for name, rows in tables.items()}
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(ZipInfo(name, FIRST_DAY), content, ZIP_DEFLATED)
    return file.getvalue()


def _document(tables: Mapping[str, list[Row]], held: Held, user_id: str, at: datetime) -> bytes:
    document: dict[str, object] = {"user_id": user_id, "as_of": isoformat(at), **tables}
    requests: list[Json] = [request_json(request) for request in held.requests]
    document |= {"requests": requests, "not_held": list(NOT_HELD)}
    return json.dumps(document, ensure_ascii=False, indent=2).encode()


def _about(user_id: str, at: datetime, controller: Controller) -> str:
    lines = (f"- {each.purpose}: {each.data}. Kept: {each.kept}. Stopped by: {each.article}." for each in PROCESSINGS)
    return ABOUT.format(
        controller=controller.name or "this shop",
        user_id=user_id,
        at=isoformat(at),
        purposes="\n".join(lines),
        basis=legal_basis(controller.basis),
        contact=controller.contact or "the shop that you bought from",
        not_held="\n".join(f"- {line}" for line in NOT_HELD),
    )


def _purchases(held: Held) -> list[Row]:
    return [
        {
            "item_id": each.item_id,
            "name": each.name,
            "timestamp": isoformat(each.at),
            "quantity": each.quantity,
            "event_digest": each.event_digest,
        }
        for each in held.purchases
    ]


def _terms(held: Held) -> list[Row]:
    """One row an item, and one without an item for a sum that the customer left."""
    return [
        {"sum_id": term.sum_id, "item_id": item_id, "versions": " ".join(term.versions)}
        for term in held.terms
        for item_id in term.item_ids or ("",)
    ]


def _lists(held: Held) -> list[Row]:
    return [
        {
            "version": each.version,
            "task": each.task,
            "made_at": isoformat(each.made_at),
            "rank": rank,
            "item_id": item_id,
            "name": name,
            "score": score,
            "reason": reason,
        }
        for each in held.lists
        for rank, (item_id, name, score, reason) in enumerate(each.items, start=1)
    ]


def _requests(held: Held) -> list[Row]:
    return [
        {"kind": each.kind.value, "received_at": isoformat(each.received_at), "state": each.state.value}
        for each in held.requests
    ]
