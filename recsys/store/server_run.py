"""Which run of which server answers: what the fence calls its identity."""

from dataclasses import dataclass

from recsys.store.wire import unavailable

MODES = (b"redis_mode", b"server_mode")
"""What a Redis and a Valkey call it whether they are alone."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a server, and its line of history, which is a new one each time that it becomes the primary."""

    run_id: str
    history: str

    @property
    def identity(self) -> str:
        """As the scripts say it (`recsys.store.cache_scripts.IDENTITY`)."""
        return self.run_id + self.history

    @property
    def line(self) -> bytes:
        """How the server says its history."""
        return b"master_replid:" + self.history.encode()


def run_of(info: bytes, *, mode: str) -> Run:
    """The run in a server's answers to `INFO server` and `INFO replication`.

    Raises:
        CacheUnavailableError: the server does not say it, is of another mode, or a replica.
    """
    fields = dict(line.partition(b":")[::2] for line in info.splitlines())
    found = next((fields[name] for name in MODES if name in fields), b"standalone").decode("ascii", "replace")
    if found != mode:
        raise unavailable(got=f"a {found} server at a URL of a {mode} one")
    if fields.get(b"role", b"master") != b"master":
        raise unavailable(got="a replica")
    run_id, history = (fields.get(name, b"").decode("ascii", "replace") for name in (b"run_id", b"master_replid"))
    if not (run_id and history):
        raise unavailable(got="a server that does not say its run_id and master_replid")
    return Run(run_id=run_id, history=history)
