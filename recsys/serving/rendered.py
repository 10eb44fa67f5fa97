"""The answer to a request for recommendations as the bytes that are sent: as FastAPI would write it, many times faster.

Tested by: tests/api/test_recommendations.py::test_a_rendered_answer_is_what_the_route_sends
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache

from recsys.clock import EPOCH, MILLISECOND, isoformat
from recsys.serving.lists import PARTS
from recsys.serving.packed_lists import REASONS
from recsys.types import CatalogueItem, Task

DEFAULT_LENGTH, DEFAULT_TASK = 20, Task.ANY
"""What the request without parameters asks for: its answer is made without the framework. Its list is kept first."""


def item_start(item: CatalogueItem) -> bytes:
    """The beginning of the item in an answer, with the comma that stands before it, up to its score."""
    return f',{{"item_id":{_quoted(item.item_id)},"name":{_quoted(item.name or item.item_id)},"score":'.encode()


@lru_cache(maxsize=2**15)
def item_end(said: int) -> bytes:
    """The rest of an item: score and reason, which `packed_lists` keeps as one number."""
    parts, reason = divmod(said, len(REASONS))
    return f'{parts / PARTS!r},"reason":"{REASONS[reason].value}"}}'.encode()


def version_part(version: str) -> bytes:
    """What stands in every answer of the version behind the items, up to the moment."""
    return f'],"task":"{DEFAULT_TASK.value}","personalized":true,"version":{_quoted(version)},"generated_at":"'.encode()


def render_answer(
    starts: Sequence[bytes], said: Iterable[int], version_part: bytes, *, made: int, recommendation_id: bytes
) -> bytes:
    """The personal answer to the request without parameters.

    Args:
        starts: of each item that is shown
        said: its number
        version_part: of the version that made the list
        made: milliseconds since 1970
        recommendation_id: of the list
    """
    items = [b""] * (2 * len(starts))
    items[0::2], items[1::2] = starts, map(item_end, said)
    return b'{"items":[%b%b%b","degraded":false,"recommendation_id":"%b"}' % (
        b"".join(items)[1:],
        version_part,
        _moment(made),
        recommendation_id,
    )


@lru_cache(maxsize=2**12)
def _moment(made: int) -> bytes:
    """As an answer tells it. Lists that were published together were made at one."""
    return isoformat(EPOCH + made * MILLISECOND).encode()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
