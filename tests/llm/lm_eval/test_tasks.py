"""Tasks written for lm-eval: run by lm-eval itself, they ask what we ask and score as we score."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.data import Dataset, DatasetCard, Split
from harness.errors import ConfigError, UnknownNameError
from harness.llm import CallSettings, ModelSettings, Request, Response, build_backend
from harness.llm.lm_eval.task_utils import NONE, macro_f1, process_choice, weighted_f1
from harness.llm.lm_eval.tasks import ExportedTasks, export_tasks
from harness.llm.local.tiny import build_tiny_llama, sample_texts
from harness.llm.reading.choices import pick_choice
from harness.llm.reading.parsing import read_answer
from harness.metrics import get_metric, tally, totals_of
from harness.prompting import Form, Prompt, Window, load_template, name_labels
from harness.schema import Dialogue, LabelSet, Utterance

LABELS = LabelSet(("neu", "joy", "ang"), "neu")
NAMES = name_labels(LABELS, "natural")
TEMPLATE, WINDOW = load_template("zero-shot/v1"), Window(3)
TEXTS = [
    "{{ 7 * 7 }} {% raw %} %}", "[1, 2]", "!function utils.weighted_f1", "a\u2028b\u0085c", 'She said "no": \\n #',
    "12", "\U0001f600 ça va", "plain", "---", "<|endoftext|> and on", "{{prompt}}", "{# gone? #}", "- metric: acc", "'",
    "~",
]  # fmt: skip


def make_dataset(redistributable: bool = True) -> Dataset:
    """Three labels in turn over texts that a template or a YAML file could stumble over; one utterance has none."""
    utterances = [Utterance(f"u{i}", ("AB"[i % 2],), text, LABELS.labels[i % 3]) for i, text in enumerate(TEXTS * 2)]
    context = Utterance("x", ("B",), "context only", None)
    dialogues = tuple(
        Dialogue(f"d{i}", (*utterances[i : i + 5], *([context] if i == 5 else []))) for i in range(0, 30, 5)
    )
    card = DatasetCard("Odd texts", LABELS, "en", "CC-BY-4.0", "a test", "odd", (), redistributable, "no way")
    return Dataset(
        "odd", card, {"test": Split("odd", "test", dialogues, LABELS), "dev": Split("odd", "dev", dialogues, LABELS)}
    )


def export(folder: Path, form: Form = "plain", split: str = "test", **kwargs: Any) -> ExportedTasks:
    dataset = kwargs.pop("dataset", None) or make_dataset()
    return export_tasks(dataset, split, folder, template=TEMPLATE, window=WINDOW, names=NAMES, form=form, **kwargs)


def our_prompts(form: Form) -> list[Prompt]:
    split = make_dataset().split("test")
    views = [view for dialogue in split.dialogues for view in dialogue.views("past", LABELS)]
    scenes = [WINDOW.frame(view, view.target_positions[0]) for view in views]
    return [TEMPLATE.render(form, labels=NAMES.shown, target=s.target, history=s.history) for s in scenes]


def our_score(metric: str, predicted: list[str | None]) -> float:
    gold = [LABELS.index(label) for label in make_dataset().split("test").gold.values()]
    column = [NONE if label is None else LABELS.index(label) for label in predicted]
    counts = tally(np.zeros(len(gold), dtype=int), np.array(gold), np.array(column), 1, len(LABELS))
    return float(get_metric(metric).value(totals_of(counts.sum(axis=0))))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    build_tiny_llama(folder, sample_texts())
    return folder


def run(folder: Path, task: str, model: Any, model_args: Any = None, **kwargs: Any) -> tuple[dict[str, Any], list[Any]]:
    """Returns the scores and the logged samples of one task, as lm-eval makes them."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    results = lm_eval.simple_evaluate(
        model, model_args, [task], device="cpu", batch_size=16, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False), **kwargs,
    )  # fmt: skip
    return results["results"][task], results["samples"][task]


@pytest.mark.parametrize("form", ["plain", "chat"])
def test_the_choice_task_scores_as_our_own_run_does(tmp_path: Path, model: Path, form: Form) -> None:
    tasks = export(tmp_path, form)
    scores, samples = run(
        tmp_path, tasks.tasks[0], "hf", {"pretrained": str(model)}, apply_chat_template=form == "chat"
    )
    prompts = our_prompts(form)
    backend = build_backend(ModelSettings("lm-eval", "hf", model_args=f"pretrained={model}"), CallSettings())
    for sample, prompt in zip(samples, prompts, strict=True):
        asked = [(backend.render(prompt), prompt.continuation(name)) for name in NAMES.shown]
        assert sample["arguments"] == asked
    assert [s["doc"]["id"] for s in samples] == list(make_dataset().split("test").gold)
    requests = (Request(prompt, NAMES.shown, "choice") for prompt in prompts)
    responses = dict(backend.answer(requests, {}.__setitem__))
    for how, end in (("sum", ""), ("byte-mean", "_bytes")):
        predicted = [pick_choice(responses[i], NAMES, how)[0].label for i in range(len(prompts))]  # type: ignore[arg-type]
        assert scores[f"weighted_f1{end},none"] == pytest.approx(our_score("weighted_f1", predicted), abs=1e-12)
        assert scores[f"macro_f1{end},none"] == pytest.approx(our_score("macro_f1", predicted), abs=1e-12)
        assert scores[f"acc{end},none"] == pytest.approx(our_score("accuracy", predicted), abs=1e-12)
        assert len(set(predicted)) > 1 or how == "sum"


