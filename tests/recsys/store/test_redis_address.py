"""One reading of PRIVREC_REDIS_URL: what it may say, and what is refused without being repeated."""

import ssl
from pathlib import Path

import pytest

from recsys.errors import InputError
from recsys.store.redis_address import RedisAddress


def test_a_url_names_the_server_the_user_and_the_database() -> None:
    address = RedisAddress("redis://shop:p%40ss@cache.example:6380/4")

    assert (address.host, address.port, address.path, address.tls) == ("cache.example", 6380, None, None)
    assert address.greeting() == [("AUTH", "shop", "p@ss"), ("SELECT", "4")]


def test_what_a_url_leaves_out_is_the_servers_default() -> None:
    address = RedisAddress("redis://")

    assert (address.host, address.port, address.greeting()) == ("localhost", 6379, [])
    assert RedisAddress("redis://:s3cret@cache").greeting() == [("AUTH", "s3cret")]


def test_a_socket_has_a_path() -> None:
    assert RedisAddress("unix:///run/cache/s").path == "/run/cache/s"
    with pytest.raises(InputError, match="without a path"):
        RedisAddress("unix://")


def test_tls_checks_the_name_and_the_certificate() -> None:
    tls = RedisAddress("rediss://cache.example").tls

    assert tls is not None
    assert (tls.check_hostname, tls.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:s3cret@one:26379/shop",
        "rediss+sentinel://:s3cret@one",
        "redis+cluster://:s3cret@one",
        "redis-cluster://:s3cret@one",
        "redis://:s3cret@one:6379,two:6379",
    ],
)
def test_sentinel_and_cluster_are_refused_by_name(url: str) -> None:
    with pytest.raises(InputError, match=r"expected the URL of one Redis server.*privrec does not speak") as caught:
        RedisAddress(url)
    assert "s3cret" not in str(caught.value)


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
