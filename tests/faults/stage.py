"""Carries out commands of the harness in forked processes, and kills them where it is told.

Run as a program with the folder to watch. Reads one JSON object a line from stdin: {"argv": [...], "env": {...},
"kill_at": n or null, "kill_after": seconds or null, "file_limit": bytes or null, "clock": seconds
to add or null, "powerless": whether root is to be a user like others}; answers with one: {"code": exit code
or -9, "n_writes": ..., "seconds": ..., "stderr": ...}. A forked process costs no imports, so hundreds of kills are
cheap; what it runs is `harness.cli.main.main`, as the console script does.

`kill_at` counts what changes the disk below the folder: files opened for writing, flushes to the disk, renames,
removals, new folders. The process is killed right before the n-th, so that every n covers every instant between two.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import struct
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"}
LOADED = (
    "baselines.llm.zero_shot", "baselines.neural.training", "baselines.recurrent.networks", "baselines.simple.ngrams",
    "harness.cli.leaderboard", "harness.cli.run", "harness.evaluation.executors.serial", "harness.leaderboard.build",
    "harness.llm.client", "jinja2.sandbox", "pandas", "prompts", "pyarrow.parquet", "safetensors.torch",
    "sklearn.linear_model", "sqlite3", "torch._dynamo",
)  # fmt: skip
"""What the commands would import one by one."""


class Counter:
    """Counts writes below a folder, and kills the process before one of them."""

    def __init__(self, root: str, kill_at: int | None) -> None:
        self.n, self._root, self._kill_at = 0, root, kill_at
        fsync = os.fsync

        def counted_fsync(descriptor: int) -> None:
            self.count()
            fsync(descriptor)

        os.fsync = counted_fsync
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        else:
            path, writes = (arguments or ("",))[0], event in WRITES
        if writes and isinstance(path, str | bytes | Path) and os.fsdecode(path).startswith(self._root):
            self.count()

    def count(self) -> None:
        self.n += 1
        if self.n == self._kill_at:
            os.killpg(0, signal.SIGKILL)


def perform(order: dict[str, Any], root: str, output: str) -> None:
    """Runs a command in this process, and leaves what came of it in a file."""
    os.setpgid(0, 0)
    sys.stdout = sys.stderr = Path(f"{output}.err").open("w")  # noqa: SIM115
    os.dup2(sys.stderr.fileno(), 1)
    os.dup2(sys.stderr.fileno(), 2)
    os.environ.update(order["env"])
    if order.get("file_limit") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], resource.RLIM_INFINITY))
    from harness.cli.main import main
    from harness.store import run_log

    run_log.SYNC_SECONDS = 0.0  # a flush of every line: an instant to be killed at
    if order.get("clock"):
        turn_clock(order["clock"])
    if order.get("powerless"):  # root without its powers is an ordinary user
        assert ctypes.CDLL(None, use_errno=True).capset(struct.pack("Ii", 0x20080522, 0), bytes(24)) == 0
    counter = Counter(root, order.get("kill_at"))
    sys.argv = ["erc-harness", *order["argv"]]
    code: Any = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    sys.stderr.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    Path(output).write_text(json.dumps({"code": code, "n_writes": counter.n}))


def turn_clock(seconds: float) -> None:
    """Lets the clock of the wall be so much later, or earlier."""
    import datetime as module

    real, true_time = module.datetime, time.time

    class Turned(real):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz) + module.timedelta(seconds=seconds)

    time.time = lambda: true_time() + seconds
    for loaded in list(sys.modules.values()):
        if getattr(loaded, "__name__", "").startswith("harness.") and getattr(loaded, "datetime", None) is real:
            loaded.datetime = Turned


def serve(root: str) -> None:
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            output = f"{folder}/answer"
            begin = time.perf_counter()
            if (child := os.fork()) == 0:
                try:
                    perform(order, root, output)
                finally:
                    os._exit(0)
            with suppress(ProcessLookupError, PermissionError):
                os.setpgid(child, child)
            timer = None
            if order.get("kill_after") is not None:
                timer = threading.Timer(order["kill_after"], kill, (child,))
                timer.start()
            os.waitpid(child, 0)
            seconds = time.perf_counter() - begin
            if timer is not None:
                timer.cancel()
                timer.join()
            answer = {"code": -9, "n_writes": 0}
            with suppress(OSError, ValueError):
                answer = json.loads(Path(output).read_text())
            stderr = Path(f"{output}.err").read_text() if Path(f"{output}.err").exists() else ""
            print(json.dumps({**answer, "seconds": seconds, "stderr": stderr}), flush=True)


def kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    serve(sys.argv[1])
