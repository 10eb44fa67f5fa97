import pytest

from recsys.data.interactions import PurchaseLog
from recsys.store.workspace import Workspace
from tests.recsys.training.shop import open_shop, small_log


@pytest.fixture
def log() -> PurchaseLog:
    return small_log()


@pytest.fixture
def shop(log: PurchaseLog) -> Workspace:
    """A shop in memory that has sold things and trained nothing yet."""
    return open_shop(log)
