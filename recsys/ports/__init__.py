"""What the rooms above need from the outside world, as protocols.

`recsys.store` satisfies them with SQL, Redis and files; `recsys.store.memory` satisfies them in memory, and one set of
contract tests (`tests/contracts`) runs on both. A customer is always a `UserKey` here: `Pseudonyms` makes it from the
id.
"""

from recsys.ports.messages import Webhooks
from recsys.ports.record import Catalogue, Feedback, Histories
from recsys.ports.rights import Erasures, Journal, ReceiptLog, SubjectRequests
from recsys.ports.secrets import ApiKeys, Commitments, Pseudonyms, Seals
from recsys.ports.serving import Cache, Fences, Registry
from recsys.ports.sums import LedgerLog, Sums

__all__ = [
    "ApiKeys",
    "Cache",
    "Catalogue",
    "Commitments",
    "Erasures",
    "Feedback",
    "Fences",
    "Histories",
    "Journal",
    "LedgerLog",
    "Pseudonyms",
    "ReceiptLog",
    "Registry",
    "Seals",
    "SubjectRequests",
    "Sums",
    "Webhooks",
]
