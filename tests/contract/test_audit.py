"""`.ci/audit` with answers that a service could give: it fails on what is known, and on that alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

AUDITOR = """#!{python}
import pathlib, sys
answer = {answer!r}
if answer is None:
    sys.exit("no route to host")
pathlib.Path(sys.argv[sys.argv.index("--output") + 1]).write_text(answer)
"""

BILL = """#!{python}
import pathlib, sys
pathlib.Path(sys.argv[sys.argv.index("--output-file") + 1]).write_text('{{"components": [1, 2]}}')
"""

UNKNOWN = {"name": "numpy", "skip_reason": "not found"}
SOUND = {"name": "pandas", "version": "2", "vulns": []}
KNOWN = {"name": "jinja2", "version": "3", "vulns": [{"id": "CVE-1", "fix_versions": ["3.1"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        (
            None,
            0,
            "NOT AUDITED: the vulnerability service knows or answers for none of the packages (no route to host)",
        ),
        ([UNKNOWN, UNKNOWN], 0, "none of the packages (not found)"),
        ([SOUND, UNKNOWN], 0, "audited 1 of 2 packages: 0 known vulnerabilities"),
        ([SOUND, KNOWN], 1, "jinja2 3: CVE-1, fixed in 3.1\naudited 2 of 2 packages: 1 known"),
    ],
)
def test_only_what_is_known_fails(tmp_path: Path, packages: list[Any] | None, code: int, said: str) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    (tmp_path / "constraints.txt").touch()
    answer = None if packages is None else json.dumps({"dependencies": packages})
    for name, script in {"pip-audit": AUDITOR, "cyclonedx-py": BILL}.items():
        (tmp_path / name).write_text(script.format(python=sys.executable, answer=answer))
        (tmp_path / name).chmod(0o755)
    command = [sys.executable, tmp_path / ".ci" / "audit", tmp_path]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
    assert "2 packages in build/sbom.cdx.json" in done.stdout
