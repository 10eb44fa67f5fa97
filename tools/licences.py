"""Lists the licences of a bill of materials: `python -m tools.licences BILL`; fails if a component has none."""

import sys
from pathlib import Path

from tools.bill import read_bill


def main(bill: Path) -> int:
    """0 if every component states its licence."""
    components = read_bill(bill)
    for component in components:
        sys.stdout.write(f"{component.name:<24} {component.version:<16} {' | '.join(component.licences) or 'none'}\n")
    silent = [component.name for component in components if not component.licences]
    if silent:
        sys.stderr.write(
            f"expected every component to state its licence, got none from {', '.join(silent)}; "
            "look it up and write it into tools/bill.py\n"
        )
    return int(bool(silent))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
