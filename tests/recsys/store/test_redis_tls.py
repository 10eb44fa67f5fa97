"""The cache over TLS: a server that proves its name to our authority is asked, and no other."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from recsys.errors import CacheUnavailableError
from recsys.store.pipelined import PipelinedRedis
from recsys.store.redis_address import RedisAddress
from tests.recsys.store.redis_fakes import EchoServer

NOW = datetime.now(UTC)


class Authority:
    """Signs certificates; its own is in a file."""

    def __init__(self, path: Path) -> None:
        self.key, self.name = generate_private_key(SECP256R1()), named("authority")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = certificate(self.name, self.key, self.name, self.key, basic)
        self.path = path
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(self, address: str, directory: Path) -> Path:
        """A file with a certificate for the address, and its key."""
        key = generate_private_key(SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        signed = certificate(named("server"), key, self.name, self.key, names)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = directory / f"{address}.pem"
        path.write_bytes(signed.public_bytes(Encoding.PEM) + secret)
        return path


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    subject: x509.Name,
    key: EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    begun = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    numbered = begun.serial_number(x509.random_serial_number())
    dated = numbered.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    return dated.add_extension(extension, critical=True).sign(signer, SHA256())


def server_context(path: Path, *, clients: Authority | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients.path if clients else None)
    context.load_cert_chain(path)
    context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
    return context


async def answer_of(context: ssl.SSLContext, options: str) -> bytes | None:
    """What the server answers to a client with these options; None if there is no connection."""
    server = EchoServer()
    async with server.listen_with_tls(context) as port:
        address = RedisAddress(f"rediss://:s3cret@127.0.0.1:{port}/2?{options}")
        async with PipelinedRedis(address, timeout=1) as client:
            for _ in range(50):
                await asyncio.sleep(0.01)
                try:
                    return await client.get(b"name")
                except CacheUnavailableError:
                    continue
    return None


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize(
    ("trusted", "address", "answer"),
    [("one", "127.0.0.1", b"name"), ("another", "127.0.0.1", None), ("one", "127.0.0.9", None)],
)
def test_only_a_server_that_proves_its_name_is_asked(
    tmp_path: Path, trusted: str, address: str, answer: bytes | None, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    authorities = {name: Authority(tmp_path / f"{name}.pem") for name in ("one", "another")}
    context = server_context(authorities["one"].issue(address, tmp_path))
    with asyncio.Runner(loop_factory=loop) as runner:
        found = runner.run(answer_of(context, f"ssl_ca_certs={authorities[trusted].path}"))
    assert found == answer


@pytest.mark.parametrize("shown", [True, False])
def test_a_certificate_of_our_own_is_shown_where_the_server_asks_for_one(tmp_path: Path, shown: bool) -> None:
    authority = Authority(tmp_path / "ca.pem")
    context = server_context(authority.issue("127.0.0.1", tmp_path), clients=authority)
    own = f"&ssl_certfile={authority.issue('127.0.0.2', tmp_path)}" if shown else ""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(answer_of(context, f"ssl_ca_certs={authority.path}{own}"))
    assert found == (b"name" if shown else None)
