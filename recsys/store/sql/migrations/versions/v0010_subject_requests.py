"""Objections, restrictions and rectifications, by customer; and requests in the form of OpenDSR."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "subject_requests",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.Text(), nullable=False, unique=True),
        sa.Column("user_key", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("moves", sa.LargeBinary()),
        sa.Column("details", sa.Text(), nullable=False),
    )
    op.create_index("ix_subject_requests_user_key", "subject_requests", ["user_key", "kind"])
    op.create_table(
        "opendsr_requests",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("subject_request_id", sa.Text(), nullable=False, unique=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("callbacks", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
    )
