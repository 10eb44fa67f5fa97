"""An experiment, as somebody asks for it."""

import re
import secrets

from recsys.errors import InputError
from recsys.types import Experiment

NAME = r"^[A-Za-z0-9._-]{1,64}$"
SALT = r"^[0-9a-f]{16}$"
SALT_BYTES = 8
"""So many that no two experiments share their arms by chance."""
LARGEST_SHARE = 99


def new_experiment(
    name: str, version: str, share: int, *, salt: str | None = None, running: Experiment | None = None
) -> Experiment:
    """The experiment; its arms are drawn anew, unless it is the one that runs, or the salt of an earlier one is given.

    Raises:
        InputError: the name, the share or the salt cannot be one.
    """
    if not re.fullmatch(NAME, name):
        msg = "expected a name of 1 to 64 letters, digits, dots, dashes and underscores, got another; rename it"
        raise InputError(msg)
    if not 1 <= share <= LARGEST_SHARE:
        msg = f"expected a share of 1 to {LARGEST_SHARE} per cent, got {share}; to show a version to all, promote it"
        raise InputError(msg)
    if salt is not None and not re.fullmatch(SALT, salt):
        msg = "expected the salt of an earlier experiment, got other text; leave it out to draw the arms anew"
        raise InputError(msg)
    drawn = running.salt if running else secrets.token_hex(SALT_BYTES)
    return Experiment(name=name, version=version, share=share, salt=salt or drawn)
