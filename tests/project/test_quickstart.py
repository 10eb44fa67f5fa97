"""The quickstart page, run as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```sh\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.service
def test_every_command_of_the_quickstart_runs_in_order(root: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall((root / "docs/quickstart.md").read_text())
    assert len(blocks) == 6
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = "set -euo pipefail\n" + "\n".join(blocks)
    environment = {**os.environ, "PATH": path, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, last = (
        done.stdout.index("For this customer"),
        done.stdout.index("Popular (this customer is unknown or was erased)"),
    )
    assert first < done.stdout.index("valid: request") < last
