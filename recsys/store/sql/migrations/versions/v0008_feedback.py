"""What became of lists: digests that expire, and totals by version, without customers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "feedback_events",
        sa.Column("event", sa.LargeBinary(), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False, index=True),
    )
    op.create_table(
        "feedback_lists",
        sa.Column("list_id", sa.LargeBinary(), primary_key=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False, index=True),
    )
    counts = ("impressions", "clicks", "purchases", "lists_shown", "lists_clicked", "lists_bought")
    op.create_table(
        "feedback_totals",
        sa.Column("model", sa.LargeBinary(), primary_key=True),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
    )
