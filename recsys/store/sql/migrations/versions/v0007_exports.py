"""Files that are handed out over HTTP."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the parts of the files lie in the state directory."""
    op.create_table(
        "exports",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("export_id", sa.Text(), nullable=False, unique=True),
        sa.Column("data_key", sa.LargeBinary()),
        sa.Column("asked", sa.LargeBinary()),
        sa.Column("erasure", sa.Text()),
        sa.Column("job", sa.Text(), nullable=False),
    )
