"""The command line.

Commands import what they need when they run: `privrec verify` needs neither numpy nor a database.
"""

import json
import signal
import sys
from collections.abc import Callable

import typer

from pipelines.cli import (
    audit,
    data,
    erasures,
    experiments,
    feedback,
    influence,
    ledger,
    log,
    operate,
    privacy,
    subject,
    verify,
    webhooks,
)
from recsys.errors import PrivrecError

EXIT_CODES = (
    "Exit codes: 0 done · 2 wrong usage · 3 bad input · 4 refused for privacy (nothing was drawn) · "
    "5 state, lock, disk or server · 6 evidence does not hold · 7 not found."
)

app = typer.Typer(
    name="privrec",
    help="A recommender for shops that does not give any one customer away.\n\nStart with: privrec demo",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and with them customers' data
)
COMMANDS: tuple[Callable[..., None], ...] = (
    operate.demo,
    data.ingest,
    data.export,
    data.train,
    data.evaluate,
    data.publish,
    data.recommend,
    operate.serve,
    operate.worker,
    privacy.erase,
    subject.register,
    influence.influence,
    verify.verify,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(subject.subject, name="subject")
app.add_typer(ledger.ledger, name="ledger")
app.add_typer(log.log, name="log")
app.add_typer(audit.audit, name="audit")
app.add_typer(erasures.erasures, name="erasures")
app.add_typer(operate.models, name="models")
app.add_typer(experiments.experiment, name="experiment")
app.add_typer(operate.keys, name="keys")
app.add_typer(feedback.feedback, name="feedback")
app.add_typer(webhooks.webhooks, name="webhooks")


def main() -> None:
    """Run the command line; an error of privrec ends with its own exit code and no traceback."""
    # By default SIGTERM ends a process where it stands, and the cache's server would be left behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except PrivrecError as error:
        _report(error)
        sys.exit(error.exit_code)


def _report(error: PrivrecError) -> None:
    """The error on standard error: as JSON where the output is."""
    if "--json" in sys.argv:
        document = {"error": {"code": type(error).__name__, "message": str(error)}}
        sys.stderr.write(json.dumps(document) + "\n")
    else:
        sys.stderr.write(f"privrec: {error}\n")
