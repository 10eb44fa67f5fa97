"""The tables. Everything that is personal is sealed, and no table holds a customer's id."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
    true,
)

metadata = MetaData()

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What the database belongs to: the fingerprint of the keys that its records are sealed under."""

items = Table(
    "items",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("item_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("price", Double),
    Column("stock", BigInteger),
    Column("attributes", Text, nullable=False, server_default="[]"),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    Column("revision", BigInteger, nullable=False, server_default="0", index=True),
)
"""`revision` is that of the catalogue when the item last changed, so that a reader can ask for what is new to it."""

customers = Table(
    "customers",
    metadata,
    Column("user_key", LargeBinary, primary_key=True),
    Column("data_key", LargeBinary, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
"""One row a customer: deleting it destroys the only key of the record."""

suppressed = Table("suppressed", metadata, Column("user_key", LargeBinary, primary_key=True))

sums = Table(
    "sums",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("sum_id", Text, nullable=False, unique=True),
    Column("content", LargeBinary, nullable=False),
)

terms = Table(
    "terms",
    metadata,
    Column("user_key", LargeBinary, primary_key=True),
    Column("sum_id", Text, ForeignKey("sums.sum_id"), primary_key=True),
    Column("term", LargeBinary, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", Text, nullable=False, unique=True),
    Column("user_key", LargeBinary, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("release", Boolean, nullable=False),
    Column("details", Text, nullable=False),
    Column("receipt", LargeBinary),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("problem", Text, nullable=False, server_default=""),
    Column("next_at", Text),
    Column("stuck", Boolean, nullable=False, server_default=false()),
    Column("extension", Text, nullable=False, server_default=""),
    Column("warned", Boolean, nullable=False, server_default=false()),
    Column("holds", Boolean, nullable=False, server_default=true()),
    Index("erasures_one_holds", "user_key", unique=True, sqlite_where=text("holds"), postgresql_where=text("holds")),
)
"""`holds`: the request keeps its customer out; not once it was cancelled, or a fresh consent came."""

log_nodes = Table(
    "log_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
"""The complete subtrees of the log of receipts: rows are added and never changed."""

log_checkpoints = Table(
    "log_checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
"""What was signed each time the log grew."""

ledger = Table(
    "ledger",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", Text, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("key_id", Text, nullable=False, unique=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

fence = Table(
    "fence",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("identity", Text, nullable=False),
)
"""One row, or none before it is first changed: which run of the cache's server is trusted."""

feedback_events = Table(
    "feedback_events",
    metadata,
    Column("event", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""Digests of what was counted, so that nothing is counted twice. `expires_at` is in seconds since 1970."""

feedback_lists = Table(
    "feedback_lists",
    metadata,
    Column("list_id", LargeBinary, primary_key=True),
    Column("seen", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
"""What is known of a list, as bits (see `recsys.store.tally`); whose it was is written nowhere."""

feedback_totals = Table(
    "feedback_totals",
    metadata,
    Column("model", LargeBinary, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("purchases", BigInteger, nullable=False),
    Column("lists_shown", BigInteger, nullable=False),
    Column("lists_clicked", BigInteger, nullable=False),
    Column("lists_bought", BigInteger, nullable=False),
)
"""For good, by the mark of a version and the day a list was made: numbers of events and lists."""

imports = Table(
    "imports",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("import_id", Text, nullable=False, unique=True),
    Column("data_key", LargeBinary),
    Column("job", Text, nullable=False),
)
"""`data_key` is the only key of the parts of the file, and there as long as they may lie in the state directory."""

exports = Table(
    "exports",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("export_id", Text, nullable=False, unique=True),
    Column("data_key", LargeBinary),
    Column("asked", LargeBinary),
    Column("erasure", Text),
    Column("job", Text, nullable=False),
)
"""`data_key` as of `imports`; `asked` is sealed under it, and names the customers whose lists the file is to hold."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("webhook_id", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("webhook_id", Text, ForeignKey("webhooks.webhook_id"), nullable=False),
    Column("event", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Text, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("problem", Text, nullable=False),
    Column("about", Text, nullable=False, server_default="", index=True),
)
"""Messages that were not taken yet; one that was taken is deleted. None names a customer, and `about` an erasure."""

subject_requests = Table(
    "subject_requests",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", Text, nullable=False, unique=True),
    Column("user_key", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("moves", LargeBinary),
    Column("account", LargeBinary),
    Column("details", Text, nullable=False),
    Index("ix_subject_requests_user_key", "user_key", "kind"),
    Index("ix_subject_requests_account", "account"),
)
"""Objections, restrictions, rectifications and merges; `moves` is sealed, and there until a rectification is applied.

`account` is the key of what a merge took in."""

opendsr_requests = Table(
    "opendsr_requests",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("subject_request_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("ours", Text, nullable=False),
    Column("joined", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    Column("received_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("callbacks", Text, nullable=False),
    Column("told", Text, nullable=False),
)
"""By the controller's id; no customer is named. `content` is a keyed digest of that id with whom and what it is for."""
