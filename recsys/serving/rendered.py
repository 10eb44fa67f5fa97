"""The answer to a request for recommendations as the bytes that are sent: as FastAPI would write it, many times faster.

Tested by: tests/api/test_recommendations.py::test_a_rendered_answer_is_what_the_route_sends
"""

import json
from collections.abc import Sequence
from functools import lru_cache

from recsys.clock import EPOCH, MILLISECOND, isoformat
from recsys.serving.lists import DEFAULT_TASK
from recsys.serving.packed_lists import MARKS, REASONS
from recsys.types import CatalogueItem

ITEM_ENDS = [
    (mark.encode("ascii"), f',"reason":"{reason.value}"}}\n'.encode())
    for mark, reason in zip(MARKS, REASONS, strict=True)
]
"""What takes the place of each mark."""


def item_start(item: CatalogueItem) -> bytes:
    """The beginning of the item in an answer, with the comma that stands before it, up to its score."""
    return f',{{"item_id":{_quoted(item.item_id)},"name":{_quoted(item.name or item.item_id)},"score":'.encode()


def item_ends(text: bytes) -> list[bytes]:
    """The rest of each item, from its score on, and an empty one; the text is that of `packed_lists`."""
    for mark, end in ITEM_ENDS:
        text = text.replace(mark, end)
    return text.split(b"\n")


def version_part(version: str) -> bytes:
    """What stands in every answer of the version behind the items, up to the moment."""
    return f'],"task":"{DEFAULT_TASK.value}","personalized":true,"version":{_quoted(version)},"generated_at":"'.encode()


def render_answer(
    starts: Sequence[bytes], ends: Sequence[bytes], version_part: bytes, made: int, list_id: bytes
) -> bytes:
    """The personal answer to the request without parameters, with as many items as there are `starts`.

    Args:
        starts: of each item that is shown
        ends: of those and maybe more
        version_part: of the version that made the list
        made: milliseconds since 1970
        list_id: what feedback names
    """
    items = [b""] * (2 * len(starts))
    items[0::2], items[1::2] = starts, ends[: len(starts)]
    behind = (version_part, _moment(made), b'","degraded":false,"recommendation_id":"', list_id, b'"}')
    return b"".join((b'{"items":[', b"".join(items)[1:], *behind))


@lru_cache(maxsize=2**12)
def _moment(made: int) -> bytes:
    """As an answer tells it. Lists that were published together were made at one."""
    return isoformat(EPOCH + made * MILLISECOND).encode()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