def writer(texts: list[str]) -> Any:
    """A model of lm-eval that writes one of some texts, chosen by the prompt."""
    from lm_eval.api.model import LM

    class Writer(LM):
        def generate_until(self, requests: list[Any]) -> list[str]:
            return [texts[zlib.crc32(request.args[0].encode()) % len(texts)] for request in requests]

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            return [(-1.0, False)] * len(requests)

        loglikelihood_rolling = loglikelihood

    return Writer()


def test_the_generate_task_reads_answers_as_we_do(tmp_path: Path) -> None:
    tasks = export(tmp_path)
    texts = ["joy", " Anger.", "I'd say neutral", "joy or anger", "no idea", "", '{"label": "anger"}', "not joy"]
    scores, samples = run(tmp_path, tasks.tasks[1], writer(texts))
    written = [sample["resps"][0][0] for sample in samples]
    assert set(written) == set(texts)
    predicted = [read_answer(Response("stop", text), NAMES).label for text in written]
    for name in ("weighted_f1", "macro_f1"):
        assert scores[f"{name},none"] == pytest.approx(our_score(name, predicted), abs=1e-12)
    assert scores["acc,none"] == pytest.approx(our_score("accuracy", predicted), abs=1e-12)
    assert scores["no_label,none"] == pytest.approx(predicted.count(None) / len(predicted), abs=1e-12)
    assert 0 < scores["weighted_f1,none"] < 1
    assert [sample["arguments"][0][0] for sample in samples] == [prompt.text for prompt in our_prompts("plain")]


def test_equal_likelihoods_single_out_no_label(tmp_path: Path) -> None:
    scores, samples = run(tmp_path, export(tmp_path).tasks[0], writer([""]))
    assert scores["weighted_f1,none"] == scores["acc,none"] == 0.0
    assert {sample["weighted_f1"][1] for sample in samples} == {NONE}


def test_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for n_labels in (2, 3, 7):
        gold, predicted = rng.integers(0, n_labels, 50), rng.integers(NONE, n_labels + 1, 50)
        pairs = list(zip(gold.tolist(), predicted.tolist(), strict=True))
        labels = sorted({*gold.tolist(), *predicted.tolist()} - {NONE})
        for ours, average in ((weighted_f1, "weighted"), (macro_f1, "macro")):
            theirs = f1_score(gold, predicted, labels=labels, average=average, zero_division=0)
            assert ours(pairs) == pytest.approx(theirs, abs=1e-12)
        assert accuracy_score(gold, predicted) == pytest.approx(sum(a == b for a, b in pairs) / 50)
    assert weighted_f1([(0, NONE), (1, NONE)]) == 0.0


def test_the_choice_task_runs_without_erc_harness_and_the_other_says_what_it_needs(tmp_path: Path) -> None:
    export(tmp_path)
    code = (
        "import sys; sys.modules['harness'] = None\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import utils\n"
        "print(len(utils.load_documents(version=1)['test']))\n"
        "print(utils.process_choice({'gold': 1}, [(-9.0, False), (-1.0, True), (-5.0, False)]))\n"
        "print(utils.weighted_f1([(0, 0), (1, -1)]))\n"
        "try: utils.require_reader([])\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    n_documents, scores, f1, error = done.stdout.splitlines()
    assert (n_documents, f1) == ("30", "0.5")
    assert eval(scores)["weighted_f1"] == (1, 1)
    assert "pip install erc-harness" in error


def test_a_text_that_may_not_be_passed_on_needs_consent(tmp_path: Path) -> None:
    dataset = make_dataset(redistributable=False)
    with pytest.raises(ConfigError, match=r"'odd' may not be passed on \(CC-BY-4.0\).*--allow-text"):
        export(tmp_path / "out", dataset=dataset)
    assert not (tmp_path / "out").exists()
    export(tmp_path / "out", dataset=dataset, allow_text=True)
    assert "keep this folder to yourself" in (tmp_path / "out" / "README.md").read_text()


def test_only_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    first = export(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in first.files}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(first.files)
    assert export(tmp_path) == first
    assert before == {name: (tmp_path / name).read_bytes() for name in first.files}
    (tmp_path / "notes.txt").write_text("mine")
    second = export(tmp_path, split="dev")
    assert second.tasks == ("erc_odd_dev_choice", "erc_odd_dev_generate")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*second.files, "notes.txt"])
    for content in ("mine", '{"format": "other", "files": []}', "[]"):
        (tmp_path / "export.json").write_text(content)
        with pytest.raises(ConfigError, match="not empty and no earlier export"):
            export(tmp_path)


def test_documents_that_are_not_whole_are_told(tmp_path: Path) -> None:
    tasks = export(tmp_path)
    lines = (tmp_path / "documents.jsonl").read_text(encoding="utf-8").split("\n")
    (tmp_path / "documents.jsonl").write_text("\n".join(lines[:10]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds 10 documents of 30"):
        run(tmp_path, tasks.tasks[0], writer([""]))


def test_an_unknown_split_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="split of 'odd'"):
        export(tmp_path, split="tset")


def test_nothing_of_this_machine_is_in_an_export(tmp_path: Path) -> None:
    tasks = export(tmp_path)
    about = json.loads((tmp_path / "export.json").read_text())
    assert about["fingerprint"] == make_dataset().split("test").fingerprint
    for name in tasks.files:
        if name != "README.md":  # which holds the command to type here
            assert str(tmp_path) not in (tmp_path / name).read_text(encoding="utf-8")


def test_a_choice_with_a_score_per_byte_counts_bytes_not_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.llm.lm_eval.task_utils._export", lambda: {"shown": ["été", "joie"]})
    scores = process_choice({"gold": 0}, [(-3.5, False), (-3.0, False)])
    assert (scores["weighted_f1"], scores["weighted_f1_bytes"]) == ((0, 1), (0, 0))  # -3.5 / 5 against -3 / 4
