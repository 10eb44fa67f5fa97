"""Rates of versions through the command line."""

from pathlib import Path

import pytest

from recsys.serving.feedback import FeedbackDesk
from recsys.serving.recommendation_ids import make_id, new_serial
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace, open_workspace
from recsys.types import FeedbackEvent, FeedbackStatus, FeedbackType
from tests.pipelines.shell import done, privrec


def tell(workspace: Workspace, version: str, *, shown: int, clicked: int) -> None:
    """Lists of the version that were shown, the first of which led to a click."""
    now, ring = workspace.clock(), workspace.keys
    desk = FeedbackDesk(seals=ring, catalogue=workspace.catalogue, feedback=workspace.feedback, clock=workspace.clock)
    events = [
        FeedbackEvent(
            recommendation_id=name,
            type=kind,
            item_id=workspace.catalogue.items()[0].item_id,
            event_id=kind.value,
            timestamp=now,
        )
        for number in range(shown)
        for name in [make_id(ring, new_serial(), version=version, made=now)]
        for kind in (FeedbackType.IMPRESSION, FeedbackType.CLICK)[: 1 + (number < clicked)]
    ]
    assert set(desk.record(events)) == {FeedbackStatus.ACCEPTED}


@pytest.fixture
def version(trained: Path) -> str:
    with open_workspace(Settings.load(state_dir=trained), lock=False, start_cache=False) as workspace:
        live = str(workspace.registry.live())
        tell(workspace, live, shown=40, clicked=10)
    return live


def test_rates_are_shown_with_intervals_and_a_warning(version: str) -> None:
    shown = done("feedback", "rates").out
    (row,) = [line for line in shown.splitlines() if version in line]

    assert "0.2500" in row
    assert "0.1419-0.4019" in row
    assert "internal, not private" in shown


def test_rates_for_a_script_are_those_of_the_table(version: str) -> None:
    found = done("feedback", "rates", "--json").json
    (rates,) = [each for each in found["versions"] if each["version"] == version]

    assert rates["totals"]["lists_shown"] == 40
    assert rates["clicked"]["value"] == 0.25
    assert rates["bought"]["value"] == 0
    assert found["note"].startswith("internal, not private")


def test_lists_of_before_a_day_can_be_left_out(version: str) -> None:
    found = done("feedback", "rates", "--since", "2999-01-01", "--json").json
    (rates,) = [each for each in found["versions"] if each["version"] == version]

    assert rates["totals"]["lists_shown"] == 0
    assert (
        done("feedback", "compare", version, version, "--since", "2999-01-01", "--json").json["bought"]["value"] is None
    )


def test_a_version_compared_with_itself_shows_no_clear_difference(version: str) -> None:
    assert "no" in done("feedback", "compare", version, version).out
    found = done("feedback", "compare", version, version, "--json").json

    assert found["clicked"]["value"] == 0
    assert found["clear"] == {"clicked": False, "bought": False}


def test_a_version_that_there_is_none_of_ends_with_exit_code_7(version: str) -> None:
    ended = privrec("feedback", "compare", version, "0f" * 16)

    assert ended.exit_code == 7
    assert "expected the names of two model versions" in ended.err
