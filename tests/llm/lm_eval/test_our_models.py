"""A base model with LoRA weights, seen from lm-eval: other numbers than the base, and those of our own back end."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.data import load_dataset
from harness.errors import ConfigError, ModelError
from harness.llm import CallSettings, ModelSettings, Request, build_backend
from harness.llm.lm_eval.our_models import NAME, build_model_class, main, register
from harness.llm.lm_eval.tasks import ExportedTasks, export_tasks
from harness.llm.local.tiny import build_tiny_llama, sample_texts
from harness.prompting import Message, Prompt, Window, load_template, name_labels

# peft asks a model for an attribute under the name it had before transformers 5
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

CHOICES = ("neutral", "joy", "anger")
PROMPT = Prompt((Message("user", "A: I won!\nEmotion:"),), "plain")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    build_tiny_llama(folder, sample_texts())
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    """LoRA weights that change the model: those of peft do not, until they are trained."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = base.with_name("lora")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


def log_likelihoods(lm: Any) -> list[float]:
    from lm_eval.api.instance import Instance

    asked = [Instance("loglikelihood", {}, (PROMPT.text, PROMPT.continuation(c)), i) for i, c in enumerate(CHOICES)]
    return [logprob for logprob, _ in lm.loglikelihood(asked, disable_tqdm=True)]


def test_the_adapter_counts_and_the_numbers_are_ours(base: Path, adapter: Path) -> None:
    build = build_model_class()
    with_lora = build.create_from_arg_obj({"model": str(base), "adapter": str(adapter)}, {"batch_size": 4})
    without = build.create_from_arg_string(f"model={base},dtype=fp32", {"device": "cpu", "max_batch_size": None})
    ours = build_backend(ModelSettings("transformers", str(base), adapter=str(adapter)), CallSettings())
    (_, response), *_ = ours.answer(iter([Request(PROMPT, CHOICES, "choice")]), {}.__setitem__)
    assert log_likelihoods(with_lora) == pytest.approx(response.choice_logprobs, abs=1e-4)
    differences = [abs(a - b) for a, b in zip(log_likelihoods(with_lora), log_likelihoods(without), strict=True)]
    assert min(differences) > 1e-3
    assert with_lora.get_model_info()["erc_harness"] == ours.identity()


def test_lm_eval_finds_it_by_name_once_registered() -> None:
    from lm_eval.api.registry import get_model

    register()
    register()
    assert get_model(NAME) is build_model_class()
    assert get_model("hf") is not build_model_class()


@pytest.fixture
def tasks(tmp_path: Path) -> ExportedTasks:
    sample = load_dataset("sample")
    return export_tasks(
        sample, "test", tmp_path / "tasks", template=load_template("zero-shot/v1"), window=Window(0),
        names=name_labels(sample.card.label_set, "natural"), form="plain",
    )  # fmt: skip


def test_lm_eval_evaluates_it_by_name(base: Path, adapter: Path, tasks: ExportedTasks) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    register()
    results = lm_eval.simple_evaluate(
        NAME, {"model": str(base), "adapter": str(adapter)}, [tasks.tasks[0]], batch_size=8, limit=2, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks.folder), include_defaults=False),
    )  # fmt: skip
    assert "weighted_f1_bytes,none" in results["results"][tasks.tasks[0]]
    assert results["config"]["erc_harness"]["adapter"].startswith("lora@")


@pytest.mark.slow  # lm-eval reads thousands of tasks of its own first
def test_the_command_line_of_lm_eval_runs_it(
    base: Path,
    adapter: Path,
    tasks: ExportedTasks,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = f"run --model {NAME} --tasks {tasks.tasks[0]} --limit 2 --batch_size 8 --include_path".split()
    weights = f"model={base},adapter={adapter}"
    monkeypatch.setattr(sys, "argv", ["lm_eval", *arguments, str(tasks.folder), "--model_args", weights])
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")  # which lm-eval sets, and nobody would take back
    log = logging.getLogger("lm_eval")
    before = log.level, log.propagate, list(log.handlers)
    main()
    log.level, log.propagate, log.handlers[:] = before
    printed = capsys.readouterr().out
    assert f"{NAME} (" in printed
    assert f"|{tasks.tasks[0]}|" in printed and "weighted_f1_bytes" in printed


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"peft": "x"}, "peft='x' is no argument of 'erc-harness', which takes model, adapter"),
        ({"dtype": "float32"}, "dtype='float32'; expected one of auto, bf16, fp16, fp32"),
        ({"quantization": "2bit"}, "quantization='2bit'; expected one of none, 8bit, 4bit"),
    ],
)
def test_what_would_not_be_heeded_is_refused(base: Path, arguments: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        build_model_class()(model=str(base), **arguments)


def test_weights_that_are_not_there_are_told(base: Path) -> None:
    with pytest.raises(ModelError, match="nobody/nothing"):
        build_model_class()(model="nobody/nothing")
    with pytest.raises(ModelError, match=r"adapter_config.json"):
        build_model_class()(model=str(base), adapter=str(base))
