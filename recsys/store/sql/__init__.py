"""The ports that must not lose anything, on SQLite or PostgreSQL through SQLAlchemy Core."""
