"""The whole API against its own document: generated requests, good and bad, over every route."""

from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup

from recsys.types import Scope
from tests.api.shop import Broken, Shop, event, feedback, open_shop

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def generated_shop() -> Shop:
    """A shop with a customer and an open erasure."""
    shop = open_shop()
    shop.statuses(event("1"))
    shop.tell(feedback(shop.recommend()["recommendation_id"]))
    shop.erase(user_id="bo")
    return shop


SHOP = generated_shop()
# In this header, because the generator makes up one of its own where there is none.
KEY = {"Authorization": f"Bearer {SHOP.workspace.api_keys.create('all', frozenset(Scope))[1]}"}
schema = schemathesis.openapi.from_asgi("/openapi.json", SHOP.client.app)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=25)
def test_no_request_gets_a_fault_or_an_answer_that_is_not_documented(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers=KEY, checks=CHECKS)


@schema.parametrize()
@settings(max_examples=2)
def test_a_strangers_request_gets_a_documented_answer(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers={"Authorization": "Bearer nobodys-secret"}, checks=CHECKS)


def test_a_fault_would_be_found() -> None:
    shop = SHOP.with_port(registry=Broken(RuntimeError("broken on purpose")))
    broken = schemathesis.openapi.from_asgi("/openapi.json", shop.client.app)

    with pytest.raises(FailureGroup, match="Server error"):
        broken["/v1/models"]["GET"].Case().call_and_validate(headers=KEY, checks=CHECKS)
