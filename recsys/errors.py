"""The errors of privrec: one tree, each with the exit code that the command line ends with.

    PrivrecError
    ├── InputError                what the caller handed in cannot be used            exit 3
    │   └── EventConflictError    an event id was used before for another purchase
    ├── PrivacyError              the privacy guarantee forbids it                    exit 4
    │   ├── PrivacyParameterError epsilon or delta make no meaningful promise
    │   └── BudgetExceededError   the ledger has too little left; nothing was drawn
    ├── StateError                the state directory or a server is in the way       exit 5
    │   ├── ImportConflictError   an import is not, or no longer, where the request takes it to be
    │   ├── ErasureConflictError  an erasure is not, or no longer, where the request takes it to be
    │   ├── StateLockedError      another process owns the state directory
    │   ├── ArtifactError         a model, sum or record is cut, changed or unreadable
    │   ├── LedgerTamperedError   the hash chain of the ledger does not hold
    │   ├── StorageError          the disk or the database refused a write
    │   ├── CacheUnavailableError the cache does not answer
    │   └── DeliveryError         a webhook's receiver did not take a message
    ├── VerificationError         evidence does not prove what it claims              exit 6
    └── NotFoundError             no such model, receipt, request or customer         exit 7

Every message says what was expected, what came, and what to do. No message holds a customer id.
"""


class PrivrecError(Exception):
    """Any error that privrec raises on purpose."""

    exit_code = 1


class InputError(PrivrecError):
    """What the caller handed in cannot be used; state is as it was."""

    exit_code = 3


class EventConflictError(InputError):
    """An event id came again with different content; the first content stays."""


class PrivacyError(PrivrecError):
    """The privacy guarantee forbids the operation; no noise was drawn."""

    exit_code = 4


class PrivacyParameterError(PrivacyError):
    """Epsilon or delta make no meaningful promise."""


class BudgetExceededError(PrivacyError):
    """The ledger has less left than the release needs."""


class StateError(PrivrecError):
    """The state directory, the database or the cache is in the way."""

    exit_code = 5


class VersionConflictError(StateError):
    """A model version is not, or no longer, in a state in which it may be published or made live."""


class ImportConflictError(StateError):
    """An import is not, or no longer, where the request takes it to be; it is as it was."""


class ErasureConflictError(StateError):
    """An erasure is not, or no longer, where the request takes it to be; it is as it was."""


class StateLockedError(StateError):
    """Another process owns the state directory."""


class ArtifactError(StateError):
    """A model, sum or record on disk is cut, changed or unreadable."""


class LedgerTamperedError(StateError):
    """The hash chain of the privacy ledger does not hold."""


class StorageError(StateError):
    """The disk or the database refused a write; what was being written is not there."""


class CacheUnavailableError(StateError):
    """The cache does not answer; it is never the record, so nothing is lost."""


class DeliveryError(StateError):
    """The receiver of a webhook did not take a message; it stays in the queue."""


class VerificationError(PrivrecError):
    """Evidence does not prove what it claims."""

    exit_code = 6


class NotFoundError(PrivrecError):
    """No such model, receipt or request."""

    exit_code = 7
