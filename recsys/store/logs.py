"""Logs: one JSON object a line, on standard error. No line holds a customer's or an item's id."""

import sys
from typing import TypeAlias

import structlog

Logger: TypeAlias = structlog.typing.FilteringBoundLogger


def json_logger() -> Logger:
    """A logger that writes one JSON object a line to standard error, whatever else configures logging."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    processors: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        stamp,
        structlog.processors.JSONRenderer(),
    ]
    logger: Logger = structlog.wrap_logger(structlog.WriteLogger(sys.stderr), processors=processors)
    return logger
