"""A board made on a real Ray cluster of two nodes on this machine, one of them killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # of Ray's own files
]

PLUGIN = """
import os, time
from harness import Prediction, Predictor, PredictorCard, register_predictor

@register_predictor("lab/slow", card=PredictorCard(family="test"))
class Slow(Predictor):
    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def predict(self, dialogue):
        time.sleep(float(os.environ.get("SECONDS_A_DIALOGUE", "1")))
        print("what a predictor prints is no answer")
        return [Prediction(u.id, "joy" if (len(u.text) + self.seed) % 2 else "neutral") for u in dialogue.targets]
"""

BOARD = """
datasets = ["toy"]
seeds = [0, 1, 2]

[[predictors]]
name = "lab/slow"

[[predictors]]
name = "majority"
"""


SOON_SILENT = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""After a few seconds without an answer a node is taken for lost; but for that, Ray's defaults."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each; their agents get ports, so that slow ones are not waited for."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'erc-harness[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "300")
        for name, value in SOON_SILENT.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **ports()})
        yield made
        made.shutdown()


def ports() -> dict[str, int]:
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    taken = [socket.create_server(("", 0)) for _ in names]
    found = dict(zip(names, (server.getsockname()[1] for server in taken), strict=True))
    for server in taken:
        server.close()
    return found


@pytest.fixture
def command(tmp_path: Path, toy_corpus: Path) -> list[str]:
    (tmp_path / "slow.py").write_text(PLUGIN)
    return [sys.executable, "-m", "harness", "run", "--plugin", "slow.py", "--data-dir", str(toy_corpus)]


def logs(results: Path) -> list[Path]:
    """The logs of runs that have begun to predict."""
    return [log for log in results.rglob("run.log.jsonl") if b"dialogue_id" in log.read_bytes()]


def wait_for_logs(results: Path, n: int, process: subprocess.Popen[str]) -> None:
    while len(logs(results)) < n:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def start(command: list[str], folder: Path, results: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, "--results-dir", str(results), *more], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def cut_off(cluster: Any, node: Any) -> None:
    """Lets a node answer nobody until it is taken for lost, as when its network fails; then lets it go on."""
    stopped: list[int] = []
    children = [node.all_processes["raylet"][0].process.pid]
    while children:
        pid = children.pop()
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)
        children += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    try:
        while sum(one["Alive"] for one in cluster.global_state.node_table()) > 1:
            time.sleep(0.2)
        time.sleep(3)  # somebody else has its run by now
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("n_shards", "how"), [("1", "killed"), ("2", "killed"), ("1", "cut off")])
def test_a_board_survives_a_lost_node_and_an_interrupt(
    n_shards: str, how: str, cluster: Any, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = {}
    there: tuple[str, ...] = ("--shards", n_shards) if n_shards != "1" else ()
    for name in ("serial", "cluster"):
        results = tmp_path / name
        board = results / "leaderboards" / "small" / "board.toml"
        board.parent.mkdir(parents=True)
        board.write_text(BOARD)
        boards[name] = results
    results = boards["cluster"]
    there += ("--board", "small", "--executor", "ray", "--address", cluster.address)

    interrupted = start(command, tmp_path, results, *there)
    wait_for_logs(results, 1, interrupted)
    os.killpg(interrupted.pid, signal.SIGINT)
    out, err = interrupted.communicate(timeout=120)
    assert (interrupted.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted; repeat the command to go on"
    assert "Traceback" not in err

    second = cluster.add_node(num_cpus=1, wait=False, **ports())
    process = start(command, tmp_path, results, *there, "--json")
    wait_for_logs(results, 2, process)  # one of them on either node
    if how == "killed":
        cluster.remove_node(second, allow_graceful=False)
    else:
        cut_off(cluster, second)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    runs = json.loads(out)["runs"]
    statuses = [run["status"] for run in runs]
    # Shards of a first run may end before the interrupt; who is cut off may end its run once it can.
    made_before = {"skipped"} if n_shards != "1" or how == "cut off" else set()
    assert set(statuses) <= {"done", *made_before}
    assert statuses.count("done") >= 2, "those on the nodes when one was lost"
    sessions = [json.loads(Path(run["path"], "manifest.json").read_bytes())["times"]["n_sessions"] for run in runs]
    if n_shards == "1":
        n_broken = 2 if how == "killed" else 1
        assert sum(sessions) >= len(runs) + n_broken, "neither the interrupt nor the lost node fell into a run"
    assert not list(results.rglob("run.log.jsonl")), "a shard is left"
    assert not list(results.glob(".driver-*"))

    monkeypatch.setenv("SECONDS_A_DIALOGUE", "0")
    alone = start(command, tmp_path, boards["serial"], "--board", "small")
    _, err = alone.communicate(timeout=600)
    assert alone.returncode == 0, err
    predictions = [sorted(folder.rglob("predictions.parquet")) for folder in boards.values()]
    assert len(predictions[0]) == 4
    for a, b in zip(*predictions, strict=True):
        assert a.read_bytes() == b.read_bytes()
    for folder in boards.values():
        build = [sys.executable, "-m", "harness", "leaderboard", "build", "small", "--results-dir", str(folder)]
        subprocess.run(build, check=True, capture_output=True, cwd=tmp_path)
    made = [(folder / "leaderboards" / "small" / "leaderboard.json").read_bytes() for folder in boards.values()]
    assert made[0] == made[1]
