"""Erasures that are tried again, extended, cancelled and lifted: a customer may have several, one of which holds."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEPT = "sequence, request_id, user_key, subject, reason, received_at, due_at, state, release, details, receipt"


def upgrade() -> None:
    """Make the table of erasures anew: SQLite cannot take a constraint off one that is there."""
    about = sa.Column("about", sa.Text(), nullable=False, server_default="")
    op.add_column("deliveries", about)
    op.create_index("ix_deliveries_about", "deliveries", ["about"])
    op.rename_table("erasures", "erasures_before")
    op.create_table(
        "erasures",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.Text(), nullable=False, unique=True),
        sa.Column("user_key", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("release", sa.Boolean(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("receipt", sa.LargeBinary()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("problem", sa.Text(), nullable=False, server_default=""),
        sa.Column("next_at", sa.Text()),
        sa.Column("stuck", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("extension", sa.Text(), nullable=False, server_default=""),
        sa.Column("warned", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("holds", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.execute(f"INSERT INTO erasures ({KEPT}) SELECT {KEPT} FROM erasures_before")  # noqa: S608 - constants
    op.drop_table("erasures_before")
    where = sa.text("holds")
    op.create_index(
        "erasures_one_holds", "erasures", ["user_key"], unique=True, sqlite_where=where, postgresql_where=where
    )
