"""Asks a server for recommendations from a process of its own: so many requests, over so many kept connections."""

import argparse
import asyncio
import json
import random
import time

import httptools
import uvloop

GIVE_UP_SECONDS = 120.0
HEAD = (
    b"GET /v1/users/customer-%d/recommendations HTTP/1.1\r\n"
    b"Host: shop\r\nAuthorization: Bearer %b\r\nAccept: */*\r\n\r\n"
)


class Client(asyncio.Protocol):
    """One connection: the next request goes out when the answer before is complete."""

    def __init__(self, load: "Load") -> None:
        """A connection of this load."""
        self._load, self._body = load, b""
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Part of an answer."""
        self._body += body

    def on_message_complete(self) -> None:
        """Count the answer."""
        self._load.count(self._parser.get_status_code(), self._body, time.perf_counter() - self._sent)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """The server closed the connection."""
        self._load.ended.set()

    def _next(self) -> None:
        request = self._load.request()
        if request is None:
            return
        self._body, self._sent = b"", time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined] # a stream's transport


class Load:
    """The requests that are left, and what came of those that were sent."""

    def __init__(self, asked: argparse.Namespace) -> None:
        """As many as were asked for."""
        self._left, self._waiting = asked.requests, 0
        customers = random.Random(asked.seed).choices(range(asked.customers), k=asked.requests)
        self._requests = [HEAD % (customer, asked.key.encode()) for customer in customers]
        self._mark, self.ended = asked.mark.encode(), asyncio.Event()
        self.seconds: list[float] = []
        self.wrong = 0

    def request(self) -> bytes | None:
        """The next request; None if there is none."""
        if not self._left:
            return None
        self._left -= 1
        self._waiting += 1
        return self._requests[self._left]

    def count(self, status: int, body: bytes, seconds: float) -> None:
        """Note an answer."""
        self._waiting -= 1
        self.seconds.append(seconds)
        self.wrong += status != 200 or self._mark not in body  # noqa: PLR2004 - HTTP's OK
        if not self._left and not self._waiting:
            self.ended.set()


async def run(asked: argparse.Namespace) -> dict[str, float]:
    """What came of the load."""
    load = Load(asked)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        clients = [
            await loop.create_connection(lambda: Client(load), "127.0.0.1", asked.port)
            for _ in range(asked.connections)
        ]
        await load.ended.wait()
    for transport, _ in clients:
        transport.close()
    seconds = sorted(load.seconds)
    return {
        "answers": len(seconds),
        "wrong": load.wrong,
        "p50_ms": seconds[len(seconds) // 2] * 1000,
        "p99_ms": seconds[len(seconds) * 99 // 100] * 1000,
    }


def main() -> None:
    """Print what came of the load that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "requests", "connections", "customers", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--key", default="none")
    parser.add_argument("--mark", default="")
    print(json.dumps(uvloop.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
