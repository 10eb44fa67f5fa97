"""Where messages may go: nowhere but to public addresses, in whatever spelling and disguise."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import DeliveryError, InputError
from recsys.store.addresses import check_url, checked_address, is_public

PRIVATE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/29",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "100::/64",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)


@pytest.mark.parametrize("network", PRIVATE)
@given(data=st.data())
def test_no_address_of_a_private_network_is_public(network: str, data: st.DataObject) -> None:
    found = ip_network(network)
    offset = data.draw(st.integers(0, found.num_addresses - 1))

    assert not is_public(str(found[offset]))


@given(inner=st.ip_addresses(v=4))
def test_no_ipv6_address_hides_an_ipv4_one(inner: IPv4Address) -> None:
    number = int(inner)
    disguises = {
        "6to4": IPv6Address((0x2002 << 112) | (number << 80)),
        "nat64": IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        "local nat64": IPv6Address(int(IPv6Address("64:ff9b:1::")) | number),
        "compatible": IPv6Address(number),
        "teredo": IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    }

    assert not [name for name, address in disguises.items() if is_public(str(address))]
    mapped = str(IPv6Address((0xFFFF << 32) | number))
    assert is_public(mapped) == is_public(str(inner))


@given(address=st.ip_addresses(v=6, network=IPv6Network("fe80::/64")))
def test_an_address_with_a_zone_is_not_public(address: IPv6Address) -> None:
    assert not is_public(f"{address}%eth0")


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "1", "0x7f.1", "127.1", "8.8.8.8/8", " 8.8.8.8"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


@pytest.mark.parametrize("url", ["https://shop.example/in", "https://shop.example:8443/in?key=1", "https://8.8.8.8"])
def test_a_url_of_the_internet_is_taken(url: str) -> None:
    assert check_url(url, local=False).hostname in {"shop.example", "8.8.8.8"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "http://shop.example",
        "ftp://shop.example",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@shop.example",
        "https://shop.example@169.254.169.254/",
        "https://shop.example\\@169.254.169.254/",
        "https://shop.example/#part",
        "https://shop.example/ path",
        "https://shop.example/\r\nX: 1",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://shop.example:port/",
        "https://[::1",
        "https://sh\u00f6p.example/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:169.254.169.254]/",
        "https://[fe80::1%25eth0]/",
        "https://10.0.0.1/",
        "https://shop.example/" + "x" * 2000,
    ],
)
@pytest.mark.parametrize("local", [False, True])
def test_any_other_url_is_refused_and_not_repeated(url: str, local: bool) -> None:
    with pytest.raises(InputError) as refused:
        check_url(url, local=local)

    assert "169.254" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/in", "http://localhost/", "https://[::1]/"])
def test_this_machine_needs_the_setting(url: str) -> None:
    assert check_url(url, local=True)
    with pytest.raises(InputError):
        check_url(url, local=False)


def test_the_address_is_one_that_was_looked_up_and_checked() -> None:
    assert checked_address("shop.example", 443, local=False, resolve=lambda *_: ["8.8.8.8", "8.8.4.4"]) == "8.8.8.8"


@pytest.mark.parametrize("found", [[], ["10.0.0.1"], ["8.8.8.8", "169.254.169.254"], ["127.0.0.1"], ["fe80::1%eth0"]])
@pytest.mark.parametrize("local", [False, True])
def test_one_address_that_is_not_public_is_one_too_many(found: list[str], local: bool) -> None:
    with pytest.raises(DeliveryError):
        checked_address("shop.example", 443, local=local, resolve=lambda *_: found)


@pytest.mark.parametrize("found", [["10.0.0.1"], ["127.0.0.1", "169.254.169.254"], ["8.8.8.8"]])
def test_the_name_of_this_machine_must_lead_to_it(found: list[str]) -> None:
    with pytest.raises(DeliveryError):
        checked_address("localhost", 80, local=True, resolve=lambda *_: found)
    assert checked_address("localhost", 80, local=True, resolve=lambda *_: ["127.0.0.1"]) == "127.0.0.1"


def test_a_name_that_does_not_resolve_is_an_error_of_ours() -> None:
    def fail(*_: object) -> list[str]:
        raise OSError

    with pytest.raises(DeliveryError, match="to have an address"):
        checked_address("shop.example", 443, local=False, resolve=fail)
