"""The journal of suppressions in memory."""

from dataclasses import replace

from recsys.types import ErasureRequest, ErasureState, JournalEntry


class MemoryJournal:
    """Satisfies `ports.Journal`."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries: list[JournalEntry] = []

    def note(self, *entries: JournalEntry) -> None:
        """Append the entries, each with the request as it came."""
        self._entries += [replace(entry, request=_as_it_came(entry.request)) for entry in entries]

    def begin(self, *entries: JournalEntry) -> None:
        """Append those of customers who have no entry yet."""
        there = {entry.user_key for entry in self._entries}
        self.note(*(entry for entry in entries if entry.user_key not in there))

    def has(self, place: str) -> bool:
        """Whether this is a place of this journal."""
        return place in self._places[1:]

    def entries(self, after: str = "") -> tuple[tuple[JournalEntry, ...], str]:
        """The entries behind this place, oldest first, and the place behind the last."""
        places = self._places
        return tuple(self._entries[places.index(after) if after in places else 0 :]), places[-1]

    @property
    def _places(self) -> list[str]:
        return ["", *(f"{number}:{id(self)}" for number in range(1, len(self._entries) + 1))]


def _as_it_came(request: ErasureRequest) -> ErasureRequest:
    return ErasureRequest(
        request_id=request.request_id,
        subject=request.subject,
        reason=request.reason,
        received_at=request.received_at,
        due_at=request.due_at,
        state=ErasureState.SUPPRESSED,
        release=request.release,
    )
