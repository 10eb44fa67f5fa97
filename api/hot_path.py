"""The finished answer to a customer, from the cache, if it may be served without the database being asked."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

from starlette.types import Scope as Connection

from api.known_keys import KnownKeys
from api.lease import Certificate, Form, Lease, LeaseKeeper
from api.rate_limit import TokenBuckets
from api.services import Services
from recsys.errors import CacheUnavailableError, InputError
from recsys.serving.rendered import version_part
from recsys.serving.sealed_lists import beginning, open_document
from recsys.serving.shown_items import ShownItems
from recsys.store.cache import RedisCache
from recsys.store.keys import KeyRing
from recsys.store.pipelined import PipelinedRedis
from recsys.store.redis_address import RedisAddress
from recsys.store.wire import Answer, Taker
from recsys.store.workspace import Workspace
from recsys.types import FenceState, Scope, UserKey

HOT = "hot"
"""The name of the way to finished answers in the state of the lifespan, which a server hands to its connections."""
BEFORE, AFTER = "/v1/users/", "/recommendations"

BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class Reader(Protocol):
    """What reads the cache from the event loop: `store.pipelined.PipelinedRedis`."""

    server_id: str | None

    def get(self, name: bytes) -> Answer:
        """The value at the name, later."""

    def bring(self, name: bytes, taker: Taker) -> None:
        """Bring the taker the value at the name."""


class Asked(NamedTuple):
    """What a request asks the cache for."""

    user_key: UserKey
    lease: Lease
    form: Form
    name: bytes


@dataclass(slots=True)
class Outcomes:
    """How often a request in the default form came to what: plain numbers, for a scraper reads them seldom."""

    hit: int = 0
    miss: int = 0
    refused: int = 0
    no_lease: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class HotPath:
    """What an answer from the cache is made with."""

    reader: Reader
    lease: LeaseKeeper
    known_keys: KnownKeys
    buckets: TokenBuckets
    ring: KeyRing
    name_of: Callable[[UserKey, int], bytes]
    shown: ShownItems
    counts: Outcomes = field(default_factory=Outcomes)

    async def answer(self, scope: Connection) -> bytes | None:
        """The body of the answer; None if the slow twin has to make it."""
        asked = self.ask(scope)
        if asked is None:
            return None
        try:
            value = await self.reader.get(asked.name)
        except CacheUnavailableError:
            self.missed()
            return None
        return self.finished(asked, value)

    def ask(self, scope: Connection) -> Asked | None:
        """What to ask the cache for; None if the slow twin has to answer. A token of the key is taken."""
        user_key = self._customer(scope)
        if user_key is None:
            return None
        if not self._admitted(scope):
            self.counts.refused += 1
            return None
        lease = self.lease.current()
        if lease is None or lease.certificate.server_id != self.reader.server_id:
            self.counts.no_lease += 1
            return None
        form, slot = lease.certificate.place_of(partial(self.ring.draw, user_key))
        return Asked(user_key, lease, form, self.name_of(user_key, slot))

    def finished(self, asked: Asked, value: bytes | None) -> bytes | None:
        """The answer made of the value that came; None if there is none that may be served. Either is counted."""
        body = self._finished(asked, value)
        if body is None:
            self.counts.miss += 1
        else:
            self.counts.hit += 1
        return body

    def missed(self) -> None:
        """Count a request whose value did not come."""
        self.counts.miss += 1

    def _finished(self, asked: Asked, value: bytes | None) -> bytes | None:
        if value is None or not value.startswith(asked.form.header) or not self.lease.holds(asked.lease):
            return None
        document = open_document(self.ring, asked.user_key, value)
        return None if document is None else self.shown.answer(document, asked.form.version_part)

    def _customer(self, scope: Connection) -> UserKey | None:
        """The customer of a request in its default form; None for any other request, or for an id that is none."""
        path: str = scope["path"]
        if not (path.startswith(BEFORE) and path.endswith(AFTER) and scope["method"] == "GET"):
            return None
        if scope["query_string"] or scope.get("root_path"):
            return None
        try:
            return self.ring.user_key(path[len(BEFORE) : -len(AFTER)])
        except InputError:
            return None

    def _admitted(self, scope: Connection) -> bool:
        """Whether a key that is known has the scope and a token left; a token that was taken is noted."""
        secret = secret_in(scope["headers"])
        key = self.known_keys.find(secret) if secret else None
        if key is None or Scope.RECOMMEND not in key.scopes or self.buckets.take(key.key_id):
            return False
        scope.setdefault("state", {})["token_taken"] = True
        return True


def secret_in(headers: list[tuple[bytes, bytes]]) -> str:
    """The secret that `api.auth.secret_of` finds in these headers; empty also if a body follows them."""
    authorization: bytes | None = None
    header: bytes | None = None
    for name, value in headers:
        if name in BODY_HEADERS:
            return ""
        if name == b"authorization" and authorization is None:
            authorization = value
        elif name == b"x-api-key" and header is None:
            header = value
    scheme, _, token = (authorization or b"").partition(b" ")
    return (token.strip() if scheme.lower() == b"bearer" else header or b"").decode("latin-1")


@asynccontextmanager
async def open_hot_path(services: Services) -> AsyncIterator[HotPath | None]:
    """The way to finished answers while the block runs; None where there is no server to read them from."""
    workspace = services.workspace
    cache, url = workspace.cache, workspace.settings.redis_url
    if url is None or not isinstance(cache, RedisCache):
        yield None
        return
    reader = PipelinedRedis(RedisAddress(url), timeout=workspace.settings.cache_timeout_seconds)
    lease = LeaseKeeper(partial(read_certificate, workspace, services.shown))
    async with reader, lease.running():
        yield HotPath(
            reader=reader,
            lease=lease,
            known_keys=services.known_keys,
            buckets=services.buckets,
            ring=workspace.keys,
            name_of=lambda user_key, slot: cache.name(user_key, slot).encode("ascii"),
            shown=services.shown,
        )


def read_certificate(workspace: Workspace, shown: ShownItems) -> Certificate | None:
    """What the record says now; None while the cache is not certified, or no model is live.

    A lease stands on what the catalogue says, too: without a read of it there is none.
    """
    shown.refresh()
    fence = workspace.fences.read()
    served = workspace.registry.served()
    slot = served.slot_of(served.live) if served.live else None
    if fence.state is not FenceState.CERTIFIED or served.live is None or slot is None:
        return None
    experiment = served.experiment
    return Certificate(
        live=form_of(fence.epoch, served.live),
        server_id=fence.identity,
        slot=slot,
        experiment=experiment,
        beside=form_of(fence.epoch, experiment.version) if experiment else None,
    )


def form_of(epoch: int, version: str) -> Form:
    """What the version's values of this epoch have in common."""
    return Form(header=beginning(epoch, version), version_part=version_part(version))
