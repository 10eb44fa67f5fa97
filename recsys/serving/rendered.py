"""The answer to a request for recommendations as the bytes that are sent: as FastAPI would write it, many times faster.

Tested by: tests/api/test_recommendations.py::test_a_rendered_answer_is_what_the_route_sends
"""

import json
from collections.abc import Sequence
from functools import lru_cache

from recsys.clock import EPOCH, MILLISECOND, isoformat
from recsys.serving.lists import DEFAULT_TASK
from recsys.serving.packed_lists import REASONS
from recsys.types import CatalogueItem

ITEM_ENDS = [f',"reason":"{reason.value}"}}'.encode() for reason in REASONS]
"""What stands behind the score of an item, by the place of its reason."""


def item_start(item: CatalogueItem) -> bytes:
    """The beginning of the item in an answer, with the comma that stands before it, up to its score."""
    return f',{{"item_id":{_quoted(item.item_id)},"name":{_quoted(item.name or item.item_id)},"score":'.encode()


def version_part(version: str) -> bytes:
    """What stands in every answer of the version behind the items, up to the moment."""
    return f'],"task":"{DEFAULT_TASK.value}","personalized":true,"version":{_quoted(version)},"generated_at":"'.encode()


def render_answer(
    starts: Sequence[bytes], scores: Sequence[bytes], reasons: bytes, version_part: bytes, made: int, list_id: bytes
) -> bytes:
    """The personal answer to the request without parameters, with as many items as there are `starts`.

    Args:
        starts: of each item that is shown
        scores: of those and maybe more
        reasons: as the scores
        version_part: of the version that made the list
        made: milliseconds since 1970
        list_id: what feedback names
    """
    n = len(starts)
    items = [b""] * (3 * n)
    items[0::3], items[1::3], items[2::3] = starts, scores[:n], map(ITEM_ENDS.__getitem__, reasons[:n])
    behind = (version_part, _moment(made), b'","degraded":false,"recommendation_id":"', list_id, b'"}')
    return b"".join((b'{"items":[', b"".join(items)[1:], *behind))


@lru_cache(maxsize=2**12)
def _moment(made: int) -> bytes:
    """As an answer tells it. Lists that were published together were made at one."""
    return isoformat(EPOCH + made * MILLISECOND).encode()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
