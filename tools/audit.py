"""Asks the vulnerability services about a bill of materials: `python -m tools.audit BILL [--required]`.

Where only a mirror of the package index can be reached, pip-audit ends well: "no known vulnerabilities", of no package.
So what counts here is which components a service gave an answer about.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tools.bill import Component, read_bill

SERVICES = ("pypi", "osv")
"""The second is asked about what the first gave no answer about."""
TIMEOUT_SECONDS = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a service said."""

    asked: frozenset[str]
    """The components that it gave an answer about, without those it does not know, in the normal form of PEP 503: the
    metadata and the services spell some names differently."""
    findings: tuple[str, ...]


NOTHING = Answer(asked=frozenset(), findings=())
Service = Callable[[str, Sequence[Component]], Answer]


def audit(components: Sequence[Component], ask: Service) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The findings, and the components that no service gave an answer about."""
    findings: list[str] = []
    left = list(components)
    for service in SERVICES:
        answer = ask(service, left) if left else NOTHING
        findings += answer.findings
        left = [component for component in left if canonicalize_name(component.name) not in answer.asked]
    return tuple(findings), tuple(component.name for component in left)


def ask_service(service: str, components: Sequence[Component]) -> Answer:
    """What pip-audit learns from this service about these versions; nothing if it cannot be reached."""
    with tempfile.TemporaryDirectory() as directory:
        pins = Path(directory, "pins.txt")
        pins.write_text("".join(f"{component.name}=={component.version}\n" for component in components))
        words = f"--no-deps --disable-pip --progress-spinner off --format json --timeout {TIMEOUT_SECONDS}".split()
        words += ["--vulnerability-service", service, "--requirement", str(pins)]
        command = [sys.executable, "-m", "pip_audit", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - written here
    return understood(done)


def understood(done: "subprocess.CompletedProcess[str]") -> Answer:
    """The answer in pip-audit's output; nothing if it ended without one.

    Raises:
        RuntimeError: pip-audit does not take these options; it is 1 where a service fails, and where it has findings.
    """
    if done.returncode not in {0, 1}:
        msg = f"expected pip-audit to run, got exit code {done.returncode}: {done.stderr.strip()}; check its version"
        raise RuntimeError(msg)
    if not done.stdout.strip():
        reason = "".join(done.stderr.splitlines()[-1:])
        sys.stderr.write(f"audit: a service failed: {reason}\n")
        return NOTHING
    return answered(json.loads(done.stdout)["dependencies"])


def answered(dependencies: Sequence[dict[str, Any]]) -> Answer:
    """The answer in these rows."""
    known = [row for row in dependencies if "skip_reason" not in row]
    findings = tuple(f"{row['name']} {row['version']}: {found['id']}" for row in known for found in row["vulns"])
    return Answer(asked=frozenset(canonicalize_name(row["name"]) for row in known), findings=findings)


def verdict(n_components: int, findings: Sequence[str], unasked: Sequence[str], *, required: bool) -> tuple[str, int]:
    """What to say, and the exit code.

    That is 1 for a finding, and for a component without an answer if answers are required.
    """
    code = int(bool(findings) or (required and bool(unasked)))
    if len(unasked) == n_components:
        text = f"audit: NOT DONE: no vulnerability service gave an answer about any of {n_components} dependencies\n"
        return text, code
    lines = [f"audit: {n_components - len(unasked)} dependencies looked up, {len(findings)} known vulnerabilities"]
    lines += [f"audit: VULNERABLE: {finding}" for finding in findings]
    lines += [f"audit: NOT LOOKED UP: {name}" for name in unasked]
    return "\n".join(lines) + "\n", code


def main() -> int:
    """0 unless there is a finding, or answers were required and are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bill", type=Path, help="a CycloneDX document in JSON")
    parser.add_argument("--required", action="store_true", help="fail if a dependency could not be looked up")
    chosen = parser.parse_args()
    components = read_bill(chosen.bill)
    findings, unasked = audit(components, ask_service)
    text, code = verdict(len(components), findings, unasked, required=chosen.required)
    sys.stdout.write(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
