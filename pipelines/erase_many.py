"""Many erasures at once: everybody is acknowledged first, and one model serves all of them."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.erase import desk, worker
from recsys.erasure.handles import by_handle
from recsys.errors import InputError
from recsys.store.workspace import Workspace
from recsys.types import UserKey

Advance = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledged:
    """A request that was taken, and the salt that opens the commitment in its receipt; empty if it was there before."""

    request_id: str
    subject_salt: str


def read_column(path: Path, column: str) -> list[str]:
    """What stands in this column of a .csv file with a header, each once, in its order.

    Raises:
        InputError: the file cannot be read, or there is nothing in such a column. No cell is repeated.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            cells = [row[column].strip() for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        msg = f"expected a .csv file with a header and the column {column!r}, got {path.name}; name the column in it"
        raise InputError(msg) from error
    found = list(dict.fromkeys(cell for cell in cells if cell))
    if not found:
        msg = f"expected somebody in the column {column!r} of {path.name}, got nobody; nothing was asked for"
        raise InputError(msg)
    return found


def request_users(workspace: Workspace, names: Sequence[str], *, reason: str, release: bool) -> Iterator[Acknowledged]:
    """Each customer's request, acknowledged one after the other, once it is clear that all of them can be.

    Raises:
        InputError: an id cannot be one, or the reason is too long; nothing was asked for.
    """
    keys = [workspace.pseudonyms.user_key(user_id) for user_id in names]
    return _requested(workspace, zip(keys, names, strict=True), reason=reason, release=release)


def request_handles(
    workspace: Workspace, names: Sequence[str], *, reason: str, release: bool
) -> Iterator[Acknowledged]:
    """As `request_users`, for handles of `privrec influence`; in the receipt the handle stands for the customer.

    Raises:
        InputError: nobody has one of them, or the reason is too long; nothing was asked for.
    """
    found = by_handle(workspace.commitments, _keys(workspace), names)
    unknown = sum(handle not in found for handle in names)
    if unknown:
        msg = (
            f"expected handles of customers in the models, got {unknown} of nobody; nothing was asked for: make the "
            "file again with privrec influence, without whom was erased since"
        )
        raise InputError(msg)
    named = [(found[handle], handle) for handle in names]
    return _requested(workspace, named, reason=reason, release=release)


def _requested(
    workspace: Workspace, named: Iterable[tuple[UserKey, str]], *, reason: str, release: bool
) -> Iterator[Acknowledged]:
    for key, name in named:
        request, salt = desk(workspace).request_key(key, name, reason=reason, release=release)
        yield Acknowledged(request_id=request.request_id, subject_salt=salt)


def _keys(workspace: Workspace) -> Iterator[UserKey]:
    """Everybody who is in a sum."""
    for sum_id in {str(version.sum_id) for version in workspace.registry.versions() if version.sum_id}:
        yield from (key for key, _ in workspace.sums.terms_in(sum_id))


def finish_all(workspace: Workspace, advance: Advance) -> None:
    """Work off everything that is pending; `advance` is told of each request that is receipted.

    Raises:
        PrivrecError: one could not be finished; the others are.
    """
    worker(workspace).run(lambda _: advance(1), waiting=True)
