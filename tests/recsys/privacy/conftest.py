"""A ledger with a clock of its own."""

from datetime import UTC, datetime

import pytest

from recsys.privacy.ledger import PrivacyLedger
from recsys.store.memory import MemoryLedgerLog


@pytest.fixture
def log() -> MemoryLedgerLog:
    """Where the ledger's entries are."""
    return MemoryLedgerLog()


@pytest.fixture
def ledger(log: MemoryLedgerLog) -> PrivacyLedger:
    """A ledger without a budget."""
    return PrivacyLedger(log, lambda: datetime(2026, 1, 31, tzinfo=UTC))
