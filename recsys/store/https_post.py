"""Sends a message to a stranger's server without letting it lead us anywhere.

`http.client` and no richer client: it follows no redirect, reads no proxy from the environment, and lets the connection
be opened to an address that was checked a moment ago.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress

from recsys.errors import DeliveryError
from recsys.store.addresses import Resolve, check_url, checked_address, system_resolve

CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 10.0
"""For everything after the connection stands, however slowly bytes drip in."""
FIRST_ERROR = 300


class PinnedConnection(http.client.HTTPConnection):
    """A connection to an address; the host stays in the header and, with TLS, in the certificate's check."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext | None) -> None:
        """Connect to the address, later; plain without a context."""
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._address, self._tls = address, tls
        self.default_port = 80 if tls is None else 443  # leaves the port out of the header where it says nothing

    def connect(self) -> None:
        """Open the connection."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        self.sock.settimeout(WHOLE_SECONDS)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)

    def shake_hands(self) -> None:
        """Check the certificate, against the host and not the address."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()


class HttpsPoster:
    """Posts to webhooks.

    Guarantees:
        - Nothing is sent to an address that is not public, whatever the name resolves to and when.
        - No redirect is followed, no byte of the answer's body is read, and no receiver holds us for long.

    Tested by: tests/recsys/store/test_https_post.py
    """

    def __init__(
        self, *, local: bool = False, resolve: Resolve = system_resolve, tls: ssl.SSLContext | None = None
    ) -> None:
        """Post to the Internet, and with `local` to this machine; `tls` says whose certificates are believed."""
        self._local, self._resolve, self._tls = local, resolve, tls or ssl.create_default_context()

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Return once the receiver took the body: an answer of 2xx.

        Raises:
            DeliveryError: it did not; the message says why and holds no word of the receiver's.
        """
        parts = check_url(url, local=self._local)
        tls = self._tls if parts.scheme == "https" else None
        host, port = str(parts.hostname), parts.port or (443 if tls else 80)
        address = checked_address(host, port, local=self._local, resolve=self._resolve)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        with closing(PinnedConnection(host, port, address, tls)) as connection:
            status = _status(connection, path, headers, body)
        if not http.client.OK <= status < FIRST_ERROR:
            msg = f"expected the receiver to answer 2xx, got {status}; see its log"
            raise DeliveryError(msg)


def _status(connection: PinnedConnection, path: str, headers: Mapping[str, str], body: bytes) -> int:
    """The status of the answer."""
    try:
        connection.connect()
        with _ended_in_time(connection.sock):
            connection.shake_hands()
            connection.request("POST", path, body, dict(headers))
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        # The receiver's own words, and with a certificate its names, are left behind.
        msg = f"expected the receiver to answer within {WHOLE_SECONDS:g} seconds, got {type(error).__name__}; check it"
        raise DeliveryError(msg) from None
    return status


@contextmanager
def _ended_in_time(sock: socket.socket) -> Iterator[None]:
    """While the block runs the connection is cut once its time is over; what was cut is a TimeoutError, not an end."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        with suppress(OSError):  # it may be closed already
            # The plain socket's own method: that of TLS would first try to say goodbye.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(WHOLE_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError
