"""What travels over HTTP in the form of OpenDSR: names and forms are the specification's, not ours."""

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas import Incoming, Moment, Outgoing, Timestamp, UserId
from recsys.data.opendsr import DsrStatus, DsrType

API_VERSION = "3.0"
MAX_CALLBACKS = 5
UUID4 = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
IdentityType = Literal["controller_customer_id"]
"""The shop's own id: the one identity that is known here, and only by a keyed hash."""


class Identity(Incoming):
    """An identity in the list form of the specification."""

    identity_type: IdentityType
    identity_value: UserId
    identity_format: Literal["raw"]


class IdentityValue(Incoming):
    """An identity in the form of version 3, by its type."""

    value: UserId
    encoding: Literal["raw"]


class DsrBody(Incoming):
    """A request of a data subject. Fields of the specification that are not here are taken and mean nothing."""

    model_config = ConfigDict(
        extra="ignore",
        strict=False,  # names of types are text in JSON
        json_schema_extra={
            "example": {
                "regulation": "gdpr",
                "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
                "subject_request_type": "erasure",
                "submitted_time": "2026-01-31T12:00:00Z",
                "subject_identities": [
                    {
                        "identity_type": "controller_customer_id",
                        "identity_value": "customer-42",
                        "identity_format": "raw",
                    }
                ],
                "status_callback_urls": ["https://controller.example/opendsr"],
                "api_version": "3.0",
            }
        },
    )

    regulation: Literal["gdpr", "ccpa"] = "gdpr"
    subject_request_id: str = Field(pattern=UUID4, description="A UUID of version 4, in lower case.")
    subject_request_type: DsrType
    submitted_time: Timestamp
    subject_identities: list[Identity] | dict[IdentityType, IdentityValue] = Field(
        min_length=1, max_length=1, description="One: a list as in the specification, or by type as in version 3."
    )
    status_callback_urls: list[str] = Field(default=[], max_length=MAX_CALLBACKS)

    @property
    def user_id(self) -> str:
        """The shop's id of the one customer."""
        if isinstance(self.subject_identities, dict):
            return next(iter(self.subject_identities.values())).value
        return self.subject_identities[0].identity_value


class SupportedIdentity(Outgoing):
    """An identity that requests may name."""

    identity_type: IdentityType = "controller_customer_id"
    identity_format: Literal["raw"] = "raw"


class DsrDiscovery(Outgoing):
    """What is supported."""

    api_version: str = API_VERSION
    supported_identities: tuple[SupportedIdentity, ...] = (SupportedIdentity(),)
    supported_subject_request_types: tuple[DsrType, ...] = tuple(DsrType)
    processor_certificate: str


class DsrAccepted(Outgoing):
    """The acknowledgement of a request."""

    controller_id: str
    expected_completion_time: Moment
    received_time: Moment
    encoded_request: str = Field(description="The request in base64, as the specification wants it: do not log it.")
    subject_request_id: str


class DsrState(Outgoing):
    """How far a request has come."""

    controller_id: str
    expected_completion_time: Moment
    subject_request_id: str
    request_status: DsrStatus
    api_version: str = API_VERSION
    results_url: str | None = Field(description="Where the file of access or portability is, once it is completed.")


class DsrCancelled(Outgoing):
    """The acknowledgement of a cancellation."""

    controller_id: str
    received_time: Moment
    subject_request_id: str
    api_version: str = API_VERSION
