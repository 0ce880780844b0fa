"""What a run was made with: versions, git state, hardware. No host name, no user name, no path."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pyarrow",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "openai",
    "lm-eval",
)
"""Packages whose version can change a result; those not installed are left out."""


@cache
def versions() -> dict[str, str]:
    """Returns the versions of Python, of this harness and of the packages that can change a result."""
    found = {"python": platform.python_version()}
    for package in ("erc-harness", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def git_state() -> dict[str, Any] | None:
    """Returns {commit, dirty} of the checkout this code runs from; None outside one.

    Changes below `results/` do not count as dirty: every run makes some.
    """
    root = checkout()
    if root is None:
        return None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", ".", ":(exclude)results")
    return None if commit is None else {"commit": commit, "dirty": bool(changes)}


def checkout() -> Path | None:
    """Returns the root of the source checkout that this code runs from; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "results").is_dir() else None


@cache
def hardware() -> dict[str, Any]:
    """Returns {platform, processor, n_cores, memory_gib, accelerator}; the last only if torch is already imported."""
    torch = sys.modules.get("torch")
    cuda = torch is not None and torch.cuda.is_available()
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "n_cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "accelerator": torch.cuda.get_device_name(0) if torch is not None and cuda else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
