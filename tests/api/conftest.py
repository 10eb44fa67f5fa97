import pytest

from tests.api.shop import Shop, open_shop


@pytest.fixture
def shop() -> Shop:
    return open_shop()
