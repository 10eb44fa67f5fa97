"""Posting to strangers: only where the name leads to the Internet, never further, and never for long."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from recsys.errors import DeliveryError
from recsys.store import https_post
from recsys.store.https_post import HttpsPoster
from tests.recsys.store.test_redis_tls import Authority, certificate, named

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BODY = b'{"type":"webhook.test"}'
Talk = Callable[[socket.socket], None]


def answer(reply: bytes) -> Talk:
    return lambda sock: sock.sendall(reply)


def drip(sock: socket.socket) -> None:
    """One byte of a header at a time, for ever."""
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    try:
        while True:
            sock.sendall(b"x")
            time.sleep(0.05)
    except OSError:
        return


def flood(sock: socket.socket) -> None:
    """A body without an end."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    try:
        while True:
            sock.sendall(bytes(65536))
    except OSError:
        return


class Receiver:
    """Takes connections on this machine, one after the other, and remembers what was sent."""

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self._talk, self._tls = talk, tls
        self.heard: list[bytes] = []
        self.names: list[str | None] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        if tls is not None:
            tls.sni_callback = lambda _sock, name, _context: self.names.append(name)

    def run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            try:
                with sock, self._wrapped(sock) as talking:
                    self._hear(talking)
                    self._talk(talking)
            except OSError:
                continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _hear(self, sock: socket.socket) -> None:
        heard = b""
        while BODY not in heard:
            heard += sock.recv(65536) or BODY
        self.heard.append(heard)

    def _wrapped(self, sock: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(sock, server_side=True) if self._tls else sock


@contextmanager
def receiving(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(talk, tls)
    thread = threading.Thread(target=receiver.run, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.close()
        thread.join()


def here(*_: object) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were connected to."""
    addresses: list[str] = []
    real = socket.create_connection

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        addresses.append(address[0])
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError
        return real(address, timeout)

    monkeypatch.setattr(socket, "create_connection", connect)
    return addresses


def test_what_is_posted_arrives_with_its_headers_and_the_name_in_the_url() -> None:
    with receiving(answer(OK)) as receiver:
        HttpsPoster(local=True, resolve=here)(
            f"http://localhost:{receiver.port}/in?key=1", {"webhook-id": "message-1"}, BODY
        )
    [heard] = receiver.heard

    assert heard.startswith(b"POST /in?key=1 HTTP/1.1\r\n")
    assert f"Host: localhost:{receiver.port}\r\n".encode() in heard
    assert b"webhook-id: message-1\r\n" in heard
    assert heard.endswith(b"\r\n\r\n" + BODY)


def test_a_name_that_leads_elsewhere_at_the_second_look_gains_nothing(connected: list[str]) -> None:
    looks = [["8.8.8.8"], ["169.254.169.254"]]
    poster = HttpsPoster(resolve=lambda *_: looks.pop(0))
    with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
        poster("https://shop.example/in", {}, BODY)
    assert (connected, len(looks)) == (["8.8.8.8"], 1), "looked up once, and connected to what was checked"
    with pytest.raises(DeliveryError, match="not public"):
        poster("https://shop.example/in", {}, BODY)

    assert connected == ["8.8.8.8"]


def test_a_redirect_is_not_followed(connected: list[str]) -> None:
    redirect = b"HTTP/1.1 307 Go\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    with receiving(answer(redirect)) as receiver, pytest.raises(DeliveryError, match="got 307"):
        HttpsPoster(local=True, resolve=here)(f"http://localhost:{receiver.port}/", {}, BODY)

    assert connected == ["127.0.0.1"]


@pytest.mark.parametrize("status", [199, 301, 400, 404, 500])
def test_any_status_but_2xx_is_no_delivery(status: int) -> None:
    reply = f"HTTP/1.1 {status} Secret words\r\nContent-Length: 0\r\n\r\n".encode()
    with receiving(answer(reply)) as receiver, pytest.raises(DeliveryError) as refused:
        HttpsPoster(local=True, resolve=here)(f"http://localhost:{receiver.port}/", {}, BODY)

    assert "Secret" not in str(refused.value)


@pytest.mark.parametrize("talk", [drip, answer(b""), answer(b"SSH-2.0\r\n"), lambda _: time.sleep(0.6)])
def test_a_receiver_that_is_slow_or_speaks_otherwise_is_left(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https_post, "WHOLE_SECONDS", 0.3)
    began = time.monotonic()
    with receiving(talk) as receiver, pytest.raises(DeliveryError):
        HttpsPoster(local=True, resolve=here)(f"http://localhost:{receiver.port}/", {}, BODY)

    assert time.monotonic() - began < 5


def test_a_receiver_may_think_for_longer_than_connecting_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https_post, "CONNECT_SECONDS", 0.2)

    def think(sock: socket.socket) -> None:
        time.sleep(0.6)
        sock.sendall(OK)

    with receiving(think) as receiver:
        HttpsPoster(local=True, resolve=here)(f"http://localhost:{receiver.port}/", {}, BODY)

    assert len(receiver.heard) == 1


def test_the_body_of_an_answer_is_not_read() -> None:
    began = time.monotonic()
    with receiving(flood) as receiver:
        HttpsPoster(local=True, resolve=here)(f"http://localhost:{receiver.port}/", {}, BODY)

    assert time.monotonic() - began < 5


def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch, connected: list[str]) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with pytest.raises(DeliveryError):
        HttpsPoster(resolve=lambda *_: ["8.8.8.8"])("https://shop.example/in", {}, BODY)

    assert connected == ["8.8.8.8"]


def tls_of(name: str, directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for the name, and a client's that believes its authority."""
    authority, key = Authority(directory / "ca.pem"), generate_private_key(SECP256R1())
    signed = certificate(
        named("server"), key, authority.name, authority.key, x509.SubjectAlternativeName([x509.DNSName(name)])
    )
    file = directory / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(signed.public_bytes(Encoding.PEM) + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=authority.path)


def test_with_tls_the_certificate_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    server, client = tls_of("localhost", tmp_path)
    with receiving(answer(OK), server) as receiver:
        HttpsPoster(local=True, resolve=here, tls=client)(f"https://localhost:{receiver.port}/in", {}, BODY)

    assert receiver.names == ["localhost"]
    assert len(receiver.heard) == 1


def test_another_name_in_the_certificate_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    server, client = tls_of("other.example", tmp_path)
    with receiving(answer(OK), server) as receiver, pytest.raises(DeliveryError, match="SSLCertVerificationError"):
        HttpsPoster(local=True, resolve=here, tls=client)(f"https://localhost:{receiver.port}/in", {}, BODY)

    assert receiver.heard == []


def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    server, _ = tls_of("localhost", tmp_path)
    with receiving(answer(OK), server) as receiver, pytest.raises(DeliveryError, match="SSLCertVerificationError"):
        HttpsPoster(local=True, resolve=here)(f"https://localhost:{receiver.port}/in", {}, BODY)

    assert receiver.heard == []
