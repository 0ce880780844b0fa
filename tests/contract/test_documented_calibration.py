"""The README's calibration table is the measured one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def table_row(figure: dict[str, Any]) -> str:
    wrong = "; ".join(f"{method} {rate:.3f}" for method, rate in figure["wrong_methods"].items())
    low, high = figure["bound"]
    cells = (
        figure["quantity"],
        figure["setting"],
        figure["method"],
        f"{figure['rate']:.3f}",
        f"{low:g}–{high:g}",
        wrong,
    )
    return f"| {' | '.join(cells)} |"


def test_the_readme_shows_every_measured_figure() -> None:
    measured = json.loads((ROOT / "results" / "benchmarks" / "calibration.json").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- calibration -->\n")[1].split("<!-- /calibration -->")[0].splitlines()
    assert shown[2:] == [table_row(figure) for figure in measured["calibration"]]
