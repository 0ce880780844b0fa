"""`erc-harness tune`, and runs that train: whole processes, killed, waiting for each other, or launched together."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's own, while weights are loaded
]

FORKER = """
import json, os, sys
import torch, transformers, peft
from transformers import Trainer
import harness.llm.tuning.tune as tune
import harness.llm.local.answers, harness.predictors.prompted
from harness.cli.main import main

torch.set_num_threads(1)
fine_tune = tune.fine_tune

def noted(*args, **options):
    with open(os.environ["TRAININGS"], "a") as file:
        file.write("training\\n")
    return fine_tune(*args, **options)

tune.fine_tune = noted
for line in sys.stdin:
    job = json.loads(line)
    if "wait" in job:
        print(os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1]), flush=True)
        continue
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        continue
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = ["erc-harness", *job["arguments"]]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
"""
"""Imports once what takes seconds to import, then runs each command in a process of its own."""


class Command:
    """A command under way."""

    def __init__(self, forker: Forker, number: int, folder: Path, arguments: list[str], env: dict[str, str]) -> None:
        self._forker = forker
        self._out, self._err = folder / f"{number}.out", folder / f"{number}.err"
        job = {"arguments": arguments, "env": env, "out": str(self._out), "err": str(self._err)}
        self.pid = int(forker.ask(job))

    def kill(self) -> int:
        """Kills the process, and returns its exit code: -9 if it had not ended before."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Returns the exit code, as soon as there is one."""
        return int(self._forker.ask({"wait": self.pid}))

    @property
    def json(self) -> Any:
        """The document that an ended command printed."""
        return json.loads(self._out.read_text())

    @property
    def err(self) -> str:
        return self._err.read_text()


