"""What the log of receipts answers."""

from pydantic import Field

from api.schemas import Outgoing

Proof = Field(description="Hashes in base64, in the order of RFC 9162.", examples=[[]])


class LogInclusion(Outgoing):
    """That a receipt is in the log of this size."""

    index: int
    size: int
    leaf: str = Field(description="The leaf's hash in base64: SHA-256 of a zero byte and the digest of the receipt.")
    proof: list[str] = Proof


class LogConsistency(Outgoing):
    """That the log of one size is the beginning of that of another."""

    old: int = Field(alias="from")
    new: int = Field(alias="to")
    proof: list[str] = Proof
