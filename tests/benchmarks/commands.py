"""What a command of the harness takes, from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    """Of the processor, start of the interpreter included."""
    megabytes: float
    """Most that it held at once."""


def cost_of(*arguments: str, n_rounds: int = 3) -> Cost:
    """Returns the least of several rounds: what a command takes when nothing else interferes."""
    command = [sys.executable, "-m", "harness", *arguments]
    costs = []
    for _ in range(n_rounds):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        costs.append(Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000))
    return Cost(min(cost.seconds for cost in costs), min(cost.megabytes for cost in costs))
