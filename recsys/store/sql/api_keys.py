"""API keys in SQL: a keyed hash of the secret, never the secret."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, select

from recsys.clock import Clock, isoformat, utc_now
from recsys.store.keys import KeyRing
from recsys.store.rules import no_key
from recsys.store.secret import hash_secret, new_api_key
from recsys.store.sql.engine import insert_all, next_sequence, writing
from recsys.store.sql.tables import api_keys
from recsys.types import ApiKey, Scope


class SqlApiKeys:
    """Satisfies `ports.ApiKeys`."""

    def __init__(self, engine: Engine, ring: KeyRing, clock: Clock = utc_now) -> None:
        """Use the database of the engine, and the key that secrets are hashed with."""
        self._engine, self._ring, self._clock = engine, ring, clock

    def create(self, name: str, scopes: frozenset[Scope]) -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once."""
        key, secret = new_api_key(name, scopes, self._clock())
        with writing(self._engine) as connection:
            row = _row(key) | {"sequence": next_sequence(connection, api_keys.c.sequence)}
            insert_all(connection, api_keys, [row | {"secret_hash": hash_secret(self._ring, secret)}])
        return key, secret

    def authenticate(self, secret: str) -> ApiKey | None:
        """The key of this secret, unless there is none or it is revoked."""
        query = select(api_keys).where(api_keys.c.secret_hash == hash_secret(self._ring, secret), ~api_keys.c.revoked)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return _key(row) if row else None

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first."""
        with self._engine.connect() as connection:
            return tuple(_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.sequence)))

    def revoke(self, key_id: str) -> None:
        """Make the key useless from now on.

        Raises:
            NotFoundError: no such key.
        """
        with writing(self._engine) as connection:
            update = api_keys.update().where(api_keys.c.key_id == key_id).values(revoked=True)
            if connection.execute(update).rowcount != 1:
                raise no_key()


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": json.dumps(sorted(key.scopes)),
        "created_at": isoformat(key.created_at),
        "revoked": key.revoked,
    }


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        name=row.name,
        scopes=frozenset(map(Scope, json.loads(row.scopes))),
        created_at=datetime.fromisoformat(row.created_at),
        revoked=row.revoked,
    )
