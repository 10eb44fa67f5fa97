"""The journal of suppressions in memory."""

from dataclasses import replace

from recsys.data.subject_request import LimitEntry, Noted, SubjectRequest
from recsys.types import ErasureRequest, ErasureState


class MemoryJournal:
    """Satisfies `ports.Journal`."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries: list[Noted] = []

    def note(self, *entries: Noted) -> None:
        """Append the entries, each with the request as it came."""
        self._entries += map(_as_it_came, entries)

    def begin(self, *entries: Noted) -> None:
        """Append those about which nothing is noted yet."""
        there = {entry.about for entry in self._entries}
        self.note(*(entry for entry in entries if entry.about not in there))

    def has(self, place: str) -> bool:
        """Whether this is a place of this journal."""
        return place in self._places[1:]

    def entries(self, after: str = "") -> tuple[tuple[Noted, ...], str]:
        """The entries behind this place, oldest first, and the place behind the last."""
        places = self._places
        return tuple(self._entries[places.index(after) if after in places else 0 :]), places[-1]

    @property
    def _places(self) -> list[str]:
        return ["", *(f"{number}:{id(self)}" for number in range(1, len(self._entries) + 1))]


def _as_it_came(entry: Noted) -> Noted:
    if isinstance(entry, LimitEntry):
        came = entry.request
        limit = SubjectRequest(request_id=came.request_id, kind=came.kind, received_at=came.received_at)
        return replace(entry, request=limit)
    request = entry.request
    erasure = ErasureRequest(
        request_id=request.request_id,
        subject=request.subject,
        reason=request.reason,
        received_at=request.received_at,
        due_at=request.due_at,
        state=ErasureState.SUPPRESSED,
        release=request.release,
    )
    return replace(entry, request=erasure)
