"""What customers' data is used for here: one text, for the register, for who asks, and in the file that they get."""

from dataclasses import dataclass

NOT_STATED = "not stated: set PRIVREC_LEGAL_BASIS"


@dataclass(frozen=True, kw_only=True, slots=True)
class Processing:
    """One purpose, with the data that it takes and how long that is kept."""

    purpose: str
    data: str
    kept: str
    article: str
    """Which right stops it."""


PROCESSINGS = (
    Processing(
        purpose="recommending items to the customer from their own purchases",
        data="purchases (item, time, quantity, digest of the event id), and lists made from them",
        kept="purchases until erasure or rectification; cached lists at most 30 days, or until the next purchase",
        article="objection (Art. 21), restriction (Art. 18), erasure (Art. 17)",
    ),
    Processing(
        purpose="training models for all customers",
        data="the distinct items bought, as a term in a sealed sum over all customers",
        kept="until erasure, objection or restriction; models released under noise are bounded by (epsilon, delta)",
        article="objection (Art. 21), restriction (Art. 18), erasure (Art. 17)",
    ),
    Processing(
        purpose="meeting the customer's requests and proving it",
        data="objections, restrictions, rectifications, merges by pseudonym; of an erasure a commitment and a receipt",
        kept="objections and restrictions until taken back or erased, and for good that they were asked for, as "
        "a sealed note outside of the database that outlives a backup of it; receipts for good, without an id",
        article="a legal obligation (Art. 6(1)(c)): it does not end with an objection",
    ),
    Processing(
        purpose="telling how well lists do",
        data="numbers of lists shown, clicked and bought by version; no customer is in them",
        kept="totals for good; what makes an event count once for 60 days",
        article="none: no personal data is kept",
    ),
)


def legal_basis(stated: str) -> str:
    """The basis as the controller states it; it cannot be derived."""
    return stated or NOT_STATED
