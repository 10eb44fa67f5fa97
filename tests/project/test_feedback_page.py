"""The page about feedback: its Python runs as it is written, against a shop in memory."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privrec.client import Client
from recsys.types import Scope
from tests.api.shop import Shop, feedback, open_shop, publish, tea_and_coffee

BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def in_memory(shop: Shop) -> Client:
    """A client of the shop that opens no connection."""
    _, secret = shop.workspace.api_keys.create("all", frozenset(Scope))

    def transport(method: str, path: str, headers: Any, body: bytes | None) -> tuple[int, bytes]:
        response = shop.client.request(method, path, headers=dict(headers), content=body)
        return response.status_code, response.content

    return Client("http://shop.example", secret, transport=transport)


def run(code: str, names: dict[str, Any]) -> None:
    exec(code, names)  # noqa: S102 - a page of this repository


def test_the_python_of_the_page_runs_in_order(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = open_shop()
    client = in_memory(shop)
    told, bought, compared = BLOCK.findall((root / "docs/feedback.md").read_text())
    names: dict[str, Any] = {"shop": client, "before": shop.version}
    for code in (told, bought):
        run(code, names)
    totals = client.feedback_rates()["versions"][0]["totals"]
    names["after"] = publish(shop.workspace, replace(tea_and_coffee(), factors=tea_and_coffee().factors * 2))
    for customer in range(200):
        shop.tell(feedback(shop.recommend(f"c{customer}")["recommendation_id"]))
    run(compared, names)

    assert (totals["impressions"], totals["clicks"], totals["purchases"]) == (1, 1, 1)
    assert (totals["lists_shown"], totals["lists_clicked"], totals["lists_bought"]) == (1, 1, 1)
    assert capsys.readouterr().out.startswith("clicks: -1.0000 (")
