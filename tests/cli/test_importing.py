"""`erc-harness import lm-eval`: what lm-eval logs becomes a run that scores what lm-eval prints, or nothing at all."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from harness.data import Split, load_dataset
from harness.errors import HarnessError
from harness.llm.lm_eval.results import find_results
from harness.llm.lm_eval.samples import read_samples
from harness.llm.lm_eval.tasks import export_tasks
from harness.llm.reading.parsing import read_answer
from harness.llm.request import Response
from harness.prompting import Window, load_template, name_labels
from harness.store import Layout, RunStore

pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'erc-harness[lm-eval]'")

Cli = Callable[..., Any]
TEXTS = [
    "joy",
    " Anger.",
    "I'd say neutral",
    "joy or anger",
    "no idea",
    "",
    '{"label": "anger"}',
    "not joy",
    "\u2028joy",
]
METRICS = {"weighted_f1": "weighted_f1", "macro_f1": "macro_f1", "accuracy": "acc"}


@dataclass(frozen=True)
class Logged:
    """What lm-eval left behind of one task."""

    samples: Path
    printed: dict[str, float]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.samples.read_text(encoding="utf-8").split("\n") if line]


def writer() -> Any:
    """A model of lm-eval that writes one of some texts, chosen by the prompt."""
    from lm_eval.api.model import LM

    class Writer(LM):
        def generate_until(self, requests: list[Any]) -> list[str]:
            return [TEXTS[zlib.crc32(request.args[0].encode()) % len(TEXTS)] for request in requests]

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            return [(-1.0, False)] * len(requests)

        loglikelihood_rolling = loglikelihood

    return Writer()


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, write_toy: Callable[..., None]) -> dict[str, Logged]:
    """The toy corpus as tasks, run by lm-eval itself: the choices by a tiny Llama, the texts by a writer."""
    import lm_eval
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from harness.llm.local.tiny import build_tiny_llama, sample_texts

    root = tmp_path_factory.mktemp("lm-eval")
    write_toy(root / "data" / "toy")
    corpus = load_dataset("toy", root / "data")
    tasks = export_tasks(
        corpus, "test", root / "tasks", template=load_template("zero-shot/v1"), window=Window(3),
        names=name_labels(corpus.card.label_set, "natural"), form="plain",
    ).tasks  # fmt: skip
    build_tiny_llama(root / "tiny", sample_texts())
    models = {"choice": ("hf", f"pretrained={root / 'tiny'}"), "generate": (writer(), None)}
    found = {}
    for task, (kind, (model, arguments)) in zip(tasks, models.items(), strict=True):
        tracker = EvaluationTracker(output_path=str(root / kind))
        done = lm_eval.simple_evaluate(
            model, arguments, [task], device="cpu", batch_size=16, bootstrap_iters=0, evaluation_tracker=tracker,
            task_manager=TaskManager(include_path=str(root / "tasks"), include_defaults=False),
        )  # fmt: skip
        samples = done.pop("samples")
        tracker.general_config_tracker.model_name = tracker.general_config_tracker.model_name or "writer"
        tracker.save_results_aggregated(done, samples)
        tracker.save_results_samples(task, samples[task])
        (path,) = (root / kind).rglob(f"samples_{task}_*.jsonl")
        printed = {name.removesuffix(",none"): value for name, value in done["results"][task].items() if "none" in name}
        found[kind] = Logged(path, printed)
    return found


@pytest.fixture
def split(toy_corpus: Path) -> Split:
    return load_dataset("toy", toy_corpus).split("test")


def run_of(tmp_path: Path, name: str) -> Any:
    (run,) = (r for r in RunStore(Layout(tmp_path / "results")).runs() if r.manifest.predictor.name == name)
    return run


@pytest.mark.parametrize(
    ("kind", "option", "end"),
    [("choice", "sum", ""), ("choice", "byte-mean", "_bytes"), ("generate", "sum", "")],
)
def test_the_run_scores_what_lm_eval_prints(
    cli: Cli, tmp_path: Path, logged: dict[str, Logged], split: Split, kind: str, option: str, end: str
) -> None:
    one = logged[kind]
    done = cli("import", "lm-eval", one.samples, "--dataset", "toy", "--name", "lm-eval/it", "--normalisation", option)
    assert (done.code, done.err) == (0, "")
    shown = cli("show", run_of(tmp_path, "lm-eval/it").path, "--json").json
    for ours, theirs in METRICS.items():
        assert shown["metrics"][ours] == pytest.approx(one.printed[f"{theirs}{end}"], abs=1e-12)
    gold, predictions = list(split.gold.values()), run_of(tmp_path, "lm-eval/it").predictions()
    assert list(predictions) == list(split.gold)
    predicted = [p.label or "none" for p in predictions.values()]
    assert len(set(predicted)) > 1
    labels = list(split.label_set.labels)
    assert shown["metrics"]["accuracy"] == pytest.approx(accuracy_score(gold, predicted), abs=1e-12)
    weighted = f1_score(gold, predicted, labels=labels, average="weighted", zero_division=0)
    assert shown["metrics"]["weighted_f1"] == pytest.approx(weighted, abs=1e-12)


def test_answers_are_read_as_our_own(logged: dict[str, Logged], split: Split) -> None:
    names = name_labels(split.label_set, "natural")
    written = {line["doc"]["id"]: line["resps"][0][0] for line in logged["generate"].lines()}
    assert set(written.values()) == set(TEXTS)
    for utterance_id, prediction in read_samples(logged["generate"].samples, split).predictions.items():
        reading = read_answer(Response("stop", written[utterance_id]), names)
        assert (prediction.label, prediction.status) == (reading.label, reading.status)
        assert prediction.generation is not None and prediction.generation.rule == reading.rule
    first = logged["generate"].lines()[0]
    made = read_samples(logged["generate"].samples, split).predictions[first["doc"]["id"]].generation
    assert made is not None and made.prompt == hashlib.sha256(first["doc"]["prompt"].encode()).hexdigest()


def test_choices_are_the_likeliest(logged: dict[str, Logged], split: Split) -> None:
    predictions = read_samples(logged["choice"].samples, split).predictions
    for line in logged["choice"].lines():
        logprobs = [float(answer[0][0]) for answer in line["resps"]]
        prediction = predictions[line["doc"]["id"]]
        assert prediction.label == split.label_set.labels[logprobs.index(max(logprobs))]
        assert prediction.scores is not None
        total = sum(map(math.exp, logprobs))
        assert list(prediction.scores.values()) == pytest.approx([math.exp(x) / total for x in logprobs])


def test_the_manifest_says_where_it_comes_from(cli: Cli, tmp_path: Path, logged: dict[str, Logged]) -> None:
    one = logged["choice"]
    done = cli("import", "lm-eval", one.samples, "--dataset", "toy", "--name", "lm-eval/tiny", "--json")
    assert (done.json["status"], done.json["predictor"], done.json["seed"]) == ("done", "lm-eval/tiny", 0)
    manifest = run_of(tmp_path, "lm-eval/tiny").manifest
    found = manifest.predictor.imported
    assert found["from"] == manifest.predictor.origin == "lm-eval"
    assert found["samples"] == {
        "name": one.samples.name, "sha256": hashlib.sha256(one.samples.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert manifest.predictor.params["model"] == manifest.predictor.facts["model"]["model"] == "tiny"
    assert manifest.predictor.facts["model"]["n_parameters"] > 0
    assert manifest.predictor.facts["template"]["name"] == "zero-shot/v1"
    assert manifest.predictor.card["context"] == "past"
    assert manifest.versions["lm-eval"]
    text = (Path(done.json["path"]) / "manifest.json").read_text()
    assert str(one.samples.parent) not in text and "/tiny" not in text.replace("lm-eval/tiny", "")

    listed = {row["predictor"]: row["imported"] for row in cli("list", "runs", "--json").json["runs"]}
    assert listed == {"lm-eval/tiny": "lm-eval"}
    shown = cli("show", done.json["run_id"])
    assert "imported from lm-eval" in shown.out and found["samples"]["sha256"] in shown.out
    assert "US dollars" not in shown.out and "None" not in shown.out
    assert cli("show", done.json["run_id"], "--json").json["imported"] == dict(found)


def test_it_has_a_row_on_boards_that_take_other_runs(cli: Cli, tmp_path: Path, logged: dict[str, Logged]) -> None:
    cli("run", "majority", "tfidf-svm", "--dataset", "toy")
    assert cli("list", "runs", "--json").json["runs"][0]["imported"] is None
    for kind in logged:
        assert cli("import", "lm-eval", logged[kind].samples, "--dataset", "toy", "--name", f"lm-eval/{kind}").code == 0
    board = cli("leaderboard", "build", "toy", "--json").json
    rows = {entry["predictor"]: entry for entry in board["entries"]}
    assert set(rows) == {"majority", "tfidf-svm", "lm-eval/choice", "lm-eval/generate"}
    for kind in logged:
        assert rows[f"lm-eval/{kind}"]["score"] == pytest.approx(logged[kind].printed["weighted_f1"], abs=1e-9)
    assert 0 < rows["lm-eval/generate"]["coverage"] < 1
    assert any({pair["a"], pair["b"]} == {"majority", "lm-eval/choice"} for pair in board["comparisons"])
    assert cli("report", "toy", "-o", tmp_path / "page").code == 0
    assert cli("export", "toy", "--to", "every-eval-ever", "-o", tmp_path / "records").code == 0
    assert cli("bundle", "toy", "-o", tmp_path / "bundle").code == 0
    assert cli("verify", tmp_path / "bundle").code == 0
    appendix = (tmp_path / "bundle/appendix.tex").read_text(encoding="utf-8")
    assert "not told by what was imported (2 runs)" in appendix


def test_what_was_imported_is_imported_once(cli: Cli, tmp_path: Path, logged: dict[str, Logged]) -> None:
    samples = tmp_path / "own.jsonl"
    shutil.copy(logged["generate"].samples, samples)
    ask = ("import", "lm-eval", samples, "--dataset", "toy", "--name", "lm-eval/it", "--json")
    first = cli(*ask).json
    assert cli(*ask).json["status"] == "skipped"
    manifest = (Path(first["path"]) / "manifest.json").read_bytes()
    assert run_of(tmp_path, "lm-eval/it").manifest.predictor.params["model"] is None  # no results lie beside it
    samples.write_text("\n".join(reversed(samples.read_text().strip("\n").split("\n"))) + "\n")
    done = cli(*ask)
    assert done.code == 2 and "imported from other samples" in done.err and "--seed" in done.err
    assert (Path(first["path"]) / "manifest.json").read_bytes() == manifest
    assert cli(*ask, "--seed", 1).json["status"] == "done"
    done = cli("import", "lm-eval", logged["choice"].samples, "--dataset", "toy", "--name", "lm-eval/it")
    assert done.code == 2 and "is taken by" in done.err and "answers" in done.err
    done = cli("import", "lm-eval", samples, "--dataset", "toy", "--name", "majority")
    assert done.code == 2 and "'lm-eval/majority'" in done.err
    done = cli("import", "lm-eval", samples, "--dataset", "toy", "--name", "../up")
    assert done.code == 2 and "expected lower-case" in done.err


def without(line: dict[str, Any], *path: str) -> dict[str, Any]:
    inner: Any = line
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return line


def put(line: dict[str, Any], value: Any, *path: Any) -> dict[str, Any]:
    inner: Any = line
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return line


CHANGES: dict[str, tuple[Callable[[list[dict[str, Any]]], list[dict[str, Any]]], str]] = {
    "missing": (lambda rows: rows[:-2], r"2 of the \d+ utterances of 'toy', split 'test', have no sample"),
    "nothing": (lambda rows: [], "have no sample"),
    "duplicate": (lambda rows: [*rows, rows[3]], "duplicate utterance id"),
    "unknown": (lambda rows: [put(rows[0], "test9_9", "doc", "id"), *rows[1:]], "'test9_9' is no annotated utterance"),
    "gold": (lambda rows: [put(rows[0], 2, "doc", "gold"), *rows[1:]], "gold label 2 of 'test0_0'; the corpus has 1"),
    "counted": (lambda rows: [put(rows[0], [1, 2], "weighted_f1"), *rows[1:]], r"lm-eval counted \[1, 2\]"),
    "fingerprint": (lambda rows: [put(row, "0" * 64, "doc", "origin", "fingerprint") for row in rows],
                    "exported from fingerprint '0000"),
    "dataset": (lambda rows: [put(row, "meld", "doc", "origin", "dataset") for row in rows], "from dataset 'meld'"),
    "wording": (lambda rows: [put(rows[0], "other/v1", "doc", "origin", "template"), *rows[1:]], "another task"),
    "labels": (lambda rows: [put(row, ["joy", "neutral", "anger"], "doc", "origin", "labels") for row in rows],
               r"labels \['joy', 'neutral', 'anger'\]: expected"),
    "names": (lambda rows: [put(row, ["a", "a", "b"], "doc", "origin", "shown") for row in rows], "all different"),
    "other task": (lambda rows: [without(row, "doc", "origin") for row in rows], "type: erc-harness export-tasks toy"),
    "answerless": (lambda rows: [without(rows[0], "filtered_resps"), *rows[1:]], "key 'filtered_resps' is missing"),
    "number": (lambda rows: [put(rows[0], 7, "doc", "id"), *rows[1:]], "found 7; expected a string"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_is_told_in_a_line_and_nothing_is_written(
    cli: Cli, tmp_path: Path, logged: dict[str, Logged], change: str
) -> None:
    alter, problem = CHANGES[change]
    samples = tmp_path / "altered.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in alter(logged["generate"].lines())))
    done = cli("import", "lm-eval", samples, "--dataset", "toy", "--name", "lm-eval/it")
    assert done.code == 2 and len(done.err.splitlines()) == 1 and not done.out
    assert re.search(problem, done.err), done.err
    assert str(samples) in done.err
    assert not (tmp_path / "results").exists()


def test_a_file_cut_off_is_told(cli: Cli, tmp_path: Path, logged: dict[str, Logged]) -> None:
    samples = tmp_path / "cut.jsonl"
    raw = logged["choice"].samples.read_bytes()
    samples.write_bytes(raw[: len(raw) * 2 // 3])
    done = cli("import", "lm-eval", samples, "--dataset", "toy", "--name", "lm-eval/it")
    assert done.code == 2 and "broken JSON" in done.err and ", line " in done.err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("logprob", ["nan", "-inf", "x", ""])
def test_a_likelihood_that_is_no_number_is_told(
    tmp_path: Path, logged: dict[str, Logged], split: Split, logprob: str
) -> None:
    samples, rows = tmp_path / "altered.jsonl", logged["choice"].lines()
    put(rows[1], logprob, "filtered_resps", 0, 0)
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(HarnessError, match="line 2"):
        read_samples(samples, split)


def test_results_of_another_evaluation_are_told(cli: Cli, tmp_path: Path, logged: dict[str, Logged]) -> None:
    one = logged["choice"]
    samples = tmp_path / one.samples.name
    shutil.copy(one.samples, samples)
    (results,) = one.samples.parent.glob("results_*.json")
    document = json.loads(results.read_text())
    for name, text, problem in (
        (
            "score",
            json.dumps(put(document, 0.9, "results", "erc_toy_choice", "weighted_f1,none")),
            "0.9, but the samples",
        ),
        ("task", json.dumps({**document, "results": {}}), "no results of task 'erc_toy_choice'"),
        ("broken", "{", "broken JSON"),
    ):
        (tmp_path / results.name).write_text(text)
        done = cli("import", "lm-eval", samples, "--dataset", "toy", "--name", "lm-eval/it")
        assert done.code == 2 and problem in done.err and results.name in done.err, name
        assert not (tmp_path / "results").exists()


def test_secrets_and_folders_of_a_model_are_left_out(tmp_path: Path) -> None:
    stamp = "2026-01-02T03-04-05.678"
    for told, kept in (
        ("/home/ann/models/qwen", "qwen"),
        ("./models/qwen/", "qwen"),
        ("C:\\models\\qwen", "qwen"),
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
        ("gpt-4o", "gpt-4o"),
        ("model,api_key=abc", "model,api_key=[secret]"),
        (None, "unknown"),
    ):
        document = {"results": {"t": {}}, "config": {"model": "hf", "model_args": "api_key=abc"}, "model_name": told}
        (tmp_path / f"results_{stamp}.json").write_text(json.dumps(document))
        found = find_results(tmp_path / f"samples_t_{stamp}.jsonl")
        assert found is not None and found.model == kept
        assert "abc" not in repr(found.about)
    assert find_results(tmp_path / "samples_t.jsonl") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*here, key)
        yield from paths(one, (*here, key))


@pytest.mark.parametrize("kind", ["choice", "generate"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_sample_raises_anything_but_a_harness_error(
    tmp_path: Path, logged: dict[str, Logged], split: Split, kind: str, data: st.DataObject
) -> None:
    rows = logged[kind].lines()
    row = rows[data.draw(st.integers(0, len(rows) - 1))]
    put(row, data.draw(JSON), *data.draw(st.sampled_from(list(paths(row)))))
    samples = tmp_path / "fuzzed.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        found = read_samples(samples, split)
    except HarnessError as error:
        assert "\n" not in str(error)
    else:  # what was altered does not matter: an argument that is not read, the hash of a document
        assert {u: p.label for u, p in found.predictions.items()} == {
            u: p.label for u, p in read_samples(logged[kind].samples, split).predictions.items()
        }


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_results_raise_anything_but_a_harness_error(
    tmp_path: Path, logged: dict[str, Logged], data: st.DataObject
) -> None:
    one = logged["choice"]
    (results,) = one.samples.parent.glob("results_*.json")
    document = json.loads(results.read_text())
    keys = [path for path in paths(document) if path[0] not in ("configs", "pretty_env_info")]
    put(document, data.draw(JSON), *data.draw(st.sampled_from(keys)))
    (tmp_path / results.name).write_text(json.dumps(document))
    try:
        find_results(tmp_path / one.samples.name)
    except HarnessError as error:
        assert "\n" not in str(error)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=60), where=st.floats(0, 1))
def test_no_bytes_raise_anything_but_a_harness_error(
    tmp_path: Path, logged: dict[str, Logged], split: Split, raw: bytes, where: float
) -> None:
    content = logged["choice"].samples.read_bytes()
    at = int(where * len(content))
    samples = tmp_path / "fuzzed.jsonl"
    samples.write_bytes(content[:at] + raw + content[at + len(raw) :])
    try:
        read_samples(samples, split)
    except HarnessError as error:
        assert "\n" not in str(error)
