"""The record of processing activities (GDPR Art. 30), from what this installation is and does.

What can be read off the settings, the stores and the code is; what only the controller knows (who they are, the legal
basis, transfers) comes from settings, and says so where it is missing.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from pipelines.exports import KEPT_HOURS, SUBJECT_KEPT_HOURS
from recsys.clock import isoformat
from recsys.evidence.signing import key_id
from recsys.privacy.ledger import PrivacyLedger, epsilon_json
from recsys.rights.purposes import PROCESSINGS, legal_basis
from recsys.serving.feedback import LIFETIME
from recsys.store.cache import LIFE_SECONDS
from recsys.store.redis_address import RedisAddress
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace
from recsys.types import Json, ModelStatus

NOT_STATED = "not stated: set {}"
HERE = "this machine"


def register(workspace: Workspace) -> dict[str, Json]:
    """The register as one document."""
    settings = workspace.settings
    return {
        "as_of": isoformat(workspace.clock()),
        "controller": {
            "name": settings.controller_name or NOT_STATED.format("PRIVREC_CONTROLLER_NAME"),
            "contact": settings.controller_contact or NOT_STATED.format("PRIVREC_CONTROLLER_CONTACT"),
        },
        "subjects": "customers of the shop, by pseudonym (a keyed hash of the shop's id)",
        "activities": [
            {
                "purpose": each.purpose,
                "data": each.data,
                "kept": each.kept,
                "stopped_by": each.article,
                "legal_basis": legal_basis(settings.legal_basis),
            }
            for each in PROCESSINGS
        ],
        "recipients": [*_recipients(workspace)],
        "retention": dict(_retention(settings)),
        "transfers": settings.transfers or NOT_STATED.format("PRIVREC_TRANSFERS"),
        "places": _places(settings),
        "security": [*_security(workspace)],
    }


def _recipients(workspace: Workspace) -> Iterator[Json]:
    """Who is given what: nobody without a key or a webhook."""
    for key in workspace.api_keys.list():
        if not key.revoked:
            yield {"kind": "API key", "name": key.name, "may": [*sorted(scope.value for scope in key.scopes)]}
    for webhook in workspace.webhooks.list():
        events: list[Json] = [*sorted(event.value for event in webhook.events)]
        yield {"kind": "webhook", "name": urlsplit(webhook.url).hostname or "", "may": events}
    files = [job.kind.value for job in workspace.exports.lying()]
    for kind in sorted(set(files)):
        yield {"kind": "file that lies ready", "name": kind, "may": [f"{files.count(kind)} of them"]}
    if workspace.settings.traces_url:
        host = urlsplit(workspace.settings.traces_url).hostname or ""
        yield {"kind": "traces", "name": host, "may": ["route and time of requests, nothing of a customer"]}


def _retention(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "purchases", "until erased or corrected"
    yield "lists in the cache", f"{timedelta(seconds=LIFE_SECONDS).days} days at most"
    yield "files with lists", f"{KEPT_HOURS} hours at most, and until the next erasure"
    yield "files of one customer", f"{SUBJECT_KEPT_HOURS} hours at most, and until that customer's erasure"
    yield "digests of feedback", f"{LIFETIME.days} days"
    yield "the journal of suppressions", "for good, sealed: who was erased, objected or was restricted, by pseudonym"
    yield "erasures", f"due within {settings.erasure_due_days} days; the receipt stays, without an id"


def _places(settings: Settings) -> dict[str, Json]:
    """Which machine each store stands on, as far as the settings tell."""
    database = urlsplit(settings.database_url).hostname if settings.database_url else None
    return {"keys and models": HERE, "database": database or HERE, "cache": ", ".join(_cache_hosts(settings))}


def _cache_hosts(settings: Settings) -> list[str]:
    address = RedisAddress(settings.redis_url) if settings.redis_url else None
    if address is None or address.path:
        return [HERE]
    members = address.members.asked if address.members else (address.place,)
    return sorted({member.host for member in members})


def _security(workspace: Workspace) -> Iterator[Json]:
    settings = workspace.settings
    yield "each history sealed with AES-256-GCM under a key of its own, which erasure destroys; no id is stored"
    yield "sums, terms, files and cached lists sealed with AES-256-GCM under keys derived from keys/store.key"
    yield f"receipts and reports signed with Ed25519, key {key_id(workspace.public_key)}, in an append-only log"
    yield f"erasure receipts in the log: {workspace.receipt_log.latest()[0]}"
    yield f"the cache is reached {_cache(settings)}"
    yield f"the database is reached {_database(settings)}"
    summary = PrivacyLedger(workspace.ledger_log, workspace.clock).summary()
    if summary.budget is not None:
        budget, period = summary.budget, summary.budget.period.value
        yield f"privacy budget: epsilon {epsilon_json(budget.epsilon)}, delta {budget.delta}, per {period}"
    for version in workspace.registry.versions():
        if version.status is ModelStatus.LIVE:
            private = version.privacy.get("private")
            promise = f"epsilon {version.privacy.get('epsilon')}" if private else "no privacy claimed (internal use)"
            yield f"live model {version.version}: {promise}"


def _cache(settings: Settings) -> str:
    if _cache_hosts(settings) == [HERE]:
        return "on this machine"
    is_secure = RedisAddress(settings.redis_url or "").secure
    return "over TLS" if is_secure else "without TLS: keep it on a private network"


def _database(settings: Settings) -> str:
    url = urlsplit(settings.database_url or "")
    if not url.hostname:
        return "on this machine"
    is_verified = parse_qs(url.query).get("sslmode") == ["verify-full"]
    return "over TLS, verified" if is_verified else "without sslmode=verify-full"


def as_markdown(document: Mapping[str, Json]) -> str:
    """The register as a page: a heading for each part, a list or a table under it."""
    lines = ["# Record of processing activities (GDPR Art. 30)", ""]
    for name, part in document.items():
        lines += [f"## {name.replace('_', ' ').capitalize()}", "", *_part(part), ""]
    return "\n".join(lines)


def _part(part: Json) -> list[str]:
    if isinstance(part, dict):
        return [f"- {name}: {_cell(value)}" for name, value in part.items()]
    rows = [row for row in part if isinstance(row, dict)] if isinstance(part, list) else []
    if rows:
        names = list(rows[0])
        table = [names, ["---"] * len(names), *([_cell(row[name]) for name in names] for row in rows)]
        return [f"| {' | '.join(cells)} |" for cells in table]
    return [f"- {_cell(value)}" for value in part] if isinstance(part, list) else [_cell(part)]


def _cell(value: Json) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
