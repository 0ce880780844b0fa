"""Imports run one way: the order of the rooms, no cycles, and nothing heavy where only lists and scores are needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ROOMS = [
    {"bounded", "errors", "redaction"},
    {"schema"},
    {"registry"},
    {"data"},
    {"features"},
    {"prompting"},
    {"llm"},
    {"metrics", "predictors"},
    {"significance", "store"},
    {"literature", "evaluation"},
    {"leaderboard"},
    {"slices"},
    {"export"},
    {"report"},
    {"bundle"},
    {"cli"},
]
"""From the ground up; a room may import those below it. Rooms on one floor do not know each other."""

FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}

HEAVY = ("torch", "transformers", "peft", "openai", "lm_eval", "ray", "sklearn", "pandas", "matplotlib", "scipy.stats")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, wherever in the file, with the line; relative imports made absolute."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(part for part in (base, node.module or "") if part)
            yield name, node.lineno
            if name == "harness":
                yield from ((f"harness.{alias.name}", node.lineno) for alias in node.names)


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "harness" and parts[1] in FLOOR else None


ABOVE = (ROOT / "harness" / "__init__.py", ROOT / "harness" / "__main__.py")
IN_ROOMS = [path for path in modules("harness") if path not in ABOVE]
"""Every module but the facade and `python -m harness`, which stand above the rooms."""


@pytest.mark.parametrize("path", IN_ROOMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_downwards_only(path: Path) -> None:
    own = path.relative_to(ROOT / "harness").parts[0].removesuffix(".py")
    for module, line in imported(path):
        room = room_of(module)
        assert room is None or room == own or FLOOR[room] < FLOOR[own], f"{path}:{line}: {own} imports {module}"
        assert not module.startswith("baselines"), f"{path}:{line}: harness knows baselines by name only"


def test_every_room_is_in_the_plan() -> None:
    rooms = {path.name for path in (ROOT / "harness").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= set(FLOOR)


SHARED = "neural"
"""What several families of baselines import; it imports none of them."""


def test_baselines_do_not_import_each_others_families() -> None:
    for path in modules("baselines"):
        parts = path.relative_to(ROOT / "baselines").parts
        for module, line in imported(path):
            if module.startswith("baselines.") and len(parts) > 1:
                assert module.split(".")[1] in (parts[0], SHARED), f"{path}:{line}: imports {module}"


def test_prompts_import_nothing_of_ours() -> None:
    for path in modules("prompts"):
        assert not [m for m, _ in imported(path) if m.split(".")[0] in ("harness", "baselines")]


def test_significance_needs_numpy_and_scipy_special_only() -> None:
    allowed = ("numpy", "scipy.special", "harness.significance", "harness.metrics", "harness.errors")
    for path in modules("harness/significance"):
        for module, line in imported(path):
            name = module.split(".")[0]
            if module == "scipy":
                pytest.fail(f"{path}:{line}: import scipy.special, not scipy")
            assert name in sys.stdlib_module_names or module.startswith(allowed), f"{path}:{line}: imports {module}"


def test_what_is_copied_into_bundles_needs_numpy_and_the_standard_library_only() -> None:
    for path in modules("harness/bundle/verifying"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1, f"{path}:{node.lineno}: leaves its folder"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                for name in (name.split(".")[0] for name in names):
                    assert name in sys.stdlib_module_names or name == "numpy", f"{path}:{node.lineno}: imports {name}"


@pytest.mark.parametrize(
    "statement",
    [
        "import harness",
        "from harness.cli.main import app",
        "from harness import build_leaderboard, export_leaderboard, RunStore, compare_runs",
        "from harness.predictors.plugins import load_plugins, PREDICTORS; load_plugins();"
        " [PREDICTORS.get(name) for name in PREDICTORS]",
    ],
)
def test_nothing_heavy_is_imported_to_list_score_or_render(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_import_writes_nothing_and_opens_no_socket(tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise RuntimeError('socket at import')\n"
        "socket.socket = refuse\n"
        "import harness, logging\n"
        "import harness.cli.main\n"
        "print(len(logging.getLogger('harness').handlers))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "0"
    assert list(tmp_path.iterdir()) == []
