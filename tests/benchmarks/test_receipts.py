"""What is measured is a receipt that holds, and it is as small as is promised."""

import pytest

from benchmarks import receipts


def test_every_figure_is_there_and_the_receipt_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "RUNS", 3)
    monkeypatch.setattr(receipts, "STARTS", 1)
    found = receipts.receipts(100)

    assert found["log.hashes"] < 2 * found["log.receipts"]
    assert 0 < found["receipt.bytes"] <= 4096
    assert all(found[key] > 0 for key in ("verify.ms", "sign_and_enter.ms", "command.ms", "interpreter.ms"))
