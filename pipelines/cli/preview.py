"""What `privrec erase --dry-run` shows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pipelines.cli import options
from pipelines.console import print_json, print_records
from recsys.types import Json


def show_preview(user: str, state_dir: Path | None, *, as_json: bool) -> None:
    """Print where the customer is: as tables, or as one JSON document."""
    from pipelines.erase import preview
    from recsys.store.workspace import open_workspace

    with open_workspace(options.settings(state_dir), lock=False, start_cache=False) as workspace:
        found = preview(workspace, user)
    if as_json:
        print_json(found)
        return
    versions = cast("list[dict[str, Json]]", found.pop("versions"))
    columns = {"name": "place", "found": "what is there"}
    print_records("What an erasure would go through", columns, _places(found), as_json=False)
    if versions:
        columns = {name: name.replace("_", " ") for name in versions[0]}
        print_records("Versions with the customer", columns, [_shown(each) for each in versions], as_json=False)


def _places(found: Mapping[str, Json]) -> list[tuple[str, ...]]:
    return [(name.replace("_", " "), json.dumps(value).strip('"')) for name, value in found.items()]


def _shown(version: Mapping[str, Json]) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in version.values())
