"""Ten thousand requests that nobody should send: no fault of the service, and no id in any line of its log."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from recsys.types import Scope
from tests.api.shop import Shop, event, open_shop

N_REQUESTS = 10_000
CANARY = "canary7f3a"
"""In every id, filter, body and header that is sent."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", CANARY.upper())
ROUTES = (
    ("GET", "/v1/users/{}/recommendations"),
    ("GET", "/v1/items/{}/similar"),
    ("GET", "/v1/items/{}"),
    ("PUT", "/v1/items/{}"),
    ("PATCH", "/v1/items/{}"),
    ("DELETE", "/v1/items/{}"),
    ("GET", "/v1/popular"),
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/recommendations:batch"),
    ("POST", "/v1/events"),
    ("POST", "/v1/erasures"),
    ("GET", "/v1/erasures/{}"),
    ("GET", "/v1/erasures/{}/receipt"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{}"),
    ("POST", "/v1/models/{}/publish"),
    ("POST", "/v1/models/{}/promote"),
    ("POST", "/v1/models/{}/shadow"),
    ("POST", "/v1/feedback"),
    ("GET", "/v1/feedback/rates"),
    ("GET", "/v1/feedback/comparison"),
    ("POST", "/v1/imports"),
    ("PATCH", "/v1/imports/{}"),
    ("GET", "/v1/imports/{}"),
    ("POST", "/v1/exports"),
    ("GET", "/v1/exports/{}"),
    ("GET", "/v1/exports/{}/file"),
    ("PUT", "/v1/experiment"),
    ("POST", "/v1/webhooks"),
    ("DELETE", "/v1/webhooks/{}"),
    ("POST", "/v1/webhooks/{}/test"),
    ("POST", "/v1/dead-letters/{}/redeliver"),
    ("GET", "/v1/log/consistency"),
    ("GET", "/v1/log/inclusion"),
    ("GET", "/v1/{}"),
    ("GET", "/{}"),
)
PARAMETERS = (
    *("n", "task", "filter", "exclude", "category", "context", "since", "first", "from", "to", "index", "size"),
    CANARY,
)
FIELDS = (
    *("items", "user_ids", "user_id", "n", "task", "exclude", "filter", "events", "reason", "release", "name", "price"),
    *(
        "stock",
        "category",
        "attributes",
        "and",
        "or",
        "not",
        "in_stock",
        "event_id",
        "item_id",
        "timestamp",
        "quantity",
    ),
    *("recommendation_id", "type", "kind", "format", "size", "columns", "share", "salt", "version", "url", "context"),
    CANARY,
)
WORDS = (
    *("in_stock", "category", "price", "attribute", "and", "or", "not", "(", ")", "=", "<", ">=", '"', "\\", "1e999"),
    *(f'"{CANARY}"', CANARY, "0", "\u2028", "\U0001f375"),
)
ODD = (
    "",
    "\0",
    "\n",
    "%",
    "%00",
    "%0A",
    "/",
    "..",
    "?",
    "#",
    "\u00fc",
    "\ud7ff",
    "\u202e",
    "x" * 300,
    "%ff",
    "%C3",
    ":",
)
HEADERS = (
    "Content-Type",
    "Accept",
    "Content-Length",
    "Transfer-Encoding",
    "Cookie",
    "Range",
    "Expect",
    "Content-Encoding",
)
TYPES = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "",
    "a/b; charset=x",
)


class Request(NamedTuple):
    """One request as it is sent."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes


class Sender:
    """Makes up requests that are right in some places and wrong in others."""

    def __init__(self, seed: int, secrets: list[str]) -> None:
        self._random = random.Random(seed)
        self._secrets = secrets

    def requests(self) -> Iterator[Request]:
        for _ in range(N_REQUESTS):
            method, template = self._one(ROUTES)
            method = method if self._random.random() < 0.9 else self._one(METHODS)
            yield Request(method, self._path(template), self._headers(), self._content())

    def _one(self, choices: tuple[Any, ...] | list[Any]) -> Any:
        return self._random.choice(choices)

    def _text(self) -> str:
        return f"{CANARY}{self._one(ODD)}{self._random.randrange(100)}"

    def _path(self, template: str) -> str:
        segment = self._one((self._text(), quote(self._text(), safe="")))
        path = template.format(segment.replace("?", "%3F").replace("#", "%23").replace("\n", "%0A"))
        pairs = [f"{self._one(PARAMETERS)}={quote(self._value())}" for _ in range(self._random.randrange(4))]
        return "?".join([path.replace("\0", "%00"), "&".join(pairs)])

    def _value(self) -> str:
        words = " ".join(self._one(WORDS) for _ in range(self._random.randrange(1, 40)))
        return str(self._one((words, "5", "-1", "101", "any", "in_stock", 'category = "tea"', self._text(), "(" * 500)))

    def _headers(self) -> dict[str, str]:
        headers = {
            "X-API-Key": self._one([*self._secrets, *self._secrets[-1:] * 20, CANARY, ""]),
            "Content-Type": self._one(TYPES * 2 + TYPES[:1] * 9),
        }
        if self._random.random() < 0.2:
            headers[self._one(HEADERS[1:2] + HEADERS[4:])] = f"{CANARY}; gzip, bytes=0-1"
        return headers

    def _content(self) -> bytes:
        if self._random.random() < 0.1:
            return self._one(
                (b"", b"{", b"[" * 2000, b"\xff\xfe", CANARY.encode(), b"null", b'{"a":1e999}', b"0" * 5000)
            )
        content = json.dumps({self._one(FIELDS): self._json(0) for _ in range(self._random.randrange(4))}).encode()
        cut = self._random.randrange(len(content) + 1)
        return content if self._random.random() < 0.8 else content[:cut] + self._one((b"\x00", b"\xc3", b",", b"}"))

    def _json(self, depth: int) -> Any:
        if depth < 4 and self._random.random() < 0.4:
            return [self._json(depth + 1) for _ in range(self._random.randrange(4))]
        if depth < 4 and self._random.random() < 0.6:
            return {self._one(FIELDS): self._json(depth + 1) for _ in range(self._random.randrange(4))}
        plain = (
            None,
            True,
            5,
            -1,
            10**30,
            1.5,
            float("nan"),
            float("inf"),
            "any",
            "tea-1",
            "\ud800",
            "2026-01-31T12:00:00Z",
        )
        return self._one((*plain, self._text(), CANARY))


@pytest.mark.slow
def test_ten_thousand_malformed_requests_find_no_fault_and_leave_no_id_in_the_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    shop = open_shop()
    keys = [*shop.secrets.values(), shop.workspace.api_keys.create("all", frozenset(Scope))[1]]
    shop.statuses(event("1", user_id=CANARY, item_id="tea-1"))
    statuses = Counter(status_of(shop, request) for request in Sender(20261125, keys).requests())
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in err.splitlines()]

    assert {status for status in statuses if status >= 500} == set()
    assert {200, 400, 401, 403, 404, 405, 422} <= set(statuses), "requests of every kind were sent"
    assert len(lines) == N_REQUESTS + 1
    assert CANARY not in (out + err + caplog.text).lower()


def status_of(shop: Shop, request: Request) -> int:
    headers = {name.encode(): value.encode() for name, value in request.headers.items()}
    return shop.client.request(request.method, request.path, headers=headers, content=request.content).status_code
