"""A dry run: items and purchases are taken as the store would take them, in memory alone."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from recsys.data.history import History, Merge, Purchases, merge
from recsys.data.subject_request import SubjectKind
from recsys.ports import Histories, SubjectRequests
from recsys.store.cache import NoCache
from recsys.store.memory import MemoryCatalogue, MemoryFences
from recsys.store.workspace import Workspace
from recsys.types import CustomerState, UserKey


def rehearsing(workspace: Workspace) -> Workspace:
    """A workspace in which purchases and items can be taken as in the other, which stays as it is."""
    catalogue = MemoryCatalogue()
    catalogue.put_items(workspace.catalogue.items())
    histories = RehearsedHistories(workspace.histories, workspace.subjects)
    return replace(workspace, catalogue=catalogue, histories=histories, cache=NoCache(), fences=MemoryFences())


class RehearsedHistories:
    """Histories that take purchases in memory alone, over others that are read. Satisfies `ports.Histories`."""

    def __init__(self, histories: Histories, subjects: SubjectRequests) -> None:
        """Begin with what is in the others; of the restricted nothing is taken."""
        self._histories, self._subjects = histories, subjects
        self._after: dict[UserKey, History] = {}

    def append(self, batch: Mapping[UserKey, Purchases]) -> dict[UserKey, Merge | None]:
        """What would become of the purchases; None for one who is erased or restricted.

        Tested by: tests/pipelines/test_purchases.py::test_a_dry_run_tells_who_objects_from_who_is_restricted
        """
        merges = {key: None if self._refuses(key) else merge(self.history(key), new) for key, new in batch.items()}
        self._after.update({key: merged.history for key, merged in merges.items() if merged})
        return merges

    def state(self, user_key: UserKey) -> CustomerState:
        """As the store has it."""
        return self._histories.state(user_key)

    def history(self, user_key: UserKey) -> History:
        """With what was taken in memory."""
        return self._after[user_key] if user_key in self._after else self._histories.history(user_key)

    def scan(self, after: UserKey | None = None) -> Iterator[tuple[UserKey, int, History]]:
        """As the store has it."""
        return self._histories.scan(after)

    def _refuses(self, user_key: UserKey) -> bool:
        kinds = {request.kind for request in self._subjects.of_customer(user_key)}
        return SubjectKind.RESTRICTION in kinds or self.state(user_key).erased
