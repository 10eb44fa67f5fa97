"""Lists for a basket that is nobody's, and for many customers at once."""

from typing import Annotated

from fastapi import Body

from api.auth import guarded_router
from api.errors import documented
from api.list_schemas import BasketBody, BatchAnswer, BatchBody
from api.schemas import RecommendationList
from api.services import Serving
from api.wishes import wish_of
from recsys.types import Purpose, Scope

router = guarded_router(Scope.RECOMMEND, tag="recommendations")


@router.post(
    "/v1/recommendations",
    summary="Recommend items for a basket",
    responses=documented([400, 401, 403, 413, 422, 500, 503]),
)
def recommend_for_basket(serving: Serving, body: Annotated[BasketBody, Body()]) -> RecommendationList:
    """A ranked list, best first, from the basket and the model alone.

    Nothing of the basket is stored or logged. A basket of which the model knows nothing gets what is popular, with
    `personalized` false.
    """
    answer = serving.storefront.basket(body.items, wish_of(body, Purpose(body.task)))
    return RecommendationList.model_validate(answer)


@router.post(
    "/v1/recommendations:batch",
    summary="Recommend items to many customers",
    responses=documented([400, 401, 403, 413, 422, 500, 503]),
)
def recommend_to_many(serving: Serving, body: Annotated[BatchBody, Body()]) -> BatchAnswer:
    """One list a customer, in the order they were asked for, each as the customer's own route answers."""
    wish = wish_of(body, body.task)
    answers = (serving.storefront.recommend(user_id, wish) for user_id in body.user_ids)
    return BatchAnswer(results=[RecommendationList.model_validate(answer) for answer in answers])
