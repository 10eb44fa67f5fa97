"""What travels over HTTP about an experiment with two versions."""

from pydantic import ConfigDict, Field

from api.schemas import Incoming, Outgoing
from recsys.serving.experiments import NAME, SALT

VERSION = "0f" * 16


class ExperimentBody(Incoming):
    """A version that is published, and to how many customers it is shown."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "more-factors", "version": VERSION, "share": 20}})

    name: str = Field(pattern=NAME, description="1 to 64 letters, digits, dots, dashes and underscores.")
    version: str = Field(pattern="^[0-9a-f]{32}$", description="The version that is shown beside the live one.")
    share: int = Field(ge=1, le=99, description="Of the customers, in per cent, who get the version.")
    salt: str | None = Field(
        default=None,
        pattern=SALT,
        description="That of an earlier experiment, so that the same customers get the version; drawn if left out.",
    )


class ShownExperiment(Outgoing):
    """An experiment. Who gets the version is decided by a keyed hash with the salt, and kept nowhere."""

    name: str
    version: str
    share: int = Field(description="In per cent.")
    salt: str


class ExperimentStatus(Outgoing):
    """The experiment that runs, if one does, and the version that everybody else gets."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "live": "f0" * 16,
                "experiment": {"name": "more-factors", "version": VERSION, "share": 20, "salt": "5a" * 8},
            }
        }
    )

    live: str | None
    experiment: ShownExperiment | None