class Forker:
    """Starts commands quickly; see `FORKER`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._n_started = 0

    def ask(self, job: dict[str, Any]) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def start(self, folder: Path, *arguments: object, **env: str) -> Command:
        self._n_started += 1
        return Command(self, self._n_started, folder, [str(one) for one in arguments], {**os.environ, **env})


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    command = [sys.executable, "-c", FORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Forker(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


class Place:
    """A folder of results and one of what is cached, and commands that use them."""

    def __init__(self, forker: Forker, folder: Path, corpora: Path, params: list[str]) -> None:
        self.forker, self.folder, self._corpora, self.params = forker, folder, corpora, params
        folder.mkdir()

    def start(self, command: str, *more: object) -> Command:
        env = {name: str(self.folder / name.split("_")[1].lower()) for name in ("ERC_CACHE_DIR", "ERC_RESULTS_DIR")}
        arguments = (command, "dialogue-llm", "--dataset", "toy", *self.params, "--json", *more)
        return self.forker.start(
            self.folder, *arguments, **env, ERC_DATA_DIR=str(self._corpora), TRAININGS=str(self.folder / "trainings")
        )

    def finish(self, command: str, *more: object) -> Any:
        """Returns what a command prints that must end well."""
        begun = self.start(command, *more)
        assert begun.wait() == 0, begun.err
        return begun.json

    @property
    def n_trainings(self) -> int:
        path = self.folder / "trainings"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @property
    def weights(self) -> bytes:
        (path,) = self.folder.glob("cache/trained/dialogue-llm-*[0-9a-f]/adapter_model.safetensors")
        return path.read_bytes()

    def whole_checkpoints(self) -> list[Path]:
        return list(self.folder.glob("cache/trained/*.part/checkpoint-*/trainer_state.json"))


MakePlace = Callable[..., Place]


@pytest.fixture
def place(forker: Forker, tmp_path: Path, toy_corpus: Path, small_llama: Path, recipe_file: Any) -> MakePlace:
    """Makes folders for commands that train the small base by a recipe of many short looks at dev."""

    def make(name: str, **changes: Any) -> Place:
        recipe = recipe_file(**{"evaluate_every": 4, "dropout": 0.1, "epochs": 4, "batch_size": 4, **changes})
        params = ["-P", f"base={small_llama}", "-P", f"recipe={recipe}"]
        return Place(forker, tmp_path / name, toy_corpus, params)

    return make


def wait_until(what: Callable[[], Any], command: Command, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, command.err
        time.sleep(0.002)


def test_a_killed_training_goes_on_to_the_same_bytes(place: MakePlace) -> None:
    undisturbed = place("undisturbed")
    (row,) = undisturbed.finish("tune")["trainings"]
    assert undisturbed.n_trainings == 1 and row["update"].endswith(" of 44")
    killed = place("killed")
    rng = random.Random(5)
    n_kills = 0
    for n in (1, 2, 3):
        command = killed.start("tune" if n % 2 else "run")
        before = len(killed.whole_checkpoints()) if n > 1 else 0
        seen = {path.parent.name for path in killed.whole_checkpoints()}
        wait_until(lambda seen=seen: {p.parent.name for p in killed.whole_checkpoints()} - seen, command)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.15))
        assert command.kill() == -signal.SIGKILL, "the training was too quick for the test to say anything"
        n_kills += 1
        assert before <= 2 and not list(killed.folder.glob("cache/trained/*/adapter_model.safetensors"))
    newest = max(killed.whole_checkpoints(), key=lambda path: int(path.parent.name[11:])).parent
    half = newest.with_name("checkpoint-40")
    half.mkdir(exist_ok=True)  # as a kill leaves it
    (half / "adapter_model.safetensors").write_bytes(b"\0" * 64)
    (half / "trainer_state.json").unlink(missing_ok=True)
    (again,) = killed.finish("tune")["trainings"]
    assert killed.weights == undisturbed.weights and n_kills == 3
    assert {key: again[key] for key in ("score", "update")} == {key: row[key] for key in ("score", "update")}
    assert [path.name for path in killed.folder.glob("cache/trained/*")] == [Path(again["weights"]).name]


def test_one_of_two_processes_trains_and_the_other_takes_it(place: MakePlace) -> None:
    both = place("both")
    commands = [both.start("tune"), both.start("run")]
    assert [command.wait() for command in commands] == [0, 0], [command.err for command in commands]
    assert both.n_trainings == 1
    (row,), (run,) = commands[0].json["trainings"], commands[1].json["runs"]
    assert run["status"] == "done" and row["weights"] in run["detail"]


def test_a_run_killed_while_it_predicts_does_not_train_again(place: MakePlace) -> None:
    here = place("here", epochs=1)
    command = here.start("run")
    wait_until(lambda: list(here.folder.glob("cache/trained/*/training_results.json")), command)
    assert command.kill() == -signal.SIGKILL
    assert not list(here.folder.rglob("manifest.json")) and here.n_trainings == 1
    (run,) = here.finish("run")["runs"]
    assert run["status"] == "done" and here.n_trainings == 1


def test_a_loss_that_is_not_finite_leaves_weights_to_go_on_with(place: MakePlace) -> None:
    absurd = {"learning_rate": 1e30, "schedule": "linear", "final_learning_rate": 0.0, "warmup_steps": 2}
    here = place("here", evaluate_every=1, **absurd)
    for _ in range(2):  # it says the same when it is tried again
        command = here.start("tune")
        assert command.wait() == 2
        (line,) = [line for line in command.err.splitlines() if line.startswith("error:")]
        assert "the loss is nan at update 3" in line and "Traceback" not in command.err
    kept = Path(line.partition("-P adapter=")[2].partition(";")[0])
    assert kept.name == "checkpoint-1" and kept.parent.name.endswith(".part")
    assert not list(here.folder.glob("cache/trained/*/training_results.json"))
    here.params = [here.params[0], here.params[1], "-P", f"adapter={kept}"]
    (run,) = here.finish("run")["runs"]
    assert run["status"] == "done"
    manifest = (Path(run["path"]) / "manifest.json").read_text()
    assert "checkpoint-1@" in manifest and str(here.folder) not in manifest


# In this process


def train(cli: Any, base: Path, recipe: Path, *more: object, command: str = "tune") -> Any:
    return cli(
        command, "dialogue-llm", "--dataset", "toy", "-P", f"base={base}", "-P", f"recipe={recipe}", "--json", *more
    )


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "trained"


def test_it_trains_each_seed_and_says_where(cli: Any, small_llama: Path, recipe_file: Any, cached: Path) -> None:
    recipe = recipe_file(epochs=1)
    done = train(cli, small_llama, recipe, "--seed", 0, 1)
    rows = done.json["trainings"]
    assert done.code == 0 and [row["seed"] for row in rows] == [0, 1]
    assert {Path(row["weights"]) for row in rows} == set(cached.iterdir())
    assert all(row["predictor"] == "dialogue-llm" and 0 <= row["score"] <= 1 for row in rows)
    assert not list(cached.parents[1].glob("results/runs"))
    listed = cli("list", "trainings", "--json").json["trainings"]
    assert {row["path"] for row in listed} == {row["weights"] for row in rows}


def test_what_keeps_nothing_is_not_tuned(cli: Any) -> None:
    done = cli("tune", "majority", "--dataset", "toy")
    assert done.code == 2 and "keeps nothing of what it learns; type: erc-harness run majority" in done.err


def test_runs_are_for_one_process(
    cli: Any, small_llama: Path, recipe_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = train(cli, small_llama, recipe_file(), command="run")
    assert done.code == 2 and done.out == "" and "accelerate launch -m harness tune" in done.err


def test_a_board_ranks_tuned_models(
    cli: Any, small_llama: Path, recipe_file: Any, cached: Path, tmp_path: Path
) -> None:
    recipe = recipe_file()
    done = train(cli, small_llama, recipe, "--seed", 0, 1, 2, command="run")
    assert [run["status"] for run in done.json["runs"]] == ["done"] * 3, done.err
    assert cli("run", "majority", "--dataset", "toy").code == 0
    board = tmp_path / "results" / "leaderboards" / "tuned"
    board.mkdir(parents=True)
    (board / "board.toml").write_text(
        'title = "Tuned"\ndatasets = ["toy"]\nseeds = [0, 1, 2]\n'
        '[[predictors]]\nname = "majority"\n[[predictors]]\nname = "dialogue-llm"\n'
        f'params = {{ base = "{small_llama}", recipe = "{recipe}" }}\n'
    )
    built = cli("leaderboard", "build", "tuned")
    assert built.code == 0, built.err
    table = json.loads((board / "leaderboard.json").read_text())
    by_name = {entry["predictor"].partition("[")[0]: entry for entry in table["entries"]}
    assert by_name["dialogue-llm"]["n_seeds"] == 3 and by_name["majority"]["n_seeds"] == 1
    (pair,) = table["comparisons"]
    assert {pair["a"].partition("[")[0], pair["b"].partition("[")[0]} == set(by_name) and 0 <= pair["p_value"] <= 1
    latex = cli("export", "tuned", "--to", "latex")
    assert latex.code == 0 and "dialogue-llm" in latex.out
    compared = cli("compare", "dialogue-llm", "majority", "--dataset", "toy", "--json")
    assert compared.code == 0, compared.err
    found = compared.json
    assert found["n_seeds_a"] == 3
    assert found["difference"] == pytest.approx(found["score_a"] - found["score_b"])


# Several processes


def launch(folder: Path, corpora: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs `accelerate launch -m harness ARGUMENTS` with two processes.

    With --cpu, accelerate starts one, whatever number is asked for; with --multi_gpu it starts two where there is no
    GPU as well, and they talk through gloo.
    """
    env = {
        **os.environ, "ERC_CACHE_DIR": str(folder / "cache"), "ERC_RESULTS_DIR": str(folder / "results"),
        "ERC_DATA_DIR": str(corpora), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    options = ("--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
               "--dynamo_backend", "no", "--main_process_port", "0")  # fmt: skip
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *options, "-m", "harness"]
    return subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, check=False, timeout=240)


