"""Installations with a live model, for processes that share them, and a PostgreSQL server where one is installed."""

from tests.contracts.conftest import postgres_url, postgresql_database
from tests.pipelines.conftest import fresh, purchases, template, trained

__all__ = ["fresh", "postgres_url", "postgresql_database", "purchases", "template", "trained"]
