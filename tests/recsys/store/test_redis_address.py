"""One reading of PRIVREC_REDIS_URL: what it may say, and what is refused without being repeated."""

import ssl
from pathlib import Path

import pytest

from recsys.errors import InputError
from recsys.store.redis_address import RedisAddress
from recsys.store.redis_members import Kind


def test_a_url_names_the_server_the_user_and_the_database() -> None:
    address = RedisAddress("redis://shop:p%40ss@cache.example:6380/4")

    assert (address.place, address.path, address.tls) == (("cache.example", 6380), None, None)
    assert address.greeting() == [("AUTH", "shop", "p@ss"), ("SELECT", "4")]


def test_what_a_url_leaves_out_is_the_servers_default() -> None:
    address = RedisAddress("redis://")

    assert (address.place, address.greeting()) == (("localhost", 6379), [])
    assert RedisAddress("redis://:s3cret@cache").greeting() == [("AUTH", "s3cret")]


def test_a_socket_has_a_path() -> None:
    assert RedisAddress("unix:///run/cache/s").path == "/run/cache/s"
    with pytest.raises(InputError, match="without a path"):
        RedisAddress("unix://")


def test_tls_checks_the_name_and_the_certificate() -> None:
    tls = RedisAddress("rediss://cache.example").tls

    assert tls is not None
    assert (tls.check_hostname, tls.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_sentinels_have_a_service_and_an_entry_of_their_own() -> None:
    options = "sentinel_username=watch&sentinel_password=w%40tch"
    address = RedisAddress(f"redis+sentinel://shop:p%40ss@one,two:26380,[::1]:26381/main/4?{options}")

    assert address.members is not None
    assert address.members.kind is Kind.SENTINEL
    assert address.members.asked == (("one", 26379), ("two", 26380), ("::1", 26381))
    assert (address.members.service, dict(address.members.entry)) == (
        "main",
        {"username": "watch", "password": "w@tch"},
    )
    assert (address.greeting(), address.tls) == ([("AUTH", "shop", "p@ss"), ("SELECT", "4")], None)
    assert "tch" not in repr(address.members)


def test_a_cluster_has_nodes_and_one_database() -> None:
    address = RedisAddress("rediss+cluster://:p%40ss@one,two:7001")

    assert address.members is not None
    assert (address.members.kind, address.members.asked) == (Kind.CLUSTER, (("one", 6379), ("two", 7001)))
    assert address.greeting() == [("AUTH", "p@ss")]
    assert address.tls is not None


@pytest.mark.parametrize(
    "url",
    [
        "rediss+sentinel://:s3cret@one",
        "redis+sentinel://:s3cret@one/",
        "redis+sentinel://:s3cret@one/main/first",
        "redis+sentinel://:s3cret@one/main/1/2",
        "redis+sentinel://:s3cret@one,,two/main",
        "redis+sentinel://:s3cret@one:port/main",
        "redis+sentinel://:s3cret@[::1/main",
        "redis+sentinel://:s3cret@" + ",".join(["one"] * 17) + "/main",
        "redis+cluster://:s3cret@one/1",
        "redis+cluster://:s3cret@one?db=1",
        "redis+cluster://:s3cret@one?sentinel_password=s3cret",
        "redis+magic://:s3cret@one",
        "unix+cluster://:s3cret@one",
        "redis-cluster://:s3cret@one",
        "redis-sentinel://:s3cret@one/main",
        "redis://:s3cret@one:6379,two:6379",
        "redis://:s3cret@one?sentinel_password=s3cret",
        "redis+sentinel://:s3cret@one/main?ssl_cert_reqs=none",
    ],
)
def test_several_servers_in_another_form_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InputError, match="PRIVREC_REDIS_URL") as caught:
        RedisAddress(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "http://s3cret",
        "",
        "redis://cache/0?ssl_cert_reqs=none&password=s3cret",
        "rediss://:s3cret@cache?ssl_cert_reqs=none",
        "rediss://:s3cret@cache?ssl_check_hostname=false",
        "redis://:s3cret@cache?max_connections=5",
        "redis://:s3cret@cache:port",
    ],
)
def test_an_option_that_is_not_supported_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InputError, match="PRIVREC_REDIS_URL") as caught:
        RedisAddress(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_file_that_does_not_open_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for url in (f"rediss://cache?ssl_ca_certs={tmp_path}/none", f"rediss://cache?ssl_ca_certs={tmp_path}/ca.pem"):
        with pytest.raises(InputError, match="certificates"):
            RedisAddress(url)
