"""A server of the Redis protocol that answers a GET with the name it was asked for, and misbehaves on purpose."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import hiredis

INFO = b"# Server\r\nredis_mode:standalone\r\nrun_id:%s\r\nmaster_replid:-line\r\n"


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


@dataclass(kw_only=True)
class Faults:
    """How often, of all segments that arrive, the server does what; errors are counted per request."""

    error: float = 0.0
    split: float = 0.0
    stall: float = 0.0
    reset: float = 0.0
    stall_seconds: float = 0.0


@dataclass
class EchoServer:
    """Answers `GET name` with the name, and with nil where the name begins with `none`."""

    faults: Faults = field(default_factory=Faults)
    info: bytes = INFO % b"first-run"
    dice: random.Random = field(default_factory=lambda: random.Random(4))
    requests: list[list[bytes]] = field(default_factory=list)
    """Everything but GET, in the order of arrival."""
    connections: list["Connection"] = field(default_factory=list)

    def answer(self, words: list[bytes]) -> bytes:
        if words[0] == b"GET":
            if self.dice.random() < self.faults.error:
                return b"-LOADING the words of the server, with a name in them\r\n"
            return b"$-1\r\n" if words[1].startswith(b"none") else bulk(words[1])
        self.requests.append(words)
        return bulk(self.info) if words[0] == b"INFO" else b"+OK\r\n"

    @asynccontextmanager
    async def listen_with_tls(self, context: ssl.SSLContext) -> AsyncIterator[int]:
        """The port of 127.0.0.1 that it listens on."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0, ssl=context)
        async with self._closing(server):
            yield server.sockets[0].getsockname()[1]

    @asynccontextmanager
    async def listen(self, path: str) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Connection(self), path)
        async with self._closing(server):
            yield f"unix://{path}"

    @asynccontextmanager
    async def _closing(self, server: asyncio.Server) -> AsyncIterator[None]:
        try:
            yield
        finally:
            server.close()
            for connection in self.connections:
                connection.transport.abort()
            await server.wait_closed()


class Connection(asyncio.Protocol):
    """One client: what waits for it goes out in order, whatever happens between."""

    def __init__(self, server: EchoServer) -> None:
        self.server, self.reader, self.outgoing = server, hiredis.Reader(), bytearray()
        self.stalled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections.append(self)

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (words := self.reader.gets()) is not False:
            self.outgoing += self.server.answer(words)
        chance, faults = self.server.dice.random(), self.server.faults
        if chance < faults.reset:
            self.transport.write(bytes(self.outgoing[: len(self.outgoing) // 2]))
            self.transport.abort()
        elif chance < faults.reset + faults.stall and not self.stalled:
            self.stalled = True
            asyncio.get_running_loop().call_later(faults.stall_seconds, self.resume)
        elif not self.stalled:
            self.send()

    def resume(self) -> None:
        self.stalled = False
        self.send()

    def send(self) -> None:
        if self.stalled or self.transport.is_closing():
            return
        whole = self.server.dice.random() >= self.server.faults.split
        size = len(self.outgoing) if whole else self.server.dice.randint(1, max(1, len(self.outgoing)))
        self.transport.write(bytes(self.outgoing[:size]))
        del self.outgoing[:size]
        if self.outgoing:
            asyncio.get_running_loop().call_soon(self.send)
