"""Where messages may be sent: public addresses alone, whatever a name resolves to."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from recsys.errors import DeliveryError, InputError

MAX_URL = 2000
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
EMBEDDING = tuple(map(IPv6Network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))
"""IPv6 networks whose addresses stand for IPv4 ones: compatible, NAT64 (twice), Teredo, 6to4."""

Resolve: TypeAlias = Callable[[str, int], list[str]]
"""The addresses of a host."""


def is_public(address: str) -> bool:
    """Whether the address is one that everybody on the Internet can reach, and no other in disguise."""
    try:
        found = ip_address(address)
    except ValueError:  # with a zone, for one
        return False
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if isinstance(found, IPv6Address) and any(found in network for network in EMBEDDING):
        return False
    return _is_everybodys(found)


def _is_everybodys(address: IPv4Address | IPv6Address) -> bool:
    odd = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (odd or site_local or address.is_private or address.is_loopback)


def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own, plainly."""
    return address == "::1" or (address.startswith("127.") and is_address(address))


def is_address(host: str) -> bool:
    """Whether the host is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def check_url(url: str, *, local: bool) -> SplitResult:
    """The parts of a URL that messages may go to; `local` allows this machine, and plain HTTP there.

    Raises:
        InputError: it is not `https://`, holds credentials or a fragment, or names an address that is not public. It
            is not repeated: it may hold a secret.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _no_url() from None
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or not host or port == 0:
        raise _no_url()
    here = local and host in LOCAL_HOSTS
    secure = parts.scheme == "https" or (here and parts.scheme == "http")
    if not secure or "@" in parts.netloc or "\\" in url or "#" in url:
        raise _no_url()
    if is_address(host) and not here and not is_public(host):
        msg = "expected a host on the Internet, got an address that is not public; see PRIVREC_WEBHOOKS_LOCAL"
        raise InputError(msg)
    return parts


def checked_address(host: str, port: int, *, local: bool, resolve: Resolve) -> str:
    """The address to connect to: resolved once, and every answer checked, so that no second look can differ.

    Raises:
        DeliveryError: the name has no address, or one of them is not public.
    """
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError):
        found = []
    if not found:
        msg = "expected the receiver's name to have an address, got none; check the webhook's URL"
        raise DeliveryError(msg)
    here = local and host in LOCAL_HOSTS
    if not all(is_loopback(address) if here else is_public(address) for address in found):
        msg = "expected a receiver on the Internet, got an address that is not public; nothing was sent"
        raise DeliveryError(msg)
    return found[0]


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses that the system knows of the host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _no_url() -> InputError:
    msg = f"expected a URL https://host/path of at most {MAX_URL} characters without credentials, got another"
    return InputError(f"{msg}; correct it")
