"""Files that are taken in over HTTP."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the parts of the files lie in the state directory."""
    op.create_table(
        "imports",
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("import_id", sa.Text(), nullable=False, unique=True),
        sa.Column("data_key", sa.LargeBinary()),
        sa.Column("job", sa.Text(), nullable=False),
    )
