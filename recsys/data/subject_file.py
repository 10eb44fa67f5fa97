"""What a file with everything held of one customer is asked to be made from."""

import json
from dataclasses import dataclass

from recsys.types import UserKey


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectAsked:
    """Whose file it is; sealed with the export, and destroyed with it."""

    user_id: str
    user_key: UserKey | None
    """None: the customer was erased before it was asked for. Such a file is a stranger's: no erasure is after it."""

    def to_bytes(self) -> bytes:
        """The bytes to be sealed."""
        return json.dumps({"user_id": self.user_id, "user_key": self.user_key.hex() if self.user_key else ""}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "SubjectAsked":
        """What `to_bytes` wrote."""
        found = json.loads(data)
        return cls(user_id=found["user_id"], user_key=UserKey(bytes.fromhex(found["user_key"])) or None)
