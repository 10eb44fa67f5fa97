"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    _create_histories()
    _create_sums()
    _create_erasures()
    _create_operations()


def _create_histories() -> None:
    op.create_table(
        "items",
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("item_id", sa.Text(), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
    )
    op.create_table(
        "customers",
        sa.Column("user_key", sa.LargeBinary(), primary_key=True),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    )
    op.create_table("suppressed", sa.Column("user_key", sa.LargeBinary(), primary_key=True))


def _create_sums() -> None:
    op.create_table(
        "sums",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sum_id", sa.Text(), nullable=False, unique=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "terms",
        sa.Column("user_key", sa.LargeBinary(), primary_key=True),
        sa.Column("sum_id", sa.Text(), sa.ForeignKey("sums.sum_id"), primary_key=True),
        sa.Column("term", sa.LargeBinary(), nullable=False),
    )


def _create_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.Text(), nullable=False, unique=True),
        sa.Column("user_key", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("release", sa.Boolean(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("receipt", sa.LargeBinary()),
    )


def _create_operations() -> None:
    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("index", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text(), nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("key_id", sa.Text(), nullable=False, unique=True),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
    )
