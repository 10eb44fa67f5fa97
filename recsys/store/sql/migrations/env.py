"""Run by Alembic: migrates the connection that `recsys.store.sql.migrate` handed over, in the transaction it is in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
