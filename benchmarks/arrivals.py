"""Asks a server for recommendations at a rate that does not wait for its answers, from a process of its own.

Arrivals are Poisson. A request that finds every connection busy waits in this process, and its time runs from when it
was to be sent: a server that stalls pays for everybody whom it kept waiting, not for the one that it was answering.
"""

import argparse
import json
import math
import random
import select
import socket
import time
from array import array
from collections import deque

import httptools

GIVE_UP_SECONDS = 10.0
"""How long after the last arrival an answer may take."""
START_SECONDS = 0.2
"""From here to the first arrival: all connections are open by then."""
WARM_SECONDS = 1.0
"""How long answers are not timed: a server that nobody asked for a second asks its record about the key again."""
HEAD = (
    b"GET /v1/users/customer-%d/recommendations HTTP/1.1\r\n"
    b"Host: shop\r\nAuthorization: Bearer %b\r\nAccept: */*\r\n\r\n"
)
READ_BYTES = 65536
OK = 200


class Connection:
    """A kept connection with one request on its way at most."""

    def __init__(self, port: int) -> None:
        """Connect to a server of this machine."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.done, self.body, self.due = False, b"", 0.0
        self._parser = httptools.HttpResponseParser(self)

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was to be sent at this time."""
        self.done, self.body, self.due = False, b"", due
        self.socket.sendall(request)

    def read(self) -> bool:
        """Read on; True if the answer is complete.

        Raises:
            ConnectionError: the server closed the connection.
        """
        data = self.socket.recv(READ_BYTES)
        if not data:
            msg = "expected an answer, got the end of the connection; look at the server"
            raise ConnectionError(msg)
        self._parser.feed_data(data)
        return self.done

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self._parser.get_status_code())

    def on_body(self, body: bytes) -> None:
        """Part of an answer."""
        self.body += body

    def on_message_complete(self) -> None:
        """The answer is complete."""
        self.done = True


class Arrivals:
    """The requests that are to come, and what became of those that came."""

    def __init__(self, asked: argparse.Namespace) -> None:
        """As many as arrive in so many seconds at this rate."""
        self._random = random.Random(asked.seed)
        self._asked, self._key, self._mark = asked, asked.key.encode(), asked.mark.encode()
        self._connections = {link.socket: link for link in (Connection(asked.port) for _ in range(asked.connections))}
        self._idle = deque(self._connections.values())
        self.seconds: array[float] = array("d")
        self.errors, self.unmarked, self._timed_from = 0, 0, 0.0

    def run(self) -> None:
        """Let them arrive, wait for the last answer, and close the connections.

        Raises:
            ConnectionError: the server closed a connection.
        """
        try:
            self._run()
        finally:
            for connection in self._connections.values():
                connection.socket.close()

    def _run(self) -> None:
        begin = time.perf_counter() + START_SECONDS
        self._timed_from = begin + WARM_SECONDS
        due, end = begin + self._gap(), self._timed_from + self._asked.seconds
        while due < end or len(self._idle) < len(self._connections):
            now = time.perf_counter()
            while due <= now and due < end and self._idle:
                self._send(due)
                due += self._gap()
            if now > end + GIVE_UP_SECONDS:
                break
            self._read(max(0.0, due - time.perf_counter()) if self._idle and due < end else GIVE_UP_SECONDS)
        self.errors += len(self._connections) - len(self._idle)

    def _gap(self) -> float:
        return self._random.expovariate(self._asked.rate)

    def _send(self, due: float) -> None:
        request = HEAD % (self._random.randrange(self._asked.customers), self._key)
        self._idle.popleft().send(request, due)

    def _read(self, timeout: float) -> None:
        """Take what has come, or wait for it this long."""
        readable, _, _ = select.select(self._connections, [], [], timeout)
        for source in readable:
            connection = self._connections[source]
            if connection.read():
                self._count(connection, time.perf_counter())
                self._idle.append(connection)

    def _count(self, connection: Connection, now: float) -> None:
        """Note an answer."""
        self.errors += connection.status != OK
        if connection.due >= self._timed_from:
            self.seconds.append(now - connection.due)
            self.unmarked += self._mark not in connection.body


def percentile(seconds: "array[float]", part: float) -> float:
    """The smallest of these that at least this part of them do not exceed, in milliseconds."""
    return sorted(seconds)[max(0, math.ceil(len(seconds) * part) - 1)] * 1000


def load(asked: argparse.Namespace) -> dict[str, float]:
    """What came of it."""
    arrivals = Arrivals(asked)
    arrivals.run()
    return {
        "answers": len(arrivals.seconds),
        "errors": arrivals.errors,
        "unmarked": arrivals.unmarked,
        "p50_ms": percentile(arrivals.seconds, 0.5),
        "p99_ms": percentile(arrivals.seconds, 0.99),
        "p999_ms": percentile(arrivals.seconds, 0.999),
    }


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("port", "connections", "customers", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("rate", "seconds"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--key", default="none")
    parser.add_argument("--mark", default="")
    return parser


if __name__ == "__main__":
    print(json.dumps(load(options().parse_args())))
