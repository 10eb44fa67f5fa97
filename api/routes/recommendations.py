"""What a customer is recommended."""

from typing import Annotated

from fastapi import Path, Query
from starlette.convertors import StringConvertor, register_url_convertor

from api.auth import guarded_router
from api.errors import documented
from api.schemas import RecommendationList
from api.services import Serving
from recsys.types import Scope, Task

router = guarded_router(Scope.RECOMMEND, tag="recommendations")

UserId = Annotated[str, Path(description="The shop's own id: at most 256 bytes in UTF-8, without control characters.")]
Length = Annotated[int, Query(ge=1, le=100, description="How many items.")]
Purpose = Annotated[
    Task, Query(description="`any`: what was bought before may come back. `discover`: first purchases only.")
]


class AnyText(StringConvertor):
    """Any text at all: a shop's ids may hold slashes, and one with a line break deserves an answer that says so."""

    regex = "(?s:.*)"


register_url_convertor("anytext", AnyText())


@router.get(
    "/v1/users/{user_id:anytext}/recommendations",
    summary="Recommend items to a customer",
    responses=documented([401, 403, 422, 500, 503]),
)
def recommend(serving: Serving, user_id: UserId, n: Length = 20, task: Purpose = Task.ANY) -> RecommendationList:
    """A ranked list, best first.

    A customer who is unknown, or who was erased, gets what is popular, in the same form, with `personalized` false.
    """
    return RecommendationList.model_validate(serving.recommender.recommend(user_id, n=n, task=task))
