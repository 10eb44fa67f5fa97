"""What a shop says about its items beyond their names: price, stock, attributes, and that one is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what is there already counts as in the shop, at the first revision."""
    op.add_column("items", sa.Column("price", sa.Double()))
    op.add_column("items", sa.Column("stock", sa.BigInteger()))
    op.add_column("items", sa.Column("attributes", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("items", sa.Column("deleted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("items", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_items_revision", "items", ["revision"])
