"""The answer to a request for recommendations as the bytes that are sent: as FastAPI would write it, many times faster.

Tested by: tests/api/test_recommendations.py::test_a_rendered_answer_is_what_the_route_sends
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from recsys.clock import isoformat
from recsys.serving.lists import Row
from recsys.types import Reason, Task

DEFAULT_LENGTH, DEFAULT_TASK = 20, Task.ANY
"""What the request without parameters asks for: its answer is kept finished."""
PARTS = 10_000
"""A score is told in ten-thousandths: enough to rank by, and few enough to read."""

_ENDS = {reason: f',"reason":"{reason.value}"}}' for reason in Reason}


def item_starts(items: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The beginning of each item (id, name) in an answer, up to its score."""
    return tuple(f'{{"item_id":{_quoted(item_id)},"name":{_quoted(name)},"score":' for item_id, name in items)


def told(score: float) -> float:
    """The score as an answer tells it; `np.round(scores, 4)` does the same."""
    return round(score * PARTS) / PARTS


def render_answer(
    rows: Iterable[Row], starts: Sequence[str], *, version: str, generated_at: datetime, recommendation_id: str
) -> bytes:
    """The personal answer to the request without parameters; the rows are as many as are shown, with scores as told."""
    items = ",".join([f"{starts[item]}{score!r}{_ENDS[reason]}" for item, score, reason in rows])
    return f'{{"items":[{items}],{_end(version, generated_at, recommendation_id)}'.encode()


def _end(version: str, generated_at: datetime, recommendation_id: str) -> str:
    return (
        f'"task":"{DEFAULT_TASK.value}","personalized":true,"version":{_quoted(version)},'
        f'"generated_at":"{isoformat(generated_at)}","degraded":false,"recommendation_id":"{recommendation_id}"}}'
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
