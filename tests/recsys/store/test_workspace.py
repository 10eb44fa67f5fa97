"""A workspace: opened whole or not at all, by one process at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from recsys.data.history import EMPTY_HISTORY, Purchases
from recsys.errors import InputError, StateError, StateLockedError
from recsys.models.factors import ItemFactors
from recsys.store.cache import NoCache, RedisCache
from recsys.store.lock import StateLock, command_name
from recsys.store.memory import MemoryCache
from recsys.store.settings import Settings
from recsys.store.workspace import memory_workspace, open_workspace
from recsys.types import ErasureRequest, ModelVersion, Permit, UserKey

ANN = UserKey(b"a" * 16)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(state_dir=tmp_path / "state")


def test_what_is_written_is_there_when_the_workspace_is_opened_again(
    settings: Settings, shopping: Callable[..., Purchases], make_model: Callable[..., tuple[ItemFactors, ModelVersion]]
) -> None:
    factors, version = make_model()
    with open_workspace(settings, start_cache=False) as workspace:
        workspace.histories.append({ANN: shopping(3)})
        workspace.registry.save(factors, version)
        workspace.registry.promote(version.version)
        workspace.sums.create_sum("s", b"sum", [(ANN, b"term")])
        key, secret = workspace.api_keys.create("shop", frozenset())
    with open_workspace(settings, start_cache=False) as workspace:
        assert len(workspace.histories.history(ANN)) == 3
        assert workspace.registry.live() == version.version
        assert workspace.sums.terms_of(ANN) == {"s": b"term"}
        assert workspace.api_keys.authenticate(secret) == key


@pytest.mark.service
def test_every_port_is_filled_and_the_cache_is_a_real_server(settings: Settings) -> None:
    with open_workspace(settings) as workspace:
        assert isinstance(workspace.cache, RedisCache)
        assert workspace.fence.certify()
        assert workspace.cache.permit() == Permit(1, 0)
        assert workspace.fences.read().holds(workspace.cache.identity())
        assert workspace.ledger_log.entries() == []
        assert workspace.erasures.pending() == ()
        workspace.public_key.verify(workspace.signing_key.sign(b"x"), b"x")


def test_without_a_server_the_cache_is_always_empty(settings: Settings) -> None:
    with open_workspace(settings, start_cache=False) as workspace:
        assert isinstance(workspace.cache, NoCache)


def test_a_second_owner_is_refused_and_told_who_the_first_is(settings: Settings) -> None:
    with (
        open_workspace(settings, start_cache=False) as workspace,
        pytest.raises(StateLockedError, match=rf"process {os.getpid()} \(`.*PRIVREC_STATE_DIR"),
        open_workspace(settings, start_cache=False),
    ):
        pass
    assert workspace.settings == settings


SECOND = """
import sys
from pathlib import Path
from recsys.errors import StateLockedError
from recsys.store.settings import Settings
from recsys.store.workspace import open_workspace
for _ in range(2):
    try:
        with open_workspace(Settings.load(state_dir=Path(sys.argv[1])), start_cache=False):
            print("opened", flush=True)
    except StateLockedError as error:
        print(error, flush=True)
        sys.stdin.readline()
"""


def test_a_second_process_is_refused_until_the_first_is_done(settings: Settings) -> None:
    command = [sys.executable, "-c", SECOND, str(settings.state_dir)]
    first = ExitStack()
    first.enter_context(open_workspace(settings, start_cache=False))
    with first, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdin is not None
        assert second.stdout is not None
        assert f"process {os.getpid()}" in second.stdout.readline()
        first.close()
        print(file=second.stdin, flush=True)
        assert second.stdout.readline() == "opened\n"


def test_a_reader_needs_no_lock(settings: Settings, shopping: Callable[..., Purchases]) -> None:
    with open_workspace(settings, start_cache=False) as owner:
        owner.histories.append({ANN: shopping(3)})
        with open_workspace(settings, lock=False, start_cache=False) as reader:
            assert len(reader.histories.history(ANN)) == 3


def test_a_lock_without_a_readable_holder_still_refuses(state_dir: Path) -> None:
    with StateLock(state_dir):
        (state_dir / "lock.holder").write_text("garbage")
        with pytest.raises(StateLockedError, match="another process"), StateLock(state_dir):
            pass


def test_the_holder_of_the_lock_is_named_without_the_arguments(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/privrec", "erase", "alice"])
    with StateLock(state_dir):
        assert json.loads((state_dir / "lock.holder").read_text()) == {"pid": os.getpid(), "command": "privrec erase"}
    assert not (state_dir / "lock.holder").exists()


@pytest.mark.parametrize(
    ("argv", "name"), [(["x/tool.py", "alice"], "tool.py"), (["-c"], "-c"), ([""], "python"), ([], "python")]
)
def test_the_arguments_of_other_programs_are_left_out(argv: list[str], name: str) -> None:
    assert command_name(argv) == name


def test_a_state_directory_without_a_parent_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(StateError, match="create its parent"),
        open_workspace(Settings.load(state_dir=tmp_path / "nothing" / "state")),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_state_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StateError), open_workspace(Settings.load(state_dir=tmp_path / "state")):
        pass


def test_other_keys_do_not_open_the_database(settings: Settings) -> None:
    with open_workspace(settings, start_cache=False):
        pass
    (settings.state_dir / "keys" / "store.key").unlink()
    with pytest.raises(StateError, match="keys/"), open_workspace(settings, start_cache=False):
        pass


def test_what_an_interrupted_process_left_behind_is_swept(settings: Settings) -> None:
    with open_workspace(settings, start_cache=False):
        pass
    left = [settings.state_dir / part / ".tmp-dead" for part in (".", "keys", "models")]
    for path in left:
        path.touch()
    with open_workspace(settings, start_cache=False):
        assert not any(path.exists() for path in left)


def test_a_failure_in_opening_gives_the_lock_back(tmp_path: Path) -> None:
    broken = Settings.load(state_dir=tmp_path / "state", redis_url="http://nothing")
    with pytest.raises(InputError), open_workspace(broken):
        pass
    with StateLock(tmp_path / "state"):
        assert (tmp_path / "state" / "lock").exists()


def test_the_clock_of_the_workspace_dates_the_keys(settings: Settings, erasure_request: ErasureRequest) -> None:
    with open_workspace(settings, start_cache=False, clock=lambda: erasure_request.received_at) as workspace:
        assert workspace.api_keys.create("shop", frozenset())[0].created_at == erasure_request.received_at
        assert workspace.clock() == erasure_request.received_at


def test_a_workspace_in_memory_shares_one_state(
    erasure_request: ErasureRequest, shopping: Callable[..., Purchases]
) -> None:
    workspace = memory_workspace()
    workspace.histories.append({ANN: shopping(3)})
    workspace.erasures.suppress(erasure_request, ANN)
    workspace.erasures.erase_customers({erasure_request.request_id: {}}, {})
    assert workspace.histories.history(ANN) == EMPTY_HISTORY
    assert isinstance(workspace.cache, MemoryCache)
    assert len(workspace.pseudonyms.user_key("alice")) == 16
