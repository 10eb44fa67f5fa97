"""The load that does not wait for answers: who waits, what is counted, and that a stall cannot hide."""

import argparse
import socketserver
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks import arrivals

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmark"
STALL_SECONDS = 0.4


@contextmanager
def server(answer: Callable[[int], bytes]) -> Iterator[int]:
    """The port of a server that gives its n-th request this answer, and ends the connection if that is empty."""
    count, lock = iter(range(1_000_000)), threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                with lock:  # one answer at a time, as one worker gives them: whoever comes meanwhile waits
                    body = answer(next(count))
                if not body:
                    return
                self.wfile.write(body)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


def asked(port: int, **changes: object) -> argparse.Namespace:
    words = {"port": port, "connections": 4, "customers": 10, "seed": 1, "rate": 200.0, "seconds": 1.0, "mark": "mark"}
    return argparse.Namespace(**{"key": "k", **words, **changes})


@pytest.fixture(autouse=True)
def no_warming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "WARM_SECONDS", 0.0)


@pytest.mark.slow
def test_a_stall_is_paid_for_by_all_who_arrive_while_it_lasts() -> None:
    def answer(number: int) -> bytes:
        time.sleep(STALL_SECONDS if number == 20 else 0)
        return ANSWER

    with server(answer) as port:
        load = arrivals.Arrivals(asked(port))
        load.run()
    assert load.errors == 0
    # Of 200 a second about 80 arrive within the stall; a client that waits for answers would have seen 4 slow ones.
    assert sum(seconds > STALL_SECONDS / 4 for seconds in load.seconds) > 40
    assert max(load.seconds) >= STALL_SECONDS * 0.9


@pytest.mark.slow
def test_what_is_refused_is_an_error_and_what_lacks_the_mark_is_counted() -> None:
    refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nmark"
    others = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
    with server(lambda number: (ANSWER, refused, others, ANSWER)[number % 4]) as port:
        load = arrivals.Arrivals(asked(port, seconds=0.5))
        load.run()
    quarter = len(load.seconds) / 4
    assert quarter > 10
    assert load.errors == pytest.approx(quarter, abs=1)
    assert load.unmarked == pytest.approx(quarter, abs=1)


def test_a_connection_that_the_server_ends_is_no_answer() -> None:
    with server(lambda number: ANSWER if number < 5 else b"") as port, pytest.raises(ConnectionError, match="expected"):
        arrivals.Arrivals(asked(port)).run()


def test_an_answer_that_does_not_come_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "GIVE_UP_SECONDS", 0.05)
    silent = threading.Event()
    with server(lambda _: ANSWER if silent.wait(2) else b"") as port:
        load = arrivals.Arrivals(asked(port, seconds=0.1))
        load.run()
        silent.set()
    assert load.errors >= 4
    assert len(load.seconds) == 0


def test_the_same_seed_brings_the_same_customers_at_the_same_distances() -> None:
    with server(lambda _: ANSWER) as port:
        counts = []
        for _ in range(2):
            load = arrivals.Arrivals(asked(port, seconds=0.2))
            load.run()
            counts.append(len(load.seconds))
    assert counts[0] == counts[1] > 20


def test_a_percentile_is_one_of_the_times() -> None:
    seconds = array("d", (n / 1000 for n in range(1000, 0, -1)))
    assert [arrivals.percentile(seconds, part) for part in (0.5, 0.99, 0.999)] == [500, 990, 999]
    assert arrivals.percentile(array("d", [0.007]), 0.5) == 7
