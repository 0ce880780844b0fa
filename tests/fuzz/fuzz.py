"""Lets coverage guide what readers are given: `make fuzz`, or python tests/fuzz/fuzz.py --seconds 60 meld.csv ...

Each target runs in a process of its own, with atheris. Inputs that reach new code are kept in build/fuzz/TARGET; one
that breaks a reader is written beside and printed: put it into tests/fuzz/corpus/TARGET, and mend the reader.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / "build" / "fuzz"


def fuzz(name: str, folder: Path, options: list[str]) -> None:
    """Gives a reader inputs until the time is up or it breaks; does not return."""
    import atheris

    with atheris.instrument_imports(include=["harness", "tomllib", "pickle", "numpy.lib"]):
        from bounds import bounds
        from targets import TARGETS
    path = folder / name

    def read(content: bytes) -> None:
        path.write_bytes(content)
        with bounds():
            TARGETS[name].read(path)

    atheris.Setup([sys.argv[0], *options], read)
    atheris.Fuzz()


def begin(name: str, seconds: int) -> bool:
    """Fuzzes one target in another process, prints how many inputs it was given; returns whether it held."""
    from targets import TARGETS, found

    kept, broken = KEPT / name, KEPT / f"{name}.broken"
    for folder in (kept, broken):
        folder.mkdir(parents=True, exist_ok=True)
    for i, content in enumerate((*TARGETS[name].whole, *(path.read_bytes() for path in found(name)))):
        (kept / f"whole-{i}").write_bytes(content)
    limits = [f"-max_total_time={seconds}", "-timeout=60", "-rss_limit_mb=4096"]
    with TemporaryDirectory() as folder_of_run:
        command = [sys.executable, __file__, "--within", folder_of_run, name, "--", *limits]
        command += [f"-artifact_prefix={broken}/", str(kept)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    said = done.stdout + done.stderr
    tried = re.findall(r"^(?:Done |#)(\d+)", said, re.MULTILINE)
    n = max(map(int, tried), default=0)
    print(f"{name:22} {n:>10,} inputs{'' if done.returncode == 0 else ' BROKEN'}", flush=True)
    if done.returncode:
        print("\n".join(said.splitlines()[-25:]), flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help="targets; default: all")
    given, options = sys.argv[1:], []
    if "--" in given:
        at = given.index("--")
        given, options = given[:at], given[at + 1 :]
    arguments = parser.parse_args(given)
    if arguments.within:
        fuzz(arguments.names[0], arguments.within, options)
    from targets import TARGETS

    held = [begin(name, arguments.seconds) for name in arguments.names or TARGETS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
