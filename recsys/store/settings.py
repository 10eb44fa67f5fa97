"""The settings of an installation, read from the environment (`PRIVREC_...`); none of them is derived from data."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from recsys.errors import InputError


class Settings(BaseSettings):
    """Where the state is, which servers hold it, and how long things may take."""

    model_config = SettingsConfigDict(
        env_prefix="PRIVREC_", frozen=True, env_ignore_empty=True, extra="forbid", use_attribute_docstrings=True
    )

    state_dir: Path = Path("privrec-data")
    """The directory of keys, models and (without a database URL) the SQLite database. Its parent must exist."""
    database_url: str | None = Field(default=None, repr=False)
    """`postgresql://...` or `sqlite:///...`; without it SQLite in the state directory. May hold a password."""
    redis_url: str | None = Field(default=None, repr=False)
    """`redis://...`, `rediss://...`, `unix://...`, `redis+sentinel://...` or `redis+cluster://...` (docs/operation.md);
    without it a Valkey server is started beside the process."""
    host: str = "127.0.0.1"
    """The address that the API listens on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The port that the API listens on; 0 takes a free one."""
    requests_per_second: float = Field(default=1000.0, ge=0)
    """How often one API key may ask one process, in the long run; 0 sets no limit."""
    requests_burst: int = Field(default=2000, ge=1)
    """How many requests a key that was quiet may send at once."""
    erasure_due_days: int = Field(default=30, ge=1)
    """Days until an erasure is due: one month, as GDPR Art. 12(3) has it."""
    erasure_grace_hours: float = Field(default=0.0, ge=0, le=24 * 14)
    """How long a customer is suppressed only before anything is destroyed; so long a request can be cancelled."""
    erasure_warn_days: int = Field(default=7, ge=0)
    """So many days before an erasure is due webhooks are told of it (`erasure.due_soon`)."""
    backups: str = Field(default="", pattern=r"^$|^[\w-]{1,30}:[1-9]\d{0,3}(,[\w-]{1,30}:[1-9]\d{0,3}){0,4}$")
    """The operator's backups and for how many days each is kept, such as `nightly:35,weekly:90`: receipts say so."""
    train_every: str = Field(default="", pattern=r"^$|^[1-9]\d{0,3}[dwy]$")
    """How often a model is released by plan, such as `1w` (privrec ledger plan): receipts say when the next one is."""
    journal: Path | None = None
    """The file that says who is kept out, whatever backup of the database is put back; by default in the state
    directory. Leave it out of that backup, or keep its latest copy."""
    cache_timeout_seconds: float = Field(default=0.25, gt=0)
    """How long a request waits for the cache before it computes its list itself."""
    cache_memory_mb: int = Field(default=256, ge=16)
    """The memory of the embedded cache; beyond it the lists that were not read for longest go."""
    import_max_mb: int = Field(default=256, ge=1)
    """The largest file that is taken in over HTTP; a Parquet file is read whole into memory."""
    erasure_backlog_limit: int = Field(default=10_000, ge=0)
    """With more erasures pending than this an API process says that it is not ready."""
    drain_seconds: float = Field(default=1.0, ge=0)
    """After SIGTERM an API process answers for so long, but is not ready; more than the load balancer's interval."""
    traces_url: str | None = Field(default=None, repr=False)
    """Where OpenTelemetry spans go (OTLP over HTTP), such as `http://127.0.0.1:4318/v1/traces`; without it nowhere."""

    controller_name: str = ""
    """Who is responsible for the data: told in the register and in the files that customers are given."""
    controller_contact: str = ""
    """How to reach them, and their data protection officer."""
    legal_basis: str = ""
    """Of the processing, in the controller's words, such as `legitimate interest, Art. 6(1)(f) GDPR`."""
    transfers: str = ""
    """To third countries, in the controller's words; where the database and the cache stand is not known here."""
    opendsr_domain: str = Field(default="localhost", pattern=r"^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$")
    """The domain under which controllers reach this API, for requests in the form of OpenDSR."""
    webhooks_local: bool = False
    """Whether webhooks may also go to this machine, in plain HTTP too: for a receiver beside privrec, and tests."""

    @property
    def backups_kept(self) -> tuple[tuple[str, int], ...]:
        """Each backup's name, and the days that it is kept."""
        pairs = (each.split(":") for each in self.backups.split(",") if each)
        return tuple((name, int(days)) for name, days in pairs)

    @classmethod
    def load(cls, **given: object) -> "Settings":
        """The settings from the environment, with what is given here in their place.

        Raises:
            InputError: a value is of the wrong kind or out of range; the message names the setting, not the value.
        """
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            msg = f"expected valid settings, got {wrong}; correct the PRIVREC_ variables or the options of those names"
            raise InputError(msg) from None
