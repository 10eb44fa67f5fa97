"""What a customer is recommended."""

from typing import Annotated

from fastapi import Path

from api.auth import guarded_router
from api.errors import documented
from api.paths import USER_PATH
from api.schemas import RecommendationList
from api.services import Serving
from api.wishes import CustomersWish
from recsys.types import Scope

router = guarded_router(Scope.RECOMMEND, tag="recommendations")

UserId = Annotated[str, Path(description="The shop's own id: at most 256 bytes in UTF-8, without control characters.")]


@router.get(
    f"{USER_PATH}/recommendations",
    summary="Recommend items to a customer",
    responses=documented([401, 403, 422, 500, 503]),
)
def recommend(serving: Serving, user_id: UserId, wish: CustomersWish) -> RecommendationList:
    """A ranked list, best first.

    A customer who is unknown, or who was erased, gets what is popular, in the same form, with `personalized` false; to
    buy again, an empty list. On the page of an item (`context`) what goes with it comes before what is popular, whose
    scores are counts.
    """
    return RecommendationList.model_validate(serving.storefront.recommend(user_id, wish))
