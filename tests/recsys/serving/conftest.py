import pytest

from tests.recsys.serving.shop import Shop, open_shop, tea_and_coffee


@pytest.fixture
def shop() -> Shop:
    """A shop with a live model and one customer, ada, who bought two teas."""
    shop = open_shop()
    shop.release(tea_and_coffee())
    shop.buy("ada", "tea-3", "tea-4", "tea-4")
    return shop


@pytest.fixture
def empty_shop() -> Shop:
    """A shop without a model and without customers."""
    return open_shop()
