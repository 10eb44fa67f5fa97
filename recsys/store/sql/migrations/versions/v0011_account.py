"""The account that a merge took in."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("subject_requests", sa.Column("account", sa.LargeBinary()))
    op.create_index("ix_subject_requests_account", "subject_requests", ["account"])