def differences(one: Path, other: Path) -> tuple[float, float]:
    """Returns the largest difference of two adapters, and the largest number of the first."""
    from safetensors.torch import load_file

    a, b = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    assert a.keys() == b.keys()
    return max(float((a[k] - b[k]).abs().max()) for k in a), max(float(a[k].abs().max()) for k in a)


@pytest.mark.parametrize("base", ["small", pytest.param("tiny", marks=pytest.mark.slow)])
def test_two_processes_train_what_one_does(
    cli: Any, toy_corpus: Path, tmp_path: Path, recipe_file: Any, cached: Path, small_llama: Path, base: str
) -> None:
    recipe = recipe_file(epochs=1, batch_size=15)
    arguments = ["tune", "dialogue-llm", "--dataset", "toy", "-P", f"recipe={recipe}", "--json", "-P"]
    arguments.append(f"base={small_llama if base == 'small' else base}")
    done = launch(tmp_path / "two", toy_corpus, arguments)
    assert done.returncode == 0, done.stderr
    (together,) = json.loads(done.stdout)["trainings"]
    (alone,) = cli(*arguments).json["trainings"]
    records = [json.loads((Path(row["weights"]) / "training_results.json").read_text()) for row in (alone, together)]
    assert [record["tuning"]["n_processes"] for record in records] == [1, 2]
    off, largest = differences(Path(alone["weights"]), Path(together["weights"]))
    assert off < 1e-4 < largest
    assert {key: alone[key] for key in ("update", "seed")} == {key: together[key] for key in ("update", "seed")}
    losses = [[row["loss"] for row in record["tuning"]["history"] if "loss" in row] for record in records]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
