"""The database schema, as a list of steps that Alembic runs in order; shipped inside the package."""
